"""rewrite: the edit, its check, its price, in one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import journal, notes
from .arguments import (
    Progress,
    Source,
    dims,
    effort,
    input_options,
    repaired_by,
    require_use,
    saving,
    scope_of,
    tolerances,
)
from .certificate.certify import certified, require_certifiable
from .checked import checked
from .errors import BadUsage, NotMet
from .graph.model import load, save
from .graph.walk import uses
from .measure.checking.tolerance import Given
from .measure.inputs.draw import require_sensible
from .measure.inputs.ranges import Asked
from .measure.latency import bench as bench_room
from .passes.drawing import with_drawings
from .passes.request import Forms, Request, asked_target, decide
from .proving import allowed, bounded, limited, require_slope_tolerance, within
from .remake import Remade, remake
from .report import demands
from .report.report import Report
from .reporting import failed, raise_unless_passed, with_costs
from .retry import require_on_fail, without_blamed
from .rewritten import Rewrite
from .tuning import int8
from .tuning.fast import Fast, Tuning, Wishes, provider_of


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
    input_range: Mapping[str, Asked] | None = None,
    prove: str | None = None,
    seed: int = 0,
    seeds: int | None = None,
    check_budget: float | None = None,
    save_failing: str | os.PathLike[str] | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    tol: Mapping[str, Mapping[str, float]] | None = None,
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
    certificate: bool = False,
    slope_tolerance: float | None = None,
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
        inputs: What to feed in place of random inputs: an npz file, arrays by input, or a folder of npz files, of npy
            files or of ONNX test data, whose outputs both models are compared with.
        input_shape: Shapes of inputs, by name.
        dim: Values of symbolic dimensions, by name; of several values for one, ``to="fast"`` is tuned for all, and
            the first is checked and timed.
        input_range: The lowest and the highest value of random inputs, by name: numbers, arrays that broadcast to the
            input, or an npz file with arrays ``low`` and ``high``.
        prove: With ``to="prelu"``, how to prove units dead or always on: ``"interval"``, ``"symbolic"``, or
            ``"bisect"``. Dead ones go; a layer of linear ones is merged. What takes an ``input_range`` for granted is
            right within it only, and the report and the model's metadata say so.
        seed: Of the random inputs.
        seeds: How many seeds to check with, from ``seed`` on; by default one, or as many as ``check_budget`` allows.
        check_budget: Seconds, for each provider, after which no further seed is begun.
        save_failing: Where to save an input on which the check fails, made small, as ONNX test data.
        atol: Absolute tolerance, in units of the output's largest magnitude. Where neither this nor ``rtol`` is given,
            what rounding explains passes; where one is, the other one is the dtype's.
        rtol: Relative tolerance.
        tol: Both for single outputs: ``{"y": {"rtol": 1e-4}}``.
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
        certificate: Make a certificate of the rewrite, which :func:`verify` replays from the two models alone.
        slope_tolerance: With ``to="prelu"``, fold pairs of which up to this share is off, too, once all others are:
            where the inputs' ranges, see ``input_range``, bound how far the outputs are off by that. The report says
            how far, and the check allows it.
        progress: Told what is being done now.

    Raises:
        BadInput: The model or the data cannot be read, or a slope is NaN, infinite or does not broadcast.
        BadUsage: The request contradicts itself, or names what is not there.
        NotMet: ``strict`` or the target is not met, and its ``report`` says where; a version is not possible; no
            form reaches ``min_sqnr``; or a certificate does not cover the form of a site.
        CheckFailed: The check failed; its ``report`` says how.
        ProviderNotRun: A required provider could not run; its ``report`` says why.

    >>> rewrite("models/digits_prelu_gemm.onnx", form="mirror").report.sites[0].exactness
    'equal bits'
    """
    if require_all_nodes_on and not check:
        raise BadUsage("nothing runs unchecked", where="require_all_nodes_on", todo="leave the check on")
    if certificate:
        require_certifiable(fix_slopes=fix_slopes, freeze=freeze)
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
    require_on_fail(on_fail, goal, check=check)
    tried = [input_options(inputs, input_shape, each, seed, input_range) for each in dims(dim)]
    options = tried[0]
    for each in tried:
        require_sensible(loaded, each)
    idle = "" if chosen.folds else "it is about the units of --to prelu"
    known = within(options.input_range, prove, idle=idle)
    folds = chosen.folds and goal != "int8"
    require_slope_tolerance(slope_tolerance, folds=folds, certificate=certificate)
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
        made = remade(chosen.taking(known, slope_tolerance))
    compared = partial(
        checked,
        loaded,
        providers=providers,
        options=options,
        atol=atol,
        rtol=rtol,
        signed_zeros=signed_zeros,
        whole=require_all_nodes_on,
        effort=effort(seeds, check_budget),
        saving=saving(save_failing, None),
        progress=progress,
    )

    def verified(made: Remade) -> Report:
        sites = with_drawings(made.draft, made.decided)
        told = tuning and tuning.of(made)
        report = Report("rewrite", loaded.name, to=goal, sites=sites, tuning=told, int8=small.int8 if small else None)
        report = report.with_notes(notes.of_rewrite(report, made.draft, made.result, to, taker, repaired))
        report = bounded(limited(report, made.plans, known), made.plans)
        unmet = demands.fitting(report) or (demands.strict(report) if strict else None)
        if unmet:
            raise NotMet(unmet, report=replace(with_costs(report, loaded, made.result, input_shape), unmet=unmet))
        return (
            compared(report, made, tol=allowed(made.plans, tolerances(tol), Given(atol, rtol)))
            if check and (made.result is not loaded or providers or require_all_nodes_on)
            else report
        )

    journal.decided(made.choices)
    report = verified(made)
    if on_fail == "refuse-site":
        made, report = without_blamed(made, report, verified)
    result, plans = made.result, made.plans
    proof = certified(loaded, made) if certificate else None
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
    return Rewrite(report, result, None if small is None else small.quantized, proof)
