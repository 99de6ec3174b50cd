"""An input that fails made small: fewer samples, more zeros, small numbers, as long as it still fails.

An input that has a range stays in it: what stands for 0 is the value of the range that is nearest to 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dtypes import is_float
from .ranges import Range
from .spec import InputSpec

Feed = dict[str, NDArray[Any]]

_HALVINGS = 32


class _Search:
    """The smallest input that failed so far."""

    def __init__(
        self, feed: Feed, fails: Callable[[Feed], bool], ranges: Mapping[str, Range], most: int, seconds: float
    ) -> None:
        self.feed = feed
        self._ranges = ranges
        self._fails = fails
        self._left = most
        self._until = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        return self._left <= 0 or time.monotonic() >= self._until

    def take(self, feed: Feed) -> bool:
        """Try a smaller input, and keep it if it still fails."""
        if self.spent:
            return False
        self._left -= 1
        if not self._fails(feed):
            return False
        self.feed = feed
        return True

    def kept(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        """Values for an input, brought into its range where it has one."""
        return self._ranges[name].kept(value, value.dtype) if name in self._ranges else value


def minimised(
    feed: Feed,
    wanted: tuple[InputSpec, ...],
    fails: Callable[[Feed], bool],
    ranges: Mapping[str, Range],
    most: int = 400,
    seconds: float = 30.0,
) -> Feed:
    """A small input that still fails.

    First entries of the batch are dropped where the model leaves their number open, then elements are set to 0, large
    groups first, then all is halved. Nothing is random, and no gradient is needed.

    Args:
        feed: An input that fails.
        wanted: The model's inputs.
        fails: Whether an input fails.
        ranges: Where values have to lie, by input.
        most: How many inputs to try at most.
        seconds: For how long to begin with a further one.
    """
    search = _Search(feed, fails, ranges, most, seconds)
    _drop(search, [spec.name for spec in wanted if _open_batch(spec)])
    for spec in wanted:
        _zero(search, spec.name)
    _halve(search)
    return search.feed


def _open_batch(spec: InputSpec) -> bool:
    return spec.shape is not None and len(spec.shape) > 0 and not isinstance(spec.shape[0], int)


def _drop(search: _Search, names: list[str]) -> None:
    """Keep one half of the batch or the other, until neither fails alone."""
    if not names or len({len(search.feed[name]) for name in names}) > 1:
        return
    while (size := len(search.feed[names[0]])) > 1:
        halves = (slice(0, size // 2), slice(size // 2, size))
        if not any(
            search.take({name: value[half] if name in names else value for name, value in search.feed.items()})
            for half in halves
        ):
            return


def _zero(search: _Search, name: str) -> None:
    """Set runs of elements to 0, or as near as their range goes: all, then halves, then quarters, of what is not."""
    if search.feed[name].dtype.kind == "O":
        return
    least = search.kept(name, np.zeros_like(search.feed[name]))
    pieces = 1
    while not search.spent:
        left = np.flatnonzero(search.feed[name] != least)
        if not len(left):
            return
        for piece in np.array_split(left, min(pieces, len(left))):
            search.take({**search.feed, name: _without(search.feed[name], piece, least)})
        if pieces >= len(left):
            return
        pieces *= 2


def _without(value: NDArray[Any], elements: NDArray[np.intp], least: NDArray[Any]) -> NDArray[Any]:
    copy = value.copy(order="C")
    copy.reshape(-1)[elements] = least.reshape(-1)[elements]
    return copy


def _halve(search: _Search) -> None:
    """Halve magnitudes above 1, and keep few digits, as long as it still fails."""
    for make in (_halved, _whole):
        for feed in make(search):
            if not search.take(feed):
                break


def _halved(search: _Search) -> Iterator[Feed]:
    for _ in range(_HALVINGS):
        if all(float(np.max(np.abs(value), initial=0)) <= 1 for value in _floats(search.feed).values()):
            return
        halves = {
            name: search.kept(name, np.asarray(value / 2, value.dtype)) for name, value in _floats(search.feed).items()
        }
        if all(np.array_equal(half, search.feed[name]) for name, half in halves.items()):
            return
        yield {**search.feed, **halves}


def _whole(search: _Search) -> Iterator[Feed]:
    yield {
        **search.feed,
        **{
            name: search.kept(name, np.asarray(np.rint(value), value.dtype))
            for name, value in _floats(search.feed).items()
        },
    }


def _floats(feed: Feed) -> Feed:
    return {name: value for name, value in feed.items() if is_float(value.dtype)}
