"""PRelu alone on the CPU, by the signs of its input: from ONNX Runtime 1.27 on, mixed ones cost 16 times as much.

    python -m benchmarks.prelu_kernel                                    # the installed version
    python -m benchmarks.prelu_kernel --runtimes 1.26.0,1.27.0,1.32.0    # each in a throw-away environment

Prints a Markdown table of microseconds: medians, several inputs in rotation, everything in random order. A time is what
the calling thread computes for, which does all the work of a session with one thread: other programs do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from benchmarks.environments import under
from benchmarks.machine import processor
from benchmarks.tables import table

SHAPE = (1, 64, 112, 112)
INPUTS = 4  # of each pattern, in rotation: a single one is learnt by the branch predictor
RUN = 16  # elements of one sign in a row

Signs = Callable[[np.random.Generator, int], NDArray[np.float64]]
Node = tuple[str, list[str], dict[str, float]]
Times = dict[str, dict[str, float]]

PATTERNS: dict[str, Signs] = {
    "mixed": lambda rng, count: rng.choice([-1.0, 1.0], count),
    "positive": lambda _, count: np.ones(count),
    "negative": lambda _, count: -np.ones(count),
    f"runs of {RUN}": lambda rng, count: np.repeat(rng.choice([-1.0, 1.0], -(-count // RUN)), RUN)[:count],
    "alternating": lambda _, count: np.resize([1.0, -1.0], count),
}

# What is timed: nodes from x to y. The slopes a, one a channel, are at most 1, so that the maximum is a PReLU.
OPS: dict[str, list[Node]] = {
    "PRelu": [("PRelu", ["x", "a"], {})],
    "Max(x, a·x)": [("Mul", ["x", "a"], {}), ("Max", ["x", "m0"], {})],
    "Where(x < 0, a·x, x)": [("Mul", ["x", "a"], {}), ("Less", ["x", "zero"], {}), ("Where", ["m1", "m0", "x"], {})],
    "LeakyRelu": [("LeakyRelu", ["x"], {"alpha": 0.25})],
    "Relu": [("Relu", ["x"], {})],
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prelu_kernel", description=__doc__.splitlines()[0])
    parser.add_argument("--runtimes", metavar="VERSIONS", help="of ONNX Runtime, between commas")
    parser.add_argument("--samples", type=int, default=40, help="of each op and pattern (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the times there, and no table")
    options = parser.parse_args(arguments)
    if options.runtimes:
        found: dict[str, Times] = {}
        for version in options.runtimes.split(","):
            passed_on = ["--samples", str(options.samples)]
            found |= under(version.strip(), "benchmarks.prelu_kernel", passed_on, ["numpy", "onnx"])
    else:
        found = {onnxruntime.__version__: times(options.samples)}
    if options.json:
        options.json.write_text(json.dumps(found), encoding="utf-8")
    else:
        print("\n".join([*rows(found), "", f"{processor()}, {os.cpu_count()} cores, {platform.system()}; one thread."]))


def model(op: str) -> ModelProto:
    """An op as a model from x to y."""
    *inner, last = OPS[op]
    nodes = [helper.make_node(kind, names, [f"m{at}"], **with_) for at, (kind, names, with_) in enumerate(inner)]
    kind, names, with_ = last
    nodes.append(helper.make_node(kind, names, ["y"], **with_))
    slopes = np.random.default_rng(0).uniform(0.05, 0.95, (SHAPE[1], 1, 1))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy"]
    read = {name for node in nodes for name in node.input}
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in {"a": slopes, "zero": np.zeros(())}.items()
        if name in read
    ]
    graph = helper.make_graph(nodes, "kernel", ends[:1], ends[1:], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def inputs(pattern: str) -> list[NDArray[np.float32]]:
    """Normal values with the signs of a pattern."""
    rng = np.random.default_rng(1)
    count = int(np.prod(SHAPE))
    drawn = [np.abs(rng.standard_normal(count)) * PATTERNS[pattern](rng, count) for _ in range(INPUTS)]
    return [values.reshape(SHAPE).astype(np.float32) for values in drawn]


def times(samples: int) -> Times:
    """Microseconds by op and pattern under the installed version."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {op: onnxruntime.InferenceSession(model(op).SerializeToString(), options) for op in OPS}
    values = {pattern: inputs(pattern) for pattern in PATTERNS}
    taken: dict[tuple[str, str], list[float]] = {(op, pattern): [] for op in OPS for pattern in PATTERNS}
    order = np.random.default_rng()
    for turn in range(samples + 1):
        for op, pattern in order.permutation(list(taken)).tolist():
            feed = {"x": values[pattern][turn % INPUTS]}
            start = time.thread_time_ns()
            sessions[op].run(None, feed)
            if turn:  # the first turn warms up
                taken[op, pattern].append((time.thread_time_ns() - start) / 1e3)
    print(f"onnxruntime {onnxruntime.__version__}: done", file=sys.stderr)
    return {op: {pattern: float(np.median(taken[op, pattern])) for pattern in PATTERNS} for op in OPS}


def rows(found: dict[str, Times]) -> list[str]:
    """The times as a table, an op after the other, so that versions stand below each other."""
    cells = [
        [f"{op}, {version}", *(f"{by_op[op][pattern]:,.0f}" for pattern in PATTERNS)]
        for op in OPS
        for version, by_op in found.items()
    ]
    return table([f"µs on {list(SHAPE)}", *PATTERNS], cells)


if __name__ == "__main__":
    main()
