"""A report as Markdown that fits a pull-request comment."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from . import words
from .page import headline, sections
from .tables import Column, Lines, Section, Table

if TYPE_CHECKING:
    from .report import Report

SPECIAL = re.compile(r"([\\`*_\[\]<>|~])")

LIMIT = 65_536
"""A comment has to be shorter than this many characters."""

_OPEN = 12
"""Tables of more rows are folded."""

_CUTS = (None, 400, 100, 25, 5)
"""So many rows and sentences of each section are kept: the first of these numbers that makes the whole short enough.

With the last nothing is folded, so that a page can be cut anywhere.
"""

_CUT = "\n\n*cut here: it is too long for a comment, and whole in the JSON report*\n"


def markdown(report: Report) -> str:
    """The report as Markdown, ending in a newline and shorter than ``LIMIT``.

    What came from the model is text, never markup. Long tables are folded. Where all of it is too long, sections lose
    their last rows, and say so.
    """
    told = list(sections(report))
    for most in _CUTS:
        page = _page(report, told, most)
        if len(page) < LIMIT:
            return page
    return page[: LIMIT - len(_CUT) - 1].rpartition("\n")[0] + _CUT


def _page(report: Report, told: list[Section], most: int | None) -> str:
    parts = [f"### {_escaped(headline(report))}"]
    if report.failure:
        parts.append(f"**{_escaped(report.failure)}**")
    for section in told:
        parts.append(f"#### {section.title}")
        parts.append(_shown(section) if most is None else _shortened(section, most))
        if isinstance(section, Table) and section.foot:
            parts.append(_escaped(section.foot))
    return "\n\n".join(parts) + "\n"


def _shortened(section: Section, most: int) -> str:
    count = len(section.rows if isinstance(section, Table) else section.lines)
    if isinstance(section, Table):
        kept = _shown(replace(section, rows=section.rows[:most]))
    else:
        kept = _shown(replace(section, lines=section.lines[:most]))
    return kept if count <= most else f"{kept}\n\n*and {count - most:,} more, in the JSON report*"


def _shown(section: Section) -> str:
    if isinstance(section, Lines):
        return _list(section)
    if len(section.rows) <= _OPEN:
        return _table(section)
    summary = f"<summary>{words.counted(len(section.rows), 'row')}</summary>"
    return f"<details>{summary}\n\n{_table(section)}\n\n</details>"


def _table(table: Table) -> str:
    rows = [
        [column.title for column in table.columns],
        ["---:" if column.kind == "number" else "---" for column in table.columns],
        *([_cell(text, column) for text, column in zip(row, table.columns, strict=True)] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str, column: Column) -> str:
    if column.kind == "name" and text and "`" not in text:
        return "`{}`".format(" ".join(text.split()).replace("|", "\\|"))
    return "<br>".join(_escaped(line) for line in text.splitlines())


def _list(section: Lines) -> str:
    return "\n".join(f"{'  ' * line.level}- {_escaped(line.text)}" for line in section.lines)


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
