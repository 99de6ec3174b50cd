"""What was decided at a site, for whoever tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ..algebra.floats import Array
from ..errors import Reason
from .narrowing import Narrowing
from .neighbours import Neighbour
from .sites import Slope

if TYPE_CHECKING:
    from .drawing import Drawing

_BINS = 24


@dataclass(frozen=True)
class SlopeSummary:
    """What a reader wants to know of a slope: its shape, its range, its signs.

    Attributes:
        shape: The constant's own shape; None for a slope that is read at run time.
        low: The smallest slope, or None at run time.
        high: The largest slope, or None at run time.
        negative: How many slopes are below 0.
        zero: How many are 0.
        above_one: How many are above 1.
        count: How many there are.
        histogram: How many lie in each of equally wide bins from ``low`` to ``high``; empty where all are equal.
    """

    shape: tuple[int, ...] | None
    low: float | None
    high: float | None
    negative: int
    zero: int
    above_one: int
    count: int
    histogram: tuple[int, ...] = ()

    @classmethod
    def of(cls, slope: Slope) -> SlopeSummary:
        """The summary of a site's slope."""
        value = slope.value
        if value is None or not value.size:
            return cls(None if value is None else value.shape, None, None, 0, 0, 0, 0)
        negative, zero, above_one = (int(np.sum(found)) for found in (value < 0, value == 0, value > 1))
        low, high = float(value.min()), float(value.max())
        return cls(value.shape, low, high, negative, zero, above_one, value.size, _histogram(value, low, high))


def _histogram(value: Array, low: float, high: float) -> tuple[int, ...]:
    width = high - low
    if not 0 < width < np.inf:
        return ()
    bins = np.minimum((value.ravel() - low) / width * _BINS, _BINS - 1).astype(np.intp)
    return tuple(np.bincount(bins, minlength=_BINS).tolist())


@dataclass(frozen=True)
class Choice:
    """What was decided at one site, with every form's refusal.

    Attributes:
        node: The site's name: its last node's name, or that node's output where it has none.
        form: What was put in, or None where the site was left as it is.
        refused: True where the site stays although it was asked to change.
        reason: Why not the form that was asked for, or why the site stays; None where there is nothing to say.
        refusals: For each form that was considered and does not apply, why.
        spelling: The region that was found, ``Add(Relu(x), Mul(c, Relu(Neg(x))))``.
        slope: A summary of the slope.
        exactness: What is promised of the form that was put in: ``"equal bits"``, ``"rounding"``, or
            ``"approximate"`` within a bound; None if none.
        possible: The forms that would apply (filled in by ``inspect``).
        asked: The form that the user asked for at this site by name, or None.
        fits: Whether the site fits the target, as it is (``inspect``) or as it is left; None where there is no target.
        notes: What is odd about the slope, in sentences.
        producer: The linear layer before the site, or what stands there instead (``inspect``).
        consumers: What reads the site (``inspect``).
        predicted: For each possible form, by how much the model's costs would grow if this site alone took it
            (``inspect``).
        narrowing: How many units went where, in a layer that has fewer now.
        drawing: What stood there and what stands there now, where a form was put in.
    """

    node: str
    form: str | None
    refused: bool
    reason: str | None
    refusals: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}))
    spelling: str = ""
    slope: SlopeSummary | None = None
    exactness: str | None = None
    possible: tuple[str, ...] = ()
    asked: str | None = None
    fits: bool | None = None
    notes: tuple[str, ...] = ()
    producer: Neighbour | None = None
    consumers: tuple[Neighbour, ...] = ()
    predicted: Mapping[str, Mapping[str, int | None]] = field(default_factory=lambda: MappingProxyType({}))
    narrowing: Narrowing | None = None
    drawing: Drawing | None = None
