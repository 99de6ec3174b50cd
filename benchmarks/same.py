"""How often a model is called faster or slower than its own copy: `python benchmarks/same.py`.

    python benchmarks/same.py                       # the models of models/, 20 runs each, writes benchmarks/same.md
    python benchmarks/same.py net.onnx --runs 5 --duration 10 --out /tmp/same.md

Each run is what `onnx-prelu bench` does with a file and a copy of it. The exit code is 1 where a model is called
different in more than one of twenty.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from onnx_prelu.graph.model import load
from onnx_prelu.measure.latency.bench import Latency, bench

MODELS = Path(__file__).parents[1] / "models"
ALLOWED = 1 / 20


@dataclass
class Runs:
    """All runs of one model."""

    name: str
    results: list[Latency] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many of the runs saw a difference."""
        return sum(result.verdict != "no difference" for result in self.results)

    def row(self) -> str:
        """A row of the table."""
        same = len(self.results) - self.different
        furthest = max((result.ratio for result in self.results), key=lambda ratio: abs(ratio - 1))
        shows = statistics.median(result.detectable for result in self.results)
        time = statistics.median(result.before_ms for result in self.results)
        return f"| {self.name} | {time:.3g} ms | {same} of {len(self.results)} | {furthest:.4f} | {100 * shows:.1f} % |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="*", default=sorted(MODELS.glob("*.onnx")))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--duration", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("same.md"))
    options = parser.parse_args()
    found = [Runs(model.name) for model in options.models]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.runs):
            for model, runs in zip(options.models, found, strict=True):
                runs.results.append(timed(model, Path(folder), options))
                print(f"{number + 1}/{options.runs} {runs.results[-1].sentence()}: {model.name}", file=sys.stderr)
    options.out.write_text(page(found, options), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))
    if any(runs.different > ALLOWED * len(runs.results) for runs in found):
        sys.exit("a model was called different from its copy more than once in twenty runs")


def timed(model: Path, folder: Path, options: argparse.Namespace) -> Latency:
    copy = Path(shutil.copy(model, folder))
    settings = {"providers": ["cpu"], "threads": options.threads, "duration": options.duration}
    (result,) = bench(load(model), load(copy), **settings)
    if result.status != "measured":
        sys.exit(f"{model}: {result.reason}")
    return result


def page(found: list[Runs], options: argparse.Namespace) -> str:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    versions = f"Python {platform.python_version()}, onnxruntime {metadata.version('onnxruntime')}"
    same = sum(len(runs.results) - runs.different for runs in found)
    how = f"{options.runs} runs of {options.duration:g} s a model, threads: {options.threads}"
    lines = [
        "# A model against its own copy",
        "",
        f"`python benchmarks/same.py`: {how}. {machine}; {versions}.",
        "",
        f'"No difference" in **{same} of {sum(len(runs.results) for runs in found)}** runs.',
        "",
        "| model | time of a run | no difference | furthest ratio | would show (median) |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(runs.row() for runs in found),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
