"""Zeros in the shape of a tensor and constants in its type: found in regions, shared by them, and gone with them."""

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from onnx_prelu import api
from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.model import load
from onnx_prelu.passes.sites import find_sites
from tests.oracle import assert_close, assert_same_bits, run
from tests.rewriting import rewritten

RNG = np.random.default_rng(0)
X = {"x": RNG.normal(size=(6, 3)).astype(np.float32)}
SLOPES = {"a": np.float32([0.25, -0.5, 0.75]), "b": np.float32([0.5, 0.125, -2]), "zero": np.float32(0)}
WEIGHTS = {"A": RNG.normal(size=(3, 3)), "V": RNG.normal(size=(3, 3)), "W": RNG.normal(size=(3, 3))}


def model(nodes, head="(float[N,3] x) => (float[N,3] h)"):
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {head} {{ {nodes} }}')
    read = {name for node in proto.graph.node for name in node.input}
    for name, value in {**SLOPES, **WEIGHTS}.items():
        if name in read:
            proto.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    for node in proto.graph.node:
        node.name = f"n_{node.output[0]}"
    return proto


def ops(proto):
    return [node.op_type for node in proto.graph.node]


def sites(proto):
    return [(site.x, site.y, [node.op for node in site.region]) for site in find_sites(Draft(load(proto)))]


#: two activations that read what one node tells: the nodes of both, after the first one's own
SHARED = {
    "a zero in the type of x": """
        z = CastLike(zero, x)
        l = Less(x, z)
        m = Mul(a, x)
        p = Where(l, m, x)
        t = Tanh(p)
        k = Less(t, z)
        n = Mul(b, t)
        h = Where(k, n, t)""",
    "zeros of the shape of x": """
        s = Shape(x)
        z = ConstantOfShape(s)
        l = Less(x, z)
        m = Mul(a, x)
        p = Where(l, m, x)
        t = Tanh(p)
        k = Less(t, z)
        n = Mul(b, t)
        h = Where(k, n, t)""",
    "zeros that the first does not read": """
        v = Tanh(x)
        s = Shape(v)
        z = Expand(zero, s)
        l = Less(z, x)
        m = Mul(a, x)
        p = Where(l, x, m)
        t = Tanh(p)
        k = Max(t, z)
        o = Min(z, t)
        n = Mul(b, o)
        h = Add(k, n)""",
}


@pytest.mark.parametrize("name", SHARED)
def test_what_tells_two_sites_blocks_neither_and_goes_with_the_last(name):
    proto = model(SHARED[name])
    found = sites(proto)
    assert len(found) == 2
    assert all("CastLike" not in region and "Shape" not in region for _, _, region in found)
    result = api.rewrite(proto, form="mirror")
    assert result.report.passed
    assert [pair.status for pair in result.report.check[0].pairs] == ["passed", "passed"]
    assert not {"CastLike", "Shape", "ConstantOfShape", "Expand"} & set(ops(result.model))
    assert_same_bits(run(proto, X), run(result.model, X))
    first = api.rewrite(proto, form="mirror", skip=[f"n_{found[1][1]}"], check=False).model
    assert {"CastLike", "ConstantOfShape", "Expand"} & set(ops(first))  # the other site still reads it
    assert_same_bits(run(proto, X), run(first, X))


@pytest.mark.parametrize("zeros", ["z = CastLike(zero, x)", "s = Shape(x)\nz = ConstantOfShape(s)"])
def test_what_tells_one_site_is_a_part_of_it_so_that_layers_can_be_split(zeros):
    nodes = f"x = MatMul(v, A)\n{zeros}\nl = Less(x, z)\nm = Mul(a, x)\np = Where(l, m, x)\nh = MatMul(p, V)"
    proto = model(nodes, "(float[N,3] v) => (float[N,3] h)")
    result, (choice,) = rewritten(proto, form="split")
    assert choice.form == "split"
    assert ops(result) == ["MatMul", "Relu", "MatMul"]
    feeds = {"v": X["x"]}
    assert_close(run(proto, feeds), run(result, feeds))


def test_what_tells_another_reader_too_is_one_reader_of_the_pre_activation():
    nodes = """x = MatMul(v, A)
               s = Shape(x)
               z = ConstantOfShape(s)
               l = Less(x, z)
               m = Mul(a, x)
               p = Where(l, m, x)
               q = MatMul(p, V)
               h = Sub(q, z)"""
    proto = model(nodes, "(float[N,3] v) => (float[N,3] h)")
    result, (choice,) = rewritten(proto, form="split")
    assert choice.form == "mirror"
    assert (choice.refusals["split"].code, choice.refusals["split"].node) == ("shared-producer", "n_x")
    feeds = {"v": X["x"]}
    assert_same_bits(run(proto, feeds), run(result, feeds))


#: name: (head, nodes); what makes zeros of a shape that is not surely that of x, or not zeros
NEAR_MISSES = {
    "of another tensor": ("(float[N,3] x, float[M,3] o) => (float[K,3] h)", "s = Shape(o)\nz = ConstantOfShape(s)"),
    "of one that x could broadcast to": (
        "(float[1,3] x, float[4,3] o) => (float[4,3] h)", "s = Shape(o)\nz = ConstantOfShape(s)",
    ),
    "of a part of the shape": ("(float[3,3] x) => (float[3,3] h)", "s = Shape <start = 1> (x)\nz = ConstantOfShape(s)"),
    "in another layout": (
        "(float[1,3] x) => (float[3,3] h)", "o = Transpose(x)\ns = Shape(o)\nz = ConstantOfShape(s)",
    ),
    "ones": (
        "(float[N,3] x) => (float[N,3] h)", "s = Shape(x)\nz = ConstantOfShape <value = float[1] {1.0}> (s)",
    ),
    "not zeros, but values": ("(float[N,3] x) => (float[N,3] h)", "s = Shape(x)\nz = Expand(b, s)"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_could_be_another_shape_or_another_number_is_no_site(name):
    head, zeros = NEAR_MISSES[name]
    assert sites(model(f"{zeros}\np = Max(x, z)\nq = Min(x, z)\nm = Mul(a, q)\nh = Add(p, m)", head)) == []


def test_zeros_of_a_tensor_that_has_the_shape_of_x_are_zeros_of_x():
    head = "(float[N,3] x, float[N,3] o) => (float[N,3] h)"
    proto = model(
        "s = Shape(o)\nz = ConstantOfShape(s)\np = Max(x, z)\nq = Min(x, z)\nm = Mul(a, q)\nh = Add(p, m)", head
    )
    assert [(x, y) for x, y, _ in sites(proto)] == [("x", "h")]
    result = api.rewrite(proto, form="mirror")
    assert [pair.status for pair in result.report.check[0].pairs] == ["passed"]
    assert ops(result.model) == ["Relu", "Neg", "Relu", "Mul", "Sub"]


def test_a_slope_of_run_time_that_is_a_shape_is_not_taken_away():
    """The slope is the tensor that a Shape makes: a form goes on reading it."""
    nodes = "s = Shape(o)\nw = Cast <to = 7> (zero)\nl = Less(x, w)\nm = Mul(s, x)\nh = Where(l, m, x)"
    proto = model(nodes, "(int64[N,2] x, int64[4,5] o) => (int64[N,2] h)")
    result, choices = rewritten(proto, form="mirror")
    assert [choice.form for choice in choices] == ["mirror"]
    feeds = {"x": np.array([[3, -4], [-5, 0]]), "o": np.zeros((4, 5), np.int64)}
    (before,), (after,) = (ReferenceEvaluator(each).run(None, feeds) for each in (proto, result))
    np.testing.assert_array_equal(before, [[3, -20], [-20, 0]])
    np.testing.assert_array_equal(after, before)
