"""What changed from one model to another; expected values are by hand, or what was put in."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.graph.model import load
from onnx_prelu.measure.changes import moved as room
from onnx_prelu.measure.changes.diff import diff
from onnx_prelu.report.markdown import markdown
from tests.counts import count
from tests.strategies import mlps
from tests.texts import from_text

MODELS = Path(__file__).parents[2] / "models"
VECTOR = ("float[N, 4] x", "float[N, 4] y")
W = np.arange(16, dtype=np.float32).reshape(4, 4) + 1
BODY = "z = MatMul(x, w)  h = LeakyRelu<alpha=0.25>(z)  y = Add(h, b)"
BASE = from_text(BODY, *VECTOR, {"w": W, "b": np.ones(4)})


def copy(proto=BASE):
    other = onnx.ModelProto()
    other.CopyFrom(proto)
    return other


def changes(a, b):
    """Each change as (kind, name, what, details)."""
    found = diff(load(a), load(b)).changes
    return [(each.kind, each.name, each.what, *each.details) for each in found]


def test_a_model_and_itself():
    found = diff(load(BASE), load(copy()))
    assert found.same
    assert found.unchanged == {"opset": 1, "input": 1, "output": 1, "initializer": 2, "node": 3}


def renamed(proto):
    proto.graph.node[1].name = "act"


def rewired(proto):
    proto.graph.node[2].input[1] = "z"


def another_op(proto):
    proto.graph.node[1].CopyFrom(helper.make_node("Relu", ["z"], ["h"], "n_h"))


def another_domain(proto):
    proto.graph.node[1].domain = "mine"
    proto.opset_import.add(domain="mine", version=3)


def other_attributes(proto):
    del proto.graph.node[1].attribute[:]
    proto.graph.node[1].attribute.append(helper.make_attribute("beta", [1, 2]))


def a_name_that_two_nodes_share(proto):
    proto.graph.node[0].name = proto.graph.node[1].name = "same"


def a_node_between(proto):
    proto.graph.node[2].input[0] = "h2"
    proto.graph.node.insert(2, helper.make_node("Neg", ["h"], ["h2"]))


def a_node_less(proto):
    del proto.graph.node[1]
    proto.graph.node[1].input[0] = "z"


def ends(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    proto.graph.output.add().CopyFrom(helper.make_tensor_value_info("h", TensorProto.FLOAT, None))


def about(proto):
    proto.ir_version = 9
    proto.producer_name = "me"
    proto.graph.doc_string = "of the graph"
    proto.graph.node[0].metadata_props.add(key="k", value="v")
    proto.graph.initializer[0].doc_string = "of w"
    proto.metadata_props.add(key="k", value="v")


def weights(proto):
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(W[:2], "w"))
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones(4, np.float16), "b"))
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "c"))


def a_declared_type(proto):
    proto.graph.value_info.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", None]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, [("node", "n_h", "changed", "name: n_h → act")]),
        (rewired, [("node", "n_y", "changed", "input 1: b → z")]),
        (another_op, [("node", "n_h", "changed", "op: LeakyRelu → Relu", "attribute alpha: removed, 0.25")]),
        (
            another_domain,
            [("opset", "mine", "added", "3"), ("node", "n_h", "changed", "op: LeakyRelu → mine.LeakyRelu")],
        ),
        (
            other_attributes,
            [("node", "n_h", "changed", "attribute alpha: removed, 0.25", "attribute beta: added, [1, 2]")],
        ),
        (
            a_name_that_two_nodes_share,
            [("node", "n_z", "changed", "name: n_z → same"), ("node", "n_h", "changed", "name: n_h → same")],
        ),
        (a_node_between, [("node", "n_y", "changed", "input 0: h → h2"), ("node", "h2", "added", "Neg(h) → h2")]),
        (a_node_less, [("node", "n_h", "removed", "LeakyRelu(z) → h"), ("node", "n_y", "changed", "input 0: h → z")]),
        (
            ends,
            [
                ("input", "x", "changed", "float [N, 4] → float [8, 4]"),
                ("output", "h", "added", "float of any rank"),
            ],
        ),
        (
            about,
            [
                ("model", "ir_version", "changed", "8 → 9"),
                ("model", "producer_name", "changed", "nothing → me"),
                ("metadata", "k", "added", "v"),
                ("model", "graph doc_string", "changed", "nothing → of the graph"),
                ("initializer", "w", "changed", "doc_string: nothing → of w"),
                ("node", "n_z", "changed", "metadata_props: nothing → k=v"),
            ],
        ),
        (
            weights,
            [
                ("initializer", "w", "changed", "float [4, 4] → float [2, 4]"),
                ("initializer", "b", "changed", "float [4] → float16 [4]"),
                ("initializer", "c", "added", "int64 [2]"),
            ],
        ),
        (a_declared_type, [("type", "z", "added", "float [N, ?]")]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_said(change, said):
    other = copy()
    change(other)
    assert changes(BASE, other) == said
    back = {"added": "removed", "removed": "added", "changed": "changed"}
    assert sorted(each[2] for each in changes(other, BASE)) == sorted(back[each[2]] for each in said)


def test_order():
    body = "p = Neg(x)  q = Abs(x)  y, z = Split<axis=1>(p)  w = Add(q, p)"
    outputs = "float[N, 2] y, float[N, 2] z, float[N, 4] w"
    a = from_text(body, "float[N, 4] x, float[N] u", outputs, {})
    b = copy(a)
    b.graph.node.insert(0, b.graph.node.pop(1))
    b.graph.input.insert(0, b.graph.input.pop(1))
    b.graph.output.append(b.graph.output.pop(0))
    assert changes(a, b) == [
        ("model", "order of inputs", "changed", "x, u → u, x"),
        ("model", "order of outputs", "changed", "y, z, w → z, w, y"),
        ("model", "order of nodes", "changed", "places where a node stands before one that it stood behind: 1"),
    ]


def test_unnamed_nodes_go_by_what_they_make():
    a, b = copy(), copy()
    for proto in (a, b):
        for node in proto.graph.node:
            node.name = ""
    b.graph.node[1].attribute[0].f = 0.5
    assert changes(a, b) == [("node", "h", "changed", "attribute alpha: 0.25 → 0.5")]
    assert changes(BASE, a) == [
        ("node", f"n_{name}", "changed", f"name: n_{name} → nothing") for name in ("z", "h", "y")
    ]


def test_bodies_and_functions():
    def model(factor, inside):
        branch = helper.make_graph(
            [
                helper.make_node("Constant", [], ["k"], "k", value=numpy_helper.from_array(np.float32([factor]))),
                helper.make_node("Mul", ["x", "k"], ["b"], "mul"),
            ],
            "branch",
            [],
            [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
        )
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
        nodes = [
            helper.make_node("If", ["c"], ["u"], "if", then_branch=branch, else_branch=branch),
            helper.make_node("F", ["u"], ["y"], "call", domain="mine"),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", 1, [4]), helper.make_tensor_value_info("c", 9, [])],
            [helper.make_tensor_value_info("y", 1, [4])],
        )
        body = [helper.make_node(inside, ["p"], ["q"], "n")]
        function = helper.make_function("mine", "F", ["p"], ["q"], body, imports[:1])
        return helper.make_model(graph, opset_imports=imports, functions=[function], ir_version=8)

    a = model(2.0, "Neg")
    moved = "1 of 1 values moved by up to 1, 0.5 of the largest, 4,194,304 ulp"
    assert changes(a, model(3.0, "Abs")) == [
        ("node", "if/else_branch/k", "changed", f"attribute value: {moved}"),
        ("node", "if/then_branch/k", "changed", f"attribute value: {moved}"),
        ("node", "mine.F/n", "changed", "op: Neg → Abs"),
    ]
    other = model(2.0, "Neg")
    other.functions[0].name = "G"
    other.graph.node[1].op_type = "G"
    assert changes(a, other) == [
        ("node", "call", "changed", "op: mine.F → mine.G"),
        ("function", "mine.F", "removed"),
        ("function", "mine.G", "added"),
    ]


# ── how far weights moved ─────────────────────────────────────────────────────────────────────────────────────


def between(one, two):
    return room.moved(numpy_helper.from_array(one, "w"), None, numpy_helper.from_array(two, "w"), None)


ONE = np.array([1.0, -2.0, 0.0, np.nan], np.float32)


@pytest.mark.parametrize(
    ("two", "said"),
    [
        ([1.0, -2.0, 0.0, np.nan], None),
        ([1.5, -2.0, 0.0, np.nan], "1 of 4 values moved by up to 0.5, 0.25 of the largest, 4,194,304 ulp"),
        ([1.0, np.inf, 0.0, np.nan], "other NaN or infinite values: 1"),
        ([1.0, -2.0, 0.0, 7.0], "other NaN or infinite values: 1"),
        ([1.0, -2.0, -0.0, np.nan], "zeros of the other sign: 1"),
    ],
)
def test_how_far_floats_moved(two, said):
    found = between(ONE, np.array(two, np.float32))
    assert (found and found.sentence()) == said


def test_how_far_other_values_moved():
    assert between(np.array([1, 2], np.int8), np.array([1, -2], np.int8)).sentence() == (
        "1 of 2 values moved by up to 4, 2 of the largest"
    )
    assert between(np.array([True, False]), np.array([True, True])).unequal == 1
    assert between(np.array(["a", "b"], object), np.array(["a", "c"], object)).sentence() == "1 of 2 values moved"
    half = np.array([1.0, 2.0], ml_dtypes.bfloat16)
    assert between(half, half) is None
    assert between(half, np.array([1.0, 2.015625], ml_dtypes.bfloat16)).max_ulp == 1
    rounded = between(np.float32([0.1, 1.0]), np.float16([0.1, 1.0]))
    assert rounded.max_abs == pytest.approx(float(np.float32(0.1)) - float(np.float16(0.1)), abs=1e-12)


def test_large_tensors_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(room, "_CHUNK", 3)
    one = np.arange(10, dtype=np.float32)
    two = one.copy()
    two[[1, 8]] += [0.5, 2.0]
    found = between(one, two)
    assert (found.elements, found.unequal, found.max_abs, found.max_rel) == (10, 2, 2.0, 2.0 / 9)


def external(folder, proto, name="data"):
    onnx.save(copy(proto), folder / "m.onnx", save_as_external_data=True, location=name, size_threshold=0)
    return folder / "m.onnx"


def test_external_data_are_read_only_where_they_may_differ(tmp_path, monkeypatch):
    path = external(tmp_path, BASE)
    assert changes(BASE, path) == []
    other = copy()
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(W + np.float32(0.5), "w"))
    (found,) = diff(load(path), load(other)).changes
    assert (found.name, found.moved.max_abs, found.moved.max_rel) == ("w", 0.5, 0.5 / 16)
    monkeypatch.setattr(room, "array", None)
    assert changes(path, path) == []


@settings(max_examples=count(200), deadline=None)
@given(model=mlps(), seed=st.integers(0, 2**32 - 1))
def test_one_value_that_moves_is_found_and_nothing_else(model, seed):
    rng = np.random.default_rng(seed)
    other = copy(model)
    tensor = other.graph.initializer[rng.integers(len(other.graph.initializer))]
    values = numpy_helper.to_array(tensor).copy()
    at = tuple(rng.integers(size) for size in values.shape)
    values[at] = np.nextafter(values[at], np.float32(np.inf))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert diff(load(model), load(copy(model))).same
    (found,) = diff(load(model), load(other)).changes
    assert (found.kind, found.name, found.moved.unequal, found.moved.max_ulp) == ("initializer", tensor.name, 1, 1)


# ── as a command ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command(tmp_path):
    files = [str(MODELS / "digits_prelu_gemm.onnx"), str(MODELS / "digits_relu_wide.onnx")]
    page = tmp_path / "changes.md"
    done = CliRunner().invoke(main, ["diff", *files, "--json", "--report", str(page)])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == onnx_prelu.diff(*files).to_dict()
    assert told["diff"]["counts"]["node"] == {"added": 0, "removed": 0, "changed": 2, "unchanged": 4}
    assert "| node | `act0` | op: PRelu → Relu<br>input 1: act0.slope → nothing |" in page.read_text(encoding="utf-8")
    missing = CliRunner().invoke(main, ["diff", files[0], str(tmp_path / "none.onnx")])
    assert missing.exit_code == 2
    assert missing.stderr.count("\n") == 1


def test_a_long_list_is_cut_off_on_the_page():
    a = from_text("  ".join(f"t{n} = Neg(x)" for n in range(60)) + "  y = Neg(x)", *VECTOR, {})
    b = copy(a)
    for node in b.graph.node[:60]:
        node.op_type = "Abs"
    report = onnx_prelu.diff(a, b)
    page = markdown(report)
    assert page.startswith("### diff g against g: 60 changed\n")
    assert page.count("op: Neg → Abs") == 40
    assert "and 20 changes more, in the JSON" in page
    assert len(report.to_dict()["diff"]["changes"]) == 60
    assert report.passed
    assert "no difference" in markdown(onnx_prelu.diff(a, a))
