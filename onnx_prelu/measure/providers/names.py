"""Names of providers: ONNX Runtime's own, and short ones."""

from __future__ import annotations

_SUFFIX = "ExecutionProvider"


def short(provider: str) -> str:
    """A provider's name without what all have in common, and without case.

    >>> short("CUDAExecutionProvider"), short("Dml")
    ('cuda', 'dml')
    """
    return provider.lower().removesuffix(_SUFFIX.lower())
