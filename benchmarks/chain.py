"""Write a chain of Gemm + PRelu layers: `python -m benchmarks.chain 2000 out.onnx`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 8


def chain(layers: int) -> onnx.ModelProto:
    """A chain of so many layers, each with its own weight, bias and slopes; the same on every machine."""
    rng = np.random.default_rng(0)
    nodes, weights, flows = [], [], "x"
    for layer in range(layers):
        last = layer == layers - 1
        values = {
            "w": rng.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)),
            "b": rng.normal(0, 0.1, WIDTH),
            "a": rng.normal(0.25, 0.5, WIDTH),
        }
        names = {kind: f"fc{layer}.{kind}" for kind in values}
        weights += [numpy_helper.from_array(value.astype(np.float32), names[kind]) for kind, value in values.items()]
        out = "y" if last else f"act{layer}.y"
        nodes.append(
            helper.make_node("Gemm", [flows, names["w"], names["b"]], [f"fc{layer}.y"], f"fc{layer}", transB=1)
        )
        nodes.append(helper.make_node("PRelu", [f"fc{layer}.y", names["a"]], [out], f"act{layer}"))
        flows = out
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", WIDTH]) for name in "xy"]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def main() -> None:
    if len(sys.argv) != 3 or not sys.argv[1].isdigit() or int(sys.argv[1]) == 0:
        sys.exit("usage: python -m benchmarks.chain LAYERS OUT.onnx")
    Path(sys.argv[2]).write_bytes(chain(int(sys.argv[1])).SerializeToString())


if __name__ == "__main__":
    main()
