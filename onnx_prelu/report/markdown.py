"""A report as Markdown that fits a pull-request comment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .page import headline, sections
from .tables import Column, Lines, Table

if TYPE_CHECKING:
    from .report import Report

SPECIAL = re.compile(r"([\\`*_\[\]<>|~])")


def markdown(report: Report) -> str:
    """The report as Markdown, ending in a newline. What came from the model is text, never markup."""
    parts = [f"### {_escaped(headline(report))}"]
    if report.failure:
        parts.append(f"**{_escaped(report.failure)}**")
    for section in sections(report):
        parts.append(f"#### {section.title}")
        parts.append(_table(section) if isinstance(section, Table) else _list(section))
        if isinstance(section, Table) and section.foot:
            parts.append(_escaped(section.foot))
    return "\n\n".join(parts) + "\n"


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
