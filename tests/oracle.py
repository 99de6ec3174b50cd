"""The oracle: ONNX Runtime on the CPU, called directly."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray], *, folder: str | None = None) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def assert_close(one: list[np.ndarray], two: list[np.ndarray]) -> None:
    """Equal within the roundings of a few sums, relative to the largest magnitude of each output."""
    for a, b in zip(one, two, strict=True):
        a64, b64 = a.astype(float), b.astype(float)
        eps = {2: 2.5e-3, 4: 1e-5, 8: 1e-12}[a.dtype.itemsize]
        np.testing.assert_allclose(b64, a64, rtol=10 * eps, atol=eps * max(np.max(np.abs(a64), initial=0), 1e-30))


def assert_same_bits(one: list[np.ndarray], two: list[np.ndarray]) -> None:
    """Equal in every bit but the sign of a zero."""
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(b, a)
        assert a.dtype == b.dtype
