"""Whether `check` sees that a rewritten model was damaged: `python -m benchmarks.corruptions`.

    python -m benchmarks.corruptions                        # 300 corruptions, writes benchmarks/corruptions.md
    python -m benchmarks.corruptions --count 40 --search 2000 --out /tmp/corruptions.md

Networks are drawn, rewritten, and damaged in one place. What the damage does is known from elsewhere: both models run
in float64 by onnx's reference evaluator, on the check's own inputs and on those of a search. An effect *shows* where it
is larger than what the check allows. The exit code is 1 where a corruption that shows on the check's own inputs passes,
or where more than 3 % of those that show anywhere do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from benchmarks.drawn import FORMS, network, rewritten
from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking.check import check
from onnx_prelu.measure.checking.rounding.allowed import steps
from onnx_prelu.measure.checking.trials import Trial, trials
from onnx_prelu.measure.checking.watch import Coverage
from onnx_prelu.measure.inputs.apart import farthest
from onnx_prelu.measure.inputs.draw import InputOptions, draw
from onnx_prelu.measure.inputs.harder import harder
from onnx_prelu.measure.providers.runtime import open_runner

Damage = Callable[[onnx.ModelProto, np.random.Generator], bool]

SHARE = 0.97  # of what shows anywhere, at least
SCALES, FARTHEST = 10, 16  # of the inputs of the search, and how many of each are looked at in float64


# ── damages: each changes the model in place, and says whether it could ───────────────────────────────────────


def _weights(model: onnx.ModelProto, rank: int = 2) -> list[onnx.TensorProto]:
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return [t for t in model.graph.initializer if len(t.dims) >= rank and t.data_type in kinds and 0 not in t.dims]


def _put(tensor: onnx.TensorProto, values: np.ndarray[Any, Any]) -> bool:
    before = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(before.dtype), tensor.name))
    return not np.array_equal(before, values)


def _pick(tensors: list[onnx.TensorProto], rng: np.random.Generator) -> onnx.TensorProto | None:
    return tensors[int(rng.integers(len(tensors)))] if tensors else None


def _weight_by(change: Callable[[np.ndarray[Any, Any]], Any]) -> Damage:
    def damage(model: onnx.ModelProto, rng: np.random.Generator) -> bool:
        tensor = _pick(_weights(model), rng)
        if tensor is None:
            return False
        values = numpy_helper.to_array(tensor).copy()
        at = tuple(int(rng.integers(size)) for size in values.shape)
        values[at] = change(values[at])
        return _put(tensor, values)

    return damage


def _whole_row(model: onnx.ModelProto, rng: np.random.Generator) -> bool:
    return _swapped(model, rng, 0)


def _column_off(model: onnx.ModelProto, rng: np.random.Generator) -> bool:
    """The columns of a layer after the first, one place further."""
    tensor = _pick(_weights(model)[1:], rng)
    if tensor is None or tensor.dims[1] < 2:
        return False
    return _put(tensor, np.roll(numpy_helper.to_array(tensor), 1, axis=1))


def _swapped(model: onnx.ModelProto, rng: np.random.Generator, axis: int) -> bool:
    tensor = _pick([each for each in _weights(model) if each.dims[axis] > 1], rng)
    if tensor is None:
        return False
    values = numpy_helper.to_array(tensor)
    one, other = rng.choice(values.shape[axis], 2, replace=False)
    order = np.arange(values.shape[axis])
    order[[one, other]] = order[[other, one]]
    return _put(tensor, values.take(order, axis))


def _slope_sign(model: onnx.ModelProto, rng: np.random.Generator) -> bool:
    """The sign of one slope: of a factor that a Mul or PRelu reads, else of one unit's second column."""
    factors = {name for node in model.graph.node if node.op_type in ("Mul", "PRelu") for name in node.input}
    tensor = _pick([each for each in model.graph.initializer if each.name in factors], rng)
    if tensor is None:
        tensor = _pick(_weights(model)[1:], rng)
        if tensor is None:
            return False
        values = numpy_helper.to_array(tensor).copy()
        values[:, int(rng.integers(values.shape[1]))] *= -1
        return _put(tensor, values)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[int(rng.integers(values.size))] *= -1
    return _put(tensor, values)


def _relu_dropped(model: onnx.ModelProto, rng: np.random.Generator) -> bool:
    relus = [node for node in model.graph.node if node.op_type in ("Relu", "PRelu")]
    if not relus:
        return False
    node = relus[int(rng.integers(len(relus)))]
    node.op_type = "Identity"
    del node.input[1:]
    return True


def _make_instead(model: onnx.ModelProto, other: str) -> None:
    """Let what makes the output make another tensor."""
    for node in model.graph.node:
        for at, name in enumerate(node.output):
            if name == "y":
                node.output[at] = other


def _output_renamed(model: onnx.ModelProto, _: np.random.Generator) -> bool:
    _make_instead(model, "z")
    model.graph.output[0].name = "z"
    return True


def _dtype_changed(model: onnx.ModelProto, _: np.random.Generator) -> bool:
    _make_instead(model, "narrow")
    model.graph.node.append(helper.make_node("Cast", ["narrow"], ["y"], to=onnx.TensorProto.DOUBLE))
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return True


KINDS: dict[str, Damage] = {
    "one weight by 1 ulp": _weight_by(lambda w: np.nextafter(w, type(w)(np.inf))),
    "one weight by 0.001 %": _weight_by(lambda w: w * type(w)(1.00001)),
    "one weight by 0.1 %": _weight_by(lambda w: w * type(w)(1.001)),
    "one weight by 1 %": _weight_by(lambda w: w * type(w)(1.01)),
    "one slope's sign": _slope_sign,
    "two rows swapped": _whole_row,
    "columns one off": _column_off,
    "a Relu dropped": _relu_dropped,
    "output renamed": _output_renamed,
    "output of another type": _dtype_changed,
    "a NaN planted": _weight_by(lambda _: np.nan),
}


# ── the score ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """One corruption.

    Attributes:
        kind: What was done.
        caught: Whether the check fails.
        own: Whether it shows on the inputs of the check.
        anywhere: Whether it shows there or in the search.
    """

    kind: str
    caught: bool
    own: bool
    anywhere: bool


def corrupted(seed: int, search: int) -> Case | None:
    """Draw, rewrite, damage and check; None where the network does not take the form, or the damage."""
    rng = np.random.default_rng([seed, 3])
    kind = list(KINDS)[seed % len(KINDS)]
    dtype = (np.float32, np.float16)[int(rng.integers(4) == 0)]
    a = Model(network(seed, dtype))
    good = rewritten(a.proto, FORMS[int(rng.integers(len(FORMS)))])
    if good is None:
        return None
    broken = onnx.ModelProto()
    broken.CopyFrom(good)
    if not KINDS[kind](broken, rng):
        return None
    b = Model(broken)
    (verdict,) = check(a, b, providers=["cpu"])
    caught = verdict.status == "failed"
    if not verdict.outputs:  # the interface differs, and nothing was run
        return Case(kind, caught, True, True)
    runner = open_runner(a, "cpu", threads=1)
    options = InputOptions()
    feeds = harder(a, options, draw(a, options, runner), Coverage(a, "cpu", ()).probe)
    second = open_runner(b, "cpu", threads=1)
    inside = [*trials(runner, feeds)[0], *trials(runner, farthest(a, options, feeds, runner, second))[0]]
    own = shows(a, b, good, inside)
    anywhere = own or caught or shows(a, b, good, searched(a, b, inside[0].feed["x"], search, rng))
    return Case(kind, caught, own, anywhere)


def searched(a: Model, b: Model, like: np.ndarray[Any, Any], count: int, rng: np.random.Generator) -> list[Trial]:
    """Of inputs of many sizes, sparse ones and corners among them, those on which the models are farthest apart."""
    found = []
    first, second = (open_runner(model, "cpu", threads=1) for model in (a, b))
    for scale in np.exp(rng.uniform(np.log(1e-3), np.log(1e3), SCALES)):
        x = rng.standard_normal((count // SCALES, *like.shape[1:]))
        x *= rng.random(x.shape) < 0.7
        x[::7] = np.sign(x[::7])
        x = (x * min(scale, 60 if like.dtype == np.float16 else scale)).astype(like.dtype)
        one, other = (run.run({"x": x})[0].astype(float).reshape(len(x), -1) for run in (first, second))
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.max(np.abs(one - other), 1) / (np.max(np.abs(one), 1) + 1e-30), nan=0.0)
        feed = {"x": x[np.argsort(apart)[-FARTHEST:]]}
        found.append(Trial(feed, first.run(feed), (float(scale), 1.0)))
    return found


def shows(a: Model, b: Model, good: onnx.ModelProto, inputs: list[Trial]) -> bool:
    """Whether the damage, in float64, moves an output by more than the check allows."""
    limits = steps(a, b, "cpu", inputs, 0)[-1]()
    exact, damaged = (ReferenceEvaluator(_wide(each)) for each in (good, b.proto))
    for trial, (limit,) in zip(inputs, limits, strict=True):
        feed = {"x": trial.feed["x"].astype(np.float64)}
        with np.errstate(all="ignore"):
            one, other = exact.run(None, feed)[0], damaged.run(None, feed)[0]
            finite = np.isfinite(trial.expected[0].astype(np.float64))
            moved = np.where(finite, np.abs(one - other), 0.0)
            if np.any(~(moved <= np.where(finite, limit, np.inf))):
                return True
    return False


def _wide(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float64, with its constants as they are stored."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    for tensor in wide.graph.initializer:
        if tensor.data_type in floats:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in (*wide.graph.input, *wide.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    del wide.graph.value_info[:]
    return wide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--search", type=int, default=20_000, help="inputs to look for an effect on")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("corruptions.md"))
    options = parser.parse_args()
    cases: list[Case] = []
    seed = 0
    while len(cases) < options.count:
        case = corrupted(seed, options.search)
        seed += 1
        if case is not None:
            cases.append(case)
            print(f"{len(cases)}/{options.count} {case}", file=sys.stderr, flush=True)
    options.out.write_text(page(cases, options.search), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))
    if not met(cases):
        sys.exit("a corruption that shows was not caught")


def met(cases: list[Case]) -> bool:
    """Whether all that shows on the check's own inputs is caught, and nearly all that shows anywhere."""
    anywhere = [case.caught for case in cases if case.anywhere]
    return all(case.caught for case in cases if case.own) and sum(anywhere) >= SHARE * len(anywhere)


def page(cases: list[Case], search: int) -> str:
    """The score by kind, as Markdown."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("onnxruntime", "onnx", "numpy"))
    rows = []
    for kind in KINDS:
        of = [case for case in cases if case.kind == kind]
        own, anywhere = ([case for case in of if getattr(case, which)] for which in ("own", "anywhere"))
        unseen = len(of) - len(anywhere)
        caught = (f"{sum(case.caught for case in some)} of {len(some)}" for some in (own, anywhere))
        rows.append(f"| {kind} | {len(of)} | {' | '.join(caught)} | {unseen or ''} |")
    own, anywhere = ([case for case in cases if getattr(case, which)] for which in ("own", "anywhere"))
    seen = f"{sum(case.caught for case in anywhere)} of {len(anywhere)}"
    seen_by_it = f"{sum(case.caught for case in own)} of {len(own)}"
    return f"""# Damaged rewrites, and whether the check sees it

`python -m benchmarks.corruptions --count {len(cases)} --search {search}`. {versions}.

Caught: **{seen_by_it}** that show on the check's own inputs, and **{seen}** that show there or on
{search:,} others. What shows nowhere moves every output by less than rounding may: only a proof could see it.

| damage | corruptions | caught, of those that show on its own inputs | of those that show anywhere | only for a proof |
| --- | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    main()
