"""A site's nodes as a picture: boxes from top to bottom, with the shapes of the constants that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import words
from .layers import Edge, Layout, laid_out
from .markup import Markup, drawing, tag

if TYPE_CHECKING:
    from ...passes.drawing import Drawn

_WIDTH, _HEIGHT = 140, 54
_GAP, _DOWN, _EDGE = 16, 28, 3
_LETTERS = 19  # of a name that fit into a box


def graph(nodes: Sequence[Drawn], label: str) -> Markup:
    """The picture of some nodes, read from top to bottom."""
    edges = _edges(nodes)
    layout = laid_out(len(nodes), edges, width=_WIDTH, gap=_GAP)
    height = (max(layout.rows, default=0) + 1) * (_HEIGHT + _DOWN) - _DOWN
    lines = [_line(layout, edge) for edge in edges]
    boxes = [_box(node, layout.centres[at], _top(layout.rows[at])) for at, node in enumerate(nodes)]
    return drawing(layout.width + 2 * _EDGE, height + 2 * _EDGE, label, *lines, *boxes)


def _edges(nodes: Sequence[Drawn]) -> list[Edge]:
    """Who reads whom; an end of the graph reads, or is read, by the name of its tensor."""
    makers = {name: at for at, node in enumerate(nodes) for name in node.outputs}
    pairs = [(makers[name], at) for at, node in enumerate(nodes) for name in node.inputs if name in makers]
    return list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))


def _top(row: int) -> float:
    return _EDGE + row * (_HEIGHT + _DOWN)


def _line(layout: Layout, edge: Edge) -> Markup:
    """The way of an edge, as curves that leave and arrive upright."""
    start, end = edge
    x, y = layout.centres[start] + _EDGE, _top(layout.rows[start]) + _HEIGHT
    way = [f"M{x:g} {y:g}"]
    for row, centre in layout.paths[edge]:
        way += [_curve(x, y, centre + _EDGE, _top(row)), f"V{_top(row) + _HEIGHT:g}"]
        x, y = centre + _EDGE, _top(row) + _HEIGHT
    x_end, y_end = layout.centres[end] + _EDGE, _top(layout.rows[end])
    way.append(_curve(x, y, x_end, y_end))
    head = f"M{x_end - 4:g} {y_end - 6:g}L{x_end:g} {y_end:g}L{x_end + 4:g} {y_end - 6:g}"
    return tag("path", d="".join(way) + head, class_="edge")


def _curve(x: float, y: float, x_end: float, y_end: float) -> str:
    middle = (y + y_end) / 2
    return f"C{x:g} {middle:g} {x_end:g} {middle:g} {x_end:g} {y_end:g}"


def _box(node: Drawn, centre: float, top: float) -> Markup:
    x = centre + _EDGE
    constants = ", ".join(words.shape(dims) for dims in node.constants)
    told = [(node.op, "op"), (_short(node.node), "name")]
    if constants:
        told.append((_short(constants), "name"))
    first = top + (_HEIGHT - 14 * (len(told) - 1)) / 2 + 4
    return tag(
        "g",
        tag("title", f"{node.op} {node.node}{f', holds {constants}' if constants else ''}"),
        tag("rect", x=x - _WIDTH / 2, y=top, width=_WIDTH, height=_HEIGHT, rx=6),
        *(tag("text", text, x=x, y=first + 14 * at, class_=kind) for at, (text, kind) in enumerate(told)),
        class_=f"node {node.role if node.op not in _ENDS else 'end'}",
    )


_ENDS = frozenset({"input", "output", "more"})


def _short(text: str) -> str:
    """A name that fits into a box; its end says more than its middle."""
    if len(text) <= _LETTERS:
        return text
    half = _LETTERS // 2
    return f"{text[: half - 1]}…{text[-half:]}"
