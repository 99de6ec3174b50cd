"""The catalogue of forms: what the tool can put at a site, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..algebra.forms import FORMS
from ..graph.draft import Draft
from .beside import plan_concat, plan_tied
from .elementwise import plan_elementwise
from .fast.comp import plan_comp
from .fast.dwcat import plan_dwcat
from .fast.ext0 import plan_ext0
from .fast.fold2 import plan_fold2
from .fast.gauge import plan_gauge
from .fast.gauge_conv import plan_gauge_conv
from .fast.pool import plan_pool
from .fast.poolsplit import plan_poolsplit, plan_poolsplit_padded
from .plan import Plan
from .sites import Site
from .step import plan_split_step
from .wide import plan_split

Planner = Callable[[Draft, Site], Plan]
"""Plans a form at a site, or raises Refused."""

FAST_PLANNERS: Mapping[str, Planner] = {
    "pool": plan_pool,
    "poolsplit": plan_poolsplit,
    "poolsplit-padded": plan_poolsplit_padded,
    "ext0": plan_ext0,
    "fold2": plan_fold2,
    "comp": plan_comp,
    "dwcat": plan_dwcat,
    "gauge": plan_gauge,
    "gauge-conv": plan_gauge_conv,
}
"""Forms that are worth their trouble for speed alone: they change the layers around a site, or the order of ops. Only
``--to fast`` and ``--form`` take them."""

FORM_NAMES: tuple[str, ...] = ("split", "split-step", "concat", "tied", *FORMS, *FAST_PLANNERS)
"""The forms that ``--form`` takes, in the order in which they are listed."""

SLOPE_PLACES: tuple[str, ...] = ("consumer", "producer")
"""Where split and split-step can put the slope."""

_SPLITS: Mapping[str, Callable[..., Plan]] = {"split": plan_split, "split-step": plan_split_step}
_PLANNERS: Mapping[str, Planner] = {"concat": plan_concat, "tied": plan_tied, **FAST_PLANNERS}


def planners(form: str, slope_in: str = "consumer", slope_shapes: Sequence[str] = ("",)) -> tuple[Planner, ...]:
    """The ways to plan a form, best first: one, but for a PRelu, whose slope can be written in several shapes.

    Args:
        form: One of :data:`FORM_NAMES`.
        slope_in: One of :data:`SLOPE_PLACES`; only split and split-step look at it.
        slope_shapes: Names of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`, or "" for the slope's own;
            only prelu looks at them.
    """
    if form in _SPLITS:
        return (partial(_SPLITS[form], slope_in_producer=slope_in == "producer"),)
    if form in _PLANNERS:
        return (_PLANNERS[form],)
    if form == "prelu":
        return tuple(partial(plan_elementwise, form, slope_shape=shape) for shape in slope_shapes)
    return (partial(plan_elementwise, form),)
