"""Floating-point types within types: what a Cast does to rays.

A wider type holds every number of a narrower one, so going there changes nothing, and going back to the type that x
has is one rounding more, as any op in that type rounds. A type that does not hold x's would round x itself, which is
another function.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from numpy.typing import DTypeLike

from ..errors import Refused
from .floats import round_to
from .rays import Counts, Rays, Side


def holds(wide: DTypeLike, narrow: DTypeLike) -> bool:
    """True if every number of ``narrow`` is one of ``wide``.

    >>> holds(np.float32, np.float16), holds(np.float16, "bfloat16")
    (True, False)
    """
    big, small = ml_dtypes.finfo(wide), ml_dtypes.finfo(narrow)
    return bool(big.nmant >= small.nmant and big.maxexp >= small.maxexp and big.minexp <= small.minexp)


def _holds_products(wide: DTypeLike, narrow: DTypeLike) -> bool:
    """True if the product of any two numbers of ``narrow`` is a number of ``wide``."""
    big, small = ml_dtypes.finfo(wide), ml_dtypes.finfo(narrow)
    lowest, smallest = big.minexp - big.nmant, small.minexp - small.nmant
    return bool(big.nmant > 2 * small.nmant and big.maxexp >= 2 * small.maxexp and lowest <= 2 * smallest)


def converted(u: Rays, own: DTypeLike, before: DTypeLike, after: DTypeLike) -> Rays:
    """A multiple of x, converted from one type to another.

    Args:
        u: Rays of degree 1.
        own: The type of x.
        before: The type that the value has.
        after: The type that it gets.

    Raises:
        Refused: ``not-rays``: the new type does not hold x, which is rounded here.
    """
    if holds(after, before):
        return u
    if not holds(after, own):
        raise Refused("not-rays", f"a Cast to {np.dtype(after).name} rounds x")
    exact_before = _holds_products(before, own)

    def side(part: Side) -> Counts:
        """One product of numbers of x's type is exact before it is rounded here; ±x and 0 are exact here too."""
        fits = round_to(part.value, own) == part.value
        known = np.where(exact_before & fits & (part.roundings <= 1), 0, part.roundings)
        return np.asarray(known + (np.abs(part.value) != 1) * (part.value != 0), np.int64)

    pos, neg = u.sides()
    return Rays(u.pos, u.neg, u.degree, (side(pos), side(neg)), u.slack)
