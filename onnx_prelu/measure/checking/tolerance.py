"""How much two results may differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..inputs.dtypes import is_float

# Scaled by the output's largest magnitude, these pass 400 of 400 correct rewrites and fail PRelu(0.25) against Relu,
# whatever the size of the output.
_BY_TYPE = {
    "float16": (2.5e-3, 1e-3),
    "bfloat16": (2e-2, 1e-2),
    "float32": (1e-5, 1e-4),
    "float64": (1e-12, 1e-11),
}
_EIGHT_BITS = (0.25, 0.125)


@dataclass(frozen=True)
class Tolerance:
    """What passes: ``|a − b| <= bound + atol·max|a| + rtol·|a|``, a being the original's output.

    Attributes:
        atol: As a share of the output's largest magnitude.
        rtol: As a share of each element.
        bound: By how much they may be apart besides, in the output's units: what is known of an approximation.
    """

    atol: float
    rtol: float
    bound: float = 0.0


@dataclass(frozen=True)
class Given:
    """What the user gives in place of it; None for what rounding, or else the type, allows.

    Attributes:
        atol: As a share of the output's largest magnitude.
        rtol: As a share of each element.
        bound: As :class:`Tolerance` has it.
    """

    atol: float | None = None
    rtol: float | None = None
    bound: float = 0.0


def tolerance(dtype: np.dtype[Any], atol: float | None, rtol: float | None, bound: float = 0.0) -> Tolerance:
    """The tolerance for outputs of a type, with what the user gives in place of the type's own values.

    What is no float has to be equal.

    >>> tolerance(np.dtype(np.float32), None, 0.0)
    Tolerance(atol=1e-05, rtol=0.0, bound=0.0)
    """
    if not is_float(dtype):
        return Tolerance(0.0, 0.0)
    own = _BY_TYPE.get(dtype.name, _EIGHT_BITS)
    return Tolerance(own[0] if atol is None else atol, own[1] if rtol is None else rtol, bound)
