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
from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.inputs.draw import InputOptions, draw
from onnx_prelu.measure.latency.rotation import rotation
from onnx_prelu.measure.latency.timing import measure
from onnx_prelu.measure.providers.installed import onnxruntime
from onnx_prelu.measure.providers.runtime import open_runner


@dataclass(frozen=True)
class Rules:
    """How a contest is held.

    Attributes:
        layout: Whether ours may change the layout around a site.
        tune: Whether ours may measure.
        exact: Whether ours has to keep every bit.
        threads: That a session computes with.
        duration: Seconds of timing for each network.
    """

    layout: bool = True
    tune: bool = True
    exact: bool = False
    threads: int = 1
    duration: float = 20.0


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
    contenders = {"prelu": model, "ours": ours(model, sizes, rules), "relu": relu}
    if rules.layout:
        contenders["laid"] = ours(relu, sizes, rules)
    times = medians([load(each) for each in contenders.values()], sizes, rules)
    return Score(name, group, onnxruntime().__version__, **dict(zip(contenders, times, strict=True)))


def ours(model: onnx.ModelProto, sizes: Mapping[str, tuple[int, ...]], rules: Rules) -> onnx.ModelProto:
    """A network as it is rewritten, and checked; of one with Relu, only the layout may change."""
    form = "max" if rules.exact else "skip"
    return onnx_prelu.rewrite(model, to="relu", form=form, input_shape=sizes, providers=["cpu"]).model


def medians(models: list[Model], sizes: Mapping[str, tuple[int, ...]], rules: Rules) -> list[float]:
    """Milliseconds a run of each model, all timed in one run."""
    openers = [partial(open_runner, each, "cpu", threads=rules.threads, checking=False) for each in models]
    feeds = rotation(draw(models[0], InputOptions(input_shape=dict(sizes)), openers[0]()), seed=0)
    times = measure(openers, feeds, rules.duration, lambda _: None)
    return [float(np.median(each)) * 1e3 for each in times]
