"""How a check and a timing are told, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..measure.providers.placement import listed
from . import words

if TYPE_CHECKING:
    from ..measure.checking.check import Check, Spread
    from ..measure.latency.bench import Latency


Mood = Literal["good", "bad", "open", "plain"]


@dataclass(frozen=True)
class Line:
    """A sentence, how deep it stands, and whether it is good news; ``open`` is what is not known."""

    text: str
    level: int = 0
    mood: Mood = "plain"


def check_lines(check: Check) -> Iterator[Line]:
    """Whether two models compute the same on a provider; then how near, each site alone, and what was not seen."""
    if check.status == "not_run":
        yield Line(f"{check.provider} not run: {check.reason}", mood="open")
    elif check.status == "failed":
        yield Line(f"{check.provider} failed: {check.reason}", mood="bad")
        failing = [f"output '{output.name}' {output.failure}" for output in check.outputs if output.failure]
        failing += [f"site '{pair.node}' {pair.reason}" for pair in check.pairs if pair.status == "failed"]
        begins = check.blame.sentence() if check.blame is not None else None
        failing += [begins] if begins else []
        yield from (Line(line, level=1, mood="bad") for line in failing if line != check.reason)
    else:
        yield Line(f"{check.provider} passed: {_nearness(check)}", mood="good")
    yield from (Line(line, level=1) for line in _details(check))


def _nearness(check: Check) -> str:
    apart = f"max abs {words.number(check.max_abs)}, max rel {words.number(check.max_rel)}"
    apart += f", {words.number(check.max_ulp)} ulp"
    if check.rounding is not None:
        if not check.rounding.reached:
            return "all values equal"
        of = f"{words.number(check.rounding.reached)} of the allowed rounding"
        return f"{apart}; {of} ({words.number(check.rounding.allowed)} where it comes nearest)"
    if check.tolerance is None:
        return "all values equal, as they have to be"
    nearest = max((o for o in check.outputs if o.tolerance is not None), key=lambda o: o.difference.excess)
    share = words.number(nearest.difference.excess)
    limit = f"{check.tolerance.atol:g} of the largest value, and {check.tolerance.rtol:g} of each"
    if nearest.tolerance is not None and nearest.tolerance.bound:
        limit = f"{nearest.tolerance.bound:.3g} as bounded, {limit}"
    return f"{apart}; {share} of the tolerance ({limit})"


def _details(check: Check) -> Iterator[str]:
    if check.batches:
        yield f"{words.counted(check.batches, 'batch', 'batches')} of {words.sizes(check.sizes)}{_kinds(check)}"
    passed = [pair for pair in check.pairs if pair.status == "passed"]
    if passed:
        equal = sum(pair.exact for pair in passed)
        alone = f"{len(passed):,} of {words.counted(len(check.pairs), 'site')} passed alone"
        yield f"{alone}, {equal:,} of them with equal values" if equal else alone
    if check.spread:
        both, units = sum(site.both for site in check.spread), sum(site.units for site in check.spread)
        yield f"{both:,} of {words.counted(units, 'unit')} saw both sides of zero{_fewest(check.spread)}"
    if check.zero_signs:
        yield f"{words.counted(check.zero_signs, 'zero')} differ in sign only"
    if check.nodes is not None and len(check.nodes) > 1:
        taken = ", ".join(f"{count:,} by {provider}" for provider, count in check.nodes.items())
        yield f"nodes of the second model taken: {taken}"
        yield from _sites_there(check)
    if check.elsewhere and check.status == "passed":
        yield f"not on {check.provider}: {listed(check.elsewhere)}"
    yield from _as_expected(check)
    if check.failing is not None:
        small = check.failing
        values = f"{small.nonzero:,} of {words.counted(small.values, 'value')} not 0"
        yield f"a failing input, made small from '{small.kind}' ({words.sizes(small.sizes)}, {values}); once more:"
        yield small.again
    yield from check.notes


def _sites_there(check: Check) -> Iterator[str]:
    """Where the nodes at the rewritten sites ran, as far as that is told; a layer between two sites is of both."""
    if not check.site_nodes:
        return
    ran = Counter[str]()
    for site in check.site_nodes:
        ran.update(site.ran_on)
    untold = sum(site.untold for site in check.site_nodes)
    there = [f"{count:,} by {provider}" for provider, count in ran.items()]
    rest = [f"{untold:,} not told of"] if untold else []
    yield f"nodes put in or changed at the sites: {', '.join(there + rest)}"


def _kinds(check: Check) -> str:
    """What the batches are, where there is more than one kind."""
    seeds = f", by {words.counted(check.seeds, 'seed')}" if check.seeds > 1 else ""
    if len(check.kinds) < 2:
        return seeds
    return f": {', '.join(f'{count:,} {kind}' for kind, count in check.kinds.items())}{seeds}"


def _as_expected(check: Check) -> Iterator[str]:
    """How both models compare with the outputs that data sets come with."""
    both = [each for each in check.expected if each.first is None and each.second is None]
    if both:
        count = f"{len(both):,} of {words.counted(len(check.expected), 'data set')}"
        yield f"both models give the expected outputs of {count}"
    yield from (told for each in check.expected if (told := each.sentence()) is not None)


def _fewest(spread: Sequence[Spread]) -> str:
    least = min(spread, key=lambda site: site.share)
    if least.both == least.units or len(spread) == 1:
        return ""
    return f"; fewest at '{least.node}': {least.both:,} of {least.units:,}"


def latency_lines(latency: Latency) -> Iterator[Line]:
    """Who is faster, by how much and how sure that is; then the times behind it."""
    if latency.status == "not_run":
        yield Line(latency.sentence(), mood="open")
        return
    moods: dict[str | None, Mood] = {"faster": "good", "slower": "bad"}
    yield Line(latency.sentence(), mood=moods.get(latency.verdict, "plain"))
    times = f"{words.milliseconds(latency.before_ms)} before, {words.milliseconds(latency.after_ms)} after"
    far_out = f"; {words.counted(latency.outliers, 'outlier')}" if latency.outliers else ""
    pairs = f"{words.counted(latency.pairs, 'pair')} of runs"
    shows = f"; {words.percent(latency.detectable)} or more would show" if latency.detectable is not None else ""
    yield Line(f"{times}; {pairs}; noise {words.percent(latency.noise)}{shows}{far_out}", level=1)
