"""Whether two models compute the same, provider by provider."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ...graph.model import Model
from ...graph.types import infer
from ..inputs.apart import farthest
from ..inputs.draw import Feeds, InputOptions, draw
from ..inputs.dtypes import is_float
from ..inputs.harder import harder
from ..providers.placement import listed
from ..providers.runtime import CannotRun, Request, Runner, open_runner, requests
from .blame import Blame, Case, Inside, of_pairs, worst
from .compare import Difference
from .expected import Expected, against_expected
from .failing import Failing, Failure, Saving
from .interface import difference, require_outputs
from .judge import Limits, Output, Rounding, judge, merged, repeats
from .made_nan import held_to_numbers
from .nonfinite import NonFinite, nonfinite, nothing_finite
from .pairs import Pair, PairResult, compare_pair
from .result import Check, notes, verdict, with_numbers
from .rounding.allowed import Explained, steps
from .rounds import Effort, further, require_drawn
from .site_nodes import PutIn, SiteNodes, site_nodes
from .tolerance import Given, Tolerance
from .trials import Trial, trials
from .watch import Coverage, Spread, Watch

__all__ = [
    "Blame", "Check", "Effort", "Expected", "Failing", "Given", "Inside", "NonFinite", "Output", "Pair", "PairResult",
    "PutIn", "Rounding", "Saving", "SiteNodes", "Spread", "Tolerance", "Watch", "check",
]  # fmt: skip

_DEFAULTS = InputOptions()
_NOTHING_KNOWN = Inside()
_ONE_ROUND = Effort()
_FULL_BYTES = 4  # of a float32: narrower types are computed in float32 and rounded where the runtime likes


def check(
    a: Model,
    b: Model,
    *,
    providers: Sequence[str] | None = None,
    options: InputOptions = _DEFAULTS,
    atol: float | None = None,
    rtol: float | None = None,
    tol: Mapping[str, Given] | None = None,
    signed_zeros: bool = False,
    exact: bool = False,
    pairs: Sequence[Pair] = (),
    watch: Sequence[Watch] = (),
    whole: str | None = None,
    put_in: Sequence[PutIn] = (),
    inside: Inside = _NOTHING_KNOWN,
    effort: Effort = _ONE_ROUND,
    saving: Saving | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Check, ...]:
    """Compare two models on the same inputs.

    Args:
        a: The original.
        b: The model that has to compute the same.
        providers: Providers by name, all required; None for the CPU, and CUDA where it truly runs.
        options: Sizes and values of the inputs.
        atol: Allowed difference as a share of the output's largest magnitude. Where neither this nor ``rtol`` is
            given, what rounding explains is allowed; where one is, the other one is the type's own.
        rtol: Allowed difference as a share of each value, added to that.
        tol: Both for single outputs, by name.
        signed_zeros: Fail where only the sign of a zero differs.
        exact: The values have to be equal on the CPU. Where a tolerance is given, that counts instead.
        pairs: Rewritten sites, to be run alone too.
        watch: Tensors of the original of which to tell how many units saw both sides of zero.
        whole: A provider that is required, and has to take every node of the second model.
        put_in: The nodes that were put in at each rewritten site, of which to tell where they ran.
        inside: What is known of the inside of both, besides names: to tell where a difference begins.
        effort: How many rounds of inputs to try.
        saving: Where to save an input on which the models differ; None for nowhere.
        progress: Called with what is being done now.

    Returns:
        One result for each provider. Where the interfaces differ nothing is run, and the required ones have failed.

    Raises:
        BadInput: The given data cannot be read, or do not fit the inputs.
        BadUsage: A shape or dimension is asked for that the model does not have, or a tolerance is given for an
            output that it does not have, or several seeds where nothing is drawn.
    """
    require_drawn(a, options, effort)
    require_outputs(a.proto, tol or {})
    asked = requests(providers, whole)
    apart = difference(a.proto, b.proto)
    if apart is not None:
        return tuple(Check(each.provider, "failed", True, reason=apart) for each in asked if each.required)
    limits = Limits(signed_zeros=signed_zeros, given=Given(atol, rtol), own=tol or {})
    compared = (
        _Comparison(a, b, request, options, limits, exact, inside, effort, saving, progress) for request in asked
    )
    return tuple(each.run(pairs, watch, put_in) for each in compared)


@dataclass(frozen=True)
class _Original:
    """What the original does on a provider."""

    runner: Runner
    options: InputOptions
    feeds: Feeds
    inside: list[Trial]
    outside: list[Trial]
    again: list[Difference]

    @property
    def deterministic(self) -> bool:
        return not any(each.unequal or each.lost or each.patterns for each in self.again)

    def beside(self, model: Model, second: Runner) -> _Original:
        """The same, with further inputs on which the second model is far from it."""
        more = farthest(model, self.options, self.feeds, self.runner, second)
        inside, outside = trials(self.runner, more)
        return replace(self, inside=[*self.inside, *inside], outside=[*self.outside, *outside])


@dataclass(frozen=True)
class _Comparison:
    """Two models of one interface on one provider."""

    a: Model
    b: Model
    request: Request
    options: InputOptions
    limits: Limits
    exact: bool
    inside: Inside
    effort: Effort
    saving: Saving | None
    progress: Callable[[str], None] | None

    def run(self, pairs: Sequence[Pair], watch: Sequence[Watch], put_in: Sequence[PutIn]) -> Check:
        """Compare them, with each site alone, and see which units the inputs reach."""
        provider, required = self.request.provider, self.request.required
        started = time.monotonic()
        self._tell()
        try:
            runner = open_runner(self.a, provider)
            coverage = Coverage(self.a, provider, watch)
            first = self._original(runner, self.options, coverage)
        except CannotRun as refusal:
            return Check(provider, "not_run", required, reason=refusal.reason)
        alone = self._alone(pairs, first.feeds)
        limits = self._limits(self.exact and first.deterministic)
        found = Check(
            provider=first.runner.provider,
            status="failed",
            required=required,
            sizes=first.feeds.sizes,
            deterministic=first.deterministic,
            pairs=alone,
            blame=of_pairs(alone),
        )
        self._tell()
        try:
            second = open_runner(self.b, provider)
        except CannotRun as refusal:
            return replace(found, reason=_only_first(refusal))
        rows: tuple[Output, ...] = ()
        fused: tuple[str, ...] = ()
        kinds: Counter[str] = Counter()
        strange, seeds = NonFinite(), 0
        try:
            for original in self._rounds(first, coverage, started):
                seeds += 1
                original = original.beside(self.a, second)
                kinds.update(trial.kind for trial in original.inside)
                explained = self._explained(original)
                others, fused = self._judged(original, second, limits, alone, explained, fused)
                rows = tuple(map(merged, rows, others)) if rows else others
                strange += nonfinite(
                    self.a, self.b, original.inside, original.outside, runner, second, original.feeds.drawn
                )
                coverage.add(trial.feed for trial in original.inside)
                if any(row.failure and not row.random for row in rows):
                    break
        except CannotRun as refusal:
            return replace(found, reason=_only_first(refusal), failing=self._saved(original, second, limits))
        found = replace(found, batches=kinds.total(), kinds=dict(kinds), seeds=seeds, spread=coverage.spreads())
        expected = tuple(against_expected(original.feeds.expected, runner, second, limits))
        status, reason = verdict(rows, alone, expected, nothing_finite(first.feeds))
        blame, unknown = self._blame(rows, original, second, limits, alone, explained)
        cut = () if any(row.failure for row in rows) else self.effort.notes(seeds)
        told = *notes(rows, alone, original.deterministic), *cut, *fused, *strange.notes(), *coverage.notes(), *unknown
        found = replace(
            found, status=status, reason=reason, expected=expected, blame=blame, nonfinite=strange, notes=told
        )
        if any(row.failure and not row.random for row in rows):
            found = replace(found, failing=self._saved(original, second, self.limits if fused else limits))
        return with_numbers(self._placed(found, second, put_in), rows)

    def _placed(self, found: Check, second: Runner, put_in: Sequence[PutIn]) -> Check:
        """The check with where the nodes of the second model ran, and with its verdict where all had to run here."""
        away = second.elsewhere
        sites = site_nodes(put_in, second.placed)
        found = replace(found, nodes=second.nodes, elsewhere=away, site_nodes=sites)
        if not (self.request.whole and away and found.status == "passed"):
            return found
        reason = f"of {len(second.placed or ()):,} nodes of the second model others took {len(away):,}: {listed(away)}"
        return replace(found, status="not_run", reason=reason)

    def _judged(
        self,
        original: _Original,
        second: Runner,
        limits: Limits,
        alone: Sequence[PairResult],
        explained: Sequence[Explained],
        said: tuple[str, ...],
    ) -> tuple[tuple[Output, ...], tuple[str, ...]]:
        """How the second model compares on one round of inputs, and what else is to be said, after what was said."""
        rows = judge(original.inside, original.runner.outputs, second, limits, explained)
        rows, fused = self._without_fusion(original, second, rows, alone, explained)
        rows = held_to_numbers(rows, original.inside, original.runner, second)
        rows = tuple(replace(row, random=again.excess > 1) for row, again in zip(rows, original.again, strict=True))
        return rows, tuple(dict.fromkeys((*said, *fused)))

    def _rounds(self, first: _Original, coverage: Coverage, started: float) -> Iterator[_Original]:
        """The original on each round of inputs; a further one on which it does not run is left out."""
        yield first
        total = f" of {self.effort.seeds}" if self.effort.seeds else ""
        for count, options in enumerate(further(self.options, first.feeds, self.effort, started), 2):
            self._tell(f", seed {count}{total}")
            try:
                original = self._original(first.runner, options, coverage)
            except CannotRun:
                continue
            yield original

    def _saved(self, original: _Original, second: Runner, limits: Limits) -> Failing | None:
        if self.saving is None:
            return None
        self._tell(", making a failing input small")
        ranges = original.feeds.ranges
        failure = Failure(self.a, self.b, original.runner, second, limits, original.deterministic, ranges)
        return failure.saved(original.inside, self.saving)

    def _without_fusion(
        self,
        original: _Original,
        second: Runner,
        rows: tuple[Output, ...],
        alone: Sequence[PairResult],
        explained: Sequence[Explained],
    ) -> tuple[tuple[Output, ...], tuple[str, ...]]:
        """What is promised of forms, not of what a runtime fuses around them.

        Where values should be equal and are not, the sites alone are, and so are both models when nothing is fused
        (below float32 the runtime computes in float32 and rounds where it likes, so there is no such run), then
        the tolerance decides.
        """
        failed = [row for row in rows if row.failure and row.equal and is_float(np.dtype(row.dtype))]
        if not failed or any(pair.status == "failed" for pair in alone):
            return rows, ()
        loose = judge(original.inside, original.runner.outputs, second, self.limits, explained)
        plain, plain_second = (open_runner(model, self.request.provider, optimize=False) for model in (self.a, self.b))
        trials_ = [replace(trial, expected=plain.run(trial.feed)) for trial in original.inside]
        unfused = judge(trials_, plain.outputs, plain_second, replace(self.limits, exact=True))
        if any(row.failure for row in unfused if np.dtype(row.dtype).itemsize >= _FULL_BYTES):
            return rows, ()
        note = "with nodes fused the runtime rounds otherwise; without, all values are equal, as each site's alone are"
        return loose, (note,)

    def _blame(
        self,
        rows: Sequence[Output],
        original: _Original,
        second: Runner,
        limits: Limits,
        alone: Sequence[PairResult],
        explained: Sequence[Explained],
    ) -> tuple[Blame | None, tuple[str, ...]]:
        """Where the first wrong output begins to be wrong; and a note where that cannot be looked for."""
        wrong = next((row for row in rows if row.failure and not row.random), None)
        if wrong is None:
            return of_pairs(alone), ()
        self._tell(", where the difference begins")
        limits = replace(limits, exact=limits.exact and wrong.equal)
        trial = worst(original.inside, wrong, original.runner.outputs, second, limits, explained)
        inside = replace(limits, given=limits.of(wrong.name), own={})
        seed = self.options.seed if explained else None
        case = Case(self.a, self.b, self.request.provider, trial, inside, self.inside, alone, seed)
        blame, note = case.blame(wrong)
        return blame, () if note is None else (note,)

    def _tell(self, what: str = "") -> None:
        if self.progress is not None:
            self.progress(f"check on {self.request.provider}{what}")

    def _limits(self, exact: bool) -> Limits:
        """With equal bits where they are promised, which is on the CPU."""
        return replace(self.limits, exact=exact and self.request.provider == "cpu")

    def _explained(self, original: _Original) -> Sequence[Explained]:
        """What rounding explains; nobody knows of an original that does not repeat itself."""
        if not original.deterministic:
            return ()
        return steps(self.a, self.b, self.request.provider, original.inside, self.options.seed)

    def _original(self, runner: Runner, options: InputOptions, coverage: Coverage) -> _Original:
        feeds = harder(self.a, options, draw(self.a, options, runner), coverage.probe)
        inside, outside = trials(runner, feeds)
        again = repeats(inside[0], runner.run(inside[0].feed), runner.outputs, self.limits)
        return _Original(runner, options, feeds, inside, outside, again)

    def _alone(self, pairs: Sequence[Pair], feeds: Feeds) -> tuple[PairResult, ...]:
        known = cache(lambda: infer(self.a, feeds.sizes))
        results = []
        for count, pair in enumerate(pairs, 1):
            self._tell(f", site {count} of {len(pairs)} alone")
            limits = self._limits(pair.exact)
            results.append(compare_pair(pair, self.request.provider, limits, known, self.options.seed))
        return tuple(results)


def _only_first(refusal: CannotRun) -> str:
    return f"the first model runs, but the second does not: {refusal.reason}"
