"""Static quantization to int8, as onnxruntime.quantization does it, and how much of the signal is left."""

from __future__ import annotations

import importlib
import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ...graph.model import Model, load, save
from ..providers.installed import errors, onnxruntime, told
from ..providers.runner import CannotRun, Runner

Feed = Mapping[str, NDArray[Any]]

BY_CHANNEL = 13
"""The opset from which on a weight can have a scale for each channel."""


def by_channel(model: Model) -> bool:
    """Whether the model's opset lets a weight have a scale for each channel."""
    imports = model.proto.opset_import
    return max((entry.version for entry in imports if entry.domain in ("", "ai.onnx")), default=1) >= BY_CHANNEL


class _Reader:
    """Gives one sample after the other, as onnxruntime.quantization asks for them."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next sample, or None."""
        return next(self._left, None)


def quantized(model: Model, feeds: Sequence[Feed]) -> Model:
    """A model quantized statically: QDQ, activations uint8 by their extremes, weights int8.

    A weight has a scale for each channel where the opset allows that, else one.

    Args:
        model: A float model.
        feeds: What the ranges of its tensors are taken from.

    Raises:
        CannotRun: No runtime is installed, or it cannot quantize the model.
    """
    onnxruntime()
    try:
        tools = importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise CannotRun(f"onnxruntime.quantization cannot be imported ({error})") from None
    failures: tuple[type[Exception], ...] = (*errors(), KeyError, AttributeError, AssertionError)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        save(model, before)
        try:
            tools.quantize_static(
                before,
                after,
                _Reader(feeds),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=by_channel(model),
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
            )
        except failures as error:
            raise CannotRun(f"onnxruntime.quantization failed: {told(str(error))}") from None
        return load(onnx.load(after))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the quantizer logs: advice on how to call it."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def sqnr(signal: Runner, noisy: Runner, feeds: Sequence[Feed]) -> float:
    """How much stronger the signal is than what quantization adds to it, in dB: of the worst output.

    ``10·log10(Σ y² / Σ (y − ŷ)²)`` over all samples, in float64; infinite where nothing was added.

    Args:
        signal: The float model.
        noisy: The quantized one, with the same outputs.
        feeds: What both are run on.

    Raises:
        CannotRun: One of them does not run.
    """
    power = np.zeros(len(signal.outputs))
    noise = np.zeros(len(signal.outputs))
    for feed in feeds:
        for i, (y, other) in enumerate(zip(signal.run(feed), noisy.run(feed), strict=True)):
            wide = y.astype(np.float64)
            power[i] += np.sum(wide**2)
            noise[i] += np.sum((wide - other.astype(np.float64)) ** 2)
    return min(
        math.inf if not added else 10 * math.log10(kept / added) if kept else -math.inf
        for kept, added in zip(power.tolist(), noise.tolist(), strict=True)
    )
