"""Running a model with onnx's reference evaluator: slow, and independent of every runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ...graph.external import is_external, read
from ...graph.model import Model, tensors
from .runner import CannotRun, Runner

# The evaluator is Python code over numpy, so a model that it cannot run fails with whatever numpy says.
_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ReferenceRunner(Runner):
    """A model in the reference evaluator.

    Args:
        model: The model.

    Raises:
        CannotRun: The evaluator does not take it.
    """

    provider = "reference"

    def __init__(self, model: Model) -> None:
        self.outputs = tuple(output.name for output in model.proto.graph.output)
        try:
            self._evaluator = ReferenceEvaluator(_with_data_inside(model))
        except _ERRORS as error:
            raise CannotRun(_words(error)) from None

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See :meth:`Runner.run`."""
        try:
            with np.errstate(all="ignore"):
                results = self._evaluator.run(None, dict(feeds))
        except _ERRORS as error:
            raise CannotRun(_words(error)) from None
        for name, result in zip(self.outputs, results, strict=True):
            if not isinstance(result, np.ndarray | np.generic):
                raise CannotRun(f"'{name}' is a {type(result).__name__}: models are compared on tensors only")
        return [np.asarray(result) for result in results]


def _with_data_inside(model: Model) -> onnx.ModelProto:
    if not any(is_external(tensor) for tensor in tensors(model.proto)):
        return model.proto
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in tensors(proto):
        if is_external(tensor):
            tensor.raw_data = read(tensor, model.folder)
            tensor.data_location = onnx.TensorProto.DEFAULT
            tensor.ClearField("external_data")
    return proto


def _words(error: Exception) -> str:
    return f"the reference evaluator says {type(error).__name__}: {error}"
