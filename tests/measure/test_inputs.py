import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, parser

from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.graph.model import Model
from onnx_prelu.measure.inputs.draw import InputOptions, draw, specs
from onnx_prelu.measure.inputs.values import SCALES, values
from onnx_prelu.measure.providers.runtime import CannotRun, open_runner


def model(body, ir=8, opset=17):
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}'))


def drawn(given, provider="cpu", **options):
    return draw(given, InputOptions(**options), open_runner(given, provider))


TWO = "g (float[N,3] x, float[N,M] z) => (float[N,3] y, float[N,M] w) { y = Relu(x) w = Relu(z) }"
CONV = """g (float[N,1,H,W] x) => (float[N,1,h,w] y) <float[1,1,5,5] k = {
    1,1,1,1,1, 1,1,1,1,1, 1,1,1,1,1, 1,1,1,1,1, 1,1,1,1,1}> { y = Conv(x, k) }"""
ONE_IMAGE = "g (float[N,H,W] x) => (float[n,m,k] y) <int64[3] s = {1, 4, 4}> { y = Reshape(x, s) }"
NON_EMPTY = "g (float[N] x) => (float[M] y) <int64[1] a = {3}, int64[1] b = {99}> { y = Slice(x, a, b) }"


@pytest.mark.parametrize(
    ("given", "options", "sizes"),
    [
        (TWO, {}, {"x": (1, 3), "z": (1, 1)}),
        (TWO, {"dim": {"N": 5}}, {"x": (5, 3), "z": (5, 1)}),
        (TWO, {"dim": {"N": 5, "M": 7}}, {"x": (5, 3), "z": (5, 7)}),
        (TWO, {"input_shape": {"z": (6, 2)}}, {"x": (6, 3), "z": (6, 2)}),
        (TWO, {"input_shape": {"z": (6, 2)}, "dim": {"N": 6}}, {"x": (6, 3), "z": (6, 2)}),
        (TWO, {"inputs": {"x": np.zeros((4, 3), np.float32)}}, {"x": (4, 3), "z": (4, 1)}),
        (CONV, {}, {"x": (8, 1, 8, 8)}),  # 5 × 5 is the least; 8 is the first of the tried sizes that suffices
        (CONV, {"dim": {"N": 1}}, {"x": (1, 1, 8, 8)}),
        (CONV, {"input_shape": {"x": (2, 1, 5, 6)}}, {"x": (2, 1, 5, 6)}),
        (ONE_IMAGE, {}, {"x": (1, 4, 4)}),  # not (4, 4, 4): the first dimension stays 1
        (NON_EMPTY, {}, {"x": (4,)}),  # at 1 and 2 it runs, but nothing comes out
        ("g (float[-1,2] x) => (float[n,2] y) { y = Relu(x) }", {}, {"x": (1, 2)}),
        ("g (float[0,2] x) => (float[0,2] y) { y = Relu(x) }", {}, {"x": (0, 2)}),
        ("g (float x) => (float y) { y = Relu(x) }", {}, {"x": ()}),
        ("g () => (float[1] y) { y = Constant <value_floats = [1.0]> () }", {}, {}),
    ],
)
def test_sizes(given, options, sizes):
    assert drawn(model(given), **options).sizes == sizes


def test_an_unknown_rank_is_tried_too():
    given = model("g (float[1] x) => (float[n] y) { y = MaxPool <kernel_shape = [1, 1]> (x) }")
    given.proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert drawn(given, input_shape={"x": (1, 1, 2, 3)}).sizes["x"] == (1, 1, 2, 3)
    assert drawn(given).sizes["x"] == (1, 1, 1, 1)  # 2 is tried first, but this MaxPool takes 4


@pytest.mark.parametrize("ir", [3, 8])
def test_an_input_with_a_value_is_not_fed(ir):
    body = "g (float[N,2] x, float[2] s) => (float[N,2] y) <float[2] s = {1.0, 2.0}> { y = Mul(x, s) }"
    given = model(body, ir=ir, opset=9)
    assert [tensor.name for tensor in given.proto.graph.initializer] == ["s"]
    assert [spec.name for spec in specs(given.proto)] == ["x"]
    assert drawn(given).sizes == {"x": (1, 2)}


def test_no_size_fits():
    given = model("g (float[N] x) => (float[a,b] y) <int64[2] s = {3, 7}> { y = Reshape(x, s) }")
    with pytest.raises(CannotRun, match=r"input tensor cannot be reshaped.*\{1\}"):
        drawn(given)
    assert drawn(given, dim={"N": 21}).sizes == {"x": (21,)}


def test_an_input_that_is_no_tensor():
    given = model("g (seq(float[1]) x) => (float[n] y) { y = ConcatFromSequence <axis = 0> (x) }")
    with pytest.raises(CannotRun, match="input 'x' is no tensor"):
        drawn(given, "reference")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dim": {"K": 2}}, "--dim K: no input of the model has a dimension of that name; its named ones are N, M"),
        ({"input_shape": {"q": (1,)}}, "--input-shape q: the model has no such input to feed; its inputs are x, z"),
        ({"input_shape": {"x": (-1, 3)}}, "'x' cannot be [-1, 3]; give sizes from 0 on"),
        ({"dim": {"N": -1}}, "'N' cannot be [-1]"),
        ({"input_shape": {"x": (1,)}}, "input 'x' cannot be [1]: it is [N, 3]"),
        ({"input_shape": {"x": (2, 4)}}, "input 'x' cannot be [2, 4]: it is [N, 3]"),
        ({"input_shape": {"x": (2, 3)}, "dim": {"N": 8}}, "input 'x' cannot be [2, 3]: it is [8, 3]"),
        (
            {"input_shape": {"x": (2, 3)}, "inputs": {"x": np.zeros((4, 3), np.float32)}},
            "'x' in --inputs is [4, 3], but --input-shape asks for [2, 3]",
        ),
    ],
)
def test_what_the_model_does_not_have(options, said):
    with pytest.raises(BadUsage) as error:
        drawn(model(TWO), **options)
    assert str(error.value).startswith(said)


# ── given data ────────────────────────────────────────────────────────────────────────────────────────────────


def test_given_data_are_fed_as_they_are(tmp_path):
    x, z = np.array([[np.inf, -0.0, 2]], np.float32), np.array([[5, 6]], np.float32)
    np.savez(tmp_path / "d.npz", x=x, z=z)
    feeds = drawn(model(TWO), inputs=tmp_path / "d.npz")
    assert len(feeds.batches) == 1
    assert feeds.batches[0]["x"].tobytes() == x.tobytes()
    assert feeds.batches[0]["z"].tobytes() == z.tobytes()
    assert feeds.drawn == frozenset()


def test_what_is_not_given_is_drawn():
    z = np.ones((2, 1), np.float32)
    feeds = drawn(model(TWO), inputs={"z": z})
    assert feeds.drawn == {"x"}
    assert all(np.array_equal(batch["z"], z) for batch in feeds.batches)
    assert len({batch["x"].tobytes() for batch in feeds.batches}) == len(feeds.batches) > 3


def test_bfloat16_and_text_survive_an_npz_file(tmp_path):
    given = model("g (bfloat16[2] x, string[1] s) => (float[2] y, string[1] t) { y = Cast<to = 1>(x) t = Identity(s) }")
    np.savez(tmp_path / "d.npz", x=np.array([1.5, -2], ml_dtypes.bfloat16), s=np.array(["é"]))
    (batch,) = drawn(given, "reference", inputs=tmp_path / "d.npz").batches
    assert batch["x"].dtype == ml_dtypes.bfloat16
    assert batch["x"].tolist() == [1.5, -2]
    assert batch["s"].tolist() == ["é"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"q": np.zeros(3, np.float32)}, "'q' is no input of the model that is fed; the inputs to feed are x, z"),
        ({"x": np.zeros((2, 3))}, "'x' is float64, but the model takes float"),
        ({"x": np.zeros((2, 4), np.float32)}, "'x' is [2, 4], but the model takes [N, 3]"),
        ({"x": np.zeros(3, np.float32)}, "'x' is [3], but the model takes [N, 3]"),
    ],
)
def test_data_that_do_not_fit(arrays, said):
    with pytest.raises(BadInput) as error:
        drawn(model(TWO), inputs=arrays)
    assert str(error.value).startswith(f"the given inputs: {said}")


def npy(path):
    np.save(path.open("wb"), np.zeros(3, np.float32))


def pickled(path):
    np.savez(path.open("wb"), x=np.array([{}], object))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "holds no data"),
        (lambda path: path.write_text("x,y\n1,2\n"), "is no npz file"),
        (lambda path: path.write_bytes(b""), "is no npz file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut short"), "is no npz file"),
        (npy, "holds one array without a name"),
        (pickled, "holds pickled objects"),
    ],
)
def test_data_files_that_cannot_be_read(tmp_path, write, said):
    path = tmp_path / "d.npz"
    write(path)
    with pytest.raises(BadInput) as error:
        drawn(model(TWO), inputs=path)
    assert str(error.value).startswith(f"--inputs {path}: {said}")


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_seed_decides():
    one, same, other = (drawn(model(TWO), seed=seed).batches for seed in (3, 3, 4))
    assert [a["x"].tobytes() for a in one] == [b["x"].tobytes() for b in same]
    assert all(a["x"].tobytes() != b["x"].tobytes() for a, b in zip(one, other, strict=True))
    assert one[0]["x"].tobytes() != one[0]["z"].tobytes()


def test_both_signs_zeros_and_several_scales():
    feeds = drawn(model("g (float[N,C] x) => (float[N,C] y) { y = Relu(x) }"), input_shape={"x": (64, 64)})
    assert set(feeds.scales) == {1.0, 30.0, 1e-3, 1e3}
    for batch, scale in zip(feeds.batches, feeds.scales, strict=True):
        x = batch["x"]
        assert 0.3 < np.mean(x > 0) / np.mean(x < 0) < 3
        assert 0.02 < np.mean(x == 0) < 0.2
        assert 0.7 < np.std(x) / scale < 3
    assert np.any(np.all(np.sign(feeds.batches[1]["x"]) >= 0, axis=1))  # rows with a level of their own


TYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "double": np.float64,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "int64": np.int64,
    "uint8": np.uint8,
    "bool": np.bool_,
    "string": np.object_,
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("shape", [(), (200,), (3, 2, 4)])
def test_every_type(name, shape):
    dtype = np.dtype(TYPES[name])
    for scale in SCALES:
        x = values(dtype, shape, scale, 1, np.random.default_rng(0))
        assert (x.dtype, x.shape) == (dtype, shape)
        if name in ("int64", "uint8", "bool"):
            assert set(x.ravel().tolist()) <= {0, 1}
        elif name == "string":
            assert all(isinstance(each, str) for each in x.ravel())
        else:
            assert np.isfinite(x.astype(float)).all()
            assert len(set(x.ravel().tolist())) > x.size / 10


def test_float16_has_room_for_sums():
    x = values(np.dtype(np.float16), (1000,), 1e3, 0, np.random.default_rng(0))
    assert 30 < np.std(x.astype(float)) < 100
    assert np.isfinite(x * x).all()


@pytest.mark.parametrize(("outputs", "batches"), [(1, 8), (4, 4), (5, 4), (16, 1), (100, 1)])
def test_few_outputs_get_more_batches(outputs, batches):
    given = model(f"g (float[N,{outputs}] x) => (float[N,{outputs}] y) {{ y = Relu(x) }}")
    scales = drawn(given).scales
    assert [scales.count(scale) for scale in (30.0, 1e-3, 1e3)] == [batches] * 3
    assert scales.count(1.0) == max(batches, 3)


def test_sizes_too_large_to_try_are_left_out():
    given = model("g (float[A,B,C,D,E,F,1000] x) => (float[n] y) <int64[1] s = {999}> { y = Reshape(x, s) }")
    runner = open_runner(given, "cpu")
    tried = []
    run = runner.run
    runner.run = lambda feeds: tried.append(feeds["x"].size) or run(feeds)
    with pytest.raises(CannotRun):
        draw(given, InputOptions(), runner)
    assert tried[0] == 1000
    assert max(tried) <= 1 << 24


def test_what_the_runner_needs_is_fed():
    """Every type that a graph input can have in ONNX Runtime reaches it."""
    names = ["FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT16", "INT32", "UINT64", "BOOL"]
    inputs = [helper.make_tensor_value_info(n, getattr(TensorProto, n), ["N"]) for n in names]
    outputs = [helper.make_tensor_value_info(f"{n}_", getattr(TensorProto, n), ["N"]) for n in names]
    nodes = [helper.make_node("Identity", [n], [f"{n}_"]) for n in names]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    runner = open_runner(Model(proto), "cpu")
    feeds = draw(Model(proto), InputOptions(), runner)
    for batch in feeds.batches:
        for name, result in zip(names, runner.run(batch), strict=True):
            assert result.dtype == batch[name].dtype
            assert result.tolist() == batch[name].tolist()
