"""Where a difference begins: the first tensor inside two models that differs, and the rewritten site that it is due to.

Tensors that both models have are made outputs, a few at a time, evenly over the depth of what the wrong output is made
from; then a few of those before the first wrong one, until nothing is left between it and tensors that agree. In a
chain of n that takes about log(n) rounds of two sessions each.

    x ─► ok ─► … ─► ok ─► site ─► wrong ─► … ─► wrong output
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...graph.extract import exposing, reads
from ...graph.model import Model
from ...graph.twins import Suspect, Twin, same_named
from ..providers.runtime import CannotRun, Runner, open_runner
from .judge import Limits, Output, judge
from .pairs import PairResult
from .rounding.allowed import Allowed, Explained, explained, measured, often
from .trials import Trial

_AT_ONCE = 8  # tensors that are made outputs in one round


@dataclass(frozen=True)
class Blame:
    """Where two models begin to differ.

    Attributes:
        tensor: The first tensor that differs by more than is allowed, by its name in the first model: all that it is
            made from and that both models have agrees. None where only a site alone shows a difference.
        node: The node that makes it.
        site: The rewritten site that it is due to; None where that is not known, or nothing was rewritten here.
        difference: How much it differs where that is farthest beyond what is allowed; infinite where it is NaN or
            infinite and should not be. None if unknown.
        allowed: What is allowed there: 0 where values have to be equal. None if unknown.
    """

    tensor: str | None
    node: str | None
    site: str | None
    difference: float | None = None
    allowed: float | None = None

    def sentence(self) -> str | None:
        """Where the difference begins, in words; None where that is no more than the site."""
        if self.tensor is None:
            return None
        much = "" if self.difference is None else f" by {self.difference:.3g}"
        limit = "" if self.allowed is None else f" where {self.allowed:.3g} is allowed"
        site = "" if self.site is None else f", at site '{self.site}'"
        return f"the first tensor that differs is '{self.tensor}' of node '{self.node}'{much}{limit}{site}"


@dataclass(frozen=True)
class Inside:
    """What is known of the inside of two models.

    Attributes:
        twins: Tensors that have to agree, besides those of one name.
        suspects: The rewritten sites, in graph order.
    """

    twins: tuple[Twin, ...] = ()
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True)
class Case:
    """Two models that differ, and the inputs on which they do.

    Attributes:
        a: The original.
        b: The model that has to compute the same.
        provider: Where both run.
        trial: Inputs on which they differ.
        limits: What passes.
        inside: What is known of their inside.
        pairs: How each rewritten site alone compares.
        seed: Of what rounding explains inside; None where a tolerance decides.
    """

    a: Model
    b: Model
    provider: str
    trial: Trial
    limits: Limits
    inside: Inside
    pairs: Sequence[PairResult] = ()
    seed: int | None = None

    def blame(self, wrong: Output) -> tuple[Blame, str | None]:
        """Find where the difference of an output begins.

        Args:
            wrong: The output.

        Returns:
            The first tensor that differs, the output itself at the latest; and a sentence where no better one could be
            looked for.
        """
        graph = _Inside(self.a, self.b, self.inside.twins)
        first, note = wrong, None if graph.twins else "no tensor inside has one name in both models"
        while looked_for := _evenly(graph.open(first.name)):
            try:
                rows = self._compared(looked_for)
            except CannotRun as refusal:
                note = f"tensors inside cannot be compared: {refusal.reason}"
                break
            for twin, row in zip(looked_for, rows, strict=True):
                if not row.difference.compared and 0 not in row.shape:
                    graph.forget(twin)  # of other sizes, or not finite: it says nothing
                elif not row.failure:
                    graph.clean.add(twin.a)
            first = next((row for row in rows if row.failure and row.name in graph.twins), first)
            graph.wrong.add(first.name)
        maker = graph.makers.get(first.name)
        site = self._site(frozenset(graph.region(first.name)))
        return Blame(
            first.name, _called(maker), site, *_numbers(first)
        ), note and f"where it begins is not known: {note}"

    def _compared(self, twins: Sequence[Twin]) -> tuple[Output, ...]:
        models = exposing(self.a, [twin.a for twin in twins]), exposing(self.b, [twin.b for twin in twins])
        runners = [open_runner(model, self.provider, optimize=not self.limits.exact) for model in models]
        first = _View(runners[0], [(twin.a, twin.of_a) for twin in twins])
        second = _View(runners[1], [(twin.b, twin.of_b) for twin in twins])
        trial = replace(self.trial, expected=first.run(self.trial.feed))

        def by_rounding(seed: int) -> Allowed:
            (one,), (other,) = (
                measured(model, self.provider, [trial.feed], seed, often(trial.expected)) for model in models
            )
            both = [(one[twin.a].seen(twin.of_a), other[twin.b].seen(twin.of_b)) for twin in twins]
            return [[explained(*pair, expected) for pair, expected in zip(both, trial.expected, strict=True)]]

        explanations = () if self.seed is None else (partial(by_rounding, self.seed),)
        return judge([trial], first.outputs, second, self.limits, explanations)

    def _site(self, tensors: frozenset[str]) -> str | None:
        """The site in a region, before those that only changed a layer in it; of several, one that fails alone too."""
        own = [each.node for each in self.inside.suspects if each.own & tensors]
        around = [each.node for each in self.inside.suspects if each.around & tensors and not each.own & tensors]
        failed = [pair.node for pair in self.pairs if pair.status == "failed"]
        near = [*own, *around]
        return next(iter([node for node in near if node in failed] or failed or near), None)


def of_pairs(pairs: Sequence[PairResult]) -> Blame | None:
    """What is to blame where nothing but a site alone is wrong."""
    first = next((pair for pair in pairs if pair.status == "failed"), None)
    return None if first is None else Blame(None, first.node, first.node, first.max_abs)


def worst(
    trials: Sequence[Trial],
    wrong: Output,
    names: Sequence[str],
    runner: Runner,
    limits: Limits,
    explained: Sequence[Explained] = (),
) -> Trial:
    """The trial on which an output is worst.

    Args:
        trials: Inputs, and what is expected.
        wrong: The output.
        names: The names of all outputs.
        runner: The model that gives it.
        limits: What passes.
        explained: Tell what rounding explains on all trials, as :func:`~.judge.judge` takes it.

    Raises:
        CannotRun: The model does not run.
    """

    def badness(at: int) -> tuple[bool, int, float]:
        own = [lambda each=each: [each()[at]] for each in explained]
        row = judge([trials[at]], names, runner, limits, own)[list(names).index(wrong.name)]
        return row.failure is not None, row.difference.lost, row.difference.excess

    return trials[max(range(len(trials)), key=badness)]


class _Inside:
    """The first model's graph, walked backward from a wrong tensor to those that agree.

    Attributes:
        makers: The node that makes a tensor.
        twins: Tensors to compare, by their names in the first model.
        clean: Those that agree.
        wrong: Those that do not.
    """

    def __init__(self, a: Model, b: Model, twins: Sequence[Twin]) -> None:
        self.makers = {name: node for node in a.proto.graph.node for name in node.output if name}
        self._depth = {name: depth for depth, name in enumerate(self.makers)}
        made = {name for node in b.proto.graph.node for name in node.output}
        known = [*same_named(a, b), *(twin for twin in twins if twin.a in self.makers and twin.b in made)]
        ends = {value.name for value in a.proto.graph.output}
        self.twins = {twin.a: twin for twin in known if twin.a not in ends}
        self.clean: set[str] = set()
        self.wrong: set[str] = set()

    def region(self, tensor: str) -> Iterator[str]:
        """The tensor and what it is made from, up to tensors that agree."""
        waiting, seen = [tensor], {tensor}
        for name in waiting:
            if name in self.makers:
                yield name
                new = dict.fromkeys(reads(self.makers[name])).keys() - seen - self.clean
                seen |= new
                waiting += new

    def open(self, tensor: str) -> list[Twin]:
        """Of these, the ones to compare next, in the graph's order."""
        found = [name for name in self.region(tensor) if name in self.twins and name not in self.wrong]
        return [self.twins[name] for name in sorted(found, key=self._depth.__getitem__) if name != tensor]

    def forget(self, twin: Twin) -> None:
        """Compare a tensor no more."""
        del self.twins[twin.a]


class _View(Runner):
    """Some outputs of a model, as they compare."""

    def __init__(self, runner: Runner, views: Sequence[tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]]) -> None:
        self.provider, self.outputs = runner.provider, tuple(name for name, _ in views)
        self._runner, self._views = runner, views

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See :meth:`Runner.run`."""
        results = dict(zip(self._runner.outputs, self._runner.run(feeds), strict=True))
        return [view(results[name]) for name, view in self._views]


def _evenly(twins: Sequence[Twin]) -> list[Twin]:
    """A few of them, evenly."""
    count = min(len(twins), _AT_ONCE)
    return [twins[len(twins) * (2 * at + 1) // (2 * count)] for at in range(count)]


def _called(node: onnx.NodeProto | None) -> str | None:
    return None if node is None else node.name or node.output[0]


def _numbers(row: Output) -> tuple[float | None, float | None]:
    """The difference that is farthest beyond what is allowed, and what is allowed there."""
    found = row.difference
    if found.lost:
        return np.inf, None
    if not found.compared:
        return None, None
    if row.equal:
        return found.max_abs, 0.0
    if found.allowed is None or not np.isfinite(found.excess):
        return found.max_abs, None
    return found.excess * found.allowed, found.allowed
