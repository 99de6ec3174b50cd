"""Curves over logarithmic axes, in an SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540, 300, 56, 130, 30, 40  # pixels
_COLOURS = ("#c44e52", "#4c72b0", "#55a868", "#8172b3", "#b8860b")

Points = Sequence[tuple[float, float]]


def curves(series: Mapping[str, Points], title: str, across: str) -> str:
    """One curve a series, with a line for every power of ten.

    Args:
        series: Points (x, y) of each curve, all above 0, by its name.
        title: What is shown upwards.
        across: What is shown to the right.
    """
    xs, ys = zip(*(point for points in series.values() for point in points), strict=True)
    right, up = _powers(xs), _powers(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(x) - right[0]) / (right[-1] - right[0])
        above = (math.log10(y) - up[0]) / (up[-1] - up[0])
        return (
            _LEFT + along * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - above * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text font-size="11" x="8" y="16">{escape(title)}</text>',
        f'<text font-size="11" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{escape(across)}</text>',
    ]
    for power in right:
        x, y = place(10.0**power, 10.0 ** up[0])
        parts += [
            f'<path d="M{x:.1f} {y:.1f}V{_TOP}" stroke="#ddd"/>',
            f'<text font-size="10" x="{x:.1f}" y="{y + 14:.1f}" text-anchor="middle">{10**power:,}</text>',
        ]
    for power in up:
        x, y = place(10.0 ** right[0], 10.0**power)
        parts += [
            f'<path d="M{x:.1f} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>',
            f'<text font-size="10" x="{x - 5:.1f}" y="{y + 3:.1f}" text-anchor="end">{10.0**power:g}</text>',
        ]
    for number, (name, points) in enumerate(series.items()):
        parts += _curve(name, [place(*point) for point in points], number)
    return "\n".join([*parts, "</svg>", ""])


def _powers(values: Sequence[float]) -> range:
    """The powers of ten around some numbers: two or more."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return range(low, max(high, low + 1) + 1)


def _curve(name: str, places: Points, number: int) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
    top = _TOP + 14 * number + 6
    yield f'<rect x="{_WIDTH - _RIGHT + 10}" y="{top}" width="9" height="9" fill="{colour}"/>'
    yield f'<text font-size="11" x="{_WIDTH - _RIGHT + 24}" y="{top + 9}">{escape(name)}</text>'
