"""The page: headline and verdict, then each section with its pictures. It needs no script and no other file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ..page import headline, sections
from ..tables import Lines, Section, Table
from .figures import figures
from .markup import Markup, joined, tag

if TYPE_CHECKING:
    from ..report import Report

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser holds the page to loading nothing


def html(report: Report) -> str:
    """The report as one page. What came from the model is text, never markup."""
    title = headline(report)
    parts = [(f"part{number}", name, body) for number, (name, body) in enumerate(_parts(report))]
    links = [tag("li", tag("a", name, href=f"#{anchor}")) for anchor, name, _ in parts]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", _style()),
    )
    body = tag(
        "body",
        tag("a", "Skip to the results", href="#main", class_="skip"),
        tag("header", tag("h1", title), *_verdict(report)),
        tag("nav", tag("ul", *links), aria_label="Sections") if links else Markup(),
        tag(
            "main",
            *(
                tag("section", tag("h2", name, id=f"{anchor}h"), part, id=anchor, aria_labelledby=f"{anchor}h")
                for anchor, name, part in parts
            ),
            id="main",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _verdict(report: Report) -> Iterator[Markup]:
    fine = "passed" if report.check or report.budgets else "done"
    kind, said = {0: ("good", fine), 3: ("open", "not run")}.get(report.exit_code, ("bad", "failed"))
    yield tag("p", said, class_=f"verdict {kind}")
    if report.failure:
        yield tag("p", report.failure, class_=kind)


def _parts(report: Report) -> Iterator[tuple[str, Markup]]:
    """Each section, its pictures below it; of sections that begin with the same word, below the first."""
    seen: set[str] = set()
    for section in sections(report):
        first = section.title.split()[0]
        below = () if first in seen else figures(report, first)
        seen.add(first)
        yield section.title, joined(_section(section), *below)


def _section(section: Section) -> Markup:
    if isinstance(section, Lines):
        lines = (tag("li", line.text, class_=f"level{line.level} {line.mood}") for line in section.lines)
        return tag("ul", *lines, class_="lines")
    table = tag("div", _table(section), class_="wide", tabindex="0", role="region", aria_label=section.title)
    return joined(table, tag("p", section.foot, class_="foot")) if section.foot else table


def _table(table: Table) -> Markup:
    head = tag("tr", *(tag("th", column.title, scope="col", class_=column.kind) for column in table.columns))
    rows = (
        tag("tr", *(tag("td", text, class_=column.kind) for text, column in zip(row, table.columns, strict=True)))
        for row in table.rows
    )
    return tag("table", tag("thead", head), tag("tbody", *rows))


@cache
def _style() -> Markup:
    return Markup(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
