"""For pytest: that two models compute the same, with a failure that can be read.

>>> assert_equivalent("models/digits_prelu_gemm.onnx", "models/digits_relu_wide.onnx", providers=["cpu"]).passed
True
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import api
from .report.report import Report
from .report.verdicts import check_lines


def assert_equivalent(a: api.Source, b: api.Source, **options: Any) -> Report:
    """Assert that two models with the same interface compute the same.

    Args:
        a: The original: a path, a ModelProto or a graphsurgeon graph.
        b: The model that has to compute the same.
        options: Those of :func:`onnx_prelu.check`, such as ``providers=["cpu"]`` or ``dim={"N": 4}``.

    Returns:
        The report.

    Raises:
        AssertionError: They differ, or a required provider could not run. It says which output, how far beyond what
            is allowed, and at which element; and where both models are files, the command that shows it again.
        BadInput: A model or the data cannot be read.
        BadUsage: The request contradicts itself, or names what is not there.
    """
    __tracebackhide__ = True  # the line that pytest shows is the test's own
    report = api.check(a, b, **options)
    if not report.passed:
        raise AssertionError("\n".join(_told(report, _replay(a, b, options))))
    return report


def _told(report: Report, replay: str | None) -> Iterator[str]:
    yield f"{report.model} and {report.against} are not shown to compute the same: {report.failure}"
    for check in report.check or ():
        status, *details = check_lines(check)
        if check.reason is None or check.reason not in (report.failure or ""):
            yield f"  {status.text}"
        yield from (f"  {'  ' * line.level}{line.text}" for line in details)
    yield from (f"  {note}" for note in report.notes)
    if replay is not None:
        yield f"  to see it again: {replay}"


_WORDS: dict[str, Callable[[Any], list[str]]] = {
    "providers": lambda names: [word for name in names or () for word in ("--provider", name)],
    "require_all_nodes_on": lambda name: [] if name is None else ["--require-all-nodes-on", name],
    "inputs": lambda file: [] if file is None else ["--inputs", os.fspath(file)],
    "input_shape": lambda shapes: _each("--input-shape", ":", shapes, lambda shape: ",".join(map(str, shape))),
    "dim": lambda sizes: _each("--dim", "=", sizes, str),
    "input_range": lambda ranges: _each("--input-range", "=", ranges, _ends),
    "seed": lambda seed: ["--seed", str(seed)],
    "seeds": lambda seeds: [] if seeds is None else ["--seeds", str(seeds)],
    "check_budget": lambda seconds: [] if seconds is None else ["--check-budget", repr(seconds)],
    "save_failing": lambda folder: [] if folder is None else ["--save-failing", os.fspath(folder)],
    "atol": lambda share: [] if share is None else ["--atol", repr(share)],
    "rtol": lambda share: [] if share is None else ["--rtol", repr(share)],
    "tol": lambda given: _each("--tol", ":", given, lambda own: ",".join(f"{name}={own[name]!r}" for name in own)),
    "signed_zeros": lambda strict: ["--signed-zeros"] * bool(strict),
}
"""How the command line says an option that decides about the verdict."""


def _each(option: str, separator: str, values: Mapping[str, Any] | None, say: Callable[[Any], str]) -> list[str]:
    return [word for name, value in (values or {}).items() for word in (option, f"{name}{separator}{say(value)}")]


def _sayable(ends: Any) -> bool:
    """Whether the command line can say a range: as numbers, or as the name of an npz file."""
    if isinstance(ends, str | os.PathLike):
        return os.fspath(ends).endswith(".npz")
    return all(np.ndim(end) == 0 for end in ends)


def _ends(ends: Any) -> str:
    return os.fspath(ends) if isinstance(ends, str | os.PathLike) else ",".join(repr(float(end)) for end in ends)


def _replay(a: api.Source, b: api.Source, options: Mapping[str, Any]) -> str | None:
    """The command that comes to the same verdict: the inputs are drawn by the seed. None where no command says it."""
    files = [str(source) for source in (a, b) if isinstance(source, str | os.PathLike)]
    if len(files) < 2 or isinstance(options.get("inputs"), Mapping) or not options.keys() <= _WORDS.keys():
        return None
    if not all(map(_sayable, (options.get("input_range") or {}).values())):
        return None
    words = [word for name, value in options.items() for word in _WORDS[name](value)]
    return shlex.join(["onnx-prelu", "check", *files, *words])
