"""Which ops take the time, after the runtime's own fusion: from ONNX Runtime's profile."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...graph.model import Model
from ..providers.runtime import CannotRun, open_runner
from .setting import Setting

_WARM = 5  # runs that are not counted
_RUNS = 50  # that are, at most
_SECONDS = 3.0  # for all of them

Event = Mapping[str, Any]


@dataclass(frozen=True)
class OpTime:
    """An op type in a profile.

    Attributes:
        op: The op, as the runtime executes it: fused nodes go by the op that they were fused into, and layouts
            bring ops of their own (``ReorderInput``).
        nodes: How many nodes of it run.
        ms: Milliseconds a run, of all of them together, the nodes inside not counted twice.
        share: Of the time of all ops.
    """

    op: str
    nodes: int
    ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where a model's time goes.

    Attributes:
        provider: Where it ran.
        model: Its name.
        runs: Runs that were counted; times are medians over them.
        ops: The op types, the slowest first.
        reason: Why there is no profile, in words.
    """

    provider: str
    model: str
    runs: int = 0
    ops: tuple[OpTime, ...] = ()
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict that JSON can hold."""
        return asdict(self)


def profiles(models: Sequence[Model], setting: Setting, progress: Callable[[str], None]) -> tuple[Profile, ...]:
    """Profile models, run in turn. The profiler takes time itself, so the sum is more than a run without it.

    Args:
        models: The models.
        setting: Where they run, and on what.
        progress: Called with what is being done now.

    Returns:
        One profile a model; none for the reference evaluator, which has no profiler.
    """
    if setting.provider == "reference":
        return ()
    progress(f"profile on {setting.provider}")
    try:
        written = _written(models, setting)
    except CannotRun as refusal:
        return tuple(Profile(setting.provider, model.name, reason=refusal.reason) for model in models)
    return tuple(_profile(setting.provider, model.name, events) for model, events in zip(models, written, strict=True))


def _written(models: Sequence[Model], setting: Setting) -> list[list[Event]]:
    """The events that ONNX Runtime writes down while models run in turn."""
    with tempfile.TemporaryDirectory() as folder:
        runners = [
            open_runner(
                model, setting.provider, threads=setting.threads, checking=False, profile=Path(folder) / str(at)
            )
            for at, model in enumerate(models)
        ]
        start = time.perf_counter()
        for run in range(_WARM + _RUNS):
            if run > _WARM and time.perf_counter() - start > _SECONDS:
                break
            for runner in runners:
                runner.run(setting.inputs[run % len(setting.inputs)])
        return [json.loads(Path(runner.session.end_profiling()).read_text(encoding="utf-8")) for runner in runners]


def _profile(provider: str, model: str, events: Sequence[Event]) -> Profile:
    runs = list(_runs(events))[_WARM:]
    times: dict[str, list[float]] = defaultdict(list)
    nodes: dict[str, set[str]] = defaultdict(set)
    for number, run in enumerate(runs):
        for event, own in _own_times(run):
            op = event["args"]["op_name"]
            nodes[op].add(event["name"])
            times[op] += [0.0] * (number + 1 - len(times[op]))
            times[op][number] += own / 1e3
    medians = {op: statistics.median(each + [0.0] * (len(runs) - len(each))) for op, each in times.items()}
    total = sum(medians.values()) or 1.0
    slowest = sorted(medians, key=lambda op: -medians[op])
    ops = tuple(OpTime(op, len(nodes[op]), medians[op], medians[op] / total) for op in slowest)
    return Profile(provider, model, len(runs), ops)


def _runs(events: Iterable[Event]) -> Iterable[list[Event]]:
    """The kernels of each run: those that begin within it."""
    kernels = sorted((event for event in events if _is_kernel(event)), key=lambda event: event["ts"])
    spans = sorted((event["ts"], event["ts"] + event["dur"]) for event in events if event.get("name") == "model_run")
    for start, end in spans:
        yield [kernel for kernel in kernels if start <= kernel["ts"] <= end]


def _is_kernel(event: Event) -> bool:
    return event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and "op_name" in event.get("args", {})


def _own_times(kernels: Sequence[Event]) -> list[tuple[Event, float]]:
    """Each kernel's microseconds without those of the kernels within it: a Loop's body is timed as well."""
    own = [float(kernel["dur"]) for kernel in kernels]
    ends = [kernel["ts"] + kernel["dur"] for kernel in kernels]
    around: list[int] = []
    for number, kernel in enumerate(kernels):
        while around and (ends[around[-1]] <= kernel["ts"] or ends[around[-1]] < ends[number]):
            around.pop()
        if around:
            own[around[-1]] -= kernel["dur"]
        around.append(number)
    return list(zip(kernels, own, strict=True))
