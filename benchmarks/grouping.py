"""How long it takes to group parallel rows, and how much memory, as their number grows.

    python -m benchmarks.grouping                        # writes benchmarks/grouping.md and grouping.svg
    python -m benchmarks.grouping --rows 1000 10000 --repeat 1 --out /tmp/grouping.md

Every matrix is grouped in a process of its own, in which nothing else was done before. Half of its rows are new
directions; the other half are those at random scales of either sign, each rounded to float32.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import curves
from benchmarks.machine import processor
from benchmarks.tables import number, table
from onnx_prelu.algebra.grouping import groups

ROWS = (1_000, 3_000, 10_000, 30_000, 100_000)
COLUMNS = 1_024
_CHUNK = 200  # rows that are drawn at once: their memory is no more than the matrix needs anyway
_NEAR = 200  # directions that near duplicates lie around

Matrix = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int, int], NDArray[Any]]


def _near(rng: np.random.Generator, rows: int, columns: int) -> NDArray[Any]:
    """Rows that are 1e-5 off one of a few directions, which are the same for all chunks."""
    around = np.random.default_rng(1).standard_normal((_NEAR, columns))
    return around[rng.integers(0, _NEAR, rows)] * (1 + 1e-5 * rng.standard_normal((rows, columns)))


KINDS: Mapping[str, Draw] = {
    "random": lambda rng, rows, columns: rng.standard_normal((rows, columns)),
    "all positive": lambda rng, rows, columns: np.abs(rng.standard_normal((rows, columns))),
    "sparse, 5 %": lambda rng, rows, columns: (
        rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < 0.05)
    ),
    "near duplicates, 1e-5": _near,
}


def matrix(kind: str, rows: int, columns: int = COLUMNS) -> Matrix:
    """A float32 matrix: the first half of its rows are new, the others multiples of them."""
    rng = np.random.default_rng(rows)
    made = np.empty((rows, columns), np.float32)
    half = rows // 2
    for start in range(0, half, _CHUNK):
        stop = min(start + _CHUNK, half)
        made[start:stop] = KINDS[kind](rng, stop - start, columns)
    for start in range(half, rows, _CHUNK):
        stop = min(start + _CHUNK, rows)
        scale = np.exp(rng.standard_normal((stop - start, 1))) * rng.choice([-1, 1], (stop - start, 1))
        made[start:stop] = made[rng.integers(0, half, stop - start)] * scale
    return made


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        seconds: Processor time of the call, which keeps to one thread.
        memory: The process's peak while grouping, over what it was with the matrix: 1 plus what is needed, in
            multiples of the matrix.
        leaders: How many directions were found.
        given_up: How many rows were given up.
    """

    seconds: float
    memory: float
    leaders: int
    given_up: int


def run(kind: str, rows: int) -> Run:
    """Group one matrix, in this process."""
    groups(matrix(kind, 500), np.float32)  # the first call loads what is loaded late, and asks for its memory
    stored = matrix(kind, rows)
    before = _peak()
    start = time.process_time()
    found = groups(stored, np.float32)
    seconds = time.process_time() - start
    memory = 1 + (_peak() - before) / stored.nbytes
    leads = found.leader == np.arange(rows)
    return Run(seconds, memory, int(np.sum(leads)), len(found.given_up))


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grouping", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--one", nargs=2, metavar=("KIND", "ROWS"), help="print one run as JSON, and no page")
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(asdict(run(options.one[0], int(options.one[1])))))
        return
    best = {(kind, rows): _best(kind, rows, options.repeat) for kind in KINDS for rows in options.rows}
    text = page(best, options.repeat)
    options.out.write_text(text, encoding="utf-8")
    series = {
        kind: [(rows, 1e6 * each.seconds / rows) for (other, rows), each in best.items() if other == kind]
        for kind in KINDS
    }
    drawn = curves(series, "microseconds a row", f"rows of {COLUMNS:,} columns")
    options.out.with_suffix(".svg").write_text(drawn, encoding="utf-8")
    print(text)


def _best(kind: str, rows: int, repeat: int) -> Run:
    """The fastest of a few runs."""
    command = [sys.executable, "-m", "benchmarks.grouping", "--one", kind, str(rows)]
    done = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(repeat)]
    fastest = min((Run(**json.loads(each)) for each in done), key=lambda each: each.seconds)
    print(f"{kind}, {rows:,} rows: {fastest.seconds:.2f} s, {fastest.memory:.2f}x", file=sys.stderr)
    return fastest


def page(best: Mapping[tuple[str, int], Run], repeat: int) -> str:
    """The page: a row for each matrix."""
    columns = ("matrix", "rows", "s", "µs a row", "memory", "directions found", "rows given up")
    rows = [
        (
            *(kind, f"{size:,}", number(each.seconds), number(1e6 * each.seconds / size, 1)),
            *(number(each.memory), f"{each.leaders:,}", f"{each.given_up:,}"),
        )
        for (kind, size), each in best.items()
    ]
    lines = [
        "# Grouping parallel rows",
        "",
        f"float32, {COLUMNS:,} columns. Half of the rows are new directions, the others multiples of these, of either",
        f"sign, each rounded. Seconds are processor time of one thread, the best of {repeat} processes. Memory is the",
        "process's peak, in multiples of the matrix, which counts as 1.",
        "",
        "![Microseconds a row](grouping.svg)",
        "",
        f"Machine: {processor()}, {os.cpu_count()} cores. Python {platform.python_version()}, numpy {np.__version__}.",
        "",
        "Command: `python -m benchmarks.grouping`",
        "",
        *table(columns, rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
