"""Run as a script in a process of its own, with nothing loaded but ONNX Runtime: one session, its time and memory.

Reads a request as JSON from standard input and writes what it found as JSON to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Make the session, run it, tell."""
    request = json.load(sys.stdin)
    import numpy as np
    import onnxruntime

    if "CUDAExecutionProvider" in request["providers"] and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = request["threads"]
    with np.load(request["inputs"]) as arrays:
        feeds = {name: arrays[file] for name, file in zip(request["names"], arrays.files, strict=True)}
    before = resident("VmRSS")
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(request["model"], options, providers=request["providers"])
    seconds = time.perf_counter() - start
    loaded = resident("VmHWM")
    for _ in range(request["runs"]):
        session.run(None, feeds)
    found: dict[str, Any] = {"seconds": seconds, "load": _less(loaded, before), "run": _less(resident("VmHWM"), before)}
    json.dump(found, sys.stdout)


def resident(which: str) -> int | None:
    """Bytes of this process that are in memory, now (VmRSS) or at most so far (VmHWM); None where nobody tells.

    Linux tells in /proc. ru_maxrss is not asked there: a process has its parent's from birth.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next((line for line in status.read_text().splitlines() if line.startswith(f"{which}:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _less(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else max(after - before, 0)


if __name__ == "__main__":
    main()
