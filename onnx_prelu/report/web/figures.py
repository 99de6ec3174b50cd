"""The pictures of a report, by the section that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .. import words
from ..distant import savings
from .charts import Bar, bars, cells, histogram, shares, spreads
from .graph import graph
from .markup import Markup, joined, tag

if TYPE_CHECKING:
    from ...measure.costs.cost import Cost
    from ...measure.latency.bench import Latency
    from ...passes.choice import Choice, SlopeSummary
    from ...passes.distance import Distance
    from ..report import Report

DRAWN = 50
"""So many sites are drawn; the JSON report has all."""

_AT_ONCE = 3  # sites that are open when the page is
_OPS = 12  # that are compared by bars: those that changed come first


def figures(report: Report, section: str) -> Iterator[Markup]:
    """What is to be seen below a section, by the first word of its title."""
    if section == "Sites":
        yield from _sites(report)
    elif section == "Relu":
        yield from _distances(report.distances or ())
    elif section == "Cost" and report.before is not None and report.after is not None:
        yield tag("div", *_costs(report.before, report.after), class_="pictures")
    elif section == "Check":
        yield from _where_outputs_differ(report)
    elif section == "Latency":
        yield from _times(report)


def figure(picture: Markup, *caption: str, kind: str = "chart") -> Markup:
    """A picture with a caption. A graph keeps its size and can be scrolled; a chart shrinks with the page."""
    scrolled = {"tabindex": "0", "role": "group", "aria_label": "scrollable picture"} if kind == "wide" else {}
    parts = [tag("div", picture, class_=kind, **scrolled), tag("figcaption", *caption)]
    return tag("figure", *(reversed(parts) if kind == "wide" else parts))


def _sites(report: Report) -> Iterator[Markup]:
    sites = [site for site in report.sites or () if site.drawing is not None or (site.slope and site.slope.histogram)]
    if any(site.drawing for site in sites):
        yield tag("p", _key("site", "the activation"), " ", _key("layer", "layers that change with it"), class_="foot")
    for number, site in enumerate(sites[:DRAWN]):
        yield _site(site, opened=number < _AT_ONCE)
    if len(sites) > DRAWN:
        yield tag("p", f"{len(sites) - DRAWN:,} more sites are in the JSON report.", class_="foot")


def _site(site: Choice, *, opened: bool) -> Markup:
    became = f": {site.form}" if site.form else ""
    pictures = []
    if site.drawing is not None:
        for when, nodes in (("before", site.drawing.before), ("after", site.drawing.after)):
            told = f"{site.node} {when}: {', '.join(node.op for node in nodes)}"
            pictures.append(figure(graph(nodes, told), when, kind="wide"))
    if site.slope is not None and site.slope.histogram:
        pictures.append(_slopes(site.slope))
    body = joined(tag("code", site.spelling), tag("div", *pictures, class_="pictures"))
    summary = tag("summary", f"{site.node}{became}")
    return tag("details", summary, body, open="" if opened else None)


def _slopes(slope: SlopeSummary) -> Markup:
    low, high = slope.low or 0.0, slope.high or 0.0
    label = f"{slope.count:,} slopes from {low:.4g} to {high:.4g}"
    return figure(histogram(slope.histogram, low, high, label), f"slopes: {words.slope(slope)}")


def _distances(distances: Sequence[Distance]) -> Iterator[Markup]:
    """What a fold would save of each layer that has pairs at some tolerance."""
    some = [each for each in distances if each.curve[-1].pairs][:DRAWN]
    pictures = []
    for each in some:
        values = [
            (
                f"{saving.tolerance:g}",
                saving.parameters / each.parameters,
                words.percent(saving.parameters / each.parameters),
            )
            for saving in each.curve
        ]
        label = f"parameters that a fold of {each.node} would save, by tolerance"
        pictures.append(figure(shares(values, label), f"{each.node}: pairs would save {savings(each)}"))
    if pictures:
        yield tag("div", *pictures, class_="pictures")


def _costs(before: Cost, after: Cost) -> Iterator[Markup]:
    both = joined(_key("before", "before"), " ", _key("after", "after"))
    kinds = (
        ("parameters", before.parameters, after.parameters, words.amount),
        ("weight bytes", before.weight_bytes, after.weight_bytes, words.size),
        ("file bytes", before.file_bytes, after.file_bytes, words.size),
        ("MACs", before.macs, after.macs, words.amount),
        ("peak activation bytes", before.activation_bytes, after.activation_bytes, words.size),
    )
    sizes = [
        Bar(name, (was, now), (say(was), say(now)))
        for name, was, now, say in kinds
        if was is not None and now is not None
    ]
    yield figure(bars(sizes, "sizes before and after", one_scale=False), both, ", each row on a scale of its own")
    names = {**before.ops, **after.ops}
    counts = {op: (before.ops.get(op, 0), after.ops.get(op, 0)) for op in names}
    shown = sorted(names, key=lambda op: (counts[op][0] == counts[op][1], -max(counts[op]), op))[:_OPS]
    rows = [Bar(op, counts[op], (words.amount(counts[op][0]), words.amount(counts[op][1]))) for op in shown]
    if rows:
        more = f", and {len(names) - _OPS:,} more" if len(names) > _OPS else ""
        yield figure(bars(rows, "nodes by op before and after", one_scale=True), both, f", nodes by op{more}")


def _where_outputs_differ(report: Report) -> Iterator[Markup]:
    pictures = []
    for check in report.check or ():
        for output in check.outputs:
            if output.difference.spots:
                label = f"where output {output.name} differs on {check.provider}"
                told = f"{label}, {words.shape(output.shape)}: the darker, the nearer to what is allowed; red is beyond"
                pictures.append(figure(cells(output.difference.spots, label), told))
    if pictures:
        yield tag("div", *pictures, class_="pictures")


def _times(report: Report) -> Iterator[Markup]:
    pictures = []
    for latency in report.latency or ():
        if latency.status == "measured" and latency.times_before_ms:
            series = (
                ("before", "before", latency.times_before_ms),
                (_second(report, latency), "after", latency.times_after_ms),
                ("before, again", "again", latency.times_again_ms),
            )
            label = f"times on {latency.place}"
            told = f"{label}: all {latency.pairs:,} of each; the line is the median, the last bar holds what is slower"
            pictures.append(figure(spreads([each for each in series if each[2]], label), told))
    if pictures:
        yield tag("div", *pictures, class_="pictures")


def _second(report: Report, latency: Latency) -> str:
    """What the second model is called: by its name where there are several."""
    return latency.against if "," in (report.against or "") else "after"


def _key(kind: str, meaning: str) -> Markup:
    return joined(tag("span", class_=f"key {kind}"), meaning)
