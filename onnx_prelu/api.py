"""inspect, rewrite, check, bench and diff: whatever the command line does, one of these does in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import journal, notes
from .arguments import Progress, Source, effort, input_options, known_sizes, repaired_by, saving, scope_of, tolerances
from .certificate.certify import verdict
from .graph.draft import Draft
from .graph.model import load
from .graph.types import infer
from .measure.changes.diff import diff as changed
from .measure.checking import check as check_room
from .measure.costs.cost import cost
from .measure.inputs.draw import require_sensible
from .measure.inputs.ranges import Asked
from .measure.latency import bench as bench_room
from .measure.latency import full
from .passes.distance import distances
from .passes.engine import inspect_sites
from .passes.request import asked_target, for_target
from .proving import units_of, within
from .report import budgets
from .report.report import Report
from .reporting import failed, with_costs, with_predictions
from .rewriting import rewrite

__all__ = ["Progress", "Source", "bench", "check", "diff", "inspect", "rewrite", "verify"]


def check(
    a: Source,
    b: Source,
    *,
    providers: Sequence[str] | None = None,
    require_all_nodes_on: str | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
    input_range: Mapping[str, Asked] | None = None,
    seed: int = 0,
    seeds: int | None = None,
    check_budget: float | None = None,
    save_failing: str | os.PathLike[str] | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    tol: Mapping[str, Mapping[str, float]] | None = None,
    signed_zeros: bool = False,
    bench: bool = False,
    threads: int = 1,
    duration: float = 3.0,
    baseline: budgets.Source | None = None,
    fail_on: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Say whether two models with the same interface compute the same; the arguments are those of :func:`rewrite`.

    With ``fail_on="latency>1.05,file_bytes>1.10"`` also whether the second costs more than so many times what it did in
    ``baseline``, an earlier report: its JSON file, or its ``to_dict()``. A latency makes it bench.

    Returns:
        The report; ``report.passed`` is the verdict.

    Raises:
        BadInput: A model, the data or the baseline cannot be read.
        BadUsage: The request contradicts itself, or names what is not there.

    >>> check("models/digits_prelu_gemm.onnx", "models/digits_relu_wide.onnx").passed
    True
    """
    gate = budgets.asked_gate(baseline, fail_on)
    progress = journal.telling(progress)
    first, second = load(a), load(b)
    options = input_options(inputs, input_shape, dim, seed, input_range)
    require_sensible(first, options)
    checks = check_room.check(
        first,
        second,
        providers=providers,
        options=options,
        atol=atol,
        rtol=rtol,
        tol=tolerances(tol),
        signed_zeros=signed_zeros,
        whole=require_all_nodes_on,
        effort=effort(seeds, check_budget),
        saving=saving(save_failing, second.name),
        progress=progress,
    )
    report = with_costs(Report("check", first.name, against=second.name, check=checks), first, second, input_shape)
    report = report.with_notes(notes.of_ranges(first, second))
    if (bench or (gate and gate.times)) and not failed(report):
        latency = bench_room.bench(
            first, second, providers=providers, options=options, threads=threads, duration=duration, progress=progress
        )
        report = replace(report, latency=latency)
    return journal.judged(replace(report, budgets=gate.judged(report)) if gate else report)


def verify(certificate: Mapping[str, Any], a: Source, b: Source) -> Report:
    """Say whether a certificate holds of two models, from the models alone: none is run.

    Args:
        certificate: The certificate, as ``rewrite(..., certificate=True)`` makes it, or the JSON of its file.
        a: The model before.
        b: The model after.

    Returns:
        The report, which says ``exact`` or ``within k ulp``.

    Raises:
        BadInput: A model cannot be read.
        NotMet: The certificate does not hold; the message names the site, the node or the unit.
    """
    first, second = load(a), load(b)
    found = verdict(certificate, first, second)
    return Report("check", first.name, against=second.name, notes=(f"the certificate holds: {found}",))


def bench(
    a: Source,
    b: Source,
    *more: Source,
    providers: Sequence[str] | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
    input_range: Mapping[str, Asked] | None = None,
    seed: int = 0,
    threads: int = 1,
    duration: float = 3.0,
    batch: Sequence[int] = (),
    profile: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Say which models are faster than the first, timed side by side, and what a session of each takes.

    The throughput is measured at the sizes in ``batch``, and with ``profile`` the time goes by op type as well; the
    other arguments, and what is raised, are those of :func:`check`.
    """
    progress = journal.telling(progress)
    models = [load(model) for model in (a, b, *more)]
    options = input_options(inputs, input_shape, dim, seed, input_range)
    require_sensible(models[0], options)
    measured = full.bench_in_full(
        models,
        providers=providers,
        options=options,
        threads=threads,
        duration=duration,
        batches=batch,
        by_op=profile,
        progress=progress,
    )
    against = ", ".join(model.name for model in models[1:])
    report = Report("bench", models[0].name, against=against, **vars(measured))
    return report if more else with_costs(report, models[0], models[1], input_shape)


def inspect(
    model: Source,
    *,
    target: str | None = None,
    ops: Sequence[str] | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    also: Sequence[str] = (),
    fix_slopes: bool = False,
    freeze: bool = False,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
    input_range: Mapping[str, Asked] | None = None,
    prove: str | None = None,
) -> Report:
    """List the PReLUs of a model, however they are written, and the forms that each can take.

    Relu layers between linear layers are told with their distance from a PReLU layer: how nearly their units are pairs,
    and what a fold would save if it could be off by so much.

    With a ``target``, or ``ops``, the forms are those that it takes, and each site says whether it fits as it is. With
    an ``input_range``, the report's ``units`` say how many units it proves dead or always on, by ``prove`` and each
    faster way; with ``inputs``, many samples, how many give nothing but 0 on them.

    Raises:
        BadInput: The model or the data cannot be read, or a slope is NaN, infinite or does not broadcast.
        BadUsage: A pattern matches no site, the target or the way to prove is not known, or a range makes no sense.

    >>> inspect("models/digits_relu_wide.onnx").sites[0].possible
    ('fold',)
    """
    scope = scope_of(only, skip, also)
    repaired = repaired_by(load(model), scope, fix_slopes, freeze)
    loaded, taker = repaired.model, asked_target(target, ops)
    draft = Draft(loaded, freeze=freeze)
    options = input_options(None, input_shape, dim, 0, input_range)
    require_sensible(loaded, options)
    units = units_of(draft, within(options.input_range, prove), inputs)
    sizes = known_sizes(loaded, input_shape, dim)
    now = cost(loaded, sizes)
    types = infer(loaded, sizes)
    choices = [
        with_predictions(site, types) for site in inspect_sites(draft, scope, for_target(taker) if taker else None)
    ]
    journal.decided(choices)
    away = tuple(distances(draft, scope))
    report = Report("inspect", loaded.name, sites=tuple(choices), distances=away, before=now, units=units)
    return report.with_notes(notes.of_inspect(report, draft, taker, repaired))


def diff(a: Source, b: Source) -> Report:
    """Say what changed from one model to another: nodes, weights and the rest by name, in every body; nothing is run.

    Returns:
        The report; ``report.diff`` holds the changes. It is no verdict: ``report.passed`` is always true.

    Raises:
        BadInput: A model, or external data of it, cannot be read.

    >>> diff("models/digits_prelu_gemm.onnx", "models/digits_prelu_gemm.onnx").diff.same
    True
    """
    first, second = load(a), load(b)
    report = Report("diff", first.name, against=second.name, diff=changed(first, second))
    return with_costs(report, first, second, None)
