"""Inputs to take in turn while times are taken."""

from __future__ import annotations

import numpy as np

from ..inputs.draw import Feeds
from ..inputs.values import SCALES, values
from .timing import Feed

_INPUTS = 8


def rotation(feeds: Feeds, seed: int) -> list[Feed]:
    """Several inputs of the sizes of ``feeds``, since a single one is learnt by the branch predictor.

    Of ordinary scale, and of mixed signs throughout: runs of one sign are predicted, and kernels that branch look
    faster than they are. What the user gave stays as it is in all of them.

    Args:
        feeds: Inputs that the models run on, as :func:`~..inputs.draw.draw` gives them.
        seed: Of the values; equal seeds give equal inputs.
    """
    rng = np.random.default_rng(seed)
    return [
        {
            name: values(array.dtype, array.shape, SCALES[0], 0, rng, feeds.ranges.get(name))
            if name in feeds.drawn
            else array
            for name, array in feeds.batches[0].items()
        }
        for _ in range(_INPUTS if feeds.drawn else 1)
    ]
