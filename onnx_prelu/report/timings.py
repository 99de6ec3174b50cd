"""How the measurements of ``bench`` are told: who is faster, what a session takes, where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from . import words
from .tables import Column, Lines, Section, Table
from .verdicts import Line, latency_lines

if TYPE_CHECKING:
    from ..measure.latency.bench import Latency
    from ..measure.latency.by_op import OpTime, Profile
    from ..measure.latency.start import Start
    from ..measure.latency.throughput import Throughput
    from .report import Report

_SMALL = 0.01  # ops with less than this share in every model are told together


def latencies(report: Report) -> Iterator[Section]:
    """The timings: in sentences for two models, in a table against the first for more."""
    by_provider: dict[str, list[Latency]] = {}
    for latency in _untold(report):
        by_provider.setdefault(latency.provider, []).append(latency)
    single = [each for each in by_provider.values() if len(each) == 1 or each[0].status == "not_run"]
    for each in by_provider.values():
        if each not in single:
            yield _against_first(report.model, each)
    if lines := tuple(line for each in single for line in latency_lines(each[0])):
        yield Lines("Latency", lines)


def _untold(report: Report) -> Iterator[Latency]:
    """The timings, less those that did not come about for a reason that the check has told."""
    told = {(check.provider, check.reason) for check in report.check or () if check.status == "not_run"}
    for latency in report.latency or ():
        if (latency.provider, latency.reason) not in told:
            yield latency


def _against_first(first: str, results: Sequence[Latency]) -> Table:
    head = results[0]
    rows = [(first, words.milliseconds(head.before_ms), "")]
    rows += [(each.against, words.milliseconds(each.after_ms), each.change()) for each in results]
    columns = (Column("model", "name"), Column("time", "number"), Column("is"))
    shows = words.percent(max((each.detectable for each in results if each.detectable is not None), default=None))
    foot = f"{words.counted(head.pairs, 'turn')}; noise {words.percent(head.noise)}; {shows} or more would show"
    return Table(f"Latency on {head.place}", columns, tuple(rows), foot)


def beyond_latency(report: Report) -> Iterator[Section]:
    """Throughput, sessions and profile, each by provider."""
    places = {latency.provider: latency.place for latency in report.latency or ()}
    for provider, place in places.items():
        if throughput := [each for each in report.throughput or () if each.provider == provider]:
            yield _throughput(throughput, place)
        if start := [each for each in report.start or () if each.provider == provider]:
            yield _starts(start, place)
        if profile := [each for each in report.profile or () if each.provider == provider]:
            yield _profiles(profile, place)


def _throughput(results: Sequence[Throughput], place: str) -> Section:
    title = f"Throughput on {place}"
    first = results[0].model
    reasons: dict[str, dict[int, None]] = {}
    for each in results:
        if each.reason is not None:
            reasons.setdefault(each.reason, {})[each.batch] = None
    told = tuple(
        Line(f"batch {', '.join(map(str, batches))} not run: {reason}", mood="open")
        for reason, batches in reasons.items()
    )
    if all(each.reason is not None for each in results):
        return Lines(title, told)
    rows = tuple(
        (
            str(each.batch),
            each.model,
            f"{float(f'{each.per_second:.4g}'):,g}",
            _gain(each) if each.model != first else "",
        )
        for each in results
        if each.reason is None
    )
    columns = (Column("batch", "number"), Column("model", "name"), Column("samples/s", "number"), Column("change"))
    return Table(title, columns, rows, "; ".join(line.text for line in told))


def _gain(result: Throughput) -> str:
    if result.ratio is None or result.ci_low is None or result.ci_high is None:
        return words.UNKNOWN
    return f"{1 / result.ratio:.2f}x [{1 / result.ci_high:.2f}, {1 / result.ci_low:.2f}]"


def _starts(results: Sequence[Start], place: str) -> Section:
    title = f"Session on {place}"
    reasons = tuple(Line(f"{each.model} not run: {each.reason}", mood="open") for each in results if each.reason)
    if reasons:
        return Lines(title, reasons)
    rows = tuple(
        (each.model, words.milliseconds(each.start_ms), words.size(each.load_bytes), words.size(each.run_bytes))
        for each in results
    )
    columns = (
        Column("model", "name"),
        Column("cold start", "number"),
        Column("peak memory, loaded", "number"),
        Column("run", "number"),
    )
    foot = f"medians of {words.counted(results[0].processes, 'fresh process', 'fresh processes')} a model"
    return Table(title, columns, rows, foot)


def _profiles(results: Sequence[Profile], place: str) -> Section:
    title = f"Time by op on {place}"
    reasons = tuple(Line(f"{each.model} not run: {each.reason}", mood="open") for each in results if each.reason)
    if reasons:
        return Lines(title, reasons)
    two = len(results) == 2
    names = ["before", "after"] if two else _short([each.model for each in results])
    times = [{op.op: op for op in each.ops} for each in results]
    most = {name: max(each[name].share for each in times if name in each) for each in times for name in each}
    shown = sorted((name for name in most if most[name] >= _SMALL), key=lambda name: -most[name])
    rows = [(name, *(_op(each.get(name)) for each in times)) for name in shown]
    if len(shown) < len(most):
        rest = [[op for name, op in each.items() if name not in shown] for each in times]
        rows.append(("others", *(words.percent(sum(op.share for op in each)) for each in rest)))
    rows.append(("all", *(words.milliseconds(sum(op.ms for op in each.ops)) for each in results)))
    columns = (Column("op"), *(Column(name, "number" if two else "text") for name in names))
    return Table(title, columns, tuple(rows), "of the kernels, after the runtime's own fusion; nodes in brackets")


def _op(op: OpTime | None) -> str:
    return "" if op is None else f"{words.milliseconds(op.ms)}, {words.percent(op.share)} ({op.nodes})"


def _short(models: Sequence[str]) -> Sequence[str]:
    """Names for the heads of columns: of the files alone, where these differ."""
    stems = [PurePath(model).stem for model in models]
    return stems if len(set(stems)) == len(stems) else models
