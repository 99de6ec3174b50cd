"""Budgets: how much of what an earlier report's second model cost the second model may cost now.

    check a.onnx b.onnx --baseline earlier.json --fail-on 'latency>1.05,file_bytes>1.10'

A budget compares ``after`` with ``after``. Counts and bytes are exact. Times are not: a busy machine can be a third
slower than it was a minute before. Where both runs timed the same first model, that one tells the machine's part, which
is taken out; and a latency budget is broken only where the ratio is beyond it by more than both measurements can be
wrong by.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..errors import BadInput, BadUsage
from . import words
from .report import SCHEMA_VERSION

if TYPE_CHECKING:
    from ..measure.latency.bench import Latency
    from .report import Report

LATENCY = "latency"
SIZED = ("macs", "activation_bytes")
COSTS = ("file_bytes", "parameters", *SIZED, "weight_bytes", "nodes")
KEYS = (LATENCY, *COSTS)
"""What can have a budget; all but the latency are keys of a report's ``after``."""

_AGAIN = "write it with 'check --bench --report FILE.json'"

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A report of an earlier run: its JSON file, or what it holds."""


@dataclass(frozen=True)
class Budget:
    """How much of the baseline's is allowed.

    Attributes:
        key: One of ``KEYS``.
        limit: The ratio, now over the baseline's, that must not be exceeded.
    """

    key: str
    limit: float

    def __str__(self) -> str:
        return f"{self.key}>{self.limit:g}"


@dataclass(frozen=True)
class Judged:
    """What became of a budget. Numbers are None where they are not known.

    Attributes:
        budget: The budget, as it is written.
        status: ``"held"``, ``"broken"``, or ``"not_run"`` where nothing was measured; a number that is not known,
            or that cannot be compared, breaks its budget.
        provider: Where the latency was measured; None for what is counted.
        baseline: What the baseline's second model costs: milliseconds, bytes or a count.
        now: What the second model costs now.
        ratio: Now over the baseline's; infinite where that is 0 and this is not. Of a latency without what the machine
            did to the first model as well, where both runs timed the same one.
        noise: By how much the ratio can be wrong, as a relative difference: what the two measurements could just
            have detected; None for what is counted.
        reason: Why it is not plainly held, in words.
    """

    budget: str
    status: Literal["held", "broken", "not_run"]
    provider: str | None = None
    baseline: float | None = None
    now: float | None = None
    ratio: float | None = None
    noise: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict of plain values; the ratio may be infinite."""
        return asdict(self)


@dataclass(frozen=True)
class Gate:
    """Budgets and the report that they are measured by.

    Attributes:
        budgets: The budgets.
        baseline: The earlier report.
    """

    budgets: tuple[Budget, ...]
    baseline: Mapping[str, Any]

    @property
    def times(self) -> bool:
        """Whether one of the budgets needs a measurement of time."""
        return any(budget.key == LATENCY for budget in self.budgets)

    def judged(self, report: Report) -> tuple[Judged, ...]:
        """How a report stands by the budgets."""
        before, after = ({} if cost is None else cost.to_dict() for cost in (report.before, report.after))
        same_first = bool(before) and before == self.baseline.get("before")
        found: list[Judged] = []
        for budget in self.budgets:
            if budget.key == LATENCY:
                found += _times(budget, report.latency, self.baseline["latency"], same_first=same_first)
            else:
                found.append(_counts(budget, after, self.baseline["after"]))
        return tuple(found)


def asked_gate(baseline: Source | None, fail_on: str | None) -> Gate | None:
    """What ``--baseline`` and ``--fail-on`` ask for; None where neither is given.

    Args:
        baseline: The earlier report.
        fail_on: Budgets, separated by commas: ``"latency>1.05,file_bytes>1.10"``.

    Raises:
        BadInput: The baseline cannot be read, or is no report of this schema.
        BadUsage: One is given without the other, a budget is none, or the baseline lacks its number.
    """
    if baseline is None and fail_on is None:
        return None
    if fail_on is None:
        raise BadUsage("a baseline without a budget decides nothing", todo="add --fail-on 'file_bytes>1.10'")
    if baseline is None:
        raise BadUsage("a budget is a share of what a baseline has", todo="add --baseline report.json")
    budgets = tuple(_budgets(fail_on))
    where = "the baseline" if isinstance(baseline, Mapping) else os.fspath(baseline)
    earlier = _report(baseline if isinstance(baseline, Mapping) else _loaded(where), where)
    for budget in budgets:
        _require(budget, earlier, where)
    return Gate(budgets, earlier)


def _budgets(text: str) -> Iterator[Budget]:
    seen: set[str] = set()
    for part in text.split(","):
        key, found, number = (piece.strip() for piece in part.partition(">"))
        if key not in KEYS:
            raise BadUsage(f"there is no budget for '{key}'", where="--fail-on", todo=f"use {', '.join(KEYS)}")
        limit = _number(number)
        if not found or limit is None or limit <= 0:
            todo = f"write it as in {key}>1.05: what it may be, over what it was"
            raise BadUsage(f"'{part.strip()}' is no budget", where="--fail-on", todo=todo)
        if key in seen:
            raise BadUsage(f"{key} has two budgets", where="--fail-on", todo="keep one")
        seen.add(key)
        yield Budget(key, limit)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _loaded(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else f"is no JSON: {error}"
        raise BadInput(f"the baseline cannot be read: {what}", where=path, todo=_AGAIN) from None


def _report(read: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(read, Mapping) or "schema_version" not in read:
        raise BadInput("is no report of onnx-prelu", where=where, todo=_AGAIN)
    if (version := read["schema_version"]) != SCHEMA_VERSION:
        what = f"is a report of schema version {version}, and this onnx-prelu reads {SCHEMA_VERSION}"
        raise BadInput(what, where=where, todo=f"{_AGAIN} of this version")
    return read


def _require(budget: Budget, baseline: Mapping[str, Any], where: str) -> None:
    if budget.key == LATENCY:
        if not list(_measured(baseline.get("latency"))):
            raise BadUsage("the baseline has no latency that was measured", where=where, todo=_AGAIN)
    elif not isinstance(after := baseline.get("after"), Mapping):
        raise BadUsage("the baseline has no costs of a second model", where=where, todo=_AGAIN)
    elif not _is_number(after.get(budget.key)):
        todo = f"give --input-shape or --dim, and {_AGAIN}" if budget.key in SIZED else _AGAIN
        raise BadUsage(f"the baseline lacks {budget.key}", where=where, todo=todo)


def _measured(latencies: Any) -> Iterator[Mapping[str, Any]]:
    for each in latencies if isinstance(latencies, Sequence) else ():
        if isinstance(each, Mapping) and each.get("status") == "measured" and _is_number(each.get("after_ms")):
            yield each


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _counts(budget: Budget, after: Mapping[str, Any], baseline: Mapping[str, Any]) -> Judged:
    was, now = baseline[budget.key], after.get(budget.key)
    if now is None:
        reason = f"{budget.key} is not known now; give --input-shape or --dim"
        return Judged(str(budget), "broken", baseline=was, reason=reason)
    if budget.key in SIZED and baseline.get("sizes") != after["sizes"]:
        reason = f"{budget.key} of the baseline is at {_sizes(baseline)}, and here at {_sizes(after)}"
        reason += "; give --input-shape"
        return Judged(str(budget), "broken", baseline=was, now=now, reason=reason)
    ratio = _ratio(now, was)
    say = words.size if budget.key.endswith("bytes") else words.amount
    told = f"{budget.key} is {_times_of(ratio)} the baseline's: {say(now)} against {say(was)}"
    broken = ratio > budget.limit
    return Judged(
        str(budget), "broken" if broken else "held", None, was, now, ratio, reason=_allowed(told, budget, broken)
    )


def _times(budget: Budget, latencies: Sequence[Latency] | None, baseline: Any, *, same_first: bool) -> list[Judged]:
    if latencies is None:
        return [Judged(str(budget), "not_run", reason="the check failed, so nothing was timed")]
    judged: list[Judged] = []
    reasons: list[str] = []
    earlier = {each.get("provider"): each for each in _measured(baseline)}
    for latency in latencies:
        was = earlier.get(latency.provider)
        if latency.after_ms is None or was is None:
            side = "now" if latency.after_ms is None else "in the baseline"
            reasons.append(f"nothing was timed on {latency.provider} {side}")
        elif (reason := _other_setting(latency.to_dict(), was)) is not None:
            reasons.append(f"on {latency.provider}, {reason}")
        else:
            judged.append(_time(budget, latency, was, _drift(latency, was) if same_first else None))
    return judged or [Judged(str(budget), "broken", reason=f"the latency cannot be compared: {'; '.join(reasons)}")]


def _other_setting(now: Mapping[str, Any], was: Mapping[str, Any]) -> str | None:
    """What was set otherwise for the baseline, in words."""
    if now["threads"] != was.get("threads"):
        return f"the baseline was timed with --threads {was.get('threads')}"
    if now["sizes"] != was.get("sizes"):
        return f"the baseline was timed at {_sizes(was)}, and here at {_sizes(now)}"
    return None


def _drift(latency: Latency, baseline: Mapping[str, Any]) -> float | None:
    """What the machine did to the first model since the baseline was written."""
    was, now = baseline.get("before_ms"), latency.before_ms
    return now / was if now and was else None


def _time(budget: Budget, latency: Latency, baseline: Mapping[str, Any], drift: float | None) -> Judged:
    now, was = latency.after_ms or 0.0, baseline["after_ms"]
    ratio = _ratio(now, was) / (drift or 1.0)
    noise = (1 + (latency.detectable or 0.0)) * (1 + (baseline.get("detectable") or 0.0)) - 1
    times = f"{words.milliseconds(now)} against {words.milliseconds(was)}"
    machine = f", less the {drift:.3f} times of the first model" if drift else ""
    told = f"latency on {latency.place} is {_times_of(ratio)} the baseline's: {times}{machine}"
    told += f", noise {words.percent(noise)}"
    over, broken = ratio > budget.limit, ratio > budget.limit * (1 + noise)
    reason = _allowed(told, budget, broken) or (f"{told}: more than allowed, within noise" if over else None)
    return Judged(str(budget), "broken" if broken else "held", latency.provider, was, now, ratio, noise, reason)


def _sizes(of: Mapping[str, Any]) -> str:
    return words.sizes(of.get("sizes") or {}) or "no sizes"


def _ratio(now: float, was: float) -> float:
    return now / was if was else 1.0 if now == was else math.inf


def _times_of(ratio: float) -> str:
    return f"{ratio:.3f} times" if math.isfinite(ratio) else "infinitely many times"


def _allowed(told: str, budget: Budget, broken: bool) -> str | None:
    return f"{told}; {budget.limit:g} is allowed" if broken else None
