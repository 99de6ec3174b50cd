"""What each tensor is as a function of the tensors behind it, over rays.

A function carries the nodes that compute it, and the layout in which the tensor stands to its source: between a
Transpose and its inverse the same rays are written with their constants turned, and no Transpose is left of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..algebra.forms import RUNTIME_SAMPLES
from ..algebra.rays import IDENTITY, Rays, constant
from ..errors import Refused
from ..graph.draft import Draft
from ..graph.filled import Filled, is_told
from ..graph.index import Node
from .reading import Reading, composed, read, turned

_LARGEST = 24  # nodes of a region; exporters write PReLU with fourteen at most

_POLYNOMIAL = frozenset({"Add", "CastLike", "Identity", "Mul", "Neg", "Sub", "Sum", "Where"})
"""Ops whose result is a polynomial of a slope that is known at run time, so that samples settle what it is."""

SAMPLES = RUNTIME_SAMPLES.reshape(-1, *[1] * 8)
"""Slopes that stand for one that is known at run time, along an axis of their own."""


@dataclass(frozen=True)
class Function:
    """What a tensor is, in terms of another.

    Attributes:
        rays: The function, with constants in the layout of the source.
        region: The nodes that compute it, in order.
        perm: How the tensor's axes stand in those of the source; () where they stay.
        runtime: The tensor that is taken as a slope known at run time, for which the rays hold :data:`SAMPLES`.
    """

    rays: Rays
    region: tuple[Node, ...]
    perm: tuple[int, ...] = ()
    runtime: str = ""


Functions = dict[str, Function]
"""Functions by the name of the tensor that they are of."""

_Picked = tuple[Function | Rays | Filled | None, ...]


def functions(draft: Draft) -> dict[str, Functions]:
    """For each tensor made by an op over rays: what it is, as a function of each tensor behind it."""
    seen: dict[str, Functions] = {}
    for node in draft.index.nodes():
        reading = read(draft, node)
        if reading is None:
            continue
        options = [
            {operand: Function(IDENTITY, ())} | seen.get(operand, {}) if isinstance(operand, str) else operand
            for operand in reading.operands
        ]
        found: Functions = {}
        for source, picked in _ways(node, options):
            function = _applied(draft, reading, node, source, picked)
            if function is not None:
                found.setdefault(source, function)
        if found:
            seen[node.outputs[0]] = found
    return seen


def _ways(node: Node, options: list[Functions | Rays | Filled | None]) -> list[tuple[str, _Picked]]:
    """Each source with what the operands are of it; a Mul may also take a tensor as a slope known at run time."""
    tensors = [option for option in options if isinstance(option, dict)]
    if not tensors:
        return []
    common = [source for source in tensors[0] if all(source in option for option in tensors)]
    ways: list[tuple[str, _Picked]] = [
        (source, tuple(option[source] if isinstance(option, dict) else option for option in options))
        for source in common
    ]
    if node.op == "Mul" and len(tensors) == 2:
        for x, slope in permutations(range(2)):
            sample = Function(constant(SAMPLES, np.float64), (), runtime=node.inputs[slope])
            for source, function in tensors[x].items():
                if source not in tensors[slope]:
                    ways.append((source, (function, sample)))
    return ways


def _applied(draft: Draft, reading: Reading, node: Node, source: str, picked: _Picked) -> Function | None:
    """The node's result as a function of a source; None where it is not straight on each side of zero."""
    operands = [entry for entry in picked if isinstance(entry, Function)]
    nodes = {inner: None for entry in operands for inner in entry.region}
    runtime = {entry.runtime for entry in operands if entry.runtime}
    perms = {entry.perm for entry in operands}
    if len(nodes) >= _LARGEST or len(perms) > 1 or len(runtime) > 1 or (runtime and node.op not in _POLYNOMIAL):
        return None
    perm = perms.pop()
    try:
        inputs = [_of_source(draft, entry, source, perm) for entry in picked]
        if not _broadcast([entry for entry in inputs if entry is not None]):
            return None
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and inf are reported where they matter
            rays = reading.rule(source, *inputs)
    except Refused:
        return None
    if reading.perm:
        if runtime or (perm and len(perm) != len(reading.perm)):
            return None
        perm = composed(perm, reading.perm)
    return Function(rays, (*nodes, node), perm, "".join(runtime))


def _of_source(draft: Draft, entry: Function | Rays | Filled | None, source: str, perm: tuple[int, ...]) -> Rays | None:
    """What an operand is in the layout of the source.

    Raises:
        Refused: ``not-rays``: it has none, or may be larger.
    """
    if isinstance(entry, Function):
        return entry.rays
    if isinstance(entry, Filled):
        if perm or not _within(draft, entry.like, source):
            raise Refused("not-rays", f"it has the shape of '{entry.like}', which may be larger than '{source}'")
        return constant(entry.number.values(), entry.number.dtype)
    return entry and turned(entry, perm)


def _within(draft: Draft, like: str, x: str) -> bool:
    """True if what has the shape of one tensor surely broadcasts to another without making it larger."""
    if like == x:
        return True
    small, large = draft.shape(like), draft.shape(x)
    if small is None or large is None or len(small) > len(large):
        return False
    return all(s == 1 or (s is not None and s == d) for s, d in zip(small[::-1], large[::-1], strict=False))


def _broadcast(operands: list[Rays]) -> bool:
    """False where constants do not fit together: such a model runs nowhere, and is no PReLU."""
    try:
        np.broadcast_shapes(*(shape for rays in operands for shape in (rays.pos.shape, rays.neg.shape)))
    except ValueError:
        return False
    return True


def is_closed(draft: Draft, region: tuple[Node, ...], last: Node) -> bool:
    """True if nothing outside reads the inside."""
    inside = set(region)
    for node in region:
        if node is last:
            continue
        for name in node.outputs:
            if name in draft.index.outputs or any(use.node not in inside for use in draft.index.uses(name)):
                return False
    return True


def with_own(draft: Draft, region: tuple[Node, ...], operands: Collection[str]) -> tuple[Node, ...]:
    """A region with the nodes that look at a type or a shape for it alone; they come first.

    Args:
        draft: The working copy.
        region: The nodes.
        operands: What the region is a function of: its makers are no part of it.
    """
    index, inside, own = draft.index, set(region), list[Node]()
    names = [name for node in region for name in node.inputs]
    while names:
        name = names.pop()
        node = index.maker.get(name)
        if node is None or node in inside or name in operands or not is_told(draft, node):
            continue
        shared = any(use.node not in inside for use in index.uses(name))
        constant = all(draft.constants.get(value) for value in node.inputs)
        if constant or shared or name in index.outputs or name in index.pinned:
            continue
        inside.add(node)
        own.append(node)
        names.extend(node.inputs)
    return (*own[::-1], *region)
