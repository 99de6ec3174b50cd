"""Which of ONNX Runtime's providers took which node of a model.

The runtime tells it as it stands when nodes are handed out: after its basic optimizations, which fold constants and
drop what does nothing, and before each provider fuses what it took. So a node that was folded or fused away by then is
not told of, and what the provider makes of those that it took is its own affair: they run there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Placed:
    """A node, and who took it.

    Attributes:
        node: Its name, as in the model; "" where it has none.
        op: Its op type.
        provider: ONNX Runtime's name of the provider.
    """

    node: str
    op: str
    provider: str

    def __str__(self) -> str:
        name = f"'{self.node}' ({self.op})" if self.node else f"an unnamed {self.op}"
        return f"{name} by {self.provider}"


_LISTED = 10


def listed(nodes: Sequence[Placed]) -> str:
    """The first few of some nodes, and how many more there are.

    >>> listed([Placed("a", "Shape", "CPUExecutionProvider"), Placed("", "Gather", "CPUExecutionProvider")])
    "'a' (Shape) by CPUExecutionProvider, an unnamed Gather by CPUExecutionProvider"
    """
    more = f" and {len(nodes) - _LISTED:,} more" if len(nodes) > _LISTED else ""
    return f"{', '.join(map(str, nodes[:_LISTED]))}{more}"


def placed(session: Any) -> tuple[Placed, ...] | None:
    """The nodes of a session, those of nested bodies too; None before ONNX Runtime 1.24, which cannot tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    return tuple(
        Placed(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    )


def counted(nodes: Sequence[Placed]) -> dict[str, int]:
    """How many nodes each provider took.

    >>> counted([Placed("a", "Relu", "CUDAExecutionProvider"), Placed("b", "Neg", "CUDAExecutionProvider")])
    {'CUDAExecutionProvider': 2}
    """
    return dict(Counter(node.provider for node in nodes))
