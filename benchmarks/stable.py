"""How many units each way to find bounds proves dead or always on, and what that leaves of the network.

    python -m benchmarks.stable                 # writes benchmarks/stable.md

The digits network is trained here, with an L1 penalty on its weights, which takes scikit-learn (`.[train]`) and a few
seconds. The real networks are those of ../shared/models, where that folder is there.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

import onnx_prelu
from benchmarks.machine import processor
from benchmarks.tables import table
from onnx_prelu.passes.ranges.walk import TIERS

SHARED = Path(__file__).parents[2] / "shared" / "models"
ACAS = (np.array([-0.3284, *[-0.5] * 4]), np.array([0.6799, *[0.5] * 4]))
"""The inputs of the networks, normalised: to four digits, and to ten."""
ACAS_LONG = (np.array([-0.3284228772, *[-0.5] * 4]), np.array([0.6798577687, *[0.5] * 4]))
WIDTHS = (64, 100, 100, 100, 10)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """A network, the ranges of its inputs, and the ways to find bounds that say something of it."""

    name: str
    model: onnx.ModelProto
    ranges: Mapping[str, tuple[ArrayLike, ArrayLike]]
    tiers: Sequence[str] = TIERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("stable.md"))
    options = parser.parse_args()
    rows = [row for case in cases() for row in measured(case)]
    options.out.write_text("\n".join(written(rows)) + "\n", encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def cases() -> Iterator[Case]:
    for seed in SEEDS:
        model, accuracy = digits(seed)
        yield Case(f"digits with L1, seed {seed} ({accuracy:.1%} right)", model, {"image": (0.0, 1.0)}, TIERS[:2])
    for name, label, ends in (
        ("acasxu_1_1", "ACAS Xu 1_1", ACAS),
        ("acasxu_5_9", "ACAS Xu 5_9", ACAS),
        ("acasxu_5_9", "ACAS Xu 5_9, the box to ten digits", ACAS_LONG),
    ):
        path = SHARED / f"{name}.onnx"
        if path.exists():
            yield Case(label, onnx.load(path), {"input": ends})


def measured(case: Case) -> Iterator[tuple[str, ...]]:
    """A row for each way: what it proves, how long that takes, and what --to prelu makes of it."""
    for tier in case.tiers:
        began = time.perf_counter()
        report = onnx_prelu.inspect(case.model, input_range=case.ranges, prove=tier)
        seconds = time.perf_counter() - began
        result = onnx_prelu.rewrite(case.model, to="prelu", input_range=case.ranges, prove=tier, bench=False).report
        assert report.units is not None
        proven = [each.proven[-1] for each in report.units]
        before, after = (0 if cost is None else cost.parameters for cost in (result.before, result.after))
        yield (
            case.name,
            tier,
            f"{sum(each.units for each in report.units)}",
            f"{sum(each.dead for each in proven)}",
            f"{sum(each.on for each in proven)}",
            f"{seconds:.1f} s",
            f"{before:,} → {after:,}",
        )


def written(rows: list[tuple[str, ...]]) -> list[str]:
    columns = ("network", "bounds by", "units", "dead", "always on", "inspect takes", "parameters")
    return [
        "# Units that are proven dead or always on",
        "",
        f"`python -m benchmarks.stable`, on {processor()}, one run. Each rewritten network passed its check.",
        "",
        *table(columns, rows),
        "",
        f"The digits network has the widths {', '.join(map(str, WIDTHS))}, and was trained with an L1 penalty on its",
        "weights; its inputs are in [0, 1], and too many to cut. For ACAS Xu the box is [−.3284, .6799] and four times",
        "[−.5, .5]. In it, one more unit of 5_9 reaches 3.7e-7; in that of ten digits it stays below 0.",
    ]


# ── a digits network trained with L1 ──────────────────────────────────────────────────────────────────────────


def digits(seed: int, penalty: float = 3e-4, epochs: int = 60) -> tuple[onnx.ModelProto, float]:
    """A perceptron of Relu on scikit-learn's digits, and its share of right answers on a quarter left out."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float64)
    train, test, known, asked = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    weights = trained(train, known, np.random.default_rng(seed), penalty, epochs)
    values = test
    for number, (matrix, bias) in enumerate(weights):
        values = values @ matrix + bias
        values = np.maximum(values, 0) if number < len(weights) - 1 else values
    return as_onnx(weights), float(np.mean(values.argmax(axis=1) == asked))


Weights = list[tuple[np.ndarray, np.ndarray]]


def trained(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, penalty: float, epochs: int) -> Weights:
    """Adam on the cross entropy and the penalty times the sum of the absolute values of the weights."""
    weights = [
        (rng.uniform(-1, 1, (n, m)) / np.sqrt(n), rng.uniform(-1, 1, m) / np.sqrt(n))
        for n, m in itertools.pairwise(WIDTHS)
    ]
    moments = [[np.zeros_like(part) for part in layer for _ in range(2)] for layer in weights]
    steps = 0
    for epoch in range(epochs):
        rate = 2e-3 * (1 + np.cos(np.pi * epoch / epochs)) / 2
        for batch in np.array_split(rng.permutation(len(images)), len(images) // 32):
            steps += 1
            found = gradients(weights, images[batch], labels[batch])
            for (matrix, bias), (slant, lift), seen in zip(weights, found, moments, strict=True):
                slant += penalty * np.sign(matrix)
                for part, grad, first, second in ((matrix, slant, *seen[:2]), (bias, lift, *seen[2:])):
                    first += 0.1 * (grad - first)
                    second += 0.001 * (grad**2 - second)
                    part -= rate * (first / (1 - 0.9**steps)) / (np.sqrt(second / (1 - 0.999**steps)) + 1e-8)
    return weights


def gradients(weights: Weights, images: np.ndarray, labels: np.ndarray) -> Weights:
    values = [images]
    for matrix, bias in weights[:-1]:
        values.append(np.maximum(values[-1] @ matrix + bias, 0))
    scores = values[-1] @ weights[-1][0] + weights[-1][1]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    error = shares / shares.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    error /= len(labels)
    result: Weights = []
    for number in range(len(weights) - 1, -1, -1):
        result.append((values[number].T @ error, error.sum(axis=0)))
        error = (error @ weights[number][0].T) * (values[number] > 0)
    return result[::-1]


def as_onnx(weights: Weights) -> onnx.ModelProto:
    nodes, constants, last = [], [], "image"
    for number, (matrix, bias) in enumerate(weights):
        z = f"fc{number}.out"
        constants += [numpy_helper.from_array(matrix.astype(np.float32), f"fc{number}.w")]
        constants += [numpy_helper.from_array(bias.astype(np.float32), f"fc{number}.b")]
        nodes.append(helper.make_node("Gemm", [last, f"fc{number}.w", f"fc{number}.b"], [z], f"fc{number}"))
        last = z
        if number < len(weights) - 1:
            last = f"act{number}.out"
            nodes.append(helper.make_node("Relu", [z], [last], f"act{number}"))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", WIDTHS[0]])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", WIDTHS[-1]])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
