"""Static costs, against counts by hand, by numpy and by the files on the disk."""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.costs.cost import Cost, cost


def model(text: str, *, functions: str = "", weights: dict[str, np.ndarray] | None = None) -> Model:
    imports = '"":17, "my":1' if functions else '"":17'
    proto = parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]>\n{text}\n{functions}")
    for name, value in (weights or {}).items():
        proto.graph.initializer.append(numpy_helper.from_array(value, name))
    return Model(proto)


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


CHAIN = """
    g (float[N,4] x) => (float[N,2] y) {
        z = Gemm<transB = 1>(x, w, b)
        h = PRelu(z, a)
        y = MatMul(h, v)
    }"""
CHAIN_WEIGHTS = {"w": zeros(8, 4), "b": zeros(8), "a": zeros(8), "v": zeros(8, 2)}


def test_a_chain():
    chain = model(CHAIN, weights=CHAIN_WEIGHTS)
    assert cost(chain, {"x": (3, 4)}) == Cost(
        nodes=3,
        ops={"Gemm": 1, "MatMul": 1, "PRelu": 1},
        parameters=8 * 4 + 8 + 8 + 8 * 2,
        weight_bytes=4 * (8 * 4 + 8 + 8 + 8 * 2),
        file_bytes=len(chain.proto.SerializeToString()),
        macs=3 * 4 * 8 + 3 * 8 * 2,
        activation_bytes=4 * (3 * 8 + 3 * 8),  # z and h
        sizes={"x": (3, 4)},
    )


def test_dynamic_dimensions_without_sizes_leave_two_numbers_open():
    found = cost(model(CHAIN, weights=CHAIN_WEIGHTS))
    assert (found.macs, found.activation_bytes, found.sizes) == (None, None, {})


def test_an_unknown_input_is_refused():
    with pytest.raises(BadInput, match="no input 'image'"):
        cost(model(CHAIN, weights=CHAIN_WEIGHTS), {"image": (1, 4)})


def test_to_dict_is_json():
    found = cost(model(CHAIN, weights=CHAIN_WEIGHTS), {"x": (3, 4)}).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["sizes"] == {"x": [3, 4]}


def multiplications(op: str, x: tuple[int, ...], w: tuple[int, ...], **attributes: object) -> int | None:
    node = helper.make_node(op, ["x", "w"], ["y"], **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x), ("w", w))]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", values, [out])
    return cost(Model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))).macs


@pytest.mark.parametrize(
    ("op", "x", "w", "attributes", "expected"),
    [
        ("Gemm", (5, 3), (3, 7), {}, 5 * 3 * 7),
        ("Gemm", (3, 5), (3, 7), {"transA": 1}, 5 * 3 * 7),
        ("Gemm", (5, 3), (7, 3), {"transB": 1}, 5 * 3 * 7),
        ("MatMul", (5, 3), (3, 7), {}, 5 * 3 * 7),
        ("MatMul", (2, 4, 5, 3), (3, 7), {}, 8 * 5 * 3 * 7),
        ("MatMul", (2, 1, 5, 3), (4, 3, 7), {}, 8 * 5 * 3 * 7),
        ("MatMul", (3,), (3, 7), {}, 3 * 7),
        ("MatMul", (3,), (3,), {}, 3),
        ("Conv", (2, 3, 8, 8), (4, 3, 3, 3), {}, 2 * 4 * 6 * 6 * 27),
        ("Conv", (2, 3, 8, 8), (4, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}, 2 * 4 * 4 * 4 * 27),
        ("Conv", (1, 6, 8, 8), (6, 1, 3, 3), {"group": 6}, 6 * 6 * 6 * 9),
        ("Conv", (1, 6, 10), (4, 3, 5), {"group": 2, "dilations": [2]}, 4 * 2 * 15),
        ("ConvTranspose", (1, 4, 5, 5), (4, 3, 2, 2), {"strides": [2, 2]}, 4 * 5 * 5 * 3 * 4),
        ("ConvTranspose", (1, 4, 5), (4, 3, 2), {"group": 2}, 4 * 5 * 3 * 2),
    ],
)  # fmt: skip
def test_multiply_accumulates(op, x, w, attributes, expected):
    assert multiplications(op, x, w, **attributes) == expected


BRANCHES = """
    g (float[2,4] x, bool c) => (float[2,4] y) {{
        y = If (c) <
            then_branch = t () => (float[2,4] p) {{ p = {op}(x, w) }},
            else_branch = e () => (float[2,4] q) <float[1] k = {{2}}> {{ r = Relu(x)  q = Mul(r, k) }}
        >
    }}"""


def test_nested_graphs_count_as_written():
    found = cost(model(BRANCHES.format(op="Add"), weights={"w": zeros(4)}))
    assert found.ops == {"Add": 1, "If": 1, "Mul": 1, "Relu": 1}
    assert (found.nodes, found.parameters, found.macs) == (4, 5, 0)


def test_a_layer_in_a_branch_leaves_the_multiplications_open():
    assert cost(model(BRANCHES.format(op="MatMul"), weights={"w": zeros(4, 4)})).macs is None


FUNCTIONS = """
    <domain: "my", opset_import: ["":17]>
    layer (a, b) => (c) { k = Constant<value_floats = [1.0, 2.0]>()  d = {op}(a, b)  c = Relu(d) }
    <domain: "my", opset_import: ["":17, "my":1]>
    outer (a, b) => (c) { c = my.layer(a, b) }"""


@pytest.mark.parametrize(("op", "macs"), [("Add", 0), ("MatMul", None)])
def test_functions_count_once_however_often_they_are_called(op, macs):
    calls = "g (float[2,2] x, float[2,2] w) => (float[2,2] y) { h = my.outer(x, w)  y = my.outer(h, w) }"
    found = cost(model(calls, functions=FUNCTIONS.replace("{op}", op)))
    assert found.ops == {"my.outer": 2, "Constant": 1, op: 1, "Relu": 1, "my.layer": 1}
    assert (found.parameters, found.weight_bytes, found.macs) == (2, 8, macs)


def test_an_op_of_another_domain_that_is_called_like_a_layer_is_none():
    other = model("g (float[2,2] x) => (float[2,2] y) { h = my.Conv(x)  y = Relu(h) }")
    assert cost(other).macs == 0


def test_only_floating_point_weights_are_parameters():
    found = cost(
        model(
            """g (float[2,3] x) => (float[M] y) {
                k = Constant<value_float = 1.5>()
                i = Constant<value_int = 7>()
                t = Constant<value = double[2] {1, 2}>()
                s = Constant<value = int64[3] {1, 2, 3}>()
                y = Relu(x)
            }""",
            weights={"h": zeros(5, dtype="float16"), "n": zeros(9, dtype="int64"), "unused": zeros(2, 3)},
        )
    )
    assert found.parameters == 1 + 2 + 5 + 6
    assert found.weight_bytes == 4 + 16 + 10 + 24


def test_only_the_stored_values_of_sparse_tensors_count():
    sparse = model("g (float[2,3] x) => (float[2,4] y) { y = MatMul(x, w) }")
    values, indices = numpy_helper.from_array(zeros(2), "w"), numpy_helper.from_array(np.array([0, 5]), "i")
    sparse.proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 4]))
    found = cost(sparse)
    assert (found.parameters, found.weight_bytes, found.macs) == (2, 8, 2 * 3 * 4)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("g (float[10] x) => (float[10] y) { y = Relu(x) }", 20),
        ("g (float[10] x) => (float[10] y) { a = Relu(x)  b = Relu(a)  y = Relu(b) }", 20),
        # x is read again at the end, so it lives through the wide middle
        ("g (float[10] x) => (float[10] y) { a = Concat<axis = 0>(x, x, x)  b = ReduceSum(a)  y = Add(x, b) }", 41),
        # an output lives to the end
        ("g (float[10] x) => (float[10] y, float[10] a) { a = Relu(x)  b = Neg(a)  c = Neg(b)  y = Relu(c) }", 30),
        # what nobody reads goes at once
        ("g (float[10] x) => (float[10] y) { a = Concat<axis = 0>(x, x)  y = Relu(x) }", 30),
        # an input that nobody reads, too; it is there at the start
        ("g (float[10] x, float[15] u) => (float[10] y) { y = Relu(x) }", 25),
        # a constant is a weight
        ("g (float[2] x) => (float[2] y) { k = Constant<value = float[2] {1, 2}>()  y = Mul(x, k) }", 4),
        ("g (float[2] x) => (float[2] y) <float[2] k = {1, 2}> { y = Mul(x, k) }", 4),
        # what is made of constants is one
        ("g (float[2] x) => (float[2] y) <float[2] k = {1, 2}> { m = Neg(k)  n = Mul(k, m)  y = Mul(x, n) }", 4),
        # a body reads a: it lives until then
        (
            """g (float[10] x, bool[4] c) => (float[10] y) {
                a = Neg(x)  b = Concat<axis = 0>(x, x)  d = ReduceSum(b)  q = ReduceMax<keepdims = 0>(c)
                y = If (q) <then_branch = t () => (float[10] p) { p = Relu(a) },
                            else_branch = e () => (float[10] r) { r = Neg(a) }>
            }""",
            10 + 1 + 10 + 20,  # x, c (4 bytes), a, b
        ),
    ],
)  # fmt: skip
def test_peak_of_activations(text, elements):
    assert cost(model(text)).activation_bytes == 4 * elements


def test_activations_are_counted_in_their_own_type():
    half = model("g (float16[3] x) => (bool[3] y) { n = Neg(x)  y = Less(x, n) }")
    assert cost(half).activation_bytes == 2 * 3 + 2 * 3 + 3


def test_strings_have_no_known_size():
    assert cost(model("g (string[3] x) => (string[3] y) { y = Identity(x) }")).activation_bytes is None


def test_initializers_that_are_inputs_are_weights():
    """IR version 3 lists every initializer among the inputs."""
    listed = model("g (float[2] x, float[2] k) => (float[2] y) <float[2] k = {1, 2}> { y = Mul(x, k) }")
    found = cost(listed)
    assert (found.parameters, found.activation_bytes) == (2, 4 * 4)


def test_file_bytes_are_those_on_the_disk(tmp_path: Path):
    chain = model(CHAIN, weights=CHAIN_WEIGHTS).proto
    onnx.save(chain, tmp_path / "one.onnx")
    assert cost(load(tmp_path / "one.onnx")).file_bytes == (tmp_path / "one.onnx").stat().st_size
    onnx.save(chain, tmp_path / "two.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    with (tmp_path / "w.bin").open("ab") as file:
        file.write(b"unread")
    both = sum((tmp_path / name).stat().st_size for name in ("two.onnx", "w.bin"))
    assert cost(load(tmp_path / "two.onnx")).file_bytes == both


def test_file_bytes_of_what_is_not_on_the_disk_count_external_tensors_once(tmp_path: Path):
    chain = model(CHAIN, weights=CHAIN_WEIGHTS).proto
    onnx.save(chain, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    shared = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    twin = shared.graph.initializer.add()
    twin.CopyFrom(shared.graph.initializer[0])
    twin.name = "twin"
    edited = Model(shared, folder=tmp_path)
    weights = 4 * sum(math.prod(value.shape) for value in CHAIN_WEIGHTS.values())
    assert cost(edited).file_bytes == len(shared.SerializeToString()) + weights


@pytest.mark.parametrize("name", ["mtcnn_pnet", "mediapipe_face_landmark", "minifasnet_v2"])
def test_real_models_have_every_number(name):
    path = Path(__file__).parents[2] / "../shared/models" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    real = load(path)
    (image,) = (value for value in real.proto.graph.input)
    shape = [dim.dim_value or 32 for dim in image.type.tensor_type.shape.dim]
    found = cost(real, {image.name: shape})
    weights = [numpy_helper.to_array(tensor) for tensor in real.proto.graph.initializer]
    assert found.weight_bytes == sum(value.nbytes for value in weights if value.dtype.kind == "f")
    assert found.file_bytes == path.stat().st_size
    assert found.macs > found.parameters
    assert found.activation_bytes > 4 * math.prod(shape)
