"""What int8 makes of each form: SQNR against the float model, and latency.

    python -m benchmarks.int8        # writes benchmarks/int8.md

The digits CNN is quantized on its own test images; the real networks of ../shared/models, when they are there, on
smooth drawn images, since no photographs come with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import onnx_prelu
from benchmarks.machine import processor
from onnx_prelu.tuning.int8 import Candidate, Int8

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "models"
PAGE = Path(__file__).with_suffix(".md")
SAMPLES = 64
NETWORKS = ("mtcnn_rnet", "mtcnn_onet", "minifasnet_v2")


def main() -> None:
    parts = [_about(), *(_section(name, result) for name, result in _results())]
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print("\n".join(parts))


def _results() -> Iterator[tuple[str, Int8]]:
    yield "digits_prelu_cnn", _chosen(ROOT / "models" / "digits_prelu_cnn.onnx", ROOT / "models" / "digits_test.npz")
    for name in NETWORKS:
        path = REAL / f"{name}.onnx"
        if path.exists():
            yield name, _chosen(path, images(onnx.load(path)))


def _chosen(model: Path, inputs: Path | dict[str, NDArray[np.float32]]) -> Int8:
    result = onnx_prelu.rewrite(model, purpose="int8", inputs=inputs, providers=["cpu"])
    assert result.report.int8 is not None
    return result.report.int8


def images(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """Smooth images in [-1, 1] for a model of one input: noise, summed up along both axes."""
    rng = np.random.default_rng(0)
    (value,) = model.graph.input
    shape = [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
    noise = rng.standard_normal((SAMPLES, *shape))
    for axis, size in enumerate(noise.shape[1:], start=1):
        if size > 8:
            noise = np.cumsum(noise, axis=axis)
    largest = np.max(np.abs(noise), axis=tuple(range(1, noise.ndim)), keepdims=True)
    return {value.name: (noise / largest).astype(np.float32)}


def _about() -> str:
    return (
        "# The form decides what int8 costs\n\n"
        "Static QDQ, activations uint8, weights int8. SQNR is that of the worst output, against the float model; times "
        "over those of the model quantized as it is, one thread.\n\n"
        f"Machine: {processor()}, {os.cpu_count()} cores. {date.today().isoformat()}. "
        "Command: `python -m benchmarks.int8`\n"
    )


def _section(name: str, result: Int8) -> str:
    rows = "\n".join(_row(candidate) for candidate in result.candidates)
    scales = f"a scale for each {'channel' if result.by_channel else 'tensor'}"
    samples = f"ranges from {result.calibrated} samples, judged on {result.judged}"
    head = f"## {name}\n\n{result.runtime}; {samples}; {scales}.\n"
    return f"{head}\n| form | SQNR, dB | time, ms | over as it is | |\n|---|---:|---:|---:|---|\n{rows}\n"


def _row(candidate: Candidate) -> str:
    if candidate.sqnr_db is None or candidate.ms is None or candidate.ratio is None:
        return f"| {candidate.form} | | | | {candidate.reason or 'clearly slower'} |"
    chosen = "chosen" if candidate.chosen else ""
    return f"| {candidate.form} | {candidate.sqnr_db:.1f} | {candidate.ms:.3g} | {candidate.ratio:.2f} | {chosen} |"


if __name__ == "__main__":
    main()
