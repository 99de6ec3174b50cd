"""A report into a file, in the format that the name's ending says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import BadUsage
from ..graph.model import target, write_text
from .markdown import markdown

if TYPE_CHECKING:
    from .report import Report


def json_text(report: Report) -> str:
    """The report as JSON text, keys in the order of :meth:`Report.to_dict`, ending in a newline."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Report], str]] = MappingProxyType({".json": json_text, ".md": markdown})
"""Ending of a report's name to what writes it."""


def claim(path: str | Path, *, protect: Iterable[Path]) -> Path:
    """Make sure, before any work is done, that a report can be written to ``path``.

    Args:
        path: Where the report is to go.
        protect: Files that it must not be: the models that are read or written.

    Returns:
        The real file, behind links.

    Raises:
        BadUsage: The ending is not a report's, or the path is one of ``protect`` or cannot be written.
    """
    _format(path)
    return target(path, protect=protect)


def write(report: Report, path: str | Path) -> None:
    """Write the report to ``path``, whole or not at all.

    Raises:
        BadUsage: The ending is not a report's, or the path cannot be written.
    """
    write_text(path, _format(path)(report))


def _format(path: str | Path) -> Callable[[Report], str]:
    try:
        return FORMATS[Path(path).suffix.lower()]
    except KeyError:
        raise BadUsage(
            f"no report format for {Path(path).suffix!r}", where=str(path), todo=f"use {' or '.join(FORMATS)}"
        ) from None
