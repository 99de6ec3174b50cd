"""poolsplit: slopes of both signs before a MaxPool. Channels of slope >= 0 pool first, the others are activated first.

    Conv(A) ─► PRelu(a) ─► MaxPool ─► Conv(V)      becomes

    Conv(A₁) ─► MaxPool ─► PRelu(a₁) ─┬─► Concat ─► Conv([V₁, V₂])          all a₁ >= 0
    Conv(A₂) ─► PRelu(a₂) ─► MaxPool ─┘

The parts are whole blocks of 16 channels, so that ONNX Runtime keeps both in its blocked layout, which a Split of one
Conv would leave. Channels of slope >= 0 fill up the second part. Where their number is no multiple of 16, the padded
kind fills up with rows of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from ...algebra.floats import Array
from ...algebra.lanes import Lanes
from ...errors import Refused
from ...graph.draft import Draft
from ...graph.index import Node
from ...graph.types import TensorType
from ...graph.weights import Weight
from ..behind import Behind, Nodes
from ..beside import require_ops
from ..plan import Left, Plan
from ..sites import Site, Slope, working_type
from ..wide import Layers
from .pooled import BLOCK, layers_around_pool, max_pool, pooled_again, pooled_types, renamed, written_again


def plan_poolsplit(draft: Draft, site: Site) -> Plan:
    """Two parts of whole blocks: exact up to the rounding of the consumers' sums, whose order changes.

    Each part's activation is a site again. At ±inf and NaN, what the runtime's MaxPool and PRelu make of it.

    Raises:
        Refused: ``channel-count``: no multiple of 16; ``one-sign``, ``no-block``, ``group-layout``, ``dtype``,
            ``opset``, ``type-unknown``, ``runtime-slope``, ``slope-not-per-unit``, ``slope-enlarges``, or what
            :func:`~.pooled.max_pool` and :func:`~onnx_prelu.passes.wide.layers_around` refuse.
        BadInput: The slope does not broadcast.
    """
    split = _Split.at(draft, site, "poolsplit")
    if split.units % BLOCK:
        text = f"{split.units} channels are no multiple of {BLOCK}: poolsplit-padded takes them"
        raise Refused("channel-count", text, site.node.label)
    return split.plan()


def plan_poolsplit_padded(draft: Draft, site: Site) -> Plan:
    """The same with rows of zeros: it pays where the layer before is cheap. For finite values only: inf·0 is NaN.

    Raises:
        Refused: ``channel-count``: they are a multiple of 16, and poolsplit needs no zeros; else what
            :func:`plan_poolsplit` refuses.
        BadInput: The slope does not broadcast.
    """
    split = _Split.at(draft, site, "poolsplit-padded")
    if not split.units % BLOCK:
        text = f"{split.units} channels are a multiple of {BLOCK}: poolsplit takes them without rows of zeros"
        raise Refused("channel-count", text, site.node.label)
    return split.plan()


def halves(slopes: Array, label: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which channels are pooled first and which are activated first; the latter are as few blocks as can be.

    Slopes above 1 cost more, so they are the last to fill those blocks up: there is less data behind a MaxPool.

    Raises:
        Refused: ``one-sign``, ``no-block``.

    >>> [len(part) for part in halves(np.repeat([-1.0, 0.5], [9, 19]), "act")]
    [12, 16]
    """
    negative, others = np.flatnonzero(slopes < 0), np.flatnonzero(slopes >= 0)
    if not len(negative):
        raise Refused("one-sign", "no slope is below 0: pool takes all channels", label)
    filled = -len(negative) % BLOCK
    if len(others) <= filled:
        text = f"{len(negative)} of {len(slopes)} slopes are below 0, which leaves no block of {BLOCK} to pool first"
        raise Refused("no-block", text, label)
    others = others[np.argsort(slopes[others] > 1, kind="stable")]
    return np.sort(others[filled:]), np.sort(np.concatenate([negative, others[:filled]]))


def _block(part: NDArray[np.intp], slopes: Array) -> Lanes:
    """A part as lanes, filled up to whole blocks by rows of zeros that nothing counts."""
    zeros = -len(part) % BLOCK
    unit = np.concatenate([part, np.repeat(part[:1], zeros)])
    counted = np.repeat([1.0, 0.0], [len(part), zeros])
    return Lanes(unit, counted, slopes[unit], counted)


@dataclass(frozen=True)
class _Split:
    """The edit in the making.

    Attributes:
        draft: The working copy.
        site: The site.
        pool: The MaxPool behind it.
        layers: The layers around both.
        parts: What is pooled first, and what is activated first.
        behind: All that reads the MaxPool, with both parts one behind the other for its units.
    """

    draft: Draft
    site: Site
    pool: Node
    layers: Layers
    parts: tuple[Lanes, Lanes]
    behind: Behind

    @classmethod
    def at(cls, draft: Draft, site: Site, form: str) -> _Split:
        require_ops(draft, site, ("PRelu", "Concat"))
        pool = max_pool(draft, site)
        layers = layers_around_pool(draft, site, pool)
        place = layers.before.output
        slopes = site.slope.shrunk().per_unit(place.units, place.axis, site.node.label)
        first, second = (_block(part, slopes) for part in halves(slopes, site.node.label))
        both = Lanes(*(np.concatenate([vars(first)[name], vars(second)[name]]) for name in vars(first)))
        behind = Behind(draft, form, pool, site.x, pool.outputs[0], place, layers.after, both)
        return cls(draft, site, pool, layers, (first, second), behind)

    @property
    def units(self) -> int:
        """How many channels there are."""
        return self.layers.before.units

    def plan(self) -> Plan:
        """The plan."""
        behind, before, site = self.behind, self.layers.before, self.site
        pooled, activated = self.parts
        one, types_one, left_one = self._pooled_first(pooled)
        two, types_two, left_two = self._activated_first(activated)
        concat = behind.concat([one[-1].output[0], two[-1].output[0]], behind.result, axis=1)
        plan = behind.plan((*before.nodes, *site.region, self.pool), (*one, *two, concat), behind.layer)
        edit = replace(plan.edit, types={**types_one, **types_two})
        return replace(
            plan, node=site.node, edit=edit, x=before.x, region=site.region, activation=(site.x, site.y),
            left=(left_one, left_two),
        )  # fmt: skip

    def _pooled_first(self, lanes: Lanes) -> tuple[Nodes, dict[str, TensorType], Left]:
        behind, suffix = self.behind, "pool_first"
        layer = written_again(behind, self.layers.before, lanes, suffix)
        largest = behind.names.new(self.site.y, suffix)
        pool = pooled_again(behind, self.pool, layer.y, largest, suffix)
        activation, left = self._activation(lanes, largest, behind.names.new(self.pool.outputs[0], suffix), suffix)
        types = pooled_types(self.draft, largest, self.pool.outputs[0], len(lanes))
        return (*layer.nodes, pool, activation), types, left

    def _activated_first(self, lanes: Lanes) -> tuple[Nodes, dict[str, TensorType], Left]:
        behind, suffix = self.behind, "activation_first"
        layer = written_again(behind, self.layers.before, lanes, suffix)
        activation, left = self._activation(lanes, layer.y, behind.names.new(self.site.y, suffix), suffix)
        largest = behind.names.new(self.pool.outputs[0], suffix)
        pool = pooled_again(behind, self.pool, left.y, largest, suffix)
        return (*layer.nodes, activation, pool), pooled_types(self.draft, layer.y, self.site.x, len(lanes)), left

    def _activation(self, lanes: Lanes, x: str, y: str, suffix: str) -> tuple[onnx.NodeProto, Left]:
        """A PRelu with the slopes of some lanes."""
        last, place = self.site.node, self.layers.before.output
        slope = lanes.slope.reshape(-1, *[1] * (-1 - place.axis))
        values = Weight.of(slope.astype(working_type(self.draft, self.site)))
        node = onnx.helper.make_node("PRelu", [x, self.behind.constant(values, last.name, "slope")], [y])
        node.doc_string = last.proto.doc_string
        node.metadata_props.extend(last.proto.metadata_props)
        return renamed(self.behind, last, node, suffix), Left(y, Slope(slope))
