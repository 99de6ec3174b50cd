"""A report into a file, in the format that the name's ending says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import BadUsage
from ..graph.model import target, write_text
from .junit import junit
from .markdown import markdown
from .web.page import html

if TYPE_CHECKING:
    from .report import Report


def json_text(report: Report) -> str:
    """The report as JSON text, keys in the order of :meth:`Report.to_dict`, ending in a newline."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Report], str]] = MappingProxyType(
    {".json": json_text, ".md": markdown, ".xml": junit, ".html": html}
)
"""Ending of a report's name to what writes it."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable with the file to which a step of a GitHub workflow adds Markdown for people."""


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
    """Write the report to ``path``, whole or not at all; Markdown also to the summary of a GitHub step, if one runs.

    Raises:
        BadUsage: The ending is not a report's, or the path or the summary cannot be written.
    """
    form = _format(path)
    page = form(report)
    write_text(path, page)
    if form is markdown and (summary := os.environ.get(SUMMARY)):
        _append(Path(summary), page)


def _append(file: Path, page: str) -> None:
    try:
        with file.open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(page)
    except OSError as error:
        raise BadUsage(f"${SUMMARY} cannot be written: {error.strerror}", where=str(file), todo="unset it") from None


def _format(path: str | Path) -> Callable[[Report], str]:
    try:
        return FORMATS[Path(path).suffix.lower()]
    except KeyError:
        known = list(FORMATS)
        raise BadUsage(
            f"no report format for {Path(path).suffix!r}",
            where=str(path),
            todo=f"use {', '.join(known[:-1])} or {known[-1]}",
        ) from None
