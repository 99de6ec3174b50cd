"""Chains of layers in fewer dimensions as chains of 2-D Convs: only these stand in ONNX Runtime's blocked layout.

    x (N, C, L) ─► Conv ─► PRelu ─► Conv ─► y
    becomes    x ─► Unsqueeze ─► Conv [1, k] ─► PRelu ─► Conv [1, k] ─► Squeeze ─► y

    x (B, K) ─► Gemm ─► PRelu ─► Gemm ─► y
    becomes    x ─► Unsqueeze ─► Transpose ─► Conv [1, 1] ─► PRelu ─► Conv [1, 1] ─► Transpose ─► Squeeze ─► y

A chain is all that hangs together: layers, and behind them what works on each element or each channel. The Transposes
are absorbed where the runtime reorders its data anyway. Values move, none is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import onnx

from ...errors import Refused
from ...graph.draft import Draft
from ...graph.edit import Edit
from ...graph.index import Node
from ...graph.types import TensorType
from .plan import BLOCK, OLDEST_OPSET, LayoutPlan, is_float32, listed
from .world import CONVS, MATRICES, Member, World
from .writing import Writing, changed

FEWEST_ROWS = 64
"""Rows of a batch, below which a chain of matrices gains nothing as Convs."""

Chain = dict[Node, Member]


def lift_conv(draft: Draft) -> Iterator[LayoutPlan]:
    """Chains of at least two 1-D Convs."""
    for chain in _chains(draft, CONVS, lambda _: True):
        yield _plan(draft, CONVS, chain, "lift-conv")


def lift_matmul(draft: Draft) -> Iterator[LayoutPlan]:
    """Chains of at least two Gemms or MatMuls by constants, over a known batch of at least :data:`FEWEST_ROWS`.

    Inside, tensors are of whole blocks, and as wide together as those that go in and come out: these are reordered.
    """
    for chain in _chains(draft, MATRICES, lambda tensor: _has_rows(draft, tensor)):
        ends = [*_entering(chain), *_leaving(draft, chain)]
        inner = [member.channels[0] for node, member in chain.items() if member.channels and node.inputs[0] not in ends]
        widths = [size for tensor in ends for size in (draft.shape(tensor) or ())[-1:] if isinstance(size, int)]
        if all(size % BLOCK == 0 for size in inner) and sum(inner) >= sum(widths):
            yield _plan(draft, MATRICES, chain, "lift-matmul")


def _has_rows(draft: Draft, tensor: str) -> bool:
    rows = (draft.shape(tensor) or (None,))[0]
    return isinstance(rows, int) and rows >= FEWEST_ROWS


def _chains(draft: Draft, world: World, allowed: Callable[[str], bool]) -> Iterator[Chain]:
    """The chains worth lifting, the first one first."""
    if draft.opset < OLDEST_OPSET:
        return
    members = {node: member for node in draft.index.nodes() if (member := _member(draft, world, node, allowed))}
    for chain in _connected(draft, _behind_layers(draft, members)):
        if sum(member.channels is not None for member in chain.values()) > 1:
            yield chain


def _member(draft: Draft, world: World, node: Node, allowed: Callable[[str], bool]) -> Member | None:
    """What a node becomes; None if it stays as it is, or the size of a tensor is not known."""
    y = node.outputs[0]
    if any(node.outputs[1:]) or not _stands(draft, world, y) or not allowed(y):
        return None
    try:
        member = world.member(draft, node)
    except Refused:
        return None
    return member if all(_stands(draft, world, node.inputs[place]) for place in member.tensors) else None


def _stands(draft: Draft, world: World, tensor: str) -> bool:
    """Whether a tensor is known to be one of a world's."""
    return is_float32(draft, tensor) and len(draft.shape(tensor) or ()) == world.rank


def _behind_layers(draft: Draft, members: Chain) -> Chain:
    """The layers among members, and the members that read something of theirs."""
    kept: Chain = {}
    reached: set[str] = set()
    for node in draft.index.nodes():
        member = members.get(node)
        if member and (member.channels or any(node.inputs[place] in reached for place in member.tensors)):
            kept[node] = member
            reached.add(node.outputs[0])
    return kept


def _connected(draft: Draft, members: Chain) -> Iterator[Chain]:
    """Members in groups that pass tensors to each other, each in order."""
    told: set[Node] = set()
    order = {node: number for number, node in enumerate(members)}
    for first in members:
        found, waiting = set[Node](), [first]
        while waiting:
            node = waiting.pop()
            if node in members and node not in told:
                told.add(node)
                found.add(node)
                makers = (draft.index.maker.get(node.inputs[place]) for place in members[node].tensors)
                waiting += [maker for maker in makers if maker is not None]
                waiting += [use.node for use in draft.index.uses(node.outputs[0])]
        if found:
            yield {node: members[node] for node in sorted(found, key=order.__getitem__)}


def _entering(chain: Chain) -> list[str]:
    """The tensors that a chain reads and does not make, in order."""
    read = dict.fromkeys(node.inputs[place] for node, member in chain.items() for place in member.tensors)
    made = {node.outputs[0] for node in chain}
    return [tensor for tensor in read if tensor not in made]


def _leaving(draft: Draft, chain: Chain) -> list[str]:
    """The tensors that a chain makes and others read, in order."""
    index = draft.index
    made = [node.outputs[0] for node in chain]
    read = {name for name in made for use in index.uses(name) if use.node not in chain or use.position is None}
    return [name for name in made if name in read or name in index.outputs or name in index.pinned]


def _plan(draft: Draft, world: World, chain: Chain, rule: str) -> LayoutPlan:
    writing = Writing(draft, "lifted")
    entering, leaving = set(_entering(chain)), set(_leaving(draft, chain))
    lifted: dict[str, str] = {}
    protos: dict[Node, list[onnx.NodeProto]] = defaultdict(list)
    for node, member in chain.items():
        for x in [node.inputs[place] for place in member.tensors]:
            if x in entering and x not in lifted:
                lifted[x] = writing.tensor(x)
                protos[node] += _enter(writing, world, node, x, lifted[x])
        y = node.outputs[0]
        lifted[y] = writing.tensor(y)
        protos[node].append(_written(writing, member, lifted))
        if y in leaving:
            protos[node] += _leave(writing, world, node, lifted[y], y)
    types = {
        new: TensorType(onnx.TensorProto.FLOAT, world.shape(draft.shape(old) or ())) for old, new in lifted.items()
    }
    edit = Edit({node: tuple(made) for node, made in protos.items()}, writing.constants, types=types)
    layers = [node for node, member in chain.items() if member.channels]
    text = f"{len(layers)} layers as 2-D Convs, with all that stands between them: {listed(layers)}"
    return LayoutPlan(rule, f"{rule}:{layers[0].label}", text, edit)


def _enter(writing: Writing, world: World, node: Node, x: str, y: str) -> list[onnx.NodeProto]:
    if not world.channels_last:
        return [writing.squeezing("Unsqueeze", node, x, list(world.axes), y)]
    inner = writing.tensor(x)
    return [
        writing.squeezing("Unsqueeze", node, x, list(world.axes), inner),
        writing.node("Transpose", node, [inner], [y], perm=[0, 3, 1, 2]),
    ]


def _leave(writing: Writing, world: World, node: Node, x: str, y: str) -> list[onnx.NodeProto]:
    if not world.channels_last:
        return [writing.squeezing("Squeeze", node, x, list(world.axes), y)]
    inner = writing.tensor(y)
    return [
        writing.node("Transpose", node, [x], [inner], perm=[0, 2, 3, 1]),
        writing.squeezing("Squeeze", node, inner, list(world.axes), y),
    ]


def _written(writing: Writing, member: Member, lifted: dict[str, str]) -> onnx.NodeProto:
    """The node as it stands in the chain."""
    inputs = list(member.node.inputs)
    for place in member.tensors:
        inputs[place] = lifted[inputs[place]]
    for place, weight in member.constants.items():
        inputs[place] = writing.constant(weight, inputs[place])
    return changed(member.node, inputs, [lifted[member.node.outputs[0]]], member.op or None, **member.attributes)
