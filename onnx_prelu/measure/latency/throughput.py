"""How much models get done in a second, at the batch sizes that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...graph.model import Model
from ..inputs.draw import Feeds, InputSpec, specs
from ..providers.runner import CannotRun
from .rotation import rotation
from .setting import Setting, shares
from .stats import interval
from .timing import measure


@dataclass(frozen=True)
class Throughput:
    """What one model gets done at one batch size. Numbers are None if not measured.

    Attributes:
        provider: Where it ran.
        model: Its name.
        batch: Samples a run.
        per_second: Samples a second, from the median time of a run.
        ratio: Median of its time over the first model's, pair by pair: below 1 it is faster.
        ci_low: Lower end of the ratio's 95 % bootstrap interval.
        ci_high: Its upper end.
        reason: Why it was not measured, in words.
    """

    provider: str
    model: str
    batch: int
    per_second: float | None = None
    ratio: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict that JSON can hold."""
        return asdict(self)


def throughput(
    models: Sequence[Model],
    setting: Setting,
    batches: Sequence[int],
    *,
    duration: float,
    seed: int,
    progress: Callable[[str], None],
) -> tuple[Throughput, ...]:
    """Time models at several batch sizes.

    The batch is the first axis of the first input that leaves it open; wherever the same name stands, and in
    inputs that leave their first axis open without a name, it takes the same size. Drawn values are drawn anew,
    the user's repeat themselves.

    Args:
        models: The models; they take the same inputs.
        setting: Where they run.
        batches: Samples a run.
        duration: Seconds for each batch size.
        seed: Of the inputs.
        progress: Called with what is being done now.

    Returns:
        One entry a batch size and model, the models in their order. What does not run at a size says why.
    """
    results = []
    for batch in batches:
        entries = [Throughput(setting.provider, model.name, batch) for model in models]
        try:
            feeds = rotation(with_batch(setting.feeds, specs(models[0].proto), batch), seed)
            done = shares(progress, f"batch {batch} on {setting.provider}")
            times = measure([setting.opener(model) for model in models], feeds, duration, done)
        except CannotRun as refusal:
            results += [replace(entry, reason=refusal.reason) for entry in entries]
        else:
            results += [_judged(entry, own, times[0]) for entry, own in zip(entries, times, strict=True)]
    return tuple(results)


def _judged(entry: Throughput, times: NDArray[np.float64], first: NDArray[np.float64]) -> Throughput:
    low, high = interval(times / first)
    ratio = float(np.median(times / first))
    return replace(entry, per_second=entry.batch / float(np.median(times)), ratio=ratio, ci_low=low, ci_high=high)


def with_batch(feeds: Feeds, wanted: Sequence[InputSpec], batch: int) -> Feeds:
    """The same inputs with another batch size.

    Raises:
        CannotRun: The model leaves no batch open, or the user's data are empty.
    """
    axes = {spec.name: _batch_axes(spec, _batch_name(wanted)) for spec in wanted}
    if not any(axes.values()):
        shapes = ", ".join(f"'{name}' {'x'.join(map(str, shape))}" for name, shape in feeds.sizes.items())
        raise CannotRun(f"the batch is fixed: no input leaves its first axis open ({shapes})")
    arrays = dict(feeds.batches[0])
    for name, each in axes.items():
        for axis in each:
            if not arrays[name].shape[axis]:
                raise CannotRun(f"'{name}' is empty, so there is nothing to repeat")
            arrays[name] = np.take(arrays[name], np.arange(batch) % arrays[name].shape[axis], axis)
    sizes = {name: array.shape for name, array in arrays.items()}
    return Feeds(sizes, (arrays,), feeds.scales[:1], feeds.drawn)


def _batch_name(wanted: Sequence[InputSpec]) -> str | None:
    """The name of the first open first axis; None where it has none."""
    return next((spec.shape[0] for spec in wanted if spec.shape and not isinstance(spec.shape[0], int)), None)


def _batch_axes(spec: InputSpec, name: str | None) -> list[int]:
    shape = spec.shape or ()
    return [
        axis for axis, size in enumerate(shape) if (size is None and axis == 0) or (size == name and name is not None)
    ]
