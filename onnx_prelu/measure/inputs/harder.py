"""Inputs that try to break a rewrite, beside those that are drawn: extremes, other sizes, points near kinks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...graph.model import Model
from .draw import Feed, Feeds, InputOptions, batch_of, settled
from .dtypes import numpy_dtype
from .extremes import extremes
from .kinks import Probe, movable, near_kinks
from .sizes import others
from .spec import specs
from .values import SCALES

KINKS = 3
"""How many batches are moved to the kinks of activations, for each seed."""

_STARTS = 2  # drawn batches that such points are looked for between


def harder(model: Model, options: InputOptions, feeds: Feeds, probe: Probe | None) -> Feeds:
    """The same feeds, and after them further ones that try to break a rewrite; the same ones for the same options.

    Where the user gives all values, there are none.

    Args:
        model: The model.
        options: What is fixed.
        feeds: What was drawn for it with these options.
        probe: What goes into its activations, on inputs; None where that is not known.
    """
    if not feeds.drawn:
        return feeds
    kinds = {
        spec.name: (numpy_dtype(spec.dtype), feeds.sizes[spec.name])
        for spec in specs(model.proto)
        if spec.name in feeds.drawn
    }
    first = feeds.batches[0]
    more: list[tuple[str, float, Feed]] = [
        (kind, scale, {**first, **feed}) for kind, scale, feed in extremes(kinds, options.input_range, options.seed)
    ]
    more += [("near kinks", SCALES[0], feed) for feed in _near_kinks(options, feeds, probe)]
    more += [("other sizes", SCALES[0], feed) for feed in _other_sizes(model, options, feeds.sizes)]
    added_kinds, scales, batches = zip(*more, strict=True)
    return replace(
        feeds,
        batches=(*feeds.batches, *batches),
        scales=(*feeds.scales, *scales),
        kinds=(*feeds.kinds, *added_kinds),
    )


def _near_kinks(options: InputOptions, feeds: Feeds, probe: Probe | None) -> list[Feed]:
    starts = [batch for batch, scale in zip(feeds.batches, feeds.scales, strict=True) if scale == SCALES[0]][:_STARTS]
    moved = movable(feeds.batches[0], feeds.drawn)
    if probe is None or not moved or len(starts) < _STARTS:
        return []
    return near_kinks(probe, starts, moved, options.input_range, KINKS, options.seed)


def _other_sizes(model: Model, options: InputOptions, sizes: Mapping[str, tuple[int, ...]]) -> Iterator[Feed]:
    """Batches of other sizes. Whether the model runs at them shows when it is judged."""
    wanted, sets, open_ = settled(model, options)
    if len(sets) != 1:  # of several data sets, each has sizes of its own
        return
    for which, other in enumerate(others(wanted, open_, sizes)):
        yield batch_of(wanted, other, sets[0].inputs, options, SCALES[0], which)
