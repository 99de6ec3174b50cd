"""A report on a terminal: rich lays the page out and colours it where colour is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from .page import headline, sections
from .tables import Lines, Table

if TYPE_CHECKING:
    from .report import Report

STYLES = {"good": "green", "bad": "bold red", "open": "yellow", "plain": ""}


def text(report: Report, console: Console) -> str:
    """The report laid out for ``console``: in its width, with the colours that it allows."""
    with console.capture() as page:
        console.print(Text(headline(report), style="bold red" if report.exit_code else "bold"))
        for section in sections(report):
            body = _grid(section) if isinstance(section, Table) else _lines(section)
            console.print()
            console.print(Text(section.title, style="bold"))
            console.print(Padding(body, (0, 0, 0, 2)))
    return "".join(f"{line.rstrip()}\n" for line in page.get().splitlines())


def _grid(table: Table) -> RenderableType:
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim", expand=False)
    for column in table.columns:
        number = column.kind == "number"
        grid.add_column(Text(column.title), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(cell) for cell in row))
    return Group(grid, Text(table.foot, style="dim")) if table.foot else grid


def _lines(section: Lines) -> RenderableType:
    return Group(
        *(Padding(Text(line.text, style=STYLES[line.mood]), (0, 0, 0, 2 * line.level)) for line in section.lines)
    )
