"""What a layout rule plans: an edit, where it stands, and a key by which a caller can choose it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx

from ...graph.draft import Draft
from ...graph.edit import Edit
from ...graph.index import Node

BLOCK = 16
"""Channels of a block where the CPU has AVX-512; with AVX2 it is half of it, which these are a multiple of."""

OLDEST_OPSET = 7
"""The opset from which on constants broadcast as numpy does: below, no layout rule applies."""


@dataclass(frozen=True)
class LayoutPlan:
    """A layout rule at one place, as data.

    Attributes:
        rule: The rule's name.
        key: What to call this place: the rule and the first node's label, ``"pad:Conv_13"``. It stays the same
            whatever other places are taken.
        text: What is done, and to which nodes, in one sentence.
        edit: The change.
    """

    rule: str
    key: str
    text: str
    edit: Edit


Rule = Callable[[Draft], Iterator[LayoutPlan]]
"""Finds the places of a rule in one body, one after the other. A plan may be committed before the next is asked for."""


def standing(draft: Draft) -> Iterator[Node]:
    """The nodes of a body in order, less those that a commit has taken out when their turn comes."""
    for node in list(draft.index.nodes()):
        if node in draft.index.slots[node.slot]:
            yield node


def is_float32(draft: Draft, tensor: str) -> bool:
    """Whether a tensor is of the only type that ONNX Runtime has its blocked layout for."""
    return draft.dtype(tensor) == onnx.TensorProto.FLOAT


def listed(nodes: list[Node]) -> str:
    """A few node names for people: ``'a', 'b' and 3 more``."""
    shown = ", ".join(f"'{node.label}'" for node in nodes[:3])
    return shown if len(nodes) <= 3 else f"{shown} and {len(nodes) - 3} more"
