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
from .data import DataSet, data_sets
from .dtypes import is_float, numpy_dtype
from .ranges import Range, require_ranges
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
        inputs: A file or folder of data as :func:`~.data.data_sets` takes it, or arrays by input, in place of drawn
            values.
        seed: Of the drawn values.
        input_range: Where drawn values have to lie, by input.
    """

    input_shape: Mapping[str, Shape] = field(default_factory=dict)
    dim: Mapping[str, int] = field(default_factory=dict)
    inputs: Path | Mapping[str, NDArray[Any]] | None = None
    seed: int = 0
    input_range: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True)
class Feeds:
    """Inputs that a model runs on.

    Attributes:
        sizes: The shape of each input on the first batch.
        batches: Arrays by input. Of drawn values there are several batches, of several scales and both signs; one for
            each data set where the user gives all values.
        scales: The scale of each batch, one of :data:`~.values.SCALES`.
        drawn: The inputs whose values were drawn.
        kinds: What each batch is: ``"given"``, ``"random"``, or one of those that :mod:`.harder` adds, which may be
            left out where the model does not run on it. Empty if that does not matter.
        expected: Data sets that say what comes out.
        ranges: Where drawn values have to lie, by input.
    """

    sizes: dict[str, Shape]
    batches: tuple[Feed, ...]
    scales: tuple[float, ...]
    drawn: frozenset[str]
    kinds: tuple[str, ...] = ()
    expected: tuple[DataSet, ...] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def trial_kinds(self) -> tuple[str, ...]:
        """The kind of each batch, ``"random"`` where that is not told."""
        return self.kinds or ("random",) * len(self.batches)


def require_sensible(model: Model, options: InputOptions) -> None:
    """Find out whether options make sense for a model before anything is run.

    Raises:
        BadInput: The given data cannot be read, or do not fit the model's inputs.
        BadUsage: A shape or dimension is asked for that the model does not have.
    """
    settled(model, options)


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
    wanted, sets, _ = settled(model, options)
    for spec in wanted:
        if spec.dtype == TensorProto.UNDEFINED:
            raise CannotRun(f"input '{spec.name}' is no tensor, and only tensors can be drawn")
    found = [_drawn(wanted, each, options, runner) for each in sets]
    return Feeds(
        found[0].sizes,
        tuple(batch for feeds in found for batch in feeds.batches),
        tuple(scale for feeds in found for scale in feeds.scales),
        found[0].drawn,
        tuple(kind for feeds in found for kind in feeds.kinds),
        tuple(each for each in sets if each.outputs is not None),
        options.input_range,
    )


def settled(model: Model, options: InputOptions) -> tuple[tuple[InputSpec, ...], tuple[DataSet, ...], dict[str, Open]]:
    """The inputs, the data that the user gives, and the shapes as far as anything fixes them, by the first data set.

    Raises:
        BadInput: The given data cannot be read, or do not fit the model's inputs.
        BadUsage: A shape, dimension or range is asked for that the model does not have.
    """
    wanted = specs(model.proto)
    sets = (DataSet(),) if options.inputs is None else data_sets(options.inputs, wanted, len(model.proto.graph.output))
    known = [fixed(wanted, options.input_shape, options.dim, each.inputs) for each in sets]
    for each, shapes in zip(sets, known, strict=True):
        require_ranges(options.input_range, wanted, shapes, each.inputs)
    return wanted, sets, known[0]


def _drawn(wanted: tuple[InputSpec, ...], given: DataSet, options: InputOptions, runner: Runner) -> Feeds:
    """The batches with one data set's values in them."""
    failure: CannotRun | None = None
    ran: tuple[dict[str, Shape], list[NDArray[Any]]] | None = None
    for sizes in candidates(fixed(wanted, options.input_shape, options.dim, given.inputs)):
        try:
            results = runner.run(batch_of(wanted, sizes, given.inputs, options, SCALES[0], 0))
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
    drawn = frozenset(sizes.keys() - given.inputs.keys())
    plan = _plan(results) if drawn else [(SCALES[0], 0)]
    batches = tuple(batch_of(wanted, sizes, given.inputs, options, scale, which) for scale, which in plan)
    kinds = ("random" if drawn else "given",) * len(plan)
    return Feeds(sizes, batches, tuple(scale for scale, _ in plan), drawn, kinds)


def _plan(results: Sequence[NDArray[Any]]) -> list[tuple[float, int]]:
    """The scale of each batch, and its number among those of this scale.

    An error is judged against the largest output of a scale. A single small output says little about that, so
    models with few outputs get more batches.
    """
    fewest = min((result.size for result in results if result.size and is_float(result.dtype)), default=_OUTPUTS)
    most = min(-(-_OUTPUTS // fewest), _MOST)
    return [(scale, which) for scale in SCALES for which in range(max(most, 3 if scale == SCALES[0] else 1))]


def batch_of(
    wanted: tuple[InputSpec, ...],
    sizes: Mapping[str, Shape],
    data: Mapping[str, NDArray[Any]],
    options: InputOptions,
    scale: float,
    which: int,
) -> Feed:
    """The batch of this number among those of a scale: what is given, and values for the rest.

    Args:
        wanted: The model's inputs.
        sizes: Their shapes.
        data: The values that are given.
        options: The seed and the ranges.
        scale: One of :data:`~.values.SCALES`.
        which: The number.
    """
    rng = np.random.default_rng([options.seed, SCALES.index(scale), which])
    return {
        spec.name: data[spec.name]
        if spec.name in data
        else values(numpy_dtype(spec.dtype), sizes[spec.name], scale, which, rng, options.input_range.get(spec.name))
        for spec in wanted
    }
