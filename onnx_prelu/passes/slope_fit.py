"""Whether a slope leaves the shape of x alone, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..algebra.slopes import Shape, fits, repaired
from ..errors import BadInput, Refused
from ..graph.draft import Draft
from .reading import channel_aligned
from .sites import Site


@dataclass(frozen=True)
class Misfit:
    """A slope that does not leave the shape of x alone.

    Attributes:
        text: What does not fit.
        broadcasts: True if it broadcasts all the same, to something larger than x.
        shape: The shape that it was meant to have, where that can be seen; else None.
    """

    text: str
    broadcasts: bool
    shape: tuple[int, ...] | None


def misfit(draft: Draft, site: Site) -> Misfit | None:
    """What is wrong with the shape of a site's slope, as far as shapes are known; None where nothing is."""
    slope, x = _slope_shape(draft, site), draft.shape(site.x)
    if slope is None or x is None or fits(slope, x):
        return None
    text = f"the slope has shape {shown(slope)} and x has {shown(x)}"
    constant = site.slope.value is not None and draft.opset >= 7
    shape = repaired(slope, x) if constant else None
    try:
        np.broadcast_shapes(slope, tuple(d if isinstance(d, int) else 1 for d in x))
    except ValueError:
        return Misfit(f"{text}: it does not broadcast", False, shape)
    return Misfit(f"{text}: the result would be larger than x", True, shape)


def check_shape(draft: Draft, site: Site) -> None:
    """A slope has to leave the shape of x alone.

    Raises:
        Refused: ``slope-enlarges``: the result would be larger than x, though checkers take it; ``slope-misaligned``:
            it does not broadcast, and is as long as the channels, so it was meant to.
        BadInput: The slope does not broadcast to x at all.
    """
    found = misfit(draft, site)
    if found is None:
        return
    remedy = f"; --fix-slopes makes it {shown(found.shape)}" if found.shape else ""
    if found.broadcasts:
        raise Refused("slope-enlarges", found.text + remedy, site.node.label)
    if found.shape:
        raise Refused("slope-misaligned", found.text + remedy, site.node.label)
    raise _does_not_broadcast(site, found)


def require_broadcast(draft: Draft, site: Site) -> None:
    """A slope that does not broadcast is an error where a model is to be made of it.

    Raises:
        BadInput: It does not, and the error says what to do about it.
    """
    found = misfit(draft, site)
    if found is not None and not found.broadcasts:
        raise _does_not_broadcast(site, found)


def _does_not_broadcast(site: Site, found: Misfit) -> BadInput:
    todo = f"--fix-slopes makes it {shown(found.shape)}" if found.shape else "reshape the slope, (C, 1, 1) say"
    return BadInput(found.text, where=f"node '{site.node.label}'", todo=todo)


def _slope_shape(draft: Draft, site: Site) -> tuple[int, ...] | None:
    if site.slope.value is not None:
        return site.slope.value.shape
    known = draft.shape(site.slope.tensor) or ()
    sizes = tuple(size for size in known if isinstance(size, int))
    if len(sizes) != len(known):
        return None
    return channel_aligned(sizes, draft.shape(site.x)) if draft.opset < 7 else sizes


def shown(shape: Shape) -> str:
    """A shape for people."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"
