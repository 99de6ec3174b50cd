"""The fastest forms by measurement: the whole model is timed, since one site's layout is its neighbours' affair.

The search starts from what the heuristic says and from the same form everywhere; then it changes one group of sites, or
one layout rule, at a time, as long as that is clearly faster. At the end the best model has to win against the input
once more, or the input is kept. What is tried is measured by whoever calls, so that the search itself is testable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

CLEAR = 0.015
"""By so much a model has to be faster, or the one before stays: two sessions of one file differ by 1.2 %."""

_FIRST, _LAST = 0.35, 0.2  # of the budget: for the first round, and for the last comparison with the input
_LEAST = 0.5  # seconds for a model in a comparison: below, nothing can be seen
_MOST = 3.0  # and above, nothing more


@dataclass(frozen=True)
class Decisions:
    """What is done to a model, as names.

    Attributes:
        layout: The layout rules, in order.
        forms: The form of each site, by its name; a site that is not named takes what the heuristic says.
    """

    layout: tuple[str, ...] = ()
    forms: Mapping[str, str] = field(default_factory=dict)

    def with_forms(self, sites: Sequence[str], form: str) -> Decisions:
        """The same, but for one form at some sites."""
        return replace(self, forms={**self.forms, **dict.fromkeys(sites, form)})


@dataclass(frozen=True)
class Group:
    """Sites of equal kind and shape, which share one decision.

    Attributes:
        sites: Their names.
        forms: The forms that apply at all of them.
    """

    sites: tuple[str, ...]
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Timed:
    """How long a model takes, over what the model that it was compared with takes.

    Attributes:
        ratio: The median.
        low: Lower end of its interval.
        high: Upper end.
    """

    ratio: float
    low: float
    high: float

    @property
    def faster(self) -> bool:
        """True if it is clearly faster."""
        return self.high < 1 and self.ratio < 1 - CLEAR


@dataclass(frozen=True)
class Trial:
    """Something that was tried.

    Attributes:
        what: What, in words.
        against: What it was compared with.
        timed: What came of it.
    """

    what: str
    against: str
    timed: Timed


@dataclass(frozen=True)
class Tuned:
    """What a search came to.

    Attributes:
        decisions: What is best; None where the input is.
        trials: All that was tried, in order.
        seconds: How long it took.
        interrupted: True if it was stopped before its end.
    """

    decisions: Decisions | None
    trials: tuple[Trial, ...]
    seconds: float
    interrupted: bool = False


class Bench:
    """What the search needs of the outside: models made from decisions, told apart, and timed.

    Args:
        made: A key that is equal for decisions that give equal models, or None where such a model may not be had.
        time: Times the models of some decisions (None is the input) against the first of them, in so many seconds.
    """

    def __init__(
        self,
        made: Callable[[Decisions], object | None],
        time: Callable[[Sequence[Decisions | None], float], Sequence[Timed]],
    ) -> None:
        self.made, self.time = made, time


def tune(
    bench: Bench,
    starts: Mapping[str, Decisions],
    groups: Sequence[Group],
    rules: Sequence[str],
    budget: float,
    progress: Callable[[str], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Tuned:
    """Search for the fastest decisions; an interrupt ends the search with the best so far.

    Args:
        bench: Makes and times models.
        starts: What to begin with, by what it is called.
        groups: What can be changed, the most important one first.
        rules: The layout rules that can be left out, or taken.
        budget: Seconds; a comparison that has begun is finished.
        progress: Told what is being tried.
        clock: Seconds.
    """
    search = _Search(bench, budget, progress, clock)
    try:
        search.first(starts)
        search.refine(groups, rules)
        search.last()
    except KeyboardInterrupt:
        return search.result(interrupted=True)
    return search.result()


class _Search:
    """A search in progress: the best decisions so far, and how it was found."""

    def __init__(
        self, bench: Bench, budget: float, progress: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self.bench, self.budget, self.progress, self.clock = bench, budget, progress, clock
        self.start = clock()
        self.best: Decisions | None = None
        self.name = "the input"
        self.path: dict[str, Decisions] = {}
        self.trials: list[Trial] = []

    def result(self, *, interrupted: bool = False) -> Tuned:
        return Tuned(self.best, tuple(self.trials), self.clock() - self.start, interrupted)

    @property
    def left(self) -> float:
        return self.budget * (1 - _LAST) - (self.clock() - self.start)

    def first(self, starts: Mapping[str, Decisions]) -> None:
        """Compare the starts with the input, and take the fastest."""
        self.compare(starts, self.budget * _FIRST)

    def refine(self, groups: Sequence[Group], rules: Sequence[str]) -> None:
        """Change one thing at a time, until a round of all of them changes nothing or the time is used up."""
        changed = True
        while changed and self.best is not None:
            changed = False
            for candidates in self.changes(groups, rules):
                if self.left < _LEAST * (len(candidates) + 1):
                    return
                changed |= self.compare(candidates, self.left / 3)

    def changes(self, groups: Sequence[Group], rules: Sequence[str]) -> Iterator[dict[str, Decisions]]:
        """What could be changed of the best decisions, as they are when it is their turn."""
        for rule in rules:
            assert self.best is not None
            without = tuple(name for name in self.best.layout if name != rule)
            if rule in self.best.layout:
                yield {f"without {rule}": replace(self.best, layout=without)}
            else:
                taken = tuple(name for name in rules if name == rule or name in self.best.layout)
                yield {f"with {rule}": replace(self.best, layout=taken)}
        for group in groups:
            assert self.best is not None
            where = group.sites[0] + (f" and {len(group.sites) - 1} more" if len(group.sites) > 1 else "")
            yield {f"{form} at {where}": self.best.with_forms(group.sites, form) for form in group.forms}

    def compare(self, candidates: Mapping[str, Decisions], seconds: float) -> bool:
        """Time candidates against the best so far; True if one of them is clearly faster and takes its place."""
        seen = {self.bench.made(self.best) if self.best is not None else None}
        distinct: dict[str, Decisions] = {}
        for name, decisions in candidates.items():
            key = self.bench.made(decisions)
            if key is not None and key not in seen:
                seen.add(key)
                distinct[name] = decisions
        if not distinct:
            return False
        self.progress(f"tune: {', '.join(distinct)}")
        models = len(distinct) + 1
        times = self.bench.time([self.best, *distinct.values()], min(max(seconds, _LEAST * models), _MOST * models))
        named = dict(zip(distinct, times, strict=True))
        self.trials += [Trial(name, self.name, timed) for name, timed in named.items()]
        clear = [name for name, timed in named.items() if timed.faster]
        if not clear:
            return False
        fastest = min(clear, key=lambda name: named[name].ratio)
        self.best, self.name = distinct[fastest], fastest
        self.path[fastest] = distinct[fastest]
        return True

    def last(self) -> None:
        """The best so far, or the first that was, has to be faster than the input once more.

        Of many tries one can be lucky, and a step that was only luck must not cost what was gained before it.
        """
        best = self.best, self.name
        ends = dict.fromkeys((next(iter(self.path), None), self.name))
        finalists = {name: self.path[name] for name in ends if name in self.path}
        self.best, self.name = None, "the input"
        try:
            self.compare(finalists, self.budget - (self.clock() - self.start))
        except KeyboardInterrupt:
            self.best, self.name = best
            raise
