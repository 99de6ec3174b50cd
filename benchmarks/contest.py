"""What runs against what on a network: PRelu, ours and the floors, all in one interleaved run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx

import onnx_prelu
from benchmarks.networks.floor import floor
from benchmarks.score import Score
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.inputs.draw import InputOptions, draw
from onnx_prelu.measure.latency.rotation import rotation
from onnx_prelu.measure.latency.timing import clock_for, measure
from onnx_prelu.measure.providers.installed import onnxruntime
from onnx_prelu.measure.providers.runtime import open_runner
from onnx_prelu.passes.layout.apply import apply_layout


@dataclass(frozen=True)
class Rules:
    """How a contest is held.

    Attributes:
        layout: Whether ours may change the layout around a site.
        tune: Whether ours may measure.
        exact: Whether ours has to keep every bit.
        threads: That a session computes with.
        duration: Seconds of timing for each network.
        budget: Seconds of tuning for each network.
    """

    layout: bool = True
    tune: bool = True
    exact: bool = False
    threads: int = 1
    duration: float = 20.0
    budget: float = 60.0


def contest(name: str, group: str, model: onnx.ModelProto, sizes: Mapping[str, tuple[int, ...]], rules: Rules) -> Score:
    """Time a network with PRelu, as it is rewritten, and with Relu.

    Every contender takes the same inputs, of both signs and in rotation. They run in random order, none twice in a
    row, in several rounds of sessions of their own; a time is the median of all rounds.

    Args:
        name: Of the network.
        group: Where it is listed.
        model: The network with PRelu.
        sizes: Shapes of the inputs whose dimensions it leaves open.
        rules: How.

    Raises:
        CannotRun: The runtime does not take one of the models.
    """
    relu = floor(model)
    result = ours(model, sizes, rules)
    contenders = {"prelu": model, "ours": result.model, "relu": relu}
    if rules.layout:
        contenders["laid"] = laid(relu, result)
    times = medians([load(each) for each in contenders.values()], sizes, rules)
    return Score(name, group, onnxruntime().__version__, **dict(zip(contenders, times, strict=True)))


def ours(model: onnx.ModelProto, sizes: Mapping[str, tuple[int, ...]], rules: Rules) -> onnx_prelu.Rewrite:
    """A network as it is rewritten, and checked."""
    return onnx_prelu.rewrite(
        model,
        to="fast",
        tune=rules.tune,
        budget=rules.budget,
        layout=rules.layout,
        exact=rules.exact,
        threads=rules.threads,
        input_shape=sizes,
        providers=["cpu"],
    )


def laid(relu: onnx.ModelProto, result: onnx_prelu.Rewrite) -> onnx.ModelProto:
    """The Relu network with the layout rules that ours has taken."""
    assert result.report.tuning is not None
    draft = Draft(load(relu))
    apply_layout(draft, result.report.tuning.layout)
    return finish(draft).proto


def medians(models: list[Model], sizes: Mapping[str, tuple[int, ...]], rules: Rules) -> list[float]:
    """Milliseconds a run of each model, all timed in one run; of the processor, where one thread computes."""
    openers = [partial(open_runner, each, "cpu", threads=rules.threads, checking=False) for each in models]
    feeds = rotation(draw(models[0], InputOptions(input_shape=dict(sizes)), openers[0]()), seed=0)
    times = measure(openers, feeds, rules.duration, lambda _: None, clock_for("cpu", rules.threads))
    return [float(np.median(each)) * 1e3 for each in times]
