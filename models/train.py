"""Train the models of this folder on scikit-learn's digits, and write them as ONNX.

    pip install -e '.[train]' && python models/train.py

Using the models needs neither torch nor scikit-learn. Seeds and schedule are fixed, and half a minute on one
core is enough. On one machine every run writes the same bytes; another processor or another version of torch
rounds differently, and so ends at slightly different weights.

All five networks are chains, so between torch and ONNX a network is a list of :class:`Layer`; the two models
that only write the PReLU MLP in another way (:func:`widened`, :func:`as_matmul`) are functions of lists.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import sklearn
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).parent
WIDTHS = (64, 48, 32, 10)
EPOCHS = 60
OPSET, IR_VERSION = 17, 8
INITIAL_SLOPE = 0.25
PROVENANCE = {
    "dataset": "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), "
    "the 1,797 images that scikit-learn ships; pixels divided by 16",
    "dataset_license": "CC BY 4.0",
    "license": "Apache-2.0",
    "script": "models/train.py",
}


@dataclass(frozen=True)
class Digits:
    """Images (n, 1, 8, 8), float32 in 0 … 1; labels (n,), int64; a quarter of each class is for testing."""

    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class Layer:
    """One node of a chain.

    Attributes:
        name: The node's name.
        op: Its ONNX operator.
        constants: Its inputs after the first, by initializer name, float32.
        attributes: Its ONNX attributes.
    """

    name: str
    op: str
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)


def digits() -> Digits:
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return Digits(*train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0))


def prelu(units: int) -> nn.Module:
    return nn.PReLU(units, init=INITIAL_SLOPE)


def relu(_units: int) -> nn.Module:
    return nn.ReLU()


def mlp(activation: Callable[[int], nn.Module]) -> nn.Sequential:
    """A perceptron 64 → 48 → 32 → 10."""
    modules = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for index, (inputs, units) in enumerate(pairwise(WIDTHS)):
        modules[f"fc{index}"] = nn.Linear(inputs, units)
        if units != WIDTHS[-1]:
            modules[f"act{index}"] = activation(units)
    return nn.Sequential(modules)


def cnn(activation: Callable[[int], nn.Module]) -> nn.Sequential:
    """Two 3×3 convolutions of 16 and 32 channels, average pooling to 4×4, one linear layer."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv0=nn.Conv2d(1, 16, 3, padding=1),
            act0=activation(16),
            conv1=nn.Conv2d(16, 32, 3, padding=1),
            act1=activation(32),
            pool=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(32 * 4 * 4, 10),
        )
    )


def trained(build: Callable[[], nn.Sequential], data: Digits, seed: int = 0) -> nn.Sequential:
    """A network after ``EPOCHS`` epochs of Adam, its rate falling to 0; slopes are learned like weights."""
    torch.manual_seed(seed)
    network = build()
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    return network


def layers(network: nn.Sequential) -> list[Layer]:
    """The network's modules as ONNX nodes."""
    named = list(network.named_children())
    return [layer(name, module, before) for (_, before), (name, module) in pairwise([("", None), *named])]


def layer(name: str, module: nn.Module, before: nn.Module | None) -> Layer:
    # fc0.w and fc0.b of torch's weight and bias.
    constants = {f"{name}.{key[0]}": value.detach().numpy() for key, value in module.named_parameters()}
    match module:
        case nn.Flatten():
            return Layer(name, "Flatten")
        case nn.ReLU():
            return Layer(name, "Relu")
        case nn.PReLU():
            # ONNX aligns a slope from the right: after a Conv, its channels need two more axes.
            shape = (-1, 1, 1) if isinstance(before, nn.Conv2d) else (-1,)
            return Layer(name, "PRelu", {f"{name}.slope": constants[f"{name}.w"].reshape(shape)})
        case nn.AvgPool2d():
            size = [module.kernel_size] * 2
            return Layer(name, "AveragePool", attributes={"kernel_shape": size, "strides": size})
        case nn.Linear():
            return Layer(name, "Gemm", constants, {"transB": 1})
        case nn.Conv2d():
            pads = list(module.padding) * 2
            return Layer(name, "Conv", constants, {"kernel_shape": list(module.kernel_size), "pads": pads})
    raise NotImplementedError(f"no ONNX operator is known for {module}")


def widened(chain: list[Layer]) -> list[Layer]:
    """The PReLU MLP as a ReLU MLP of twice the width, the same function.

        Gemm(A, b) ─► PRelu(a) ─► Gemm(ψ)   becomes   Gemm([A; −A], [b; −b]) ─► Relu ─► Gemm([ψ, −ψ·diag(a)])

    This is PReLU_a(z) = ReLU(z) − a·ReLU(−z), true for slopes of either sign. A unit of slope 0 needs no
    second row. Each product ψ·a is rounded once.
    """
    wide = []
    for before, step, after in zip([None, *chain[:-1]], chain, [*chain[1:], None], strict=True):
        if step.op == "Gemm":
            weight, bias = step.constants.values()
            a = slopes(before, weight.shape[1])
            weight = np.hstack([weight, (-weight.astype(np.float64) * a)[:, a != 0].astype(np.float32)])
            a = slopes(after, len(bias))
            weight, bias = np.vstack([weight, -weight[a != 0]]), np.hstack([bias, -bias[a != 0]])
            constants = dict(zip(step.constants, (weight, bias), strict=True))
            step = Layer(step.name, step.op, constants, step.attributes)
        wide.append(Layer(step.name, "Relu") if step.op == "PRelu" else step)
    return wide


def slopes(step: Layer | None, units: int) -> np.ndarray:
    """A PRelu's slopes; 0, which asks for no second row, where the layer is no PRelu."""
    return next(iter(step.constants.values())) if step is not None and step.op == "PRelu" else np.zeros(units)


def as_matmul(chain: list[Layer]) -> list[Layer]:
    """The same weights written as MatMul and Add: x·Wᵀ + b, the matrix stored transposed."""
    written = []
    for step in chain:
        if step.op == "Gemm":
            (w, weight), (b, bias) = step.constants.items()
            written.append(Layer(step.name, "MatMul", {w: np.ascontiguousarray(weight.T)}))
            written.append(Layer(f"{step.name}.add", "Add", {b: bias}))
        else:
            written.append(step)
    return written


def model(name: str, chain: list[Layer], data: Digits, origin: str) -> onnx.ModelProto:
    """A checked model of opset 17 and IR 8 with inferred shapes and its provenance in ``metadata_props``."""
    nodes, initializers, current = [], [], "image"
    for step in chain:
        output = "logits" if step is chain[-1] else f"{step.name}.out"
        inputs = [current, *step.constants]
        nodes.append(helper.make_node(step.op, inputs, [output], step.name, **step.attributes))
        initializers += [numpy_helper.from_array(value, key) for key, value in step.constants.items()]
        current = output
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        initializers,
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="models/train.py",
        producer_version=f"torch {torch.__version__}, scikit-learn {sklearn.__version__}",
    )
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    helper.set_model_props(proto, {"origin": origin, "test_accuracy": accuracy(proto, data), **PROVENANCE})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def accuracy(proto: onnx.ModelProto, data: Digits) -> str:
    """The share of test images that the model, as written, gets right, by the ONNX reference evaluator."""
    (logits,) = ReferenceEvaluator(proto).run(None, {"image": data.test_images})
    right, count = int((logits.argmax(axis=1) == data.test_labels).sum()), len(data.test_labels)
    return f"{100 * right / count:.1f} % ({right} of {count})"


def row(name: str, proto: onnx.ModelProto) -> str:
    """The model's line in the table of README.md."""
    props = {prop.key: prop.value for prop in proto.metadata_props}
    ops = ", ".join(dict.fromkeys(node.op_type for node in proto.graph.node))
    parameters = sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer)
    size = f"{parameters:,} | {proto.ByteSize():,}"
    return f"| `{name}` | {props['origin']} | {ops} | {props['test_accuracy']} | {size} |"


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits()
    np.savez_compressed(FOLDER / "digits_test.npz", image=data.test_images)
    np.save(FOLDER / "digits_test_labels.npy", data.test_labels.astype(np.uint8))

    prelu_mlp = layers(trained(lambda: mlp(prelu), data))
    relu_mlp = layers(trained(lambda: mlp(relu), data))
    prelu_cnn = layers(trained(lambda: cnn(prelu), data))
    written = {
        "digits_prelu_gemm": (prelu_mlp, "trained: PReLU, 64→48→32→10"),
        "digits_prelu_matmul": (as_matmul(prelu_mlp), "digits_prelu_gemm with MatMul and Add"),
        "digits_relu_wide": (widened(prelu_mlp), "digits_prelu_gemm as ReLU, 64→96→64→10"),
        "digits_relu": (relu_mlp, "trained: ReLU, 64→48→32→10"),
        "digits_prelu_cnn": (prelu_cnn, "trained: PReLU, 16 and 32 channels"),
    }
    rows = []
    for name, (chain, origin) in written.items():
        proto = model(name, chain, data, origin)
        (FOLDER / f"{name}.onnx").write_bytes(proto.SerializeToString(deterministic=True))
        rows.append(row(f"{name}.onnx", proto))
    put_into(FOLDER / "README.md", rows)


def put_into(readme: Path, rows: list[str]) -> None:
    """Replace the lines of the table whose first cell is a file's name."""
    text = readme.read_text(encoding="utf-8")
    table = "".join(f"{row}\n" for row in rows)
    readme.write_text(re.sub(r"(?m)(?<=---: \|\n)(^\| `.*\n)*", table, text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
