"""How often a property runs: a tenth of the stated count, or all of it with ONNX_PRELU_FULL=1."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FULL = os.environ.get("ONNX_PRELU_FULL") == "1"


def count(stated: int) -> int:
    return stated if FULL else max(1, stated // 10)


def examples(stated: int) -> settings:
    """Hypothesis settings for a property whose stated count is this; the seed is fixed."""
    return settings(
        max_examples=count(stated),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
