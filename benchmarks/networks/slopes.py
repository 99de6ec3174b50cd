"""Slopes as training leaves them.

Published networks differ by what they do. In face networks half to two thirds of the slopes are negative and one in
ten is above 1; in networks that restore images or sound they stay around the 0.25 that they start from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Slopes = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""Slopes for so many channels."""

ABOVE_ONE, NEGATIVE = 0.10, 0.55  # shares of the channels of a face network


def face(rng: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Of every layer's slopes 10 % in (1, 1.5), 55 % in (−1, 0), the others in (0, 1), in random order."""
    above, negative = (round(share * channels) for share in (ABOVE_ONE, NEGATIVE))
    drawn = np.concatenate(
        [
            rng.uniform(1.02, 1.5, above),
            rng.uniform(-1, -0.01, negative),
            rng.uniform(0.01, 0.95, channels - above - negative),
        ]
    )
    return np.asarray(rng.permutation(drawn))


def restoration(rng: np.random.Generator, channels: int) -> NDArray[np.float64]:
    """Normal around 0.25 with deviation 0.2, within −0.5 and 0.95: one in ten is negative, none above 1."""
    return np.asarray(rng.normal(0.25, 0.2, channels).clip(-0.5, 0.95))
