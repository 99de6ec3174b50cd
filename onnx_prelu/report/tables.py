"""The two kinds of sections that a page has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .verdicts import Line


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands at its head.
        kind: ``"name"`` for what is copied from the model, ``"number"``, or ``"text"``.
    """

    title: str
    kind: Literal["name", "number", "text"] = "text"


@dataclass(frozen=True)
class Table:
    """A section of rows, one text a column; a text may have several lines."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""


@dataclass(frozen=True)
class Lines:
    """A section of sentences."""

    title: str
    lines: tuple[Line, ...]


Section = Table | Lines
