"""Which node of one body is which of another: by name, and where that does not tell, by what they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import onnx


def matched(a: Sequence[onnx.NodeProto], b: Sequence[onnx.NodeProto]) -> dict[int, int]:
    """The places of nodes in the second body by those of the same nodes in the first, in the first's order.

    A name that stands once in each tells which is which. Of the others, those that make tensors of the same names are
    the same, if one of them has no name or both are of one op.
    """
    there = _unique(b)
    pairs = {at: there[name] for name, at in _unique(a).items() if name in there}
    taken = set(pairs.values())
    makers = {tuple(node.output): at for at, node in enumerate(b) if at not in taken}
    for at, node in enumerate(a):
        other = makers.get(tuple(node.output)) if at not in pairs else None
        if other is not None and (not (node.name and b[other].name) or node.op_type == b[other].op_type):
            pairs[at] = other
    return dict(sorted(pairs.items()))


def _unique(nodes: Sequence[onnx.NodeProto]) -> dict[str, int]:
    """The places of nodes by their names, where no other has the same."""
    counts = Counter(node.name for node in nodes)
    return {node.name: at for at, node in enumerate(nodes) if node.name and counts[node.name] == 1}
