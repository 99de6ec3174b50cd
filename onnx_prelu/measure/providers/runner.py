"""What runs a model, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .names import short
from .placement import Placed, counted


class CannotRun(Exception):
    """A provider cannot run a model.

    Attributes:
        reason: Why not, in words.

    >>> CannotRun("no CUDA device was found").reason
    'no CUDA device was found'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = " ".join(reason.split())


class Runner(ABC):
    """A model that is ready to run.

    Attributes:
        provider: Where it runs: ``"cpu"``, ``"cuda"``, ``"reference"`` or ONNX Runtime's name of a provider.
        outputs: The names of the graph's outputs, in order.
        placed: The nodes, and which of ONNX Runtime's providers took each; None where the runtime cannot tell, which
            then has no other provider to hand them to.
        session: The ``onnxruntime.InferenceSession``; None for the reference evaluator.
    """

    provider: str
    outputs: tuple[str, ...]
    placed: tuple[Placed, ...] | None = None
    session: Any = None

    @property
    def nodes(self) -> dict[str, int] | None:
        """How many nodes each of ONNX Runtime's providers took; None where the runtime cannot tell."""
        return None if self.placed is None else counted(self.placed)

    @property
    def elsewhere(self) -> tuple[Placed, ...]:
        """The nodes that another provider took than the one that was asked for."""
        return tuple(node for node in self.placed or () if short(node.provider) != short(self.provider))

    @abstractmethod
    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the outputs, in order, in their own dtypes (bfloat16 and float8 by ml_dtypes).

        Args:
            feeds: An array for each input that has no initializer.

        Raises:
            CannotRun: The model does not run on these inputs.
        """
