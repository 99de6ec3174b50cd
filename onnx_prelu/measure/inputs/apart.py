"""Inputs on which two models are farthest apart, among many that are drawn: few samples show a small difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...graph.model import Model
from ...graph.types import infer
from ..costs.macs import macs
from ..providers.runner import CannotRun, Runner
from .draw import Feed, Feeds, InputOptions, settled
from .dtypes import is_float, numpy_dtype
from .sizes import Open, Shape
from .spec import InputSpec
from .values import SCALES, values

KIND = "farthest apart"
"""What such batches are called."""

_MANY = 512  # samples that are drawn of each scale, ...
_MULTIPLICATIONS, _ELEMENTS = 5e7, 1 << 20  # ... unless they take more than so many of these
_FEWEST = 8  # samples that are worth the search
_KEPT = 8  # of each scale
_SPREAD = 1.2  # of the logarithms of samples' magnitudes, to either side of the scale's
_SPARSE = 0.7


def farthest(model: Model, options: InputOptions, feeds: Feeds, first: Runner, second: Runner) -> Feeds:
    """Batches of the samples on which two models are farthest apart, one for each scale; the same for the same options.

    A third of the samples is sparse, a third has one magnitude throughout. There are none where the models are equal on
    all samples, where the model leaves the size of a batch not open, or where a few samples take too long.

    Args:
        model: The first model.
        options: What is fixed.
        feeds: What was drawn for it with these options.
        first: Where it runs.
        second: Where the second model runs.
    """
    wanted, _, known = settled(model, options)
    batches, scales = [], []
    count = _affordable(model, feeds.sizes) if _open_batch(wanted, known, feeds) else 0
    for scale in SCALES if count >= _FEWEST else ():
        many = _drawn(wanted, feeds.sizes, options, scale, count)
        try:
            apart = _apart(first.run(many), second.run(many), count)
        except CannotRun:
            continue
        chosen = [at for at in np.argsort(-apart, kind="stable")[:_KEPT] if apart[at] > 0]
        if chosen:
            batches.append({name: value[chosen] for name, value in many.items()})
            scales.append(scale)
    return Feeds(feeds.sizes, tuple(batches), tuple(scales), feeds.drawn, (KIND,) * len(batches))


def _open_batch(wanted: Sequence[InputSpec], known: dict[str, Open], feeds: Feeds) -> bool:
    """Whether each input has a first axis of any length, and none is given."""
    shapes = [known[spec.name] for spec in wanted]
    return len(feeds.drawn) == len(wanted) and all(shape and shape[0] is None for shape in shapes)


def _affordable(model: Model, sizes: dict[str, Shape]) -> int:
    """How many samples to draw of a scale."""
    one = {name: (1, *shape[1:]) for name, shape in sizes.items()}
    layers = macs(model.proto, infer(model, one))
    elements = sum(math.prod(shape) for shape in one.values())
    if layers is None:
        return 0
    return int(min(_MANY, _MULTIPLICATIONS / max(layers, 1), _ELEMENTS / max(elements, 1)))


def _drawn(
    wanted: Sequence[InputSpec], sizes: dict[str, Shape], options: InputOptions, scale: float, count: int
) -> Feed:
    """So many samples of one scale."""
    rng = np.random.default_rng([options.seed, SCALES.index(scale), count])
    feed = {}
    for spec in wanted:
        dtype, shape = numpy_dtype(spec.dtype), (count, *sizes[spec.name][1:])
        within = options.input_range.get(spec.name)
        drawn = values(dtype, shape, scale, 0, rng, within)
        feed[spec.name] = _varied(drawn, rng) if is_float(dtype) and within is None else drawn
    return feed


def _varied(drawn: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The samples at other magnitudes, every third one sparse, and every third one of one magnitude throughout."""
    wide = drawn.astype(np.float64)
    size = np.sqrt(np.mean(wide**2)) if wide.size else 1.0
    wide[1::3] *= rng.random(wide[1::3].shape) < _SPARSE
    wide[2::3] = size * np.sign(wide[2::3])
    factors = np.exp(rng.uniform(-_SPREAD, _SPREAD, len(wide)))
    return np.asarray(wide * factors.reshape(-1, *(1 for _ in wide.shape[1:])), drawn.dtype)


def _apart(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]], count: int) -> NDArray[np.float64]:
    """How far apart two models are on each sample: the difference over the sample's largest value."""
    found = np.zeros(count)
    for one, other in zip(first, second, strict=True):
        if one.shape != other.shape or one.ndim == 0 or len(one) != count or one.dtype.kind == "O":
            continue
        a, b = (each.astype(np.float64).reshape(count, -1) for each in (one, other))
        if not a.size:
            continue
        with np.errstate(all="ignore"):
            share = np.max(np.abs(a - b), axis=1) / np.max(np.abs(a), axis=1)
        finite = np.isfinite(a).all(axis=1)  # else nothing is promised
        found = np.maximum(found, np.where(finite, np.nan_to_num(share, nan=0.0, posinf=np.inf), 0.0))
    return found
