"""A model in ONNX Runtime on one provider, made sure of.

Asked for a provider whose device or libraries are missing, ONNX Runtime warns and runs the model on the CPU. Here
that is :class:`CannotRun`, with the reason that it gave.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ...graph.model import Model, serialized
from .installed import errors, full, missing, onnxruntime, told, too_new
from .placement import placed
from .quiet import caught
from .runner import CannotRun, Runner

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NAMES = {CPU: "cpu", CUDA: "cuda"}

# Types that ONNX Runtime takes and gives as bits only, because numpy itself has none like them: ONNX's number, dtype.
_BITS: dict[str, tuple[int, np.dtype[Any]]] = {
    "tensor(bfloat16)": (16, np.dtype(ml_dtypes.bfloat16)),
    "tensor(float8e4m3fn)": (17, np.dtype(ml_dtypes.float8_e4m3fn)),
    "tensor(float8e4m3fnuz)": (18, np.dtype(ml_dtypes.float8_e4m3fnuz)),
    "tensor(float8e5m2)": (19, np.dtype(ml_dtypes.float8_e5m2)),
    "tensor(float8e5m2fnuz)": (20, np.dtype(ml_dtypes.float8_e5m2fnuz)),
}


class SessionRunner(Runner):
    """A model in an ONNX Runtime session.

    Args:
        model: The model. External data are read from its folder.
        provider: The provider, as :func:`~.installed.full` takes it.
        threads: Threads for one node on the CPU; None for all that the process may use.
        checking: Compute as precisely and repeatably as the provider can, rather than as fast.
        optimize: Let the runtime fuse and reorder nodes.
        profile: Where to write a profile of the runs: the beginning of a file's name; None for nowhere.

    Raises:
        CannotRun: This runtime lacks the provider, its device or its libraries, no node of the model went to it,
            or the model cannot be loaded.
    """

    def __init__(
        self,
        model: Model,
        provider: str,
        *,
        threads: int | None,
        checking: bool,
        optimize: bool = True,
        profile: Path | None = None,
    ) -> None:
        name = full(provider)
        self.provider = _NAMES.get(name, name)
        options = _options(model, threads, checking)
        if not optimize:
            options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        self.session = _load(model, options, CPU) if name == CPU else _load_on(model, options, name, checking)
        self.placed = placed(self.session)
        if name != CPU and self.placed is not None and len(self.elsewhere) == len(self.placed):
            raise CannotRun(f"no node of the model was placed on {name}: all {len(self.placed)} run elsewhere")
        self._errors = errors()
        self._types = {value.name: value.type for value in (*self.session.get_inputs(), *self.session.get_outputs())}
        for tensor, kind in self._types.items():
            if not kind.startswith("tensor("):
                raise CannotRun(f"'{tensor}' is a {kind}: models are compared and timed on tensors only")
        self.outputs = tuple(output.name for output in self.session.get_outputs())
        self._run = self._on_bits if _BITS.keys() & set(self._types.values()) else self._on_arrays

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """See :meth:`Runner.run`."""
        try:
            return self._run(feeds)
        except self._errors as error:
            raise CannotRun(told(str(error))) from None

    def _on_arrays(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        results: list[NDArray[Any]] = self.session.run(None, dict(feeds))
        return results

    def _on_bits(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        make = onnxruntime().OrtValue
        values = {}
        for name, value in feeds.items():
            if self._types[name] in _BITS:
                bits = np.ascontiguousarray(value).view(f"u{value.itemsize}")
                values[name] = make.ortvalue_from_numpy_with_onnx_type(bits, _BITS[self._types[name]][0])
            else:
                values[name] = make.ortvalue_from_numpy(value)
        return [_array(value) for value in self.session.run_with_ort_values(None, values)]


def _array(value: Any) -> NDArray[Any]:
    """An output on the CPU as an array of its own; numpy cannot be asked for the types that it does not have."""
    known = _BITS.get(value.data_type())
    if known is None:
        result: NDArray[Any] = value.numpy()
        return result
    count = int(np.prod(value.shape(), dtype=np.int64)) * known[1].itemsize
    data = ctypes.string_at(value.data_ptr(), count)
    return np.frombuffer(data, known[1]).reshape(value.shape())


def _options(model: Model, threads: int | None, checking: bool) -> Any:
    options = onnxruntime().SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = (
        threads or _cpus()
    )  # without a number, threads are bound, with noise if they cannot be
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if model.folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(model.folder))
    if checking:
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # two sessions share the cores
    else:  # threads spin while a run goes on, as they do by default, but not on after it, when another is timed
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load(model: Model, options: Any, *providers: str | tuple[str, dict[str, str]]) -> Any:
    try:
        return onnxruntime().InferenceSession(serialized(model), options, providers=list(providers), enable_fallback=0)
    except errors() as error:
        raise CannotRun(too_new(str(error), model) or told(str(error))) from None


def _load_on(model: Model, options: Any, name: str, checking: bool) -> Any:
    """A session on another provider than the CPU, which may take the nodes that are left over.

    ONNX Runtime before 1.24 cannot tell where nodes run. There, all of them must run on the provider.
    """
    runtime = onnxruntime()
    settings = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"} if name == CUDA and checking else {}
    others = [CPU]
    if not hasattr(runtime.InferenceSession, "get_provider_graph_assignment_info"):
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        others = []
    lines: list[str] = []
    try:
        with caught(lines):
            if name == CUDA and hasattr(runtime, "preload_dlls"):
                runtime.preload_dlls()
            session = _load(model, options, (name, settings), *others)
    except CannotRun as refusal:
        raise CannotRun(missing(lines) or missing([refusal.reason]) or refusal.reason) from None
    if name not in session.get_providers():
        raise CannotRun(missing(lines) or "ONNX Runtime would not use it, without saying why, and took the CPU instead")
    return session
