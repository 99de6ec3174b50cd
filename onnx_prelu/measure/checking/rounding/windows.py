"""Convolutions and pools in numpy: an array seen through a window that moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .bounded import Array


@dataclass(frozen=True)
class Window:
    """How a window moves over the spatial axes.

    Attributes:
        kernel: Its size.
        strides: How far it moves at a time.
        dilations: How far its elements are apart.
        pads: What is added before and behind each axis.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    def over(self, x: Array, fill: float) -> Array:
        """The windows of x (N, C, *spatial), with a value for what is beyond it: (N, C, *places, *kernel)."""
        rank = len(self.kernel)
        padded = np.pad(x, [(0, 0), (0, 0), *self.pads], constant_values=fill)
        reach = tuple((size - 1) * step + 1 for size, step in zip(self.kernel, self.dilations, strict=True))
        every = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
        moved = tuple(slice(None, None, step) for step in self.strides)
        return every[(slice(None), slice(None), *moved, *(slice(None, None, step) for step in self.dilations))]


def window(attributes: Mapping[str, Any], kernel: Sequence[int], spatial: Sequence[int]) -> Window:
    """The window of a Conv or pool by its attributes, for an input of some size."""
    rank = len(kernel)
    strides = tuple(attributes.get("strides", [1] * rank))
    dilations = tuple(attributes.get("dilations", [1] * rank))
    given = attributes.get("pads", [0] * (2 * rank))
    pads = list(zip(given[:rank], given[rank:], strict=True))
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "VALID":
        pads = [(0, 0)] * rank
    elif auto != "NOTSET":
        pads = [
            _same(*each, upper=auto == "SAME_UPPER") for each in zip(spatial, kernel, strides, dilations, strict=True)
        ]
    if attributes.get("ceil_mode"):
        pads = [
            (before, behind + _more(size, k, s, d, before, behind))
            for (before, behind), size, k, s, d in zip(pads, spatial, kernel, strides, dilations, strict=True)
        ]
    return Window(tuple(kernel), strides, dilations, tuple(pads))


def _same(size: int, kernel: int, stride: int, dilation: int, *, upper: bool) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    half = total // 2
    return (half, total - half) if upper else (total - half, half)


def _more(size: int, kernel: int, stride: int, dilation: int, before: int, behind: int) -> int:
    """What ceil_mode adds behind, unless that window would begin in the padding."""
    room = size + before + behind - (kernel - 1) * dilation - 1
    places = -(-room // stride) + 1
    if (places - 1) * stride >= size + before:
        places -= 1
    return max((places - 1) * stride - room, 0)


def convolve(x: Array, kernel: Array, moved: Window, groups: int) -> Array:
    """An array (N, C, *spatial) under a kernel (M, C/groups, *size), group by group."""
    seen = moved.over(x, 0.0)  # (N, C, *places, *size)
    places = seen.shape[2 : 2 + len(moved.kernel)]
    split = seen.reshape(len(x), groups, -1, math.prod(places), math.prod(moved.kernel))
    columns = split.transpose(1, 0, 3, 2, 4).reshape(groups, len(x) * math.prod(places), -1)
    made = columns @ kernel.reshape(groups, len(kernel) // groups, -1).transpose(0, 2, 1)
    ordered = made.reshape(groups, len(x), math.prod(places), -1).transpose(1, 0, 3, 2)
    return ordered.reshape(len(x), len(kernel), *places)


def spread(x: Array, kernel: Array, attributes: Mapping[str, Any], groups: int) -> Array:
    """The transposed convolution of x (N, C, *spatial) by a kernel (C, M/groups, *size)."""
    size = kernel.shape[2:]
    rank = len(size)
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    more = attributes.get("output_padding", [0] * rank)
    full = [
        (n - 1) * s + (k - 1) * d + 1 + o
        for n, s, k, d, o in zip(x.shape[2:], strides, size, dilations, more, strict=True)
    ]
    made = np.zeros((len(x), kernel.shape[1] * groups, *full))
    rows = kernel.reshape(groups, -1, *kernel.shape[1:])
    parts = x.reshape(len(x), groups, -1, *x.shape[2:])
    for at in itertools.product(*map(range, size)):
        term = np.einsum("ngc...,gcm->ngm...", parts, rows[(slice(None),) * 3 + at])
        places = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, n, s in zip(at, dilations, x.shape[2:], strides, strict=True)
        )
        made[(slice(None), slice(None), *places)] += term.reshape(len(x), -1, *x.shape[2:])
    pads = attributes.get("pads", [0] * (2 * rank))
    kept = tuple(slice(pads[i], full[i] - pads[rank + i]) for i in range(rank))
    return made[(slice(None), slice(None), *kept)]


def pooled(x: Array, moved: Window, fill: float, reduce: Callable[..., Array]) -> Array:
    """What a reduction makes of each window."""
    return reduce(moved.over(x, fill), axis=tuple(range(-len(moved.kernel), 0)))
