"""Load and save: the only room that knows files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx


@dataclass(frozen=True)
class Model:
    """A loaded model. The proto is the truth and is never mutated; an edit makes a new one.

    Attributes:
        proto: The model. External tensors keep their ``external_data`` entries; nothing is read into it.
        folder: Where the locations of external tensors are resolved, or None.
        path: The file that it was read from, or None.
        raw: The file as read, or None after an edit. An untouched model is saved as exactly these bytes.
        fresh: Names of the initializers that an edit made: where the model keeps its data outside, they go
            into a new data file.
    """

    proto: onnx.ModelProto
    folder: Path | None = None
    path: Path | None = None
    raw: bytes | None = None
    fresh: frozenset[str] = field(default=frozenset())


def load(source: Any) -> Model:
    """To be written."""
    raise NotImplementedError
