"""How the time of a rewrite grows with the model, beside a bare import and another optimizer's default run.

    python -m benchmarks.growth                 # all sizes, writes benchmarks/growth.md
    python -m benchmarks.growth --layers 2000 5000 --repeat 1 --out /tmp/growth.md

Every time is that of a fresh process from start to exit: the best of a few. The growth exponent is that of the
time beyond what the same command takes on a chain of ten layers, so that starting Python does not flatter it.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.chain import chain
from benchmarks.machine import processor

LAYERS = (2_000, 5_000, 10_000, 20_000)
START = 10  # layers: what a command takes on these is its start
LIMIT = 300  # seconds
BIN = Path(sys.executable).parent
IMPORT = "import sys, onnx, onnx_graphsurgeon as gs; gs.import_onnx(onnx.load(sys.argv[1]))"

Command = Callable[[str, str], list[str]]


def rewrite(*form: str) -> Command:
    options = ("--to", "relu", *form, "--no-check", "--no-bench", "--quiet")
    return lambda source, target: [str(BIN / "onnx-prelu"), "rewrite", source, target, *options]


COMMANDS: dict[str, Command] = {
    "`onnx-prelu rewrite --to relu` (split)": rewrite(),
    "`onnx-prelu rewrite --to relu --form mirror`": rewrite("--form", "mirror"),
    "graphsurgeon: `gs.import_onnx(onnx.load(f))` alone": lambda source, _: [sys.executable, "-c", IMPORT, source],
    "`onnxslim in out`": lambda source, target: [str(BIN / "onnxslim"), source, target],
}


class NotTimed(Exception):
    """Why a command has no time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("growth.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = {layers: Path(folder) / f"chain{layers}.onnx" for layers in (START, *options.layers)}
        for layers, source in sources.items():
            source.write_bytes(chain(layers).SerializeToString())
        rows = [row(name, command, sources, options.repeat) for name, command in COMMANDS.items()]
    page = "\n".join([*head(options.repeat), *table(options.layers, rows), ""])
    options.out.write_text(page, encoding="utf-8")
    print(page)


def row(name: str, command: Command, sources: dict[int, Path], repeat: int) -> list[str]:
    """One line of the table. A size that is not timed ends the line: larger ones would not be either."""
    times: dict[int, float] = {}
    cells, why = [], ""
    for layers, source in sources.items():
        try:
            times[layers] = best(command(str(source), str(source.with_suffix(".out"))), repeat)
        except NotTimed as reason:
            why = str(reason)
            break
        print(f"{name}: {layers} layers, {times[layers]:.2f} s", file=sys.stderr)
        cells.append(cell(layers, times[layers]))
    cells += [why or "–", *["–"] * len(sources)][: len(sources) - len(cells)]
    return [name, *cells, exponent(times)]


def cell(layers: int, seconds: float) -> str:
    each = "" if layers == START else f" ({seconds / layers * 1e3:.3f})"
    return f"{seconds:.2f}{each}"


def exponent(times: dict[int, float]) -> str:
    """Growth from the first size to the last: 1 is linear, 2 quadratic."""
    sizes = [layers for layers in times if layers != START]
    if len(sizes) < 2 or sizes[-1] == sizes[0]:
        return "–"
    first, last = (times[layers] - times[START] for layers in (sizes[0], sizes[-1]))
    if min(first, last) <= 0:
        return "–"
    return f"{math.log(last / first) / math.log(sizes[-1] / sizes[0]):.2f}"


def best(command: Sequence[str], repeat: int) -> float:
    """Seconds of the fastest run; no repetition that would bring the sum above the limit is begun."""
    if not Path(command[0]).exists():
        raise NotTimed("not installed")
    times: list[float] = []
    while len(times) < repeat and sum(times) + min(times, default=0) <= LIMIT:
        start = time.perf_counter()
        try:
            subprocess.run(command, check=True, timeout=LIMIT, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            raise NotTimed(f"over {LIMIT} s") from None
        except subprocess.CalledProcessError as failure:
            lines = failure.stderr.strip().splitlines() or [f"exit code {failure.returncode}"]
            raise NotTimed(f"failed: {lines[-1]}") from None
        times.append(time.perf_counter() - start)
    return min(times)


def head(repeat: int) -> list[str]:
    return [
        "# How a rewrite grows",
        "",
        "A chain of Gemm + PRelu layers, width 8, float32 (`benchmarks/chain.py`). Seconds from the start of a",
        f"fresh process to its end, best of {repeat}; in brackets, seconds per 1,000 layers (2,000 nodes). Growth",
        f"is the exponent from the first size to the last, of the time beyond that of {START} layers: 1 is linear.",
        "",
        f"Machine: {processor()}, {os.cpu_count()} cores. Python {platform.python_version()}, {versions()}.",
        "",
        "Command: `python -m benchmarks.growth`",
        "",
    ]


def table(sizes: Sequence[int], rows: Sequence[Sequence[str]]) -> list[str]:
    columns = ["", f"{START} layers", *(f"{layers:,}" for layers in sizes), "growth"]
    return [" | ".join(["", *line, ""]).strip() for line in [columns, ["---"] * len(columns), *rows]]


def versions() -> str:
    found = []
    for package in ("onnx", "onnx-graphsurgeon", "onnxslim"):
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


if __name__ == "__main__":
    main()
