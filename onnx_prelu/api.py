"""inspect, rewrite, check, bench and diff: whatever the command line does, one of these does in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from . import journal, notes
from .arguments import dims, input_options, known_sizes, repaired_by, require_use, scope_of
from .checked import checked
from .errors import BadUsage, NotMet
from .graph.draft import Draft
from .graph.model import Model, load, save
from .graph.types import infer
from .graph.walk import uses
from .measure.changes.diff import diff as changed
from .measure.checking import check as check_room
from .measure.costs.cost import cost
from .measure.inputs.draw import require_sensible
from .measure.latency import bench as bench_room
from .measure.latency import full
from .passes.drawing import with_drawings
from .passes.engine import inspect_sites
from .passes.request import Forms, Request, asked_target, decide, for_target
from .remake import Remade, remake
from .report import budgets, demands
from .report.report import Report
from .reporting import failed, raise_unless_passed, with_costs, with_predictions
from .retry import require_on_fail, without_blamed
from .rewritten import Rewrite
from .tuning import int8
from .tuning.fast import Fast, Tuning, Wishes, provider_of

Source: TypeAlias = str | os.PathLike[str] | onnx.ModelProto | gs.Graph | Model
"""A model: a path, a ModelProto, a graphsurgeon graph, or one that is loaded already. It is never changed."""

Progress: TypeAlias = Callable[[str], None]
"""Called with what is being done now."""


def rewrite(
    model: Source,
    *,
    to: str = "auto",
    form: Forms = None,
    slope_in: str = "consumer",
    target: str | None = None,
    ops: Sequence[str] | None = None,
    slope_shape: str | None = None,
    opset: int | None = None,
    ir_version: int | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    also: Sequence[str] = (),
    simplify: bool = True,
    fix_slopes: bool = False,
    strict: bool = False,
    freeze: bool = False,
    providers: Sequence[str] | None = None,
    require_all_nodes_on: str | None = None,
    check: bool = True,
    bench: bool = False,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int | Sequence[int]] | None = None,
    seed: int = 0,
    atol: float | None = None,
    rtol: float | None = None,
    signed_zeros: bool = False,
    keep_failed: bool = False,
    on_fail: str = "fail",
    threads: int = 1,
    duration: float = 3.0,
    tune: bool = True,
    budget: float = 60.0,
    layout: bool = True,
    exact: bool = False,
    max_growth: float = 1.10,
    plan: str | os.PathLike[str] | None = None,
    purpose: str | None = None,
    min_sqnr: float | None = None,
    quantized_out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Rewrite:
    """Exchange PReLU for ReLU or ReLU for PReLU, and check the result against the original.

    Args:
        model: The model; it is never changed.
        to: ``"relu"``, ``"prelu"``, or ``"auto"``: relu where a PRelu is present, otherwise prelu. ``"fast"``: whatever
            is fastest on the first of the providers, and never slower (docs/fast.md).
        form: The form to prefer; where it does not apply, a site takes mirror. ``["head/*=split", "mirror"]`` or
            ``{"head/*": "split", "*": "mirror"}`` says it by site: exact names first, then globs in order.
        slope_in: Where split puts the slope: ``"consumer"`` or ``"producer"``.
        target: What has to take the sites: each gets the form of fewest nodes that fits (docs/targets.md).
        ops: The same with a list of ops in place of a known target.
        slope_shape: The shape to write the slopes of PRelus in: ``"scalar"``, ``"1d"``, ``"c11"`` or ``"full"``.
        opset: The opset to write, where every op of the model is the same in both.
        ir_version: The IR version to write, where it can hold what the model holds.
        only: Sites to rewrite, by exact name first, then as globs; all by default.
        skip: Sites to leave.
        also: Ops that count as PReLUs though they have a name of their own: ``"Abs"``, the PReLU of slope −1.
        simplify: Whether slopes that are all 0 or all 1 become Relu and Identity, whatever form is asked for.
        fix_slopes: At the sites to rewrite, repair slopes (C,) that were meant for the channels and fit nowhere, and
            store slopes that repeat themselves in their smallest shape. What follows is compared with the model with
            its slopes repaired.
        strict: Fail where a site is refused, or takes another form than the one asked for.
        freeze: Take initializers that a caller could override as constants; they are no inputs any more.
        providers: Execution providers to check and measure on, all required; by default the CPU, and CUDA where
            it truly runs.
        require_all_nodes_on: A provider that is required as well, and has to take every node of the result.
        check: Compare the result with the original.
        bench: Time both.
        inputs: An npz file or arrays to feed, by input name.
        input_shape: Shapes of inputs, by name.
        dim: Values of symbolic dimensions, by name; of several values for one, ``to="fast"`` is tuned for all, and
            the first is checked and timed.
        seed: Of the random inputs.
        atol: Absolute tolerance, in units of the output's largest magnitude; by default the dtype's.
        rtol: Relative tolerance; by default the dtype's.
        signed_zeros: Count a differing sign of zero as a difference.
        keep_failed: Return the result even where its check failed.
        on_fail: ``"refuse-site"``: where the check fails, leave the site that is to blame as it is and try again, until
            the check passes or no site is to blame. With ``strict``, such a site is a failure.
        threads: Intra-op threads for timing.
        duration: Seconds of timing for each provider.
        tune: For ``to="fast"``: time whole models, rather than believe the heuristic.
        budget: Seconds of tuning.
        layout: For ``to="fast"``: allow the rules that change the layout of what stands around the sites.
        exact: For ``to="fast"``: only forms of equal bits.
        max_growth: For ``to="fast"``: how large the file may become, over what it is; 64 KiB more is always allowed.
        plan: For ``to="fast"``: a file that holds the decisions. Where it exists they are made again, without
            measuring; else it is written.
        purpose: ``"int8"``: the form to quantize, chosen by noise and time on ``inputs``, many samples (docs/fast.md).
        min_sqnr: For ``purpose="int8"``: take the fastest of at least this SQNR in dB, in place of the best one near
            the fastest.
        quantized_out: For ``purpose="int8"``: where to write the quantized model.
        progress: Told what is being done now.

    Raises:
        BadInput: The model or the data cannot be read, or a slope is NaN, infinite or does not broadcast.
        BadUsage: The request contradicts itself, or names what is not there.
        NotMet: ``strict`` or the target is not met, and its ``report`` says where; a version is not possible; or no
            form reaches ``min_sqnr``.
        CheckFailed: The check failed; its ``report`` says how.
        ProviderNotRun: A required provider could not run; its ``report`` says why.

    >>> rewrite("models/digits_prelu_gemm.onnx", form="mirror").report.sites[0].exactness
    'equal bits'
    """
    if require_all_nodes_on and not check:
        raise BadUsage("nothing runs unchecked", where="require_all_nodes_on", todo="leave the check on")
    progress = journal.telling(progress)
    scope = scope_of(only, skip, also)
    repaired = repaired_by(load(model), scope, fix_slopes, freeze)
    loaded = repaired.model
    taker = asked_target(target, ops)
    request = Request(to, form, slope_in, taker, slope_shape, simplify)
    chosen, goal = decide(request, has_prelu=uses(loaded.proto, "PRelu"))
    require_use(goal, form, purpose, to, plan=plan is not None, exact=exact, no_tune=not tune, no_layout=not layout)
    remade = partial(remake, loaded, scope=scope, opset=opset, ir_version=ir_version, freeze=freeze)
    tuning: Tuning | None = None
    fast: Fast | None = None
    small: int8.Chosen | None = None
    if purpose is not None or min_sqnr is not None or quantized_out is not None:
        feeds = int8.samples_for(purpose, loaded, inputs, dims(dim)[0])
        inputs, goal = feeds[0], "int8"
    require_on_fail(on_fail, goal)
    tried = [input_options(inputs, input_shape, each, seed) for each in dims(dim)]
    options = tried[0]
    for each in tried:
        require_sensible(loaded, each)
    if goal == "int8":
        small = int8.choose(
            loaded,
            remade,
            feeds,
            min_sqnr=min_sqnr,
            exact=exact,
            provider=provider_of(providers),
            threads=threads,
            progress=progress,
        )
        made = small.remade
    elif goal == "fast" and form is None:
        wishes = Wishes(tune, budget, layout, exact, max_growth, None if plan is None else Path(plan), threads)
        fast = Fast(loaded, remade, scope, wishes, tried, provider_of(providers), progress)
        made, tuning = fast.decided()
    else:
        made = remade(chosen)
    compared = partial(
        checked,
        loaded,
        providers=providers,
        options=options,
        atol=atol,
        rtol=rtol,
        signed_zeros=signed_zeros,
        whole=require_all_nodes_on,
        progress=progress,
    )

    def verified(made: Remade) -> Report:
        sites = with_drawings(made.draft, made.decided)
        told = tuning and tuning.of(made)
        report = Report("rewrite", loaded.name, to=goal, sites=sites, tuning=told, int8=small.int8 if small else None)
        report = report.with_notes(notes.of_rewrite(report, made.draft, made.result, to, taker, repaired))
        unmet = demands.fitting(report) or (demands.strict(report) if strict else None)
        if unmet:
            raise NotMet(unmet, report=replace(with_costs(report, loaded, made.result, input_shape), unmet=unmet))
        return (
            compared(report, made)
            if check and (made.result is not loaded or providers or require_all_nodes_on)
            else report
        )

    journal.decided(made.choices)
    report = verified(made)
    if on_fail == "refuse-site":
        made, report = without_blamed(made, report, verified)
    result, plans = made.result, made.plans
    report = with_costs(report, loaded, result, input_shape)
    if bench and plans and not failed(report):
        latency = bench_room.bench(
            loaded, result, providers=providers, options=options, threads=threads, duration=duration, progress=progress
        )
        if providers is None:  # nobody asked for a provider: what cannot be timed there was not required
            latency = tuple(replace(each, required=each.status != "not_run") for each in latency)
        report = replace(report, latency=latency)
    raise_unless_passed(journal.judged(report), keep_failed=keep_failed)
    if fast is not None and tuning is not None:
        fast.save_plan(made, tuning)
    if small is not None and quantized_out is not None:
        report = report.with_notes(save(small.quantized, quantized_out, protect=loaded.read))
    return Rewrite(report, result, None if small is None else small.quantized)


def check(
    a: Source,
    b: Source,
    *,
    providers: Sequence[str] | None = None,
    require_all_nodes_on: str | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
    seed: int = 0,
    atol: float | None = None,
    rtol: float | None = None,
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
    options = input_options(inputs, input_shape, dim, seed)
    require_sensible(first, options)
    checks = check_room.check(
        first,
        second,
        providers=providers,
        options=options,
        atol=atol,
        rtol=rtol,
        signed_zeros=signed_zeros,
        whole=require_all_nodes_on,
        progress=progress,
    )
    report = with_costs(Report("check", first.name, against=second.name, check=checks), first, second, input_shape)
    if (bench or (gate and gate.times)) and not failed(report):
        latency = bench_room.bench(
            first, second, providers=providers, options=options, threads=threads, duration=duration, progress=progress
        )
        report = replace(report, latency=latency)
    return journal.judged(replace(report, budgets=gate.judged(report)) if gate else report)


def bench(
    a: Source,
    b: Source,
    *more: Source,
    providers: Sequence[str] | None = None,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
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
    options = input_options(inputs, input_shape, dim, seed)
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
    input_shape: Mapping[str, Sequence[int]] | None = None,
    dim: Mapping[str, int] | None = None,
) -> Report:
    """List the PReLUs of a model, however they are written, and the forms that each can take.

    With a ``target``, or ``ops``, the forms are those that it takes, and each site says whether it fits as it is.

    Raises:
        BadInput: The model cannot be read, or a slope is NaN, infinite or does not broadcast.
        BadUsage: A pattern matches no site, or the target is not known.

    >>> inspect("models/digits_relu_wide.onnx").sites[0].possible
    ('fold',)
    """
    scope = scope_of(only, skip, also)
    repaired = repaired_by(load(model), scope, fix_slopes, freeze)
    loaded, taker = repaired.model, asked_target(target, ops)
    draft = Draft(loaded, freeze=freeze)
    sizes = known_sizes(loaded, input_shape, dim)
    now = cost(loaded, sizes)
    types = infer(loaded, sizes)
    choices = [
        with_predictions(site, types) for site in inspect_sites(draft, scope, for_target(taker) if taker else None)
    ]
    journal.decided(choices)
    report = Report("inspect", loaded.name, sites=tuple(choices), before=now)
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
