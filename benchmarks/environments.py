"""Throw-away environments: a module of this repository under another version of ONNX Runtime."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def package_dependencies() -> list[str]:
    """What the package needs besides a runtime."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def under(version: str, module: str, arguments: Sequence[str], dependencies: Sequence[str]) -> Any:
    """What a module of this repository writes when it runs under a version of ONNX Runtime.

    The version and the dependencies are installed into a new environment, which is removed afterwards.

    Args:
        version: Of ONNX Runtime, as the package index has it.
        module: That has ``--json FILE``, where it writes its results.
        arguments: Other arguments for it.
        dependencies: What it imports besides ONNX Runtime.

    Returns:
        The results.

    Raises:
        SystemExit: The version cannot be installed, or the module fails; what went wrong is on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        print(f"installing onnxruntime {version}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        python, results = next(Path(folder).glob("*/python")), Path(folder) / "results.json"
        _run([python, "-m", "pip", "install", "-qq", f"onnxruntime=={version}", *dependencies])
        _run([python, "-m", module, *arguments, "--json", results])
        return json.loads(results.read_text(encoding="utf-8"))


def _run(command: Sequence[str | Path]) -> None:
    try:
        subprocess.run([str(part) for part in command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"{' '.join(map(str, command[1:5]))} …: exit code {failure.returncode}")
