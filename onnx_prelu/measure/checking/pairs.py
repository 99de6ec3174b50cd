"""Each rewritten site alone: what inputs of the whole model may never drive to both sides is driven there here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...graph.model import Model
from ...graph.types import TensorType
from ..inputs.draw import Feed, Feeds
from ..inputs.dtypes import is_float, numpy_dtype
from ..inputs.magnitudes import large, mixed, ordinary, signed, tiny
from ..inputs.sizes import Open, Shape, candidates, fixed
from ..inputs.spec import InputSpec, specs
from ..providers.runtime import CannotRun, Runner, open_runner
from .judge import Limits, judge
from .rounding.allowed import steps
from .trials import trials

Known = Callable[[], Mapping[str, TensorType]]

_MANY = 16  # of each open dimension, where that stays small
_SMALL = 1 << 18  # elements
_WHOLE = 100  # integers go up to here: further, products would leave small types


@dataclass(frozen=True)
class Pair:
    """A rewritten site as two small models of one interface.

    Attributes:
        node: The site's name.
        before: The original's nodes.
        after: What took their place.
        exact: Whether both are promised to be equal, but for the sign of a zero, on the CPU.
    """

    node: str
    before: Model
    after: Model
    exact: bool


@dataclass(frozen=True)
class PairResult:
    """How the two models of a pair compare.

    Attributes:
        node: The site's name.
        status: ``"passed"``, ``"failed"``, or ``"not_run"`` where nothing could be compared.
        exact: Whether they had to be equal.
        reason: Why it did not pass, in words.
        max_abs: The largest difference.
        max_rel: The same, relative to the largest magnitude among values of like size.
        max_ulp: The most floats that a value is away.
        zero_signs: Zeros of which only the sign differs.
    """

    node: str
    status: Literal["passed", "failed", "not_run"]
    exact: bool
    reason: str | None = None
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    zero_signs: int = 0


def compare_pair(pair: Pair, provider: str, limits: Limits, known: Known, seed: int) -> PairResult:
    """Run both models of a pair on ordinary, tiny and large values of both signs, and on all of them mixed with 0.

    Args:
        pair: The pair.
        provider: Where to run it.
        limits: What passes; ``exact`` where the pair promises it and the provider can keep it.
        known: Tells the types of the whole model's tensors at the sizes at which it ran; asked for open dimensions.
        seed: Of the values.
    """
    try:
        before = open_runner(pair.before, provider)
        feeds = _feeds(pair.before, before, known, seed)
        inside, _ = trials(before, feeds)
    except CannotRun as refusal:
        return PairResult(
            pair.node, "not_run", limits.exact, f"the original's nodes alone do not run: {refusal.reason}"
        )
    try:
        after, own = open_runner(pair.after, provider), _of_a_site(limits)
        rows = judge(inside, before.outputs, after, own)
        if not limits.exact and any(row.failure for row in rows):  # few do not keep within the type's tolerance
            rows = judge(inside, before.outputs, after, own, steps(pair.before, pair.after, provider, inside, seed))
    except CannotRun as refusal:
        return PairResult(pair.node, "failed", limits.exact, f"the new nodes alone do not run: {refusal.reason}")
    found = [row.difference for row in rows]
    failures = [f"alone, on values of its own, '{row.name}' {row.failure}" for row in rows if row.failure]
    compared = all(each.compared for each in found)
    rels = [each.max_rel for each in found if each.max_rel is not None]
    return PairResult(
        pair.node,
        "failed" if failures else "passed" if compared else "not_run",
        limits.exact,
        failures[0] if failures else None if compared else "nothing finite comes out of the original's nodes",
        max((each.max_abs for each in found), default=None),
        max(rels, default=None),
        max((each.max_ulp for each in found), default=None),
        sum(each.zero_signs for each in found),
    )


def _of_a_site(limits: Limits) -> Limits:
    """A site's outputs go by names of their own: what the user says of the model's does not count."""
    return replace(limits, own={})


def _feeds(model: Model, runner: Runner, known: Known, seed: int) -> Feeds:
    wanted = specs(model.proto)
    failure: CannotRun | None = None
    for sizes in _sizes(wanted, known):
        batches = tuple(
            {
                name: np.asarray(sign * value, value.dtype) if is_float(value.dtype) else value
                for name, value in feed.items()
            }
            for feed in _batches(wanted, sizes, seed)
            for sign in (1, -1)
        )
        try:
            runner.run(batches[0])
        except CannotRun as refusal:
            failure = failure or refusal
            continue
        kinds = tuple(float(which // 2) for which in range(len(batches)))
        return Feeds(sizes, batches, kinds, frozenset(sizes))
    raise failure or CannotRun("its inputs are too large to try")


def _sizes(wanted: Sequence[InputSpec], known: Known) -> Iterator[dict[str, Shape]]:
    """Sizes to try: many values where that is cheap; what the whole model ran with; then small sizes."""
    open_: dict[str, Open] = fixed(tuple(wanted), {}, {}, {})
    many = {name: tuple(_MANY if d is None else d for d in shape) for name, shape in open_.items() if shape is not None}
    if len(many) == len(open_) and sum(int(np.prod(shape)) for shape in many.values()) <= _SMALL:
        yield many
    types = known()
    ran = {name: types[name].fixed for name in open_ if name in types}
    whole = {name: shape for name, shape in ran.items() if shape is not None}
    if len(whole) == len(open_):
        yield whole
    yield from candidates(open_)


def _batches(wanted: Sequence[InputSpec], sizes: Mapping[str, Shape], seed: int) -> Iterator[Feed]:
    """One batch a kind of magnitude: among large values, an error in small ones would not show."""
    for which, magnitudes in enumerate((ordinary, tiny, large, mixed)):
        rng = np.random.default_rng([seed, which])
        feed = {}
        for spec in wanted:
            dtype, shape = numpy_dtype(spec.dtype), sizes[spec.name]
            if is_float(dtype):
                feed[spec.name] = signed(magnitudes, dtype, shape, rng)
            else:
                least = 0 if dtype.kind in "ub" else -_WHOLE
                feed[spec.name] = np.asarray(rng.integers(least, 2 if dtype.kind == "b" else _WHOLE, shape), dtype)
        yield feed
