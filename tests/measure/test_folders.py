"""Data in folders: npz and npy files, and ONNX's test data sets."""

import json

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking.check import check
from onnx_prelu.measure.inputs.data import data_sets
from onnx_prelu.measure.inputs.draw import InputOptions, draw, specs
from onnx_prelu.measure.inputs.folders import write_test_data
from onnx_prelu.measure.providers.runtime import open_runner


def model(body, opset=17, ir=8):
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}'))


TWO = model("g (float[N,3] x, float[N,M] z) => (float[N,3] y, float[N,M] w) { y = Relu(x) w = Relu(z) }")
LEAKY = model("g (float[N,3] x) => (float[N,3] y) { y = LeakyRelu <alpha = 0.5> (x) }")
STEEP = model("g (float[N,3] x) => (float[N,3] y) { y = LeakyRelu <alpha = 0.75> (x) }")
X = np.array([[1, -2, 3]], np.float32)
Z = np.array([[4, -5]], np.float32)


def pb(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(numpy_helper.from_array(value, "a name that says nothing").SerializeToString())


def given(folder, of=TWO):
    return data_sets(folder, specs(of.proto), len(of.proto.graph.output))


def test_npy_files_are_one_data_set(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "z.npy", Z)
    (found,) = given(tmp_path)
    assert {name: value.tolist() for name, value in found.inputs.items()} == {"x": X.tolist(), "z": Z.tolist()}
    assert found.outputs is None


def test_each_npz_file_is_a_data_set_in_the_order_of_numbers(tmp_path):
    for number in (10, 9, 1):
        np.savez(tmp_path / f"{number}.npz", x=X * number)
    assert [each.inputs["x"][0, 0] for each in given(tmp_path, LEAKY)] == [1, 9, 10]


@pytest.mark.parametrize("inside", ["", "test_data_set_0"])
def test_the_layout_of_the_model_zoo(tmp_path, inside):
    (tmp_path / "model.onnx").write_bytes(b"")  # a zoo's folder holds more than data
    (tmp_path / "docs").mkdir()
    pb(tmp_path / inside / "input_0.pb", X)
    pb(tmp_path / inside / "input_1.pb", Z)
    pb(tmp_path / inside / "output_0.pb", np.maximum(X, 0))
    pb(tmp_path / inside / "output_1.pb", np.maximum(Z, 0))
    (found,) = given(tmp_path)
    assert {name: value.tolist() for name, value in found.inputs.items()} == {"x": X.tolist(), "z": Z.tolist()}
    assert [value.tolist() for value in found.outputs] == [[[1, 0, 3]], [[4, 0]]]


def test_data_sets_may_have_sizes_of_their_own(tmp_path):
    for number, rows in enumerate((1, 4)):
        pb(tmp_path / f"test_data_set_{number}" / "input_0.pb", np.repeat(X, rows, 0))
    feeds = draw(LEAKY, InputOptions(inputs=tmp_path), open_runner(LEAKY, "cpu"))
    assert [batch["x"].shape for batch in feeds.batches] == [(1, 3), (4, 3)]
    assert (feeds.kinds, feeds.drawn, feeds.expected) == (("given", "given"), frozenset(), ())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int64, np.bool_, np.object_])
def test_what_is_written_is_read(tmp_path, dtype):
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    name = onnx.TensorProto.DataType.Name(kind).lower()
    of = model(f"g ({name}[N] x) => ({name}[N] y) {{ y = Identity(x) }}")
    x = np.array(["a", "é"], object) if dtype is np.object_ else np.array([0, 1]).astype(dtype)
    place = write_test_data(tmp_path / "new", {"x": x}, {"y": x})
    assert place == tmp_path / "new" / "test_data_set_0"
    (found,) = given(place, of)
    assert (found.inputs["x"].dtype, found.inputs["x"].tolist()) == (np.dtype(dtype), x.tolist())
    assert [value.tolist() for value in found.outputs] == [x.tolist()]
    assert write_test_data(tmp_path / "new", {"x": x}, {"y": x}).name == "test_data_set_1"  # nothing is overwritten


def cut(path):
    pb(path / "input_0.pb", X)
    (path / "input_0.pb").write_bytes((path / "input_0.pb").read_bytes()[:-3])


def many(path):
    np.savez((path / "x.npy").open("wb"), X)


def unlike(path):
    np.savez(path / "0.npz", x=X)
    np.savez(path / "1.npz", x=X, z=Z)


def too_many(path):
    for name in ("input_0", "input_1", "output_0"):
        pb(path / f"{name}.pb", X)


def both(path):
    np.savez(path / "0.npz", x=X)
    np.save(path / "x.npy", X)


def outside(path):
    tensor = numpy_helper.from_array(X, "x")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    (path / "input_0.pb").write_bytes(tensor.SerializeToString())


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "holds no data; put npz files there"),
        (lambda path: pb(path / "input_0.pb", X), "holds 1 inputs, but the model takes 2"),
        (too_many, "holds 1 outputs, but the model gives 2"),
        (cut, "is no tensor"),
        (lambda path: (path / "input_0.pb").write_bytes(b""), "is no tensor"),
        (outside, "keeps its values in another file"),
        (many, "holds several arrays"),
        (lambda path: (path / "x.npy").write_text("1,2"), "is no npy file"),
        (lambda path: np.save(path / "q.npy", X), "'q' is no input of the model that is fed"),
        (both, "holds both npz and npy files"),
        (unlike, "only one of this and 0.npz holds 'z'"),
    ],
)
def test_folders_that_make_no_sense(tmp_path, write, said):
    write(tmp_path)
    with pytest.raises(BadInput) as error:
        given(tmp_path)
    assert str(error.value).startswith(f"--inputs {tmp_path}")
    assert said in str(error.value)


# ── expected outputs ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("second", "expected", "status", "otherwise"),
    [
        (LEAKY, [[1, -1, 3]], "passed", (False, False)),
        (STEEP, [[1, -1, 3]], "failed", (False, True)),
        (STEEP, [[1, -1.5, 3]], "failed", (True, False)),
        (LEAKY, [[1, -1.5, 3]], "passed", (True, True)),  # both alike: not what the data expect, and that is said
        (LEAKY, [[1, -1.0001, 3]], "passed", (False, False)),  # rounded otherwise
        (LEAKY, [1, -1, 3], "passed", (True, True)),
    ],
)
def test_both_models_are_held_to_expected_outputs(tmp_path, second, expected, status, otherwise):
    write_test_data(tmp_path, {"x": X}, {"y": np.array(expected, np.float32)})
    (found,) = check(LEAKY, second, providers=["cpu"], options=InputOptions(inputs=tmp_path))
    (row,) = found.expected
    assert (found.status, found.batches, found.kinds) == (status, 1, {"given": 1})
    assert (row.name, row.first is not None, row.second is not None) == ("test_data_set_0", *otherwise)
    json.dumps(found.to_dict()["expected"])


NAN, INF = np.nan, np.inf
# PRelu(inf) is left out: it is not the same on all releases of the runtime.
ROOT = model("g (float[N,3] x) => (float[N,3] y) { y = Sqrt(x) }")
ROOT_OF_SIZE = model("g (float[N,3] x) => (float[N,3] y) { a = Abs(x) y = Sqrt(a) }")
INVERSE = model("g (float[N,3] x) => (float[N,3] y) { y = Reciprocal(x) }")


@pytest.mark.parametrize(
    ("of", "x", "expected", "gives_it"),
    [
        (ROOT, [4, -1, 9], [2, NAN, 3], True),
        (ROOT, [4, -1, 9], [2, 1, 3], False),
        (ROOT, [4, -1, 9], [2, INF, 3], False),
        (ROOT, [4, 1, 9], [2, NAN, 3], False),
        (ROOT, [4, NAN, 9], [2, NAN, 3], True),
        (INVERSE, [2, 0.0, 4], [0.5, INF, 0.25], True),
        (INVERSE, [2, -0.0, 4], [0.5, INF, 0.25], False),
        (INVERSE, [2, 1, 4], [0.5, INF, 0.25], False),
    ],
)
def test_what_is_expected_may_be_no_number(tmp_path, of, x, expected, gives_it):
    write_test_data(tmp_path, {"x": np.array([x], np.float32)}, {"y": np.array([expected], np.float32)})
    (found,) = check(of, of, providers=["cpu"], options=InputOptions(inputs=tmp_path))
    (row,) = found.expected
    assert (found.status, row.first is None, row.second is None) == ("passed", gives_it, gives_it)


def test_only_the_second_gives_a_number_where_nan_is_expected(tmp_path):
    write_test_data(tmp_path, {"x": np.float32([[4, -1, 9]])}, {"y": np.float32([[2, NAN, 3]])})
    (found,) = check(ROOT, ROOT_OF_SIZE, providers=["cpu"], options=InputOptions(inputs=tmp_path))
    assert (found.status, found.expected[0].first) == ("failed", None)
    assert found.expected[0].second == "output 'y' differs in 1 elements where NaN or infinity is expected"


def test_only_what_is_expected_tells_them_apart(tmp_path):
    """Within the tolerance of each other, and on either side of it from what is expected."""
    a = model("g (float[N,3] x) => (float[N,3] y) { y = LeakyRelu <alpha = 0.50001> (x) }")
    write_test_data(tmp_path, {"x": X}, {"y": np.array([[1, -1.00015, 3]], np.float32)})
    (found,) = check(a, LEAKY, providers=["cpu"], options=InputOptions(inputs=tmp_path), atol=1e-5, rtol=1e-4)
    assert (found.outputs[0].failure, found.expected[0].first) == (None, None)
    assert found.status == "failed"
    assert found.reason.endswith("compared with what 'test_data_set_0' expects, which the first model gives")
