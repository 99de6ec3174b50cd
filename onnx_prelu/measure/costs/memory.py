"""Peak memory of activations, by a walk over the nodes in the file's order."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from onnx import GraphProto, NodeProto

from ...graph.constants import FOLDED
from ...graph.index import bodies, captured
from ...graph.types import TensorType, byte_count


def peak(graph: GraphProto, types: Mapping[str, TensorType]) -> int | None:
    """Most bytes of activations that are alive at once.

    Inputs live from the start, outputs to the end; everything else from the node that makes it to its last
    reader, a node whose body reads it included. Nothing is reused in place. Weights do not count, nor what is made of
    constants alone, which a runtime folds as it loads the model, nor what nested graphs make inside.

    Args:
        graph: The top-level graph.
        types: Types of its tensors.

    Returns:
        The number of bytes, or None where the size of a tensor is unknown.
    """
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {sparse.values.name for sparse in graph.sparse_initializer}
    inputs = [value.name for value in graph.input if value.name not in weights]
    last = _last_readers(graph)
    alive: dict[str, int] = {}
    now = most = 0
    for step, made in enumerate([inputs, *_made(graph.node, weights)], start=-1):
        for name in made:
            size = _bytes(types.get(name))
            if size is None:
                return None
            alive[name] = size
            now += size
        most = max(most, now)
        read = set(made) if step < 0 else {*made, *_read(graph.node[step])}
        for name in read:
            if last.get(name, step) <= step:
                now -= alive.pop(name, 0)
    return most


def _last_readers(graph: GraphProto) -> dict[str, int]:
    last = {name: step for step, node in enumerate(graph.node) for name in _read(node)}
    return last | {value.name: len(graph.node) for value in graph.output}


def _made(nodes: Iterable[NodeProto], weights: Collection[str]) -> Iterator[list[str]]:
    """What each node makes, but for constants."""
    known = set(weights)
    for node in nodes:
        if node.op_type in FOLDED and known.issuperset(node.input):
            known.update(node.output)
            yield []
        else:
            yield [name for name in node.output if name]


def _read(node: NodeProto) -> Iterator[str]:
    yield from node.input
    for body in bodies(node):
        yield from captured(body)


def _bytes(known: TensorType | None) -> int | None:
    if known is None or known.fixed is None:
        return None
    return byte_count(known.dtype, math.prod(known.fixed))
