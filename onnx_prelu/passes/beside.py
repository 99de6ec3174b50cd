"""Lanes made in the graph, beside the pre-activation: concat and tied. The layer that makes it is not touched.

Only the layers that read the activation get wider, so the pre-activation may be read elsewhere, be an output, and be made
by anything. In a chain, every inner matrix doubles once, where split doubles it twice.

    concat:   z ─► PRelu(a) ─► Gemm(V)    becomes    z ─┬────────► Concat ─► Gemm([V·a, V·(1−a)])
                                                        └─► Relu ──┘

    tied:     z ─► PRelu(a) ─► Gemm(V)    becomes    z ─┬───────► Concat ─► Relu ─► Gemm([V, V·(−a)])
                                                        └─► Neg ──┘

In tied, V stays stored as it is: [V, V·(−a)] is made of it by a Mul and a Concat of constants, which a runtime folds once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from ..algebra.floats import Array
from ..algebra.lanes import Lanes, concat, tied
from ..errors import Refused
from ..graph.build import Names, supports
from ..graph.constants import is_float
from ..graph.draft import Draft, NewConstant, Widened
from ..graph.edit import Edit, rewired
from ..graph.index import Node
from ..graph.linear import Change, Place, spread
from ..graph.readers import Reading, Readers, readers
from ..graph.weights import Take, Weight
from .plan import Plan
from .sites import Site, check_shape, working_type
from .wide import constant_name, refuse_overflow

Nodes = tuple[onnx.NodeProto, ...]


@dataclass
class _Bench:
    """What the edit of one site is made of.

    Attributes:
        draft: The working copy.
        site: The site.
        place: Where its units lie.
        after: All that reads it.
        lanes: What the units become.
        form: The form's name, in which new tensors' names end.
        names: New names.
        constants: New initializers.
    """

    draft: Draft
    site: Site
    place: Place
    after: Readers
    lanes: Lanes
    form: str
    names: Names
    constants: dict[str, NewConstant]

    def node(self, op: str, inputs: list[str], output: str, **attributes: int) -> onnx.NodeProto:
        """A node in the place of the activation."""
        proto = self.site.node.proto
        name = self.names.new(self.site.node.name, op.lower())
        made = onnx.helper.make_node(op, inputs, [output], name, doc_string=proto.doc_string, **attributes)
        made.metadata_props.extend(proto.metadata_props)
        return made

    def store(self, changes: list[Change]) -> dict[Change, str]:
        """Make new constants, and tell their names."""
        named = {change: constant_name(self.draft, self.names, change, self.form) for change in changes}
        for change, name in named.items():
            refuse_overflow(change)
            self.constants[name] = NewConstant(change.weight, change.node.inputs[change.position])
        return named

    def axis(self) -> int:
        """The axis of the units, as Concat takes it.

        Raises:
            Refused: ``unknown-shape``.
        """
        if self.place.number is None and self.draft.opset < 11:
            text = f"before opset 11 Concat counts axes from the front, and the rank of '{self.site.x}' is not known"
            raise Refused("unknown-shape", text, self.site.node.label)
        return self.place.axis if self.place.number is None else self.place.number


def plan_concat(draft: Draft, site: Site) -> Plan:
    """``[V·a, V·(1−a)]·[z; Relu(z)]``: one Relu a unit, exact up to the rounding of the longer sums.

    ``V·a + V·(1−a)`` is V up to the rounding of the two. At −inf and +inf a product with a or 1−a of 0, and a sum of
    infinities of different signs, make NaN; NaN stays NaN.

    Raises:
        Refused: ``dtype``, ``opset``, ``type-unknown``, ``slope-enlarges``, ``runtime-slope``, ``slope-not-per-unit``,
            ``graph-output``, ``no-consumer``, ``group-layout``, ``unknown-shape``, ``overflow``, or what
            :func:`~onnx_prelu.graph.readers.readers` refuses.
        BadInput: The slope does not broadcast.
    """

    def activation(bench: _Bench, y: str) -> Nodes:
        relu = bench.names.new(site.y, "relu")
        pair = bench.node("Concat", [site.x, relu], y, axis=bench.axis())
        return bench.node("Relu", [site.x], relu), pair

    def columns(bench: _Bench, _slopes: Array, reading: Reading, rename: dict[str, str]) -> Nodes:
        change = reading.take_columns(bench.lanes)
        return (rewired(change.node, [change], bench.store([change]), rename),)

    return _plan("concat", concat, ("Relu", "Concat"), activation, columns, draft, site)


def plan_tied(draft: Draft, site: Site) -> Plan:
    """``[V, V·(−a)]·Relu([z; −z])``, V stored once: exact up to the rounding of the longer sums.

    What is added to the file is one slope a unit, and what a step between the activation and a layer has for each lane.
    An infinite pre-activation gives NaN where a sum meets inf − inf or 0·inf; NaN stays NaN.

    Raises:
        Refused: What :func:`plan_concat` refuses.
        BadInput: The slope does not broadcast.
    """

    def activation(bench: _Bench, y: str) -> Nodes:
        negated, both = bench.names.new(site.y, "neg"), bench.names.new(site.y, "concat")
        return (
            bench.node("Neg", [site.x], negated),
            bench.node("Concat", [site.x, negated], both, axis=bench.axis()),
            bench.node("Relu", [both], y),
        )

    return _plan("tied", tied, ("Neg", "Concat", "Relu", "Mul"), activation, _tied_columns, draft, site)


def _tied_columns(bench: _Bench, slopes: Array, reading: Reading, rename: dict[str, str]) -> Nodes:
    """A layer whose matrix is made of the stored one: Concat(V, Mul(V, −a))."""
    change = reading.take_columns(bench.lanes)
    refuse_overflow(change)
    layer, node = reading.layer.weight, change.node
    stored, axis, rank = node.inputs[change.position], 1 - layer.axis, len(layer.weight.shape)
    factor = spread(Take(np.arange(len(slopes)), -slopes), reading.block).factor
    value = factor.reshape(-1, *[1] * (rank - 1 - axis)).astype(layer.weight.dtype)
    minus_a = next((name for name, made in bench.constants.items() if _is(made.weight, value)), None)
    if minus_a is None:
        minus_a = bench.names.new(bench.site.node.name, "minus_slope")
        bench.constants[minus_a] = NewConstant(Weight.of(value))
    half, whole = bench.names.new(stored, "times_slope"), bench.names.new(stored, bench.form)
    return (
        onnx.helper.make_node("Mul", [stored, minus_a], [half], bench.names.new(node.name, "mul")),
        onnx.helper.make_node("Concat", [stored, half], [whole], bench.names.new(node.name, "concat"), axis=axis),
        rewired(node, [change], {change: whole}, rename),
    )


def _is(weight: Weight, value: Array) -> bool:
    return weight.shape == value.shape and weight.dtype == value.dtype and np.array_equal(weight.stored(), value)


def _plan(
    form: str,
    table: Callable[[Array], Lanes],
    ops: tuple[str, ...],
    activation: Callable[[_Bench, str], Nodes],
    columns: Callable[[_Bench, Array, Reading, dict[str, str]], Nodes],
    draft: Draft,
    site: Site,
) -> Plan:
    """A plan of lanes that are made in the graph.

    Args:
        form: Its name.
        table: The lanes for slopes.
        ops: The ops that it puts in.
        activation: Writes the nodes that make the lanes of a tensor of this name.
        columns: Writes a layer behind them, with what makes its matrix.
        draft: The working copy.
        site: The site.
    """
    _require_ops(draft, site, ops)
    check_shape(draft, site)
    place, after = _behind(draft, site)
    slopes = site.slope.shrunk().per_unit(place.units, place.axis, site.node.label)
    bench = _Bench(draft, site, place, after, table(slopes), form, Names(draft.index), {})
    axes = {site.y: place.axis}
    axes |= {name: step.output.axis for step in after.steps for name in step.node.outputs if name}
    rename = {name: bench.names.new(name, form) for name in axes}
    nodes: dict[Node, Nodes] = dict.fromkeys(site.region, ())
    nodes[site.node] = activation(bench, rename[site.y])
    for step in after.steps:
        changes = list(step.changes(bench.lanes))
        nodes[step.node] = (rewired(step.node, changes, bench.store(changes), rename),)
    for reading in after.layers:
        nodes[reading.layer.weight.node] = columns(bench, slopes, reading, rename)
    widened = tuple(Widened(old, new, axes[old], place.units, len(bench.lanes)) for old, new in rename.items())
    between = tuple(step.node for step in after.steps)
    behind = [reading.layer for reading in after.layers]
    return Plan(
        form=form,
        node=site.node,
        edit=Edit(nodes, bench.constants, widened),
        equal_bits=False,
        region=site.region,
        activation=(site.x, site.y),
        before=(*site.region, *between, *(node for layer in behind for node in layer.nodes)),
        x=site.x,
        y=tuple(layer.y for layer in behind),
        unit_axis=place.axis,
        between=between,
        lanes=bench.lanes,
    )


def _require_ops(draft: Draft, site: Site, ops: tuple[str, ...]) -> None:
    """Refuse a type in which there are no layers, and ops that do not exist."""
    label, dtype = site.node.label, working_type(draft, site)
    if not is_float(dtype):
        raise Refused("dtype", f"'{site.x}' is of type {dtype}, in which no wide layers are made", label)
    for op in ops:
        if not supports(op, draft.opset, dtype.name):
            raise Refused("opset", f"{op} does not exist for {dtype.name} in opset {draft.opset}", label)
    if draft.opset < 7 and "Mul" in ops:
        raise Refused("opset", "a weight times a slope needs broadcasting, of opset 7", label)


def _behind(draft: Draft, site: Site) -> tuple[Place, Readers]:
    """Where the units lie, and all that reads them: layers without groups, and steps on the way.

    One slope for all says nothing of the axis: then it is the one that the layers sum over.
    """
    label = site.node.label
    if site.y in draft.index.outputs:
        raise Refused("graph-output", f"the activation '{site.y}' is an output of the graph", label)
    if not draft.index.uses(site.y):
        raise Refused("no-consumer", f"nothing reads '{site.y}'", label)
    refusals: list[Refused] = []
    for place in _places(draft, site):
        try:
            after = readers(draft, site.y, place)
        except Refused as refused:
            refusals.append(refused)
            continue
        for reading in after.layers:
            if reading.layer.groups > 1:
                text = "its groups would not keep whole units: the lanes of one stand in both halves"
                raise Refused("group-layout", text, reading.layer.nodes[0].label)
        return place, after
    raise refusals[0]


def _places(draft: Draft, site: Site) -> list[Place]:
    """Where the units can lie: where the slope varies; with one slope for all, the channels first."""
    label, slope, shape = site.node.label, site.slope.shrunk(), draft.shape(site.y)
    rank = None if shape is None else len(shape)
    if slope.value is None:
        raise Refused("runtime-slope", f"the slope '{slope.tensor}' is only known at run time", label)
    if slope.value.size != 1:
        if slope.unit_axis is None:
            text = f"the slope has shape {list(slope.value.shape)}, which is not one value for each unit"
            raise Refused("slope-not-per-unit", text, label)
        return [Place(slope.unit_axis, slope.value.size, rank=rank)]
    sizes = {axis: shape[axis] for axis in range(-len(shape), 0)} if shape else {}
    channel = 1 - len(sizes)
    ordered = sorted(sizes, key=lambda axis: (axis != channel, -axis))
    places = [Place(axis, size, rank=rank) for axis in ordered if isinstance(size := sizes[axis], int) and size > 0]
    if not places:
        raise Refused("unknown-shape", f"the shape of '{site.y}' is not known, so neither is where units lie", label)
    return places
