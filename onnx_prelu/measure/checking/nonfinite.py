"""Where data or outputs are NaN or infinite: in how many elements two models differ there, and what explains that.

A form promises nothing of NaN and infinities: ``a·x + (1 − a)·Relu(x)`` is NaN at infinity where ``a`` is 1, as 0·inf
is. Nor does the runtime keep to one thing: before release 1.27, ONNX Runtime's PRelu gives NaN at ±inf, whatever the
slope. So such a difference is reported, with what explains it, and is no failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from ...graph.model import Model
from ...graph.walk import Body, roots, uses, within
from ..inputs.draw import Feeds
from ..inputs.dtypes import is_float
from ..providers.installed import release
from ..providers.runtime import CannotRun, Runner, open_runner
from .compare import otherwise
from .made_nan import made_nan
from .trials import ORDINARY, Trial, all_finite

_PRELU_KEEPS_INFINITY = (1, 27)  # before this release of ONNX Runtime, PRelu(±inf) is NaN on the CPU
_HAS_WHERE = 9  # the opset


@dataclass(frozen=True)
class NonFinite:
    """Differences where nothing is promised.

    Attributes:
        batches: How many batches are not finite or overflow the original. A copy is judged in their place.
        void: How many of the given ones have an input in which nothing is finite.
        differ: In how many elements of outputs NaN and infinities do not coincide.
        by_runtime: How many of these coincide where PRelu is computed as ONNX defines it, so that they are due to
            this runtime's release; 0 where its PRelu does that anyway, None where that cannot be run.
    """

    batches: int = 0
    void: int = 0
    differ: int = 0
    by_runtime: int | None = 0

    def __add__(self, other: NonFinite) -> NonFinite:
        known = self.by_runtime is not None and other.by_runtime is not None
        return NonFinite(
            self.batches + other.batches,
            self.void + other.void,
            self.differ + other.differ,
            (self.by_runtime or 0) + (other.by_runtime or 0) if known else None,
        )

    def notes(self) -> Iterator[str]:
        """What the reader should know; nothing where all is finite."""
        what = "not finite or overflow the original"
        if self.batches and not self.differ:
            yield f"{self.batches} of the batches are {what}{self._copied()}"
        elif self.differ:
            yield (
                f"where inputs are {what}, {self.differ} elements differ in NaN or infinity: "
                f"outside of what a form promises, not counted as a failure; {self._why()}{self._copied()}"
            )

    def _copied(self) -> str:
        if not self.batches:
            return ""
        void = f"; in {self.void} of them an input holds no finite value" if self.void else ""
        return f"; all numbers are for a copy with 0 in place of what is not finite, made small enough{void}"

    def _why(self) -> str:
        runtime = "this ONNX Runtime gives NaN for PRelu(±inf), as all before 1.27 do"
        if self.by_runtime is None:
            return f"{runtime}: how many are due to that cannot be told in this opset"
        if not self.by_runtime:
            return "the models compute otherwise there, as with 0·inf, on any release of the runtime"
        if self.by_runtime == self.differ:
            return f"all of them because {runtime}"
        rest = "the others because the models compute otherwise there, as with 0·inf"
        return f"{self.by_runtime} of them because {runtime}, {rest}"


def nothing_finite(feeds: Feeds) -> str | None:
    """The first of the inputs that are given in whose data nothing is finite, so that nothing compares on it."""
    given = [batch for batch, kind in zip(feeds.batches, feeds.trial_kinds(), strict=True) if kind in ORDINARY]
    names = [name for name in given[0] if name not in feeds.drawn]
    return next((name for name in names if all(_is_void(batch[name]) for batch in given)), None)


def _is_void(value: NDArray[np.generic]) -> bool:
    return is_float(value.dtype) and value.size > 0 and not np.isfinite(value).any()


def nonfinite(
    a: Model,
    b: Model,
    inside: Sequence[Trial],
    outside: Sequence[Trial],
    first: Runner,
    second: Runner,
    drawn: frozenset[str],
) -> NonFinite:
    """Compare two models where one round of inputs is not finite.

    Args:
        a: The original.
        b: The second model.
        inside: What is judged: some outputs may not be finite whatever comes in.
        outside: What is set aside.
        first: The original, where it runs.
        second: The second model, where it runs.
        drawn: The inputs that are not given.

    Raises:
        CannotRun: The second model does not run on what is set aside.
    """
    odd = [trial for trial in inside if not all_finite(trial.expected)]
    strange = [*outside, *odd]
    masks = [_otherwise(trial.expected, second.run(trial.feed)) for trial in strange]
    for trial, made, by_model in zip(odd, masks[len(outside) :], made_nan(odd, first, second), strict=True):
        for at, value in enumerate(trial.expected):  # what is finite there has been judged, and so is what it makes
            made[at] &= ~np.isfinite(value) & ~by_model[at] if is_float(value.dtype) else False
    differ = sum(int(mask.sum()) for made in masks for mask in made)
    void = sum(any(_is_void(value) for name, value in t.feed.items() if name not in drawn) for t in outside)
    found = NonFinite(len(outside), void, differ)
    keeps = second.provider != "cpu" or release() >= _PRELU_KEEPS_INFINITY
    if not differ or keeps or not (uses(a.proto, "PRelu") or uses(b.proto, "PRelu")):
        return found
    try:
        one, other = (open_runner(written_out(model), second.provider) for model in (a, b))
        again = [_otherwise(one.run(trial.feed), other.run(trial.feed)) for trial in strange]
    except (CannotRun, _TooOld):
        return replace(found, by_runtime=None)
    left = sum(
        int(np.sum(mask & still))
        for made, made_again in zip(masks, again, strict=True)
        for mask, still in zip(made, made_again, strict=True)
    )
    return replace(found, by_runtime=differ - left)


def _otherwise(first: Sequence[NDArray[np.generic]], second: Sequence[NDArray[np.generic]]) -> list[NDArray[np.bool_]]:
    """For each output where NaN and infinities do not coincide; nowhere where shapes are not the same."""
    return [
        otherwise(a, b) if a.shape == b.shape else np.zeros(a.shape, bool) for a, b in zip(first, second, strict=True)
    ]


class _TooOld(Exception):
    """An opset has no Where."""


def written_out(model: Model) -> Model:
    """The model with each PRelu as what ONNX says it is: x where it is not below 0, slope·x where it is.

    ``x < Relu(x)`` asks whether x is below 0 without a zero of x's type.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for root in roots(proto):
        imports = root.opset_import if isinstance(root, onnx.FunctionProto) else proto.opset_import
        opset = max((each.version for each in imports if each.domain in ("", "ai.onnx")), default=1)
        for body in within(root):
            _write_out(body, opset)
    return replace(model, proto=proto, raw=None)


def _write_out(body: Body, opset: int) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in body.node:
        if node.op_type != "PRelu" or node.domain not in ("", "ai.onnx"):
            nodes.append(node)
            continue
        if opset < _HAS_WHERE:
            raise _TooOld
        (x, slope), (y,) = node.input, node.output
        positive, below, scaled = (f"{y}:{part}" for part in ("positive", "below", "scaled"))
        nodes += [
            onnx.helper.make_node("Relu", [x], [positive]),
            onnx.helper.make_node("Less", [x, positive], [below]),
            onnx.helper.make_node("Mul", [x, slope], [scaled]),
            onnx.helper.make_node("Where", [below, scaled, x], [y]),
        ]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del body.node[:]
    body.node.extend(kept)
