"""The whole road, with check, on what does not stand at the top of a float32 model: bodies, functions, integers."""

import re

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import onnx_prelu
from onnx_prelu import remake
from onnx_prelu.errors import ProviderNotRun

RNG = np.random.default_rng(0)
IF = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,4] x, bool cond) => (float[N,4] y) {
    y = If (cond) <
        then_branch = t () => (float[N,4] o) { z = Gemm(x, A)  h = PRelu(z, a)  o = Gemm(h, V) },
        else_branch = e () => (float[N,4] p) { p = PRelu(x, b) }
    >
}"""
FUNCTION = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g (float[N,4] x) => (float[N,4] y) { y = own.f(x) }
<opset_import: ["" : 17], domain: "own"> f (x) => (y) {
    c = Constant <value = float[1] {-0.5}> ()
    y = PRelu(x, c)
}"""


def model(text):
    proto = onnx.parser.parse_model(text.replace(")  ", ")\n"))
    shapes = {"A": (4, 3), "a": (3,), "V": (3, 4), "b": (4,)}
    for name, shape in shapes.items():
        if re.search(rf"\W{name}\)", text):
            proto.graph.initializer.append(numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name))
    return proto


def test_each_site_in_a_body_is_checked_alone_too():
    report = onnx_prelu.rewrite(model(IF), form="split").report
    (check,) = [each for each in report.check if each.provider == "cpu"]
    assert check.status == "passed"
    assert [(pair.node, pair.status, pair.exact) for pair in check.pairs] == [
        ("y/then_branch/h", "passed", False),
        ("y/else_branch/p", "passed", True),
    ]
    assert [note for note in report.notes if "y/then_branch/h" in note] == [
        "which units saw both sides of zero is not known inside of bodies: y/then_branch/h, y/else_branch/p"
    ]


def test_a_wrong_body_is_found_by_the_site_alone(monkeypatch):
    """The inputs of the whole model may never lead into a branch: the small models do."""
    original = remake.finish

    def spoiled(draft):
        result = original(draft)
        then = result.proto.graph.node[0].attribute[0].g
        weight = next(tensor for tensor in then.initializer if tensor.name == "V/split")
        weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * 1.5).tobytes()
        return result

    monkeypatch.setattr(remake, "finish", spoiled)
    with pytest.raises(onnx_prelu.CheckFailed) as failed:
        onnx_prelu.rewrite(model(IF), form="split", inputs={"cond": np.array(False)})
    assert "site 'y/then_branch/h'" in str(failed.value)


def test_a_function_is_checked_alone_at_the_types_of_its_calls():
    result = onnx_prelu.rewrite(model(FUNCTION), form="mirror")
    (check,) = [each for each in result.report.check if each.provider == "cpu"]
    assert [(pair.node, pair.status, pair.exact) for pair in check.pairs] == [("own.f/y", "passed", True)]
    assert "PRelu" not in {node.op_type for node in result.model.functions[0].node}


def test_a_function_that_nothing_calls_is_checked_in_the_whole_model():
    result = onnx_prelu.rewrite(model(FUNCTION.replace("own.f(x)", "Neg(x)")), form="mirror")
    assert result.report.passed
    assert "checked in the whole model only, since no small model of it can be made: own.f/y" in result.report.notes
    assert "PRelu" not in {node.op_type for node in result.model.functions[0].node}


def test_integers_are_checked_on_both_sides_of_zero():
    text = '<ir_version: 8, opset_import: ["" : 16]> g (int32[N,3] x) => (int32[N,3] y) { y = PRelu(x, a) }'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, -3, 0], np.int32), "a"))
    report = onnx_prelu.rewrite(proto, form="skip").report
    (check,) = [each for each in report.check if each.provider == "cpu"]
    assert (check.status, check.pairs[0].status, check.pairs[0].exact) == ("passed", "passed", True)


def test_a_wrong_slope_of_integers_is_found(monkeypatch):
    """Whole numbers given to a model are 0 and 1, often indices: only the small model sees what is below 0."""
    original = remake.finish

    def spoiled(draft):
        result = original(draft)
        (slope,) = [tensor for tensor in result.proto.graph.initializer if tensor.name == "a"]
        slope.raw_data = np.array([2, -4, 0], np.int32).tobytes()
        return result

    monkeypatch.setattr(remake, "finish", spoiled)
    text = '<ir_version: 8, opset_import: ["" : 16]> g (int32[N,3] x) => (int32[N,3] y) { y = PRelu(x, a) }'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2, -3, 0], np.int32), "a"))
    with pytest.raises(onnx_prelu.CheckFailed, match="site 'y'"):
        onnx_prelu.rewrite(proto, form="mirror")


NEWER = r"IR 99, opset 17: this ONNX Runtime reads up to \d+ and \d+"


def test_a_runtime_that_cannot_read_the_file_is_told_in_one_line():
    proto = model(IF)
    proto.ir_version = 99
    report = onnx_prelu.check(proto, proto)
    assert [each.status for each in report.check if each.required] == ["not_run"]
    assert re.fullmatch(NEWER, report.check[0].reason)
    with pytest.raises(ProviderNotRun) as refused:
        onnx_prelu.rewrite(proto)
    assert refused.value.report.check[0].status == "not_run"
    assert re.fullmatch(NEWER, refused.value.report.check[0].reason)
    assert re.search(NEWER, str(refused.value))


def test_inspect_lists_the_sites_of_bodies_with_their_forms():
    sites = {site.node: site for site in onnx_prelu.inspect(model(IF)).sites}
    assert {name: "split" in site.possible for name, site in sites.items()} == {
        "y/then_branch/h": True,
        "y/else_branch/p": False,
    }
    assert sites["y/else_branch/p"].refusals["split"].code == "graph-output"


def test_auto_sees_a_prelu_in_a_body():
    proto = model(IF)
    assert onnx_prelu.rewrite(proto, check=False).report.to == "relu"


def test_a_site_in_a_body_is_made_to_fit_a_target_and_is_not_outside():
    report = onnx_prelu.rewrite(model(IF), target="relu-only", check=False).report
    assert [(site.node, site.form) for site in report.sites] == [
        ("y/then_branch/h", "split"),
        ("y/else_branch/p", "skip"),  # its slopes are below 1
    ]
    assert "relu-only is not known to take: If (outside the sites)" in report.notes
