"""Inputs for a model, at sizes at which it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ...graph.model import Model
from ..providers.runner import CannotRun, Runner
from .data import given
from .dtypes import is_float, numpy_dtype
from .sizes import Open, Shape, candidates, fixed
from .spec import InputSpec, specs
from .values import SCALES, values

__all__ = ["Feeds", "InputOptions", "InputSpec", "draw", "require_sensible", "specs"]

Feed = dict[str, NDArray[Any]]

_OUTPUTS = 16  # elements of an output, at least, in all batches of a scale ...
_MOST = 8  # ... unless that takes more batches than this


@dataclass(frozen=True)
class InputOptions:
    """What the user fixes about the inputs.

    Attributes:
        input_shape: Shapes, by input.
        dim: Sizes of symbolic dimensions, by the dimension's name.
        inputs: An npz file or arrays by input, in place of drawn values.
        seed: Of the drawn values.
    """

    input_shape: Mapping[str, Shape] = field(default_factory=dict)
    dim: Mapping[str, int] = field(default_factory=dict)
    inputs: Path | Mapping[str, NDArray[Any]] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Feeds:
    """Inputs that a model runs on.

    Attributes:
        sizes: The shape of each input.
        batches: Arrays by input. Of drawn values there are several batches, of several scales and both signs; one
            where the user gives all values.
        scales: The scale of each batch, one of :data:`~.values.SCALES`.
        drawn: The inputs whose values were drawn.
    """

    sizes: dict[str, Shape]
    batches: tuple[Feed, ...]
    scales: tuple[float, ...]
    drawn: frozenset[str]


def require_sensible(model: Model, options: InputOptions) -> None:
    """Find out whether options make sense for a model before anything is run.

    Raises:
        BadInput: The given data cannot be read, or do not fit the model's inputs.
        BadUsage: A shape or dimension is asked for that the model does not have.
    """
    _settled(model, options)


def draw(model: Model, options: InputOptions, runner: Runner) -> Feeds:
    """Inputs for a model; the same ones for the same options.

    Dimensions that nothing fixes all take one size, and grow (:data:`~.sizes.GROWTH`) until the model runs and
    returns something.

    Args:
        model: The model.
        options: What is fixed.
        runner: The model where it has to run.

    Raises:
        BadInput: The given data cannot be read, or do not fit the model's inputs.
        BadUsage: A shape or dimension is asked for that the model does not have.
        CannotRun: The model runs at none of the sizes; the reason is the one at the first.
    """
    wanted, data, known = _settled(model, options)
    for spec in wanted:
        if spec.dtype == TensorProto.UNDEFINED:
            raise CannotRun(f"input '{spec.name}' is no tensor, and only tensors can be drawn")
    failure: CannotRun | None = None
    ran: tuple[dict[str, Shape], list[NDArray[Any]]] | None = None
    for sizes in candidates(known):
        try:
            results = runner.run(_batch(wanted, sizes, data, options.seed, SCALES[0], 0))
        except CannotRun as refusal:
            failure = failure or refusal
            continue
        ran = ran or (sizes, results)
        if any(result.size for result in results):
            ran = sizes, results
            break
    if ran is None:
        raise failure or CannotRun("its inputs are too large to try")
    sizes, results = ran
    drawn = frozenset(sizes.keys() - data.keys())
    plan = _plan(results) if drawn else [(SCALES[0], 0)]
    batches = tuple(_batch(wanted, sizes, data, options.seed, scale, which) for scale, which in plan)
    return Feeds(sizes, batches, tuple(scale for scale, _ in plan), drawn)


def _settled(model: Model, options: InputOptions) -> tuple[tuple[InputSpec, ...], Feed, dict[str, Open]]:
    """The inputs, the data that the user gives, and the shapes as far as anything fixes them."""
    wanted = specs(model.proto)
    data = {} if options.inputs is None else given(options.inputs, wanted)
    return wanted, data, fixed(wanted, options.input_shape, options.dim, data)


def _plan(results: Sequence[NDArray[Any]]) -> list[tuple[float, int]]:
    """The scale of each batch, and its number among those of this scale.

    An error is judged against the largest output of a scale. A single small output says little about that, so
    models with few outputs get more batches.
    """
    fewest = min((result.size for result in results if result.size and is_float(result.dtype)), default=_OUTPUTS)
    most = min(-(-_OUTPUTS // fewest), _MOST)
    return [(scale, which) for scale in SCALES for which in range(max(most, 3 if scale == SCALES[0] else 1))]


def _batch(
    wanted: tuple[InputSpec, ...],
    sizes: Mapping[str, Shape],
    data: Mapping[str, NDArray[Any]],
    seed: int,
    scale: float,
    which: int,
) -> Feed:
    rng = np.random.default_rng([seed, SCALES.index(scale), which])
    return {
        spec.name: data[spec.name]
        if spec.name in data
        else values(numpy_dtype(spec.dtype), sizes[spec.name], scale, which, rng)
        for spec in wanted
    }
