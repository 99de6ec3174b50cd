"""What the user says of the inputs, their ranges and data, made into what is proven and counted of units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .algebra.bounds import Box
from .errors import BadUsage
from .graph.draft import Draft
from .measure.checking.silent import silent_units
from .measure.checking.tolerance import Given
from .measure.checking.watch import Watch
from .measure.inputs.ranges import Range
from .measure.inputs.samples import samples
from .measure.inputs.spec import specs
from .passes.approximate import bounds_of
from .passes.plan import Plan
from .passes.stable import Units, counted_units, layered
from .passes.within import Within, in_words, known_tier, spans
from .report.report import Report


def within(ranges: Mapping[str, Range], prove: str | None, *, idle: str = "") -> Within:
    """What proofs take for granted.

    Args:
        ranges: Ranges of inputs.
        prove: How to find bounds; None for the default.
        idle: Why nothing is proven at all, where that is so.

    Raises:
        BadUsage: There is no such way to find bounds, or it is asked for where nothing is proven.
    """
    if prove is not None and idle:
        raise BadUsage(f"--prove has no meaning here: {idle}", todo="leave it out, or take --to prelu")
    boxes = {name: Box(*np.broadcast_arrays(each.low, each.high)) for name, each in ranges.items()}
    return Within(boxes, known_tier(prove))


def limited(report: Report, plans: Sequence[Plan], known: Within) -> Report:
    """The report of a rewrite, with the ranges within which alone it is right, where there are such."""
    labels = [plan.node.label for plan in plans if plan.limited]
    if not labels:
        return report
    note = f"right only for inputs with {in_words(known.given)}, as the model's metadata say: {', '.join(labels)}"
    return replace(report.with_notes([note]), within=spans(known.given))


def require_slope_tolerance(tolerance: float | None, *, folds: bool, certificate: bool) -> None:
    """Refuse a slope tolerance that is none, or has no meaning where it is given.

    Args:
        tolerance: By which share pairs may be off; None for none.
        folds: Whether layers are folded at all.
        certificate: Whether a certificate is asked for.

    Raises:
        BadUsage: It is no share, or nothing is folded, or a certificate would have to cover it.
    """
    if tolerance is None:
        return
    if not 0 < tolerance < 1:
        raise BadUsage(f"--slope-tolerance {tolerance:g} is no share", todo="give one above 0 and below 1, like 1e-3")
    if not folds:
        raise BadUsage(
            "--slope-tolerance has no meaning here: it is about the pairs of --to prelu", todo="leave it out"
        )
    if certificate:
        text = "--certificate says what is exact up to roundings, and --slope-tolerance allows more"
        raise BadUsage(text, todo="leave one of them out")


def bounded(report: Report, plans: Sequence[Plan]) -> Report:
    """The report of a rewrite, with how far outputs are off where pairs are approximate."""
    labels = [plan.node.label for plan in plans if plan.bound]
    if not labels:
        return report
    told = ", ".join(f"{name} by {bound:.3g}" for name, bound in bounds_of(plans).items())
    note = f"approximate pairs: in real numbers outputs are off by no more than {told}, which the check allows besides"
    return report.with_notes([f"{note} rounding: {', '.join(labels)}"])


def allowed(plans: Sequence[Plan], tol: Mapping[str, Given], overall: Given) -> dict[str, Given]:
    """What a check allows at single outputs: what the user says, and the bounds of approximate pairs besides."""
    bounds = bounds_of(plans)
    return {**tol, **{name: replace(tol.get(name, overall), bound=bound) for name, bound in bounds.items()}}


def units_of(
    draft: Draft,
    known: Within,
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None,
    batch: int = 1,
) -> tuple[Units, ...] | None:
    """What is proven of each activation behind a linear layer, and counted on data.

    Args:
        draft: The draft of the model's graph.
        known: What proofs take for granted.
        inputs: Many samples, an npz file or arrays; None for none.
        batch: How many samples are run together where the model leaves that open.

    Returns:
        One entry an activation; None where nothing was given and nothing is proven.

    Raises:
        BadInput: The data cannot be read, or the model does not run on them.
    """
    found = counted_units(draft, known.given, known.tier)
    if inputs is not None:
        feeds = samples(inputs, specs(draft.model.proto), batch)
        watch = [Watch(node.label, node.outputs[0], layer.output.axis) for node, layer, _ in layered(draft)]
        silent = silent_units(draft.model, watch, feeds)
        found = tuple(replace(units, silent=silent.get(units.node)) for units in found)
    told = bool(known.given) or inputs is not None or any(_any(units) for units in found)
    return found if found and told else None


def _any(units: Units) -> bool:
    return any(each.dead or each.on or each.negative for each in units.proven)
