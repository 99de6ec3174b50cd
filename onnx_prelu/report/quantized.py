"""What became of each form when it was quantized, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import words
from .tables import Column, Table

if TYPE_CHECKING:
    from ..tuning.int8 import Candidate, Int8


def int8_table(int8: Int8) -> Table:
    """One row a candidate, in the order in which they were tried."""
    numbers = (Column(title, "number") for title in ("SQNR", "time", "over as it is"))
    columns = (Column("form"), *numbers, Column(""))
    wanted = "the best SQNR within 5 % of the fastest" if int8.min_sqnr is None else f"at least {int8.min_sqnr:g} dB"
    where = f"{int8.runtime}, {int8.provider}, {words.counted(int8.threads, 'thread')}"
    scales = f"weights with a scale for each {'channel' if int8.by_channel else 'tensor'}"
    samples = f"ranges from {words.counted(int8.calibrated, 'sample')}, judged on {int8.judged:,}"
    return Table("Int8", columns, tuple(map(_row, int8.candidates)), f"{wanted}; {scales}; {samples}; {where}")


def _row(candidate: Candidate) -> tuple[str, ...]:
    if candidate.sqnr_db is None or candidate.ms is None or candidate.ratio is None:
        return candidate.form, "", "", "", f"not measured: {candidate.reason or 'it dropped out'}"
    ratio = f"{candidate.ratio:.2f} [{candidate.low:.2f}, {candidate.high:.2f}]"
    times = f"{candidate.ms:.3g} ms"
    return candidate.form, f"{candidate.sqnr_db:.1f} dB", times, ratio, "chosen" if candidate.chosen else ""
