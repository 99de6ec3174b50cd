"""The shipped models are what their README and docs/why.md say of them."""

import doctest
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
README = (MODELS / "README.md").read_text(encoding="utf-8")
WHY = " ".join((ROOT / "docs/why.md").read_text(encoding="utf-8").split())
ROW = re.compile(
    r"^\| `(?P<file>.+?)` \| (?P<origin>.+?) \| (?P<ops>.+?) \| (?P<percent>[\d.]+) % "
    r"\((?P<right>\d+) of (?P<of>\d+)\) \| (?P<parameters>[\d,]+) \| (?P<bytes>[\d,]+) \|$",
    re.MULTILINE,
)
TABLE = {row["file"].removesuffix(".onnx"): row.groupdict() for row in ROW.finditer(README)}
TRAINED = ["digits_prelu_gemm", "digits_relu", "digits_prelu_cnn"]
Activation = Callable[[np.ndarray, np.ndarray], np.ndarray]


def load(name: str) -> onnx.ModelProto:
    return onnx.load(MODELS / f"{name}.onnx")


def constants(name: str) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in load(name).graph.initializer}


def logits(name: str, images: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "digits_test.npz")["image"]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.load(MODELS / "digits_test_labels.npy")


def test_the_table_names_the_files_that_are_there():
    assert set(TABLE) == {path.stem for path in MODELS.glob("*.onnx")}


def test_everything_together_stays_small():
    assert sum(path.stat().st_size for path in MODELS.iterdir() if path.is_file()) < 2_000_000


@pytest.mark.parametrize("name", TABLE)
def test_file_is_valid_and_as_the_readme_says(name):
    proto, row = load(name), TABLE[name]
    onnx.checker.check_model(proto, full_check=True)

    assert (proto.ir_version, [(o.domain, o.version) for o in proto.opset_import]) == (8, [("", 17)])
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"image": ["N", 1, 8, 8], "logits": ["N", 10]}

    assert sorted({node.op_type for node in proto.graph.node}) == sorted(row["ops"].split(", "))
    assert sum(value.size for value in constants(name).values()) == number(row["parameters"])
    assert (MODELS / f"{name}.onnx").stat().st_size == number(row["bytes"])


@pytest.mark.parametrize("name", TABLE)
def test_accuracy_is_the_stated_one(name, images, labels):
    row = TABLE[name]
    right = int((logits(name, images).argmax(axis=1) == labels).sum())
    assert (right, len(labels)) == (int(row["right"]), int(row["of"]))
    assert f"{100 * right / len(labels):.1f}" == row["percent"]


@pytest.mark.parametrize("name", TABLE)
def test_provenance_travels_in_the_file(name):
    props = {prop.key: prop.value for prop in load(name).metadata_props}
    assert set(props) == {"origin", "test_accuracy", "dataset", "dataset_license", "license", "script"}
    assert props["origin"] == TABLE[name]["origin"]
    assert props["test_accuracy"] == "{percent} % ({right} of {of})".format(**TABLE[name])
    assert (ROOT / props["script"]).is_file()


@pytest.mark.parametrize("name", TABLE)
def test_names_can_be_read(name):
    graph = load(name).graph
    for node in graph.node:
        assert re.fullmatch(r"(flatten|pool|fc|(fc|conv|act)\d)(\.add)?", node.name)
        assert node.output[0] in (f"{node.name}.out", "logits")
        owner = node.name.removesuffix(".add")
        assert all(re.fullmatch(rf"{owner}\.(w|b|slope)", constant) for constant in node.input[1:])


def test_the_images_are_what_the_models_take(images, labels):
    assert images.dtype == np.float32
    assert images.shape == (450, 1, 8, 8)
    assert images.min() == 0
    assert images.max() == 1
    assert np.bincount(labels).min() >= 43  # a quarter of each class, of 174 images or more


@pytest.mark.parametrize("same", ["digits_prelu_matmul", "digits_relu_wide"])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_three_files_hold_one_function(same, scale, images):
    noise = np.random.default_rng(0).standard_normal((256, 1, 8, 8)).astype(np.float32)
    for inputs in (images * np.float32(scale), noise * np.float32(scale)):
        expected = logits("digits_prelu_gemm", inputs)
        assert np.abs(logits(same, inputs) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_matmul_holds_the_transposed_weights():
    gemm, matmul = constants("digits_prelu_gemm"), constants("digits_prelu_matmul")
    assert gemm.keys() == matmul.keys()
    for key, value in gemm.items():
        assert np.array_equal(matmul[key], value.T)


def test_wide_pairs_each_row_with_its_negative_and_scales_the_columns_by_the_slope():
    narrow, wide = constants("digits_prelu_gemm"), constants("digits_relu_wide")
    for layer, units in (("fc0", 48), ("fc1", 32)):
        w, b = wide[f"{layer}.w"], wide[f"{layer}.b"]
        assert w.shape[0] == b.size == 2 * units
        assert np.array_equal(w[units:], -w[:units])
        assert np.array_equal(b, np.hstack([narrow[f"{layer}.b"], -narrow[f"{layer}.b"]]))
    assert np.array_equal(wide["fc0.w"][:48], narrow["fc0.w"])
    for layer, behind, units in (("fc1", "act0", 48), ("fc2", "act1", 32)):
        w, slope = narrow[f"{layer}.w"], narrow[f"{behind}.slope"]
        once = (-w.astype(np.float64) * slope.astype(np.float64)).astype(np.float32)
        assert np.array_equal(wide[f"{layer}.w"][: len(w), :units], w)
        assert np.array_equal(wide[f"{layer}.w"][: len(w), units:], once)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("digits_prelu_gemm", [(48,), (32,)]), ("digits_prelu_cnn", [(16, 1, 1), (32, 1, 1)])],
)
def test_slopes_are_learned_and_of_both_signs(name, shapes):
    slopes = [value for key, value in constants(name).items() if key.endswith(".slope")]
    assert [slope.shape for slope in slopes] == shapes
    every = np.concatenate([slope.ravel() for slope in slopes])
    assert every.min() < 0 < 1 < every.max()
    assert np.all(every != 0)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_weights_hold_nothing_that_could_be_folded(name):
    """No two rows (with their bias) are parallel, none is zero, no column is zero."""
    values = constants(name)
    for key, weight in values.items():
        if key.endswith(".w"):
            rows = np.column_stack([weight.reshape(len(weight), -1), values[f"{key[:-2]}.b"]]).astype(np.float64)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            assert lengths.min() > 1e-3
            cosines = (rows / lengths) @ (rows / lengths).T
            assert np.abs(cosines - np.eye(len(rows))).max() < 0.999
            assert np.all(np.any(weight != 0, axis=tuple({*range(weight.ndim)} - {1})))


# docs/why.md


def test_the_examples_of_the_why_page_run():
    result = doctest.testfile(str(ROOT / "docs/why.md"), module_relative=False, encoding="utf-8")
    assert result.failed == 0
    assert result.attempted >= 7


def relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def hidden(name: str, images: np.ndarray, activation: Activation) -> list[np.ndarray]:
    """The values before each activation of an MLP, then the logits, by numpy."""
    values, flow, layers = constants(name), images.reshape(len(images), -1), []
    for layer in range(3):
        layers.append(flow @ values[f"fc{layer}.w"].T + values[f"fc{layer}.b"])
        flow = activation(layers[-1], values.get(f"act{layer}.slope", np.float32(0)))
    return layers


def prelu(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    return np.where(z >= 0, z, a * z)


def popular(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    return relu(z) + relu(a * z)


def test_the_popular_formula_costs_what_the_why_page_says(images, labels):
    right = {
        formula: int((hidden("digits_prelu_gemm", images, formula)[-1].argmax(axis=1) == labels).sum())
        for formula in (prelu, popular)
    }
    assert f"classifies {right[popular]} of the 450 test images; the model classifies {right[prelu]}." in WHY
    slopes = np.concatenate([constants("digits_prelu_gemm")[f"act{layer}.slope"] for layer in (0, 1)])
    assert f"{(slopes > 0).sum()} of the {slopes.size} in `digits_prelu_gemm.onnx`" in WHY


@pytest.mark.parametrize("name", ["digits_prelu_gemm", "digits_relu_wide", "digits_relu"])
def test_the_why_page_counts_parameters_units_and_dead_units(name, images):
    cells = re.search(rf"\| `{name}\.onnx`[^|]*\|([^|]+)\|([^|]+)\|([^|]+)\|([^|]*)\|", WHY).groups()
    before = hidden(name, images, prelu)[:-1]
    dead = sum(int((z <= 0).all(axis=0).sum()) for z in before)
    parameters, units, accuracy, never = (cell.strip() for cell in cells)
    assert parameters == TABLE[name]["parameters"]
    assert int(units) == sum(z.shape[1] for z in before)
    assert accuracy == f"{TABLE[name]['percent']} %"
    assert int(never) == dead
