"""The form to quantize: every form at all sites, through static quantization, judged by noise and by time.

PRelu, Max and Neg fall back to float between a DequantizeLinear and a QuantizeLinear; Relu is absorbed into the Conv
before it, and each Mul and Add of ``skip`` is quantized on its own. So the form decides what int8 costs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import BadUsage, NotMet
from ..graph.draft import Draft
from ..graph.model import Model
from ..measure.inputs.samples import samples
from ..measure.inputs.spec import specs
from ..measure.int8.quantize import by_channel, quantized, sqnr
from ..measure.latency.race import race
from ..measure.latency.timing import clock_for
from ..measure.providers.runtime import CannotRun, open_runner
from ..passes.catalogue import FAST_PLANNERS
from ..passes.choose import Policy
from ..passes.sites import Site
from ..remake import Remade
from .fast import Make, runtime

FORMS: tuple[str, ...] = ("leakyrelu", "split", "skip", "mirror-min", "mirror", "max", *FAST_PLANNERS)
"""The forms that are tried, each at all sites that can take it."""

AS_IT_IS = "as it is"
"""The candidate of which no site is changed."""

NEAR = 1.05
"""So much slower than the fastest may be what is chosen for its SQNR."""

_STAYS = "in int8 it is best as it is, or the form does not apply"

_SECONDS = 1.5  # of timing, for each candidate


@dataclass(frozen=True)
class Candidate:
    """A form, quantized. Numbers are None where it could not be.

    Attributes:
        form: The form, or :data:`AS_IT_IS`.
        sqnr_db: How much stronger the float model's outputs are than what quantization added to them, in dB.
        ms: Median time of a run, milliseconds.
        ratio: Its time over that of the model quantized as it is.
        low: Lower end of the ratio's interval.
        high: Its upper end.
        chosen: Whether it was chosen.
        reason: Why there are no numbers.
    """

    form: str
    sqnr_db: float | None = None
    ms: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    chosen: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Int8:
    """How the form to quantize was chosen.

    Attributes:
        candidates: What was tried.
        calibrated: Samples that the ranges were taken from.
        by_channel: Whether weights have a scale for each channel, which opset 13 brought.
        judged: Samples that the noise was measured on, other ones where there are several.
        min_sqnr: The SQNR that was demanded, in dB; None where the best one near the fastest was.
        runtime: The runtime, in words.
        provider: Where it was timed.
        threads: Threads that it was timed with.
    """

    candidates: tuple[Candidate, ...]
    calibrated: int
    judged: int
    by_channel: bool
    min_sqnr: float | None
    runtime: str
    provider: str
    threads: int


@dataclass(frozen=True)
class Chosen:
    """The form that was chosen: the float model in that form, what became of it, and all that was tried."""

    remade: Remade
    quantized: Model
    int8: Int8


def choose(
    model: Model,
    make: Make,
    feeds: Sequence[dict[str, NDArray[Any]]],
    *,
    min_sqnr: float | None,
    exact: bool,
    provider: str,
    threads: int,
    progress: Callable[[str], None],
) -> Chosen:
    """Choose the form of a model to quantize.

    Args:
        model: The float model.
        make: Makes another of it.
        feeds: What it will be fed: the first half gives the ranges, the second half is judged.
        min_sqnr: Take the fastest of at least this SQNR, in dB; None takes the best SQNR within 5 % of the fastest.
        exact: Only forms of equal bits.
        provider: Where it will run.
        threads: Threads that it will run with.
        progress: Told what is being tried.

    Raises:
        NotMet: Nothing could be quantized, or nothing reaches the SQNR.
    """
    half = (len(feeds) + 1) // 2
    calibrating, judging = feeds[:half], feeds[half:] or feeds
    open_on = partial(open_runner, provider=provider, threads=threads, checking=False)
    results: dict[str, tuple[Remade, Model]] = {}
    candidates: list[Candidate] = []
    for form, remade in _distinct(model, make, exact):
        progress(f"int8: {form}")
        try:
            small = quantized(remade.result, calibrating)
            noise = sqnr(open_on(model), open_on(small), judging)
        except CannotRun as refusal:
            candidates.append(Candidate(form, reason=refusal.reason))
        else:
            results[form] = (remade, small)
            candidates.append(Candidate(form, noise))
    if not results:
        raise NotMet(f"the model cannot be quantized: {candidates[0].reason}")
    progress(f"int8: timing {', '.join(results)}")
    openers = [partial(open_on, small) for _, small in results.values()]
    standings = race(openers, judging[:8], _SECONDS * len(openers), clock=clock_for(provider, threads))
    times = dict(zip(results, standings, strict=True))
    timed = [
        replace(each, ms=times[each.form].ms, ratio=times[each.form].ratio, low=times[each.form].low,
                high=times[each.form].high) if each.form in times else each
        for each in candidates
    ]  # fmt: skip
    form = best(timed, min_sqnr)
    told = tuple(replace(each, chosen=each.form == form) for each in timed)
    remade, small = results[form]
    result = Int8(told, len(calibrating), len(judging), by_channel(small), min_sqnr, runtime(), provider, threads)
    return Chosen(remade, small, result)


def _distinct(model: Model, make: Make, exact: bool) -> list[tuple[str, Remade]]:
    """The forms that make a model of their own, beginning with the model as it is."""
    found: dict[object, tuple[str, Remade]] = {}
    for form in (AS_IT_IS, *FORMS):
        remade = make(Policy((), preferred=_everywhere(form), stays=_STAYS, exact=exact), layout=())
        outcome = tuple(choice.form for choice in remade.choices) if remade.result is not model else None
        found.setdefault(outcome, (form, remade))
    return list(found.values())


def _everywhere(form: str) -> Callable[[Draft, Site], tuple[str, ...]]:
    return lambda _draft, _site: () if form == AS_IT_IS else (form,)


def best(candidates: Sequence[Candidate], min_sqnr: float | None) -> str:
    """The fastest that is good enough, or the best that is fast enough.

    Args:
        candidates: What was tried; those without numbers are passed over.
        min_sqnr: In dB; None takes the best SQNR within :data:`NEAR` of the fastest.

    Raises:
        NotMet: None is good enough.
    """
    measured = [(each.ratio, each.sqnr_db, each.form) for each in candidates if each.ratio is not None]
    ready = [(ratio, noise, form) for ratio, noise, form in measured if ratio is not None and noise is not None]
    if min_sqnr is not None:
        good = [each for each in ready if each[1] >= min_sqnr]
        if not good:
            best = max(ready, key=lambda each: each[1])
            raise NotMet(f"no form reaches {min_sqnr:g} dB: the best is {best[2]}, with {best[1]:.1f} dB")
        return min(good)[2]
    limit = NEAR * min(ready)[0]
    return max((each for each in ready if each[0] <= limit), key=lambda each: each[1])[2]


def samples_for(
    purpose: str | None,
    model: Model,
    inputs: Path | str | os.PathLike[str] | Mapping[str, NDArray[Any]] | None,
    dim: Mapping[str, int],
) -> list[dict[str, NDArray[Any]]]:
    """The samples to quantize on.

    Args:
        purpose: What the model is for: ``"int8"``.
        model: The model.
        inputs: An npz file or arrays, many samples along the first axis.
        dim: Sizes of dimensions; that of the first axis is the batch.

    Raises:
        BadUsage: The purpose is not known, or there are no samples: ranges of drawn values say nothing.
        BadInput: They cannot be read, or do not fit.
    """
    if purpose != "int8":
        if purpose is not None:
            raise BadUsage(f"--for {purpose} is not known", todo="take --for int8")
        raise BadUsage("--min-sqnr and --quantized-out are about quantizing", todo="add --for int8")
    if inputs is None:
        raise BadUsage("--for int8 takes the ranges of tensors from data", todo="give --inputs data.npz, many samples")
    wanted = specs(model.proto)
    first = {spec.shape[0] for spec in wanted if spec.shape}
    batch = max((dim[name] for name in first if isinstance(name, str) and name in dim), default=1)
    return samples(inputs, wanted, batch)
