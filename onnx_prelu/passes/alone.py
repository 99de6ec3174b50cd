"""Each rewritten site alone: its nodes before and after, as two small models with one interface.

Inputs of the whole model cannot drive every unit to both sides; those of a small model can. The nodes are the ones
that stand in the input and in the output, with the weights that stand there. Where a neighbouring layer was widened as
well, the tensor at the seam has other units on the two sides: there the small models read, or give, the units that both
have, and a Gather spreads them. Where units only got a factor, it is put in, or taken out.

    before:  u ─► Gather, Mul ─► act of the layer before ─► layer ─► act ─► layers after ─► Gather ─► out
    after:   u ─► Gather, Mul ─► its lanes               ─► layer ─► lanes ─► layers after ─► Gather ─► out
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..graph.constants import FLOAT_TYPES, NUMBER_TYPES
from ..graph.draft import Draft, Widened, per_unit
from ..graph.extract import Source, reads
from ..graph.filled import TELLING
from ..graph.index import Node
from ..graph.model import Model
from ..graph.types import TensorType
from ..graph.weights import Take
from .plan import Plan


@dataclass(frozen=True)
class Alone:
    """A site's nodes before and after.

    Attributes:
        node: The site's name.
        before: The small model of the original's nodes.
        after: The small model of the nodes that took their place.
        equal_bits: Whether the two are promised to agree in every bit.
    """

    node: str
    before: Model
    after: Model
    equal_bits: bool


@dataclass
class _Side:
    """One of the two small models in the making."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]


def sites_alone(draft: Draft, plans: Sequence[Plan], result: Model) -> Iterator[Alone]:
    """The pair of small models for each committed plan; none where the type of its input is not known.

    Args:
        draft: The draft in which the plans were committed.
        plans: The plans.
        result: What :func:`~onnx_prelu.graph.edit.finish` made of the draft.
    """
    for scope in draft.scopes():
        mine = [plan for plan in plans if plan.node in scope.replaced]
        if mine:
            yield from _sites_alone(scope, mine, result)


def unseen(draft: Draft, plans: Sequence[Plan], small: Sequence[Alone]) -> list[str]:
    """What a check of the whole model cannot make up for, as sentences: sites not run alone, or not watched for signs.

    Args:
        draft: The draft of the model's graph.
        plans: The plans that were committed in it, and inside it.
        small: What :func:`sites_alone` gave.
    """
    alone = {each.node for each in small}
    near = [plan.node.label for plan in plans if plan.bound]
    proven = [plan.node.label for plan in plans if plan.proven and not plan.bound]
    left_out = [plan.node.label for plan in plans if plan.node.label not in {*alone, *near, *proven}]
    inside = [plan.node.label for plan in plans if plan.node not in draft.replaced]
    notes = []
    if proven:
        what = "since what is proven of it holds for its inputs in there"
        notes.append(f"checked in the whole model only, {what}: {', '.join(proven)}")
    if near:
        what = "since how far they are off is known at its outputs"
        notes.append(f"checked in the whole model only, {what}: {', '.join(near)}")
    if left_out:
        notes.append(f"checked in the whole model only, since no small model of it can be made: {', '.join(left_out)}")
    if inside:
        notes.append(f"which units saw both sides of zero is not known inside of bodies: {', '.join(inside)}")
    return notes


def _sites_alone(draft: Draft, plans: Sequence[Plan], result: Model) -> Iterator[Alone]:
    bodies = draft.place.within(draft.model.proto), draft.place.within(result.proto)
    sources = Source(draft.model, bodies[0]), Source(result, bodies[1])
    around = _Around.of(draft, plans)
    proven = {node.slot for plan in plans if plan.proven or plan.bound for node in plan.before}
    for plan in plans:
        if not proven.isdisjoint(node.slot for node in plan.before):
            continue  # alone, its inputs are not those of which something is proven, nor is its error bounded
        alone = _alone(draft, plan, around, sources)
        if alone is not None:
            yield alone


@dataclass(frozen=True)
class _Around:
    """How the plans of one body touch each other.

    Attributes:
        original: The tensors that became lanes, by their new names: what they were called before.
        wide: The plan that made lanes of a tensor, by its name before.
        gone: The plan that took a tensor out and made nothing in its place, by name.
    """

    original: dict[str, str]
    wide: dict[str, Plan]
    gone: dict[str, Plan]

    @classmethod
    def of(cls, draft: Draft, plans: Sequence[Plan]) -> _Around:
        kept = draft.index.maker.keys()  # units that are made of their lanes again
        return cls(
            {widened.new: widened.old for widened in draft.widened.values() if widened.old not in kept},
            {
                widened.old: plan
                for plan in plans
                for widened in plan.edit.widened
                if widened.old not in kept and not _multiple(draft, widened.old)
            },
            {
                name: plan
                for plan in plans
                for node in plan.edit.nodes
                for name in node.outputs
                if name not in draft.index.maker and name not in draft.widened
            },
        )

    def reach(self, plan: Plan) -> tuple[list[Node], str, list[str]]:
        """The nodes before that have to run for a plan, what they read, and what they make.

        Where a plan beside it left no tensor that both sides have, or could be given, the two run together.
        """
        nodes, x, outputs = list(plan.before), self._called(plan.x), list[str]()
        while (previous := self.wide.get(x)) is not None and previous.seam is None:
            nodes += previous.before
            x = self._called(previous.x)
        waiting = list(plan.y)
        while waiting:
            y = self._called(waiting.pop(0))
            following = self.gone.get(y)
            if following is None and (behind := self.wide.get(y)) is not None and behind.seam is None:
                following = behind
            if following is not None:
                nodes += following.before
                waiting += following.y
            elif y not in outputs:
                outputs.append(y)
        return nodes, x, outputs

    def _called(self, tensor: str) -> str:
        return self.original.get(tensor, tensor)


def _alone(draft: Draft, plan: Plan, around: _Around, sources: tuple[Source, Source]) -> Alone | None:
    nodes, x, made = around.reach(plan)
    slots = [node.slot for node in nodes]
    wide = around.wide
    previous = wide.get(x)
    known = draft.types.get(x)
    if previous is not None:
        x = previous.activation[0]
        known = draft.types.get(x)
        slots = [node.slot for node in (*previous.region, *previous.between)] + slots
    if known is None or known.dtype not in NUMBER_TYPES:
        return None
    slots = sorted(set(slots))
    before = _Side([draft.place.body.node[slot] for slot in slots], [])
    if not any(x in reads(node) for node in before.nodes):
        return None  # the layer before was put in at another site
    after = _Side([node.proto for slot in slots for node in draft.index.slots[slot]], [])
    inputs = {x: known}
    if previous is not None and (seam := previous.seam) is not None:
        narrow = f"{x}/alone"
        if known.shape is None or previous.unit_axis is None:
            return None
        shape = list(known.shape)
        shape[previous.unit_axis] = seam.units
        inputs = {narrow: TensorType(known.dtype, tuple(shape))}
        axis = previous.unit_axis + len(shape)
        spread = x if seam.shift is None else f"{x}/still"
        if seam.shift is not None:
            shift = _constant(before, f"{x}/shift", per_unit(seam.shift, previous.unit_axis), known.dtype)
            before.nodes[:0] = [onnx.helper.make_node("Add", [spread, shift], [x])]
        _spread(before, narrow, spread, seam.into_before, axis, len(shape), known.dtype)
        _spread(after, narrow, draft.widened[x].new, seam.into_after, axis, len(shape), known.dtype)
    outputs: list[str] = []
    for y in made:
        following = wide.get(y)
        name = y
        if widened := _multiple(draft, y):
            _divide(after, widened, draft.dtype(y))
        elif following is not None:
            assert following.seam is not None
            shape_y = draft.shape(y)
            if shape_y is None or following.unit_axis is None:
                return None
            axis = following.unit_axis + len(shape_y)
            name = f"{y}/alone"
            _gather(before, y, name, following.seam.from_before, axis)
            _gather(after, draft.widened[y].new, name, following.seam.from_after, axis)
        outputs.append(name)
    others = _other_inputs(draft, x, before, sources[0])
    if others is None:
        return None
    inputs |= others
    for name in inputs:
        if widened := _multiple(draft, name):
            _multiply(after, widened, draft.dtype(name))
    models = [
        source.part(side.nodes, inputs, outputs, side.constants)
        for source, side in zip(sources, (before, after), strict=True)
    ]
    return Alone(plan.node.label, models[0], models[1], plan.equal_bits)


def _other_inputs(draft: Draft, x: str, side: _Side, source: Source) -> dict[str, TensorType] | None:
    """What else is read: a slope of run time, what is added, what tells a type or a shape; None if one cannot be."""
    seen = {name for node in side.nodes for name in node.output} | {x, ""}
    names = [name for node in side.nodes for name in reads(node)]
    inputs: dict[str, TensorType] = {}
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        maker, constant = source.makers.get(name), draft.constants.get(name) is not None
        if maker is not None and (constant or maker.op_type in TELLING):
            names.extend(maker.input)
        elif name in draft.widened and not _multiple(draft, name):
            return None
        elif not constant and name in draft.types:
            inputs[name] = draft.types[name]
    return inputs


def _multiple(draft: Draft, tensor: str) -> Widened | None:
    """What became of a tensor whose units are the same but for a factor."""
    widened = draft.widened.get(tensor)
    return widened if widened is not None and widened.factor is not None else None


def _multiply(side: _Side, widened: Widened, number: int) -> None:
    """A node, put first, that makes a tensor of what it was before."""
    assert widened.factor is not None
    side.nodes[:0] = [_times(side, widened.old, per_unit(widened.factor, widened.axis), widened.new, number)]


def _divide(side: _Side, widened: Widened, number: int) -> None:
    """A node, put last, that makes of a tensor what it was before, if no other does."""
    assert widened.factor is not None
    if not any(widened.old in node.output for node in side.nodes):
        side.nodes.append(_times(side, widened.new, per_unit(1 / widened.factor, widened.axis), widened.old, number))


def _times(side: _Side, source: str, values: Array, target: str, number: int) -> onnx.NodeProto:
    factor = _constant(side, f"{target}/factor", values, number)
    return onnx.helper.make_node("Mul", [source, factor], [target])


def _constant(side: _Side, name: str, values: Array, number: int) -> str:
    stored = values.astype(FLOAT_TYPES[number])
    side.constants.append(onnx.TensorProto(name=name, data_type=number, dims=stored.shape, raw_data=stored.tobytes()))
    return name


def _gather(side: _Side, source: str, target: str, index: NDArray[np.intp], axis: int) -> None:
    name = f"{target}/index"
    side.constants.append(onnx.numpy_helper.from_array(index.astype(np.int64), name))
    side.nodes.append(onnx.helper.make_node("Gather", [source, name], [target], axis=axis))


def _spread(side: _Side, source: str, target: str, take: Take, axis: int, rank: int, number: int) -> None:
    """Nodes, put first, that make a tensor of lanes or units from the units that both sides have."""
    index, gathered = f"{target}/index", f"{target}/gathered"
    side.constants.append(onnx.numpy_helper.from_array(take.index.astype(np.int64), index))
    side.nodes[:0] = [
        onnx.helper.make_node("Gather", [source, index], [gathered], axis=axis),
        _times(side, gathered, take.along(take.factor, axis, rank), target, number),
    ]
