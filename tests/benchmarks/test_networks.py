"""The reference networks: valid, of both signs at every site, and the same with PRelu as with Relu."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from benchmarks.networks.dense import mlp_gemm, mlp_matmul
from benchmarks.networks.faces import iresnet18, mobilefacenet, mtcnn_o, mtcnn_p, mtcnn_r
from benchmarks.networks.floor import floor
from benchmarks.networks.images import fsrcnn, srvgg
from benchmarks.networks.real import real
from benchmarks.networks.reference import REFERENCE
from benchmarks.networks.slopes import face, restoration
from benchmarks.networks.sound import conv_tasnet

# name: how to build it small, its PRelus, the shape of its first output
SMALL = {
    "srvgg": (lambda a: srvgg(a, channels=16, convs=3, size=8), 4, (1, 3, 32, 32)),
    "fsrcnn": (lambda a: fsrcnn(a, size=9), 7, (1, 1, 27, 27)),
    "iresnet18": (lambda a: iresnet18(a, width=16, features=64), 9, (1, 64)),
    "mobilefacenet": (mobilefacenet, 33, (1, 128)),
    "mtcnn_p": (lambda a: mtcnn_p(a, height=12, width=12), 3, (1, 2, 1, 1)),
    "mtcnn_r": (lambda a: mtcnn_r(a, batch=2), 4, (2, 2)),
    "mtcnn_o": (lambda a: mtcnn_o(a, batch=2), 5, (2, 2)),
    "conv_tasnet": (lambda a: conv_tasnet(a, "folded", samples=800, hidden=32), 12, (1, 1, 800)),
    "conv_tasnet_gln": (lambda a: conv_tasnet(a, "global", samples=800, hidden=32), 12, (1, 1, 800)),
    "mlp_gemm": (lambda a: mlp_gemm(a, layers=4, width=32, batch=8), 4, (8, 64)),
    "mlp_matmul": (lambda a: mlp_matmul(a, layers=5, width=32, batch=8), 5, (8, 64)),
}


@pytest.fixture(scope="module", params=SMALL)
def built(request):
    """A network with PRelu, again, and with Relu; its PRelus and its shape."""
    build, count, shape = SMALL[request.param]
    return build("PRelu"), build("PRelu"), build("Relu"), count, shape


def sites(model, op="PRelu"):
    return [node for node in model.graph.node if node.op_type == op and node.name.startswith("act")]


def run(model, watched=()):
    """The first output, and the watched tensors, on an input of both signs."""
    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    watching.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(watching.SerializeToString(), options)
    (x,) = session.get_inputs()
    value = np.random.default_rng(5).standard_normal(x.shape).astype(np.float32)
    return session.run([model.graph.output[0].name, *watched], {x.name: value})


def test_a_network_is_valid_and_every_site_sees_both_signs(built):
    model, _, _, count, shape = built
    onnx.checker.check_model(model, full_check=True)
    assert len(sites(model)) == count
    y, *before = run(model, [node.input[0] for node in sites(model)])
    assert y.shape == shape
    assert np.isfinite(y).all()
    assert all(0.05 < np.mean(z < 0) < 0.95 for z in before)


def test_with_relu_it_is_the_same_network(built):
    model, _, relu, count, _ = built
    onnx.checker.check_model(relu, full_check=True)
    assert not sites(relu)
    assert len(sites(relu, "Relu")) == count
    assert list(floor(model).graph.node) == list(relu.graph.node)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    slopes = {node.input[1] for node in sites(model)}
    assert {tensor.name for tensor in relu.graph.initializer} == weights.keys() - slopes
    assert all(weights[tensor.name] == tensor for tensor in relu.graph.initializer)


def test_a_network_is_the_same_every_time(built):
    model, again, *_ = built
    assert again == model


def test_every_reference_network_is_one_of_these():
    kinds = {getattr(build, "func", build) for build in REFERENCE.values()}
    assert kinds == {
        srvgg,
        fsrcnn,
        iresnet18,
        mobilefacenet,
        mtcnn_p,
        mtcnn_r,
        mtcnn_o,
        conv_tasnet,
        mlp_gemm,
        mlp_matmul,
    }


@pytest.mark.parametrize("channels", [10, 16, 64, 512])
def test_slopes_of_faces_are_mostly_negative_and_some_above_one(channels):
    slopes = face(np.random.default_rng(3), channels)
    assert slopes.shape == (channels,)
    assert abs(np.mean(slopes > 1) - 0.10) <= 0.5 / channels
    assert np.mean(slopes < 0) > 0.5
    assert slopes.min() >= -1
    assert slopes.max() <= 1.5


def test_slopes_of_restoration_stay_where_they_start():
    slopes = restoration(np.random.default_rng(3), 10_000)
    assert abs(slopes.mean() - 0.25) < 0.01
    assert 0.05 < np.mean(slopes < 0) < 0.2
    assert slopes.max() < 1


@pytest.mark.parametrize("name", ["iresnet18", "mobilefacenet", "mtcnn_p", "mtcnn_r", "mtcnn_o"])
def test_face_networks_have_the_slopes_of_faces_at_every_site(name):
    model = SMALL[name][0]("PRelu")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in sites(model):
        slopes = stored[node.input[1]]
        assert np.mean(slopes < 0) > 0.5
        assert abs(np.mean(slopes > 1) - 0.10) <= 0.5 / slopes.size


def test_conv_tasnet_shares_a_slope():
    model = SMALL["conv_tasnet"][0]("PRelu")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert {stored[node.input[1]].shape for node in sites(model)} == {(1, 1)}


NESTED = """
<ir_version: 8, opset_import: ["" : 17, "other" : 1]>
g (float[2] x, bool c) => (float[2] y)
<float[1] a = {0.25}>
{
  [first] p = PRelu(x, a)
  [foreign] q = other.PRelu(p, a)
  [leaky] r = LeakyRelu(q)
  [branch] y = If(c) <
    then_branch = t () => (float[2] u) { [inside] u = PRelu(r, a) },
    else_branch = e () => (float[2] v) { [plain] v = Relu(r) }
  >
}
"""


def test_the_floor_replaces_prelus_and_nothing_else():
    model = parser.parse_model(NESTED)
    before = model.SerializeToString()
    now = floor(model)
    assert model.SerializeToString() == before
    inside = now.graph.node[3].attribute[0].g.node[0]
    assert [(node.name, node.op_type, list(node.input)) for node in (now.graph.node[0], inside)] == [
        ("first", "Relu", ["x"]),
        ("inside", "Relu", ["r"]),
    ]
    for node in (now.graph.node[0], inside):
        node.op_type = "PRelu"
        node.input.append("a")
    assert now == model


def test_the_real_ones_are_those_with_a_prelu_among_other_nodes(tmp_path):
    net = '<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (float[2] y) <float[1] a = {0.5}> '
    for name, nodes in {
        "bare": "{ y = PRelu(x, a) }",
        "relu": "{ y = Relu(x) }",
        "net": "{ z = Neg(x) y = PRelu(z, a) }",
    }.items():
        onnx.save(parser.parse_model(net + nodes), tmp_path / f"{name}.onnx")
    assert list(real(tmp_path)) == ["net"]
    assert real(tmp_path / "nowhere") == {}
