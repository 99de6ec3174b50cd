"""How many units a layer had, how many it has, and where the others went: for whoever tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..algebra.recovery import slope_class
from ..algebra.reduction import Reduced


@dataclass(frozen=True)
class Narrowing:
    """What became of the units of a layer.

    Attributes:
        before: How many there were.
        after: How many there are.
        paired: How many went as the negative side of another one.
        merged: How many went into parallel ones.
        dropped: How many counted for nothing.
        constant: How many do not depend on the input, and went into the bias behind.
        rounded: How many slopes of pairs are right up to rounding of the stored weights only.
        slope_class: ``"exact"`` where the slopes of all pairs reproduce every stored weight, else ``"rounding"``, or
            ``"approximate"`` where some are right up to the slope tolerance only; None where there are no pairs.
        ulps: By how many ulps stored weights of pairs are off at most, for them to be PReLUs: 0 where they are exactly.
        loose: How many slopes of pairs are one of several floats that would do.
        given_up: How many nobody compared with all others.
        approximate: How many pairs are PReLUs up to the slope tolerance only.
        bound: The most that an output of the model is off by these, by name: in real numbers, in its units.
    """

    before: int
    after: int
    paired: int = 0
    merged: int = 0
    dropped: int = 0
    constant: int = 0
    rounded: int = 0
    slope_class: str | None = None
    ulps: float = 0.0
    loose: int = 0
    given_up: int = 0
    approximate: int = 0
    bound: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, reduced: Reduced) -> Narrowing:
        """What a reduction does."""
        return cls(
            len(reduced.direction),
            len(reduced.lanes),
            reduced.paired,
            reduced.merged,
            reduced.dropped,
            len(reduced.constant),
            reduced.rounded,
            slope_class(reduced.ulps, reduced.approximate) if reduced.paired else None,
            reduced.ulps,
            reduced.loose,
            reduced.given_up,
            reduced.approximate,
        )

    def sentence(self) -> str:
        """The same in words."""
        parts = {
            "of them pairs": self.paired,
            "merged into parallel ones": self.merged,
            "that counted for nothing": self.dropped,
            "constant": self.constant,
        }
        told = [f"{self.before} units became {self.after}"]
        told[0] += "".join(f", {count} {what}" for what, count in parts.items() if count)
        if self.rounded:
            told.append(
                f"{self.rounded} pairs are PReLUs up to rounding of the stored weights, by {self.ulps:.2g} ulps"
            )
        if self.approximate:
            told.append(f"{self.approximate} pairs are PReLUs up to the slope tolerance only")
        if self.given_up:
            told.append(f"{self.given_up} units were not compared with all others, which would have taken too long")
        if self.loose:
            told.append(f"{self.loose} slopes are one of several floats that give the stored weights")
        return "; ".join(told)
