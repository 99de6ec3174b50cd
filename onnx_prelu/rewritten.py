"""What a rewrite gives back: a model, and the report on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from .graph.model import Model, save, serialized
from .report.report import Report


@dataclass(frozen=True)
class Rewrite:
    """A rewritten model and what is known of it.

    Attributes:
        report: What was done, checked and measured.
        certificate: What :func:`verify` takes, where it was asked for (docs/certificate.md); else None.
    """

    report: Report
    _model: Model
    _quantized: Model | None = None
    certificate: dict[str, Any] | None = None

    @property
    def model(self) -> onnx.ModelProto:
        """The model. Where nothing was to do, it equals the input."""
        return self._model.proto

    @property
    def quantized(self) -> onnx.ModelProto | None:
        """The model in int8, where ``purpose="int8"`` chose it; else None."""
        return None if self._quantized is None else self._quantized.proto

    @property
    def graph(self) -> gs.Graph:
        """The model as a graphsurgeon graph."""
        return gs.import_onnx(self._model.proto)

    def save(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the model, with its external data, all or nothing; an untouched one as the bytes that were read.

        Returns:
            What the user should know: files made beside it, locations that changed.

        Raises:
            BadUsage: It cannot be written there: it is the input, no regular file, or the place cannot be written.
        """
        return save(self._model, path)

    def to_bytes(self) -> bytes:
        """The model as the bytes of a file, of an untouched one those that were read. External data stay outside.

        Raises:
            BadInput: It has passed 2 GiB, more than one file can hold.
        """
        return serialized(self._model)
