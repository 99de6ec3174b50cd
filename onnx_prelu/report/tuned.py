"""How the forms of ``--to fast`` were decided, in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import words
from .verdicts import Line

if TYPE_CHECKING:
    from ..tuning.fast import Tuning

_SHOWN = 8
"""So many tries are told; all of them are in the JSON."""


def tuning_lines(tuning: Tuning) -> Iterator[Line]:
    """By what it was decided, what it came to, and the tries that say so."""
    yield Line(_by(tuning))
    if tuning.kept_input:
        why = "nothing was clearly faster" if tuning.by == "measurement" else "nothing is likely to be faster"
        why += " until then" if tuning.interrupted else ""
        yield Line(f"the input stays as it is: {why}", level=1)
    elif tuning.forms:
        counts = Counter(tuning.forms.values()).most_common()
        yield Line(", ".join(f"{form} at {words.counted(count, 'site')}" for form, count in counts), level=1)
    if tuning.layout:
        yield Line(f"layout: {', '.join(tuning.layout)}", level=1)
    ran = [trial for trial in tuning.tried if math.isfinite(trial["ratio"])]
    best = sorted(ran, key=lambda trial: float(trial["ratio"]))[:_SHOWN]
    for trial in best:
        ratio = f"{trial['ratio']:.3f} [{trial['low']:.3f}, {trial['high']:.3f}]"
        yield Line(f"{trial['what']}: {ratio} of {trial['against']}", level=1)
    if len(tuning.tried) > len(best):
        yield Line(f"{len(tuning.tried) - len(best)} more in the JSON", level=1)
    yield from (Line(note, level=1) for note in tuning.notes)


def _by(tuning: Tuning) -> str:
    where = f"{tuning.runtime}, {tuning.provider}, {words.counted(tuning.threads, 'thread')}"
    if tuning.by != "measurement":
        return f"by the {tuning.by}, for {where}"
    return f"by measurement in {tuning.seconds or 0:.0f} s, {len(tuning.tried)} tries, on {where}, {tuning.machine}"
