"""How a check and a timing are told, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..measure.bench import Latency
    from ..measure.check import Check


@dataclass(frozen=True)
class Line:
    """A sentence, how deep it stands, and whether it is good news; ``open`` is what is not known."""

    text: str
    level: int = 0
    mood: Literal["good", "bad", "open", "plain"] = "plain"


def check_lines(check: Check) -> Iterator[Line]:
    """To be written against the landed type."""
    yield Line(f"{check.provider} {check.status}")


def latency_line(latency: Latency) -> Line:
    """To be written against the landed type."""
    return Line(f"{latency.provider} {latency.status}")
