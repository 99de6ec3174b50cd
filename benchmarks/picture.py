"""The scores as bars, in an SVG: for each network PRelu, ours and the floor, in units of the floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.score import Score

_BAR, _GAP, _TOP, _LEFT, _WIDE, _NUMBER = 9, 8, 56, 165, 260, 46  # pixels
_LEGEND = 540  # what the legend needs
_COLOURS = {"PRelu": "#c44e52", "ours": "#4c72b0", "Relu": "#b8b8b8"}


def picture(scores: Sequence[Score]) -> str:
    """Bars of the time over the floor's; a panel for each version of the runtime, all to one scale."""
    networks = list(dict.fromkeys(score.network for score in scores))
    runtimes = list(dict.fromkeys(score.runtime for score in scores))
    longest = max((max(_bars(score).values()) for score in scores), default=1.0)
    width = max(_LEGEND, _LEFT + len(runtimes) * (_WIDE + _NUMBER))
    height = _TOP + len(networks) * _row_height() + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend(),
    ]
    for row, network in enumerate(networks):
        middle = _TOP + row * _row_height() + 1.5 * _BAR + 4
        parts.append(f'<text font-size="11" x="{_LEFT - 8}" y="{middle:g}" text-anchor="end">{escape(network)}</text>')
    for column, runtime in enumerate(runtimes):
        left = _LEFT + column * (_WIDE + _NUMBER)
        parts.append(
            f'<text font-size="11" x="{left}" y="{_TOP - 8}" font-weight="bold">ONNX Runtime {escape(runtime)}</text>'
        )
        for score in scores:
            if score.runtime == runtime:
                top = _TOP + networks.index(score.network) * _row_height()
                parts += _drawn(score, left, top, _WIDE / longest)
    return "\n".join([*parts, "</svg>", ""])


def _bars(score: Score) -> dict[str, float]:
    return {"PRelu": score.prelu_over_floor, "ours": score.ours_over_floor, "Relu": 1.0}


def _row_height() -> int:
    return len(_COLOURS) * _BAR + _GAP


def _legend() -> Iterator[str]:
    yield '<text font-size="11" x="8" y="18">Time of a run over that of the same network with Relu</text>'
    for place, (name, colour) in enumerate(_COLOURS.items()):
        left = _LEFT + 180 + place * 70
        yield f'<rect x="{left}" y="9" width="10" height="10" fill="{colour}"/>'
        yield f'<text font-size="11" x="{left + 14}" y="18">{name}</text>'


def _drawn(score: Score, left: float, top: float, unit: float) -> Iterator[str]:
    for place, (name, value) in enumerate(_bars(score).items()):
        y = top + place * _BAR
        yield f'<rect x="{left:g}" y="{y:g}" width="{value * unit:.1f}" height="{_BAR - 1}" fill="{_COLOURS[name]}"/>'
        if name != "Relu":
            yield f'<text x="{left + value * unit + 3:.1f}" y="{y + _BAR - 1:g}" font-size="8">{value:.2f}</text>'
