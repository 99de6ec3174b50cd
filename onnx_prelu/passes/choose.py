"""One chooser for all requests: a policy says which edits it allows and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import Reason


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
    """

    shape: tuple[int, ...] | None
    low: float | None
    high: float | None
    negative: int
    zero: int
    above_one: int
    count: int


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
        exactness: What is promised of the form that was put in: ``"equal bits"`` or ``"rounding"``; None if none.
        possible: The forms that would apply (filled in by ``inspect``).
    """

    node: str
    form: str | None
    refused: bool
    reason: str | None
    refusals: Mapping[str, Reason] = field(default_factory=dict)
    spelling: str = ""
    slope: SlopeSummary | None = None
    exactness: str | None = None
    possible: tuple[str, ...] = ()
