"""Charts: how slopes and times are spread, what grew, and where outputs differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .. import words
from .markup import Markup, drawing, tag

_WIDTH = 320
_BINS = 48


@dataclass(frozen=True)
class Bar:
    """A quantity before and after: its name, both numbers, and how each is said."""

    name: str
    values: tuple[float, float]
    told: tuple[str, str]


def histogram(counts: Sequence[int], low: float, high: float, label: str) -> Markup:
    """How many values lie in each of equally wide bins from low to high; the line is 0."""
    height, base = 72, 56
    step = _WIDTH / len(counts)
    bars = [
        tag(
            "rect",
            tag("title", f"{count:,} from {low + at * (high - low) / len(counts):.3g}"),
            x=at * step + 0.5,
            y=base - (base - 4) * count / max(counts),
            width=step - 1,
            height=(base - 4) * count / max(counts),
            class_="bar",
        )
        for at, count in enumerate(counts)
        if count
    ]
    if low < 0 < high:
        zero = _WIDTH * -low / (high - low)
        bars.append(tag("path", d=f"M{zero:g} 0V{base}", class_="mark"))
        if 0.2 < zero / _WIDTH < 0.8:  # clear of the labels at the ends
            bars.append(tag("text", "0", x=zero, y=height - 3, class_="tick middle"))
    ends = (
        tag("text", f"{low:.4g}", x=0, y=height - 3, class_="tick"),
        tag("text", f"{high:.4g}", x=_WIDTH, y=height - 3, class_="tick end"),
    )
    axis = tag("path", d=f"M0 {base}H{_WIDTH}", class_="axis")
    return drawing(_WIDTH, height, label, *bars, axis, *ends)


def spreads(series: Sequence[tuple[str, str, Sequence[float]]], label: str) -> Markup:
    """How milliseconds are spread, one row a series of a name, a class and times; the line is the median.

    The axis ends where times lie far out, three interquartile ranges above the third quartile: the last bin has those.
    """
    low = min(min(times) for _, _, times in series)
    high = max(min(max(times), _far(sorted(times))) for _, _, times in series)
    width = (high - low) or low or 1.0
    row, top = 40, 24
    drawn: list[str] = []
    for number, (name, kind, times) in enumerate(series):
        base = number * (row + top) + row + top
        counts = [0] * _BINS
        for time in times:
            counts[min(int((time - low) / width * _BINS), _BINS - 1)] += 1
        step = _WIDTH / _BINS
        area = "".join(
            f"V{base - row * 0.9 * count / max(counts):.4g}H{(at + 1) * step:.4g}" for at, count in enumerate(counts)
        )
        middle = sorted(times)[len(times) // 2]
        at = min((middle - low) / width, 1.0) * _WIDTH
        drawn += [
            tag("path", d=f"M0 {base}{area}V{base}Z", class_=f"area {kind}"),
            tag("path", d=f"M{at:.4g} {base - row}V{base}", class_="mark"),
            tag("path", d=f"M0 {base}H{_WIDTH}", class_="axis"),
            tag("text", name, x=0, y=base - row - 5, class_="tick"),
            tag("text", words.milliseconds(middle), x=_WIDTH, y=base - row - 5, class_="tick end"),
        ]
    height = len(series) * (row + top) + 16
    drawn += [
        tag("text", words.milliseconds(low), x=0, y=height - 3, class_="tick"),
        tag("text", words.milliseconds(high), x=_WIDTH, y=height - 3, class_="tick end"),
    ]
    return drawing(_WIDTH, height, label, *drawn)


def _far(times: Sequence[float]) -> float:
    first, third = times[len(times) // 4], times[3 * len(times) // 4]
    return third + 3 * (third - first)


def bars(rows: Sequence[Bar], label: str, *, one_scale: bool) -> Markup:
    """Two bars a row, before and after; on one scale for all, or each row on its own."""
    row = 46
    most = max((max(each.values) for each in rows), default=0)
    drawn: list[str] = []
    for number, each in enumerate(rows):
        top, longest = number * row, (most if one_scale else max(each.values)) or 1
        drawn.append(tag("text", each.name, x=0, y=top + 12, class_="tick"))
        told = each.told[0] if each.told[0] == each.told[1] else f"{each.told[0]} → {each.told[1]}"
        drawn.append(tag("text", told, x=_WIDTH, y=top + 12, class_="tick end"))
        for at, (value, kind) in enumerate(zip(each.values, ("before", "after"), strict=True)):
            width = _WIDTH * value / longest
            drawn.append(tag("rect", x=0, y=top + 17 + 10 * at, width=width, height=9, class_=f"area {kind}"))
    return drawing(_WIDTH, row * len(rows), label, *drawn)


def shares(values: Sequence[tuple[str, float, str]], label: str) -> Markup:
    """Upright bars, one for each name, share of 1 and how that is said; the line on top is all."""
    height, base, top = 88, 62, 14
    step = _WIDTH / len(values)
    drawn = [
        tag("path", d=f"M0 {top}H{_WIDTH}", class_="mark"),
        tag("path", d=f"M0 {base}H{_WIDTH}", class_="axis"),
    ]
    for at, (name, share, told) in enumerate(values):
        tall = (base - top) * min(max(share, 0.0), 1.0)
        middle = (at + 0.5) * step
        drawn += [
            tag("rect", x=at * step + 4, y=base - tall, width=step - 8, height=tall, class_="bar"),
            tag("text", told, x=middle, y=base - tall - 3, class_="tick middle"),
            tag("text", name, x=middle, y=base + 14, class_="tick middle"),
        ]
    return drawing(_WIDTH, height, label, *drawn)


def cells(grid: Sequence[Sequence[float]], label: str) -> Markup:
    """The largest excess in each cell of an output: the darker the nearer to what is allowed, red beyond it."""
    columns = max(len(row) for row in grid)
    size = min(28.0, _WIDTH / columns)
    drawn = [tag("rect", x=0, y=0, width=columns * size, height=len(grid) * size, class_="ground")]
    drawn += [
        tag(
            "rect",
            tag("title", f"row {down}, column {across}: {_told(value)}"),
            x=across * size,
            y=down * size,
            width=size - 0.5,
            height=size - 0.5,
            class_=_shade(value),
        )
        for down, row in enumerate(grid)
        for across, value in enumerate(row)
        if value
    ]
    return drawing(columns * size, len(grid) * size, label, *drawn)


def _shade(value: float) -> str:
    if value > 1:
        return "cell beyond" if math.isfinite(value) else "cell lost"
    return f"cell near{min(4, max(1, 5 + math.ceil(math.log10(value))))}"


def _told(value: float) -> str:
    return f"{value:.3g} of what is allowed" if math.isfinite(value) else "NaN, infinite, or where nothing is allowed"
