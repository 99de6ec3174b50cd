"""Elements of HTML and SVG as text. Whatever is put into one as words is escaped here, and nowhere else."""

from __future__ import annotations

import html


class Markup(str):
    """Text that is markup already; all other text is words."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element. An attribute of value None is left out; ``class_`` is ``class``, ``_`` in a name is ``-``.

    >>> tag("p", "a < b", tag("br"), class_="note", tabindex=0)
    '<p class="note" tabindex="0">a &lt; b<br></p>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{told}>" if name in _VOID else f"<{name}{told}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Markup:
    """Parts one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part, quote=False) for part in parts))


def drawing(width: float, height: float, label: str, *children: str) -> Markup:
    """An SVG image of a size in pixels, with what it shows in words for those who do not see it."""
    return tag(
        "svg",
        tag("title", label),
        *children,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
    )


_VOID = frozenset({"br", "meta"})


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
