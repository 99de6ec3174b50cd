"""Many pairs of models, checked one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from . import api, manifest
from .errors import OnnxPreluError
from .report.entries import Entry
from .report.report import Report


def check_all(path: str | os.PathLike[str], *, progress: api.Progress | None = None) -> Report:
    """Check every pair of a manifest (docs/ci.md).

    Args:
        path: The manifest, a TOML file with a table for each pair.
        progress: Told what is being done now.

    Returns:
        The report: ``entries`` holds one a pair. A pair that cannot be read does not keep the others from being
        checked. Its exit code is the worst of theirs: 2 before 1 before 3 before 0.

    Raises:
        BadInput: The manifest cannot be read.
        BadUsage: It says something that makes no sense.
    """
    return check_pairs(os.fspath(path), manifest.pairs(Path(path)), progress=progress)


def check_pairs(name: str, pairs: Iterable[manifest.Pair], *, progress: api.Progress | None = None) -> Report:
    """The same for pairs that were read from a manifest of this name."""
    return Report("check-all", name, entries=tuple(_entry(pair, progress) for pair in pairs))


def _entry(pair: manifest.Pair, progress: api.Progress | None) -> Entry:
    def tell(doing: str) -> None:
        if progress is not None:
            progress(f"[{pair.name}] {doing}")

    try:
        return Entry(pair.name, api.check(pair.a, pair.b, progress=tell, **pair.options))
    except OnnxPreluError as error:
        return Entry(pair.name, None, error)
