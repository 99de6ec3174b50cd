"""What a session takes to come into being: time and memory, in processes of their own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...graph.model import Model, save
from ..providers.installed import full
from ..providers.session import CPU
from .setting import Setting, shares
from .timing import Feed

_SCRIPT = Path(__file__).with_name("fresh.py")
_PROCESSES = 3  # a model
_RUNS = 3  # a process; memory does not grow after the second


@dataclass(frozen=True)
class Start:
    """What a session of a model takes in a fresh process. Numbers are medians, None if not measured.

    Attributes:
        provider: Where it runs.
        model: The model's name.
        start_ms: Milliseconds to make the session, from a file that the system has in its cache.
        load_bytes: Peak of the memory beyond that of the process without the session, once it is made.
        run_bytes: The same once it has run. Both are the host's memory; None where the system does not tell it.
        processes: Processes that this was measured in.
        reason: Why it was not measured, in words.
    """

    provider: str
    model: str
    start_ms: float | None = None
    load_bytes: int | None = None
    run_bytes: int | None = None
    processes: int = 0
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict that JSON can hold."""
        return asdict(self)


def starts(models: Sequence[Model], setting: Setting, progress: Callable[[str], None]) -> tuple[Start, ...]:
    """Open each model in several fresh processes, in turn, and run it there.

    Args:
        models: The models.
        setting: Where they run, and on what.
        progress: Called with what is being done now.

    Returns:
        One entry a model; none for the reference evaluator, which has no sessions.
    """
    if setting.provider == "reference":
        return ()
    entries = [Start(setting.provider, model.name) for model in models]
    odd = _not_for_npz(setting.inputs[0])
    if odd:
        return tuple(replace(entry, reason=odd) for entry in entries)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, *setting.inputs[0].values())
        files = [_file(model, Path(folder) / str(number)) for number, model in enumerate(models)]
        found: list[list[dict[str, Any]]] = [[] for _ in models]
        done = shares(progress, f"start on {setting.provider}")
        for process in range(_PROCESSES):
            done(process / _PROCESSES)
            for which, file in enumerate(files):
                if entries[which].reason is None:
                    told = _in_process(file, inputs, setting)
                    if isinstance(told, str):
                        entries[which] = replace(entries[which], reason=told)
                    else:
                        found[which].append(told)
    return tuple(_medians(entry, each) for entry, each in zip(entries, found, strict=True))


def _medians(entry: Start, found: Sequence[dict[str, Any]]) -> Start:
    if entry.reason is not None:
        return entry
    load, run = (
        None if None in values else round(statistics.median(values))
        for values in ([each[key] for each in found] for key in ("load", "run"))
    )
    milliseconds = 1e3 * statistics.median(each["seconds"] for each in found)
    return replace(entry, start_ms=milliseconds, load_bytes=load, run_bytes=run, processes=len(found))


def _not_for_npz(feed: Feed) -> str | None:
    """Which input cannot be handed over in an npz file, in words."""
    for name, array in feed.items():
        if array.dtype.isbuiltin != 1 or array.dtype.kind == "O":
            return f"'{name}' is of type {array.dtype.name}, which a file of inputs does not hold"
    return None


def _file(model: Model, folder: Path) -> Path:
    """The file of a model: its own, or one written for the purpose."""
    if model.path is not None and model.raw is not None:
        return model.path.absolute()
    folder.mkdir()
    save(model, folder / "model.onnx")
    return folder / "model.onnx"


def _in_process(model: Path, inputs: Path, setting: Setting) -> dict[str, Any] | str:
    """What one process found, or why it did not."""
    providers = list(dict.fromkeys([full(setting.provider), CPU]))
    request = {
        "model": str(model),
        "inputs": str(inputs),
        "names": list(setting.inputs[0]),
        "providers": providers,
        "threads": setting.threads,
        "runs": _RUNS,
    }
    # -P: the folder of the script is no place to import from.
    done = subprocess.run(
        [sys.executable, "-P", str(_SCRIPT)], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"the session's own process failed: {lines[-1]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
