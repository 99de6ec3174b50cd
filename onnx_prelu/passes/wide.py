"""Put lanes into the linear layers around an activation: split, and its way back, the fold.

Gemm(A, b) ─► PRelu(a) ─► Gemm(V)    becomes    Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([V, −V·a])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray

from ..algebra.floats import is_normal
from ..algebra.lanes import Lanes, split
from ..errors import Refused
from ..graph.between import BETWEEN, Row
from ..graph.build import Names, supports
from ..graph.constants import is_float
from ..graph.draft import Draft, NewConstant, Widened
from ..graph.edit import Edit, rewired
from ..graph.index import Node
from ..graph.linear import Change, Linear
from ..graph.producer import producer
from ..graph.readers import Readers, readers
from ..graph.weights import Take, Weight
from .plan import Plan, Seam
from .sites import Site, working_type
from .slope_fit import check_shape


@dataclass(frozen=True)
class Layers:
    """The linear layers around an activation from x to y, whose units may become lanes.

    Attributes:
        before: The layer that makes x, read by nothing else.
        after: All that reads y: layers, and steps between y and them.
    """

    before: Linear
    after: Readers

    @property
    def groups(self) -> int:
        """In how many groups of neighbours the units stand: the fewest that every layer's own groups are made of."""
        return math.lcm(self.before.groups, *(reading.layer.groups for reading in self.after.layers))

    def group_of_units(self) -> NDArray[np.intp]:
        """(units,) the number of each unit's group."""
        return np.arange(self.before.units) // (self.before.units // self.groups)


def layers_around(
    draft: Draft, x: str, y: str, region: Iterable[Node], node: Node, between: Mapping[str, Row] = BETWEEN
) -> Layers:
    """The linear layers around an activation, with nothing but these ops between it and what reads it.

    Raises:
        Refused: ``graph-output``, ``shared-producer``, ``no-consumer``, or what
            :func:`~onnx_prelu.graph.producer.producer` and :func:`~onnx_prelu.graph.readers.readers` refuse.
    """
    if y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{y}' is an output of the graph", node.label)
    before = layer_before(draft, x, region, node)
    if not draft.index.uses(y):
        raise Refused("no-consumer", f"nothing reads '{y}'", node.label)
    shape = draft.shape(y)
    place = before.output if shape is None else replace(before.output, rank=len(shape))
    return Layers(before, readers(draft, y, place, between))


def layer_before(draft: Draft, x: str, region: Iterable[Node], node: Node) -> Linear:
    """The linear layer that makes x, whose rows may change: nothing but the region reads x.

    Raises:
        Refused: ``graph-output``, ``shared-producer``, or what :func:`~onnx_prelu.graph.producer.producer` refuses.
    """
    if x in draft.index.outputs:
        raise Refused("graph-output", f"the pre-activation '{x}' is an output of the graph", node.label)
    inside = set(region)
    others = [use.node.label for use in draft.index.uses(x) if use.node not in inside]
    before = producer(draft, x)
    if others:
        text = f"'{x}' is also read by '{others[0]}', for which its rows may not change"
        raise Refused("shared-producer", text, before.nodes[-1].label)
    return before


def plan_split(draft: Draft, site: Site, *, slope_in_producer: bool) -> Plan:
    """Two Relu lanes a unit, one where the slope is 0: exact up to the rounding of the longer sums.

    With the slope in the producer, a unit whose row would fall below the normal range takes the consumer instead.

    Raises:
        Refused: ``dtype``, ``type-unknown``, ``overflow``, ``slope-enlarges``, ``runtime-slope``,
            ``slope-not-per-unit``, or what :func:`layers_around` refuses.
        BadInput: The slope does not broadcast.
    """
    dtype = require_layer_type(draft, site)
    layers = layers_around(draft, site.x, site.y, site.region, site.node)
    lanes, note = split_lanes(layers, site, dtype, slope_in_producer=slope_in_producer)
    return planned_split(draft, site, layers, lanes, "split", note)


def require_layer_type(draft: Draft, site: Site) -> np.dtype[Any]:
    """The type of a site at which layers can be made wide, whose slope leaves the shape of x alone.

    Raises:
        Refused: ``dtype``, ``type-unknown``, ``slope-enlarges``, ``slope-misaligned``.
        BadInput: The slope does not broadcast.
    """
    dtype = working_type(draft, site)
    if not is_float(dtype) or not supports("Relu", draft.opset, dtype.name):
        text = f"'{site.x}' is of type {dtype}, in which no wide layers are made"
        raise Refused("dtype", text, site.node.label)
    check_shape(draft, site)
    return dtype


def split_lanes(layers: Layers, site: Site, dtype: DTypeLike, *, slope_in_producer: bool) -> tuple[Lanes, str | None]:
    """The lanes of a split, and a note where some units have their slope in another place than asked for.

    Raises:
        Refused: ``runtime-slope``, ``slope-not-per-unit``.
    """
    slopes = site.slope.shrunk().per_unit(layers.before.units, layers.before.output.axis, site.node.label)
    if not slope_in_producer:
        return split(slopes, groups=layers.groups), None
    inside, note = _stays_normal(layers.before, slopes, dtype), None
    if not np.all(inside):
        which = f"{np.sum(~inside)} of {len(inside)} units"
        note = f"{which} have their slope in the consumer: a row would be denormal, or too large"
    return split(slopes, inside, layers.groups), note


def planned_split(draft: Draft, site: Site, layers: Layers, lanes: Lanes, form: str, note: str | None) -> Plan:
    """The plan that puts the lanes of a split into the layers around a site.

    Raises:
        Refused: ``overflow``.
    """
    relu = onnx.helper.make_node("Relu", [], [])
    edit = put_lanes(draft, layers, lanes, site.region, site.node, (site.x, site.y), relu, form)
    units = np.arange(layers.before.units)
    whole = Take(units, np.ones(len(units)))
    seam = Seam(len(units), whole, Take(lanes.unit, lanes.row), units, lanes.first())
    return wide_plan(form, site.node, edit, layers, site.region, lanes, seam, note)


def wide_plan(
    form: str,
    node: Node,
    edit: Edit,
    layers: Layers,
    region: tuple[Node, ...],
    lanes: Lanes,
    seam: Seam,
    note: str | None,
) -> Plan:
    """The plan of a wide form: what it replaces are the layers around the activation, with it."""
    between = tuple(step.node for step in layers.after.steps)
    behind = [reading.layer for reading in layers.after.layers]
    return Plan(
        form=form,
        node=node,
        edit=edit,
        equal_bits=False,
        region=region,
        activation=(layers.before.y, region[-1].outputs[0]),
        before=(*layers.before.nodes, *region, *between, *(inner for layer in behind for inner in layer.nodes)),
        x=layers.before.x,
        y=tuple(layer.y for layer in behind),
        unit_axis=layers.before.output.axis,
        between=between,
        lanes=lanes,
        seam=seam,
        note=note,
    )


def _stays_normal(layer: Linear, slopes: NDArray[np.float64], dtype: DTypeLike) -> NDArray[np.bool_]:
    """Which units' rows stay in the normal range, times the absolute value of their slopes."""
    scaled = layer.rows() * np.abs(slopes)[:, None]
    result: NDArray[np.bool_] = np.all(is_normal(scaled, dtype), axis=1)
    return result


def put_lanes(
    draft: Draft,
    layers: Layers,
    lanes: Lanes,
    region: Iterable[Node],
    last: Node,
    tensors: tuple[str, str],
    activation: onnx.NodeProto,
    suffix: str,
    constants: Mapping[str, NewConstant] | None = None,
    behind: Iterable[Change] | None = None,
) -> Edit:
    """The edit that replaces the units of an activation by lanes.

    A tensor that an earlier edit made of units has other lanes afterwards, under the name that it has.

    Args:
        draft: The working copy.
        layers: The layers around the activation.
        lanes: What the units become.
        region: The activation's nodes, which go.
        last: The region's last node, in whose place ``activation`` comes.
        tensors: The activation's input and output.
        activation: The new node, still without names; its first input is filled in, further ones are kept.
        suffix: What new tensors' names end in.
        constants: Initializers that the activation reads.
        behind: How the layers behind change; by default their columns are the lanes'.

    Raises:
        Refused: ``overflow``: a weight would not fit into its type.
    """
    if behind is None:
        behind = [reading.take_columns(lanes) for reading in layers.after.layers]
    names = Names(draft.index)
    changes = [
        *layers.before.take_rows(lanes),
        *(change for step in layers.after.steps for change in step.changes(lanes)),
        *behind,
    ]
    named = {change: constant_name(draft, names, change, suffix) for change in changes}
    for change in changes:
        refuse_overflow(change)
    place = layers.before.output
    places = dict.fromkeys([*(node.outputs[0] for node in layers.before.nodes), *tensors], place)
    places |= {name: step.output for step in layers.after.steps for name in step.node.outputs if name}
    made = {widened.new for widened in draft.widened.values()}
    rename = {name: name if name in made else names.new(name, suffix) for name in places}
    activation.name = names.new(last.name, activation.op_type.lower())
    activation.input.insert(0, rename[tensors[0]])
    activation.output.append(rename[tensors[1]])
    activation.doc_string = last.proto.doc_string
    activation.metadata_props.extend(last.proto.metadata_props)
    nodes: dict[Node, tuple[onnx.NodeProto, ...]] = dict.fromkeys(region, ())
    nodes[last] = (activation,)
    around = [*layers.before.nodes, *(step.node for step in layers.after.steps)]
    around += [node for reading in layers.after.layers for node in reading.layer.nodes]
    nodes |= {node: (rewired(node, changes, named, rename),) for node in around}
    stored = {named[change]: NewConstant(change.weight, change.node.inputs[change.position]) for change in changes}
    widened = tuple(
        Widened(old, new, places[old].axis, place.units, len(lanes), repeats=places[old].repeats)
        for old, new in rename.items()
    )
    return Edit(nodes, {**stored, **(constants or {})}, widened)


def constant_name(draft: Draft, names: Names, change: Change, suffix: str) -> str:
    """The new constant's name; one that an earlier edit made for this reader alone is made again under its name."""
    current = change.node.inputs[change.position]
    if current in draft.new and len(draft.index.uses(current)) == 1:
        return current
    return names.new(current, suffix)


def refuse_overflow(change: Change) -> None:
    """Refuse a change that would make a finite weight infinite."""
    weight = change.weight
    factors = [float(np.max(np.abs(take.factor), initial=0.0)) for take in weight.takes.values()]
    if max(factors, default=0.0) <= 1:
        return
    unscaled = Weight(weight.load, weight.base_shape, weight.dtype).values()
    largest = float(np.max(np.abs(unscaled), initial=0.0, where=np.isfinite(unscaled)))
    if largest * float(np.prod(factors)) <= float(ml_dtypes.finfo(weight.dtype).max):
        return
    if np.all(np.isfinite(weight.values())):
        return
    text = f"a weight of up to {largest:.4g} times a slope does not fit into {weight.dtype}"
    raise Refused("overflow", text, change.node.label)
