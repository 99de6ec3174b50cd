"""pool: the MaxPool first, where the activation is monotone. It then works on a quarter of the data, and in equal bits.

z ─► PRelu(a) ─► MaxPool ─► h      becomes      z ─► MaxPool ─► PRelu(a) ─► h          all a >= 0
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...algebra.forms import prove
from ...algebra.slopes import shrink
from ...errors import Refused
from ...graph.build import Names
from ...graph.draft import Draft
from ...graph.edit import Edit, rewired
from ..elementwise import write
from ..plan import Left, Plan
from ..sites import Site, working_type
from ..slope_fit import check_shape
from .pooled import max_pool, pooled_types, slopes_by_channel


def plan_pool(draft: Draft, site: Site) -> Plan:
    """Let the MaxPool come before the activation, which is a site again there and takes a form of its own.

    Rounding keeps order, so the largest of the rounded products is the rounded product of the largest. At ±inf and NaN
    both orders give what the runtime's MaxPool and PRelu make of it.

    Raises:
        Refused: ``negative-slope``: there, the smallest value would win; ``runtime-slope``, ``slope-not-per-unit``,
            ``dtype``, ``type-unknown``, ``slope-enlarges``, or what :func:`~.pooled.max_pool` refuses.
        BadInput: The slope does not broadcast.
    """
    dtype = working_type(draft, site)
    check_shape(draft, site)
    pool = max_pool(draft, site)
    slopes = slopes_by_channel(site, pool)
    if np.any(slopes < 0):
        text = f"{np.sum(slopes < 0)} of {slopes.size} slopes are below 0: there, the smallest of a window would win"
        raise Refused("negative-slope", text, site.node.label)
    assert site.slope.value is not None
    slope = shrink(site.slope.value)
    names = Names(draft.index)
    h, pooled = pool.outputs[0], names.new(site.x, "pooled")
    proof = prove("leakyrelu" if site.ops == {"LeakyRelu"} else "prelu", slope, dtype)
    nodes, constants = write(draft, names, replace(site, x=pooled, y=h), proof, slope)
    first = rewired(pool, (), {}, {site.y: site.x, h: pooled})
    edit = Edit(
        {**dict.fromkeys(site.region, ()), pool: (first, *nodes)}, constants, types=pooled_types(draft, pooled, h)
    )
    return Plan(
        form="pool",
        node=site.node,
        edit=edit,
        equal_bits=proof.equal_bits and site.correctly_rounded,
        region=site.region,
        activation=(site.x, site.y),
        before=(*site.region, pool),
        x=site.x,
        y=(h,),
        unit_axis=site.slope.shrunk().unit_axis,
        left=(Left(h, replace(site.slope, value=slope)),),
    )
