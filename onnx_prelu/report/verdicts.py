"""How a check and a timing are told, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import words

if TYPE_CHECKING:
    from ..measure.bench import Latency
    from ..measure.check import Check


Mood = Literal["good", "bad", "open", "plain"]


@dataclass(frozen=True)
class Line:
    """A sentence, how deep it stands, and whether it is good news; ``open`` is what is not known."""

    text: str
    level: int = 0
    mood: Mood = "plain"


def check_lines(check: Check) -> Iterator[Line]:
    """To be written against the landed type."""
    yield Line(f"{check.provider} {check.status}")


def latency_lines(latency: Latency) -> Iterator[Line]:
    """Who is faster, by how much and how sure that is; then the times behind it."""
    if latency.status == "not_run":
        yield Line(latency.sentence(), mood="open")
        return
    moods: dict[str | None, Mood] = {"faster": "good", "slower": "bad"}
    yield Line(latency.sentence(), mood=moods.get(latency.verdict, "plain"))
    times = f"{words.milliseconds(latency.before_ms)} before, {words.milliseconds(latency.after_ms)} after"
    far_out = f"; {words.counted(latency.outliers, 'outlier')}" if latency.outliers else ""
    pairs = f"{words.counted(latency.pairs, 'pair')} of runs"
    yield Line(f"{times}; {pairs}; noise {words.percent(latency.noise)}{far_out}", level=1)
