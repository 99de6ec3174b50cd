"""Inputs for a model, at sizes at which it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph.model import Model
from .data import given
from .dtypes import numpy_dtype
from .runner import CannotRun, Runner
from .sizes import Shape, candidates, fixed
from .spec import InputSpec, specs
from .values import SCALES, values

__all__ = ["Feeds", "InputOptions", "InputSpec", "draw", "specs"]

Feed = dict[str, NDArray[Any]]


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
        drawn: The inputs whose values were drawn.
    """

    sizes: dict[str, Shape]
    batches: tuple[Feed, ...]
    drawn: frozenset[str]


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
    wanted = specs(model.proto)
    data = {} if options.inputs is None else given(options.inputs, wanted)
    failure: CannotRun | None = None
    ran: dict[str, Shape] | None = None
    for sizes in candidates(fixed(wanted, options.input_shape, options.dim, data)):
        try:
            results = runner.run(_batch(wanted, sizes, data, options.seed, 0))
        except CannotRun as refusal:
            failure = failure or refusal
            continue
        ran = ran or sizes
        if any(result.size for result in results):
            ran = sizes
            break
    if ran is None:
        raise failure or CannotRun("its inputs are too large to try")
    drawn = frozenset(ran.keys() - data.keys())
    count = len(SCALES) if drawn else 1
    return Feeds(ran, tuple(_batch(wanted, ran, data, options.seed, which) for which in range(count)), drawn)


def _batch(
    wanted: tuple[InputSpec, ...],
    sizes: Mapping[str, Shape],
    data: Mapping[str, NDArray[Any]],
    seed: int,
    which: int,
) -> Feed:
    rng = np.random.default_rng([seed, which])
    return {
        spec.name: data[spec.name]
        if spec.name in data
        else values(numpy_dtype(spec.dtype), sizes[spec.name], which, rng)
        for spec in wanted
    }
