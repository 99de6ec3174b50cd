"""Defects that were found by attack, each with the model that showed it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import onnx_prelu
from tests.passes.test_refusals import CHAIN, model
from tests.rewriting import rewritten

RNG = np.random.default_rng(0)


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "onnx_prelu", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": str(Path(onnx_prelu.__file__).parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def outside(tmp_path):
    """A model of which every weight lies in w.json."""
    proto = model()
    onnx.save(proto, tmp_path / "e.onnx", save_as_external_data=True, location="w.json", size_threshold=0)
    (tmp_path / "other").mkdir()
    np.savez(tmp_path / "d.npz", x=RNG.normal(size=(2, 4)).astype(np.float32))
    return tmp_path


PROTECTED = [
    (["rewrite", "e.onnx", "w.json", "--no-bench"], "w.json"),
    (["rewrite", "e.onnx", "o.onnx", "--report", "w.json"], "w.json"),
    (["inspect", "e.onnx", "--report", "w.json"], "w.json"),
    (["check", "e.onnx", "e.onnx", "--report", "w.json"], "w.json"),
    (["rewrite", "e.onnx", "other/z.onnx", "--form", "mirror", "--report", "other/w.json"], "w.json"),
    (["rewrite", "e.onnx", "d.npz", "--inputs", "d.npz"], "d.npz"),
]


@pytest.mark.parametrize(
    ("arguments", "file"), PROTECTED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_no_output_is_written_over_what_is_read(outside, arguments, file):
    before = (outside / file).read_bytes()
    result = command(*arguments, cwd=outside)
    assert result.returncode == 2, result.stderr
    assert "is the same file as" in result.stderr
    assert (outside / file).read_bytes() == before
    assert not (outside / "other" / "z.onnx").exists()


def test_equal_bits_are_a_promise_of_forms_not_of_fusion():
    """Conv and LeakyRelu fuse, and then the pool sums in another order."""
    kernel = numpy_helper.from_array(RNG.normal(size=(16, 3, 3, 3)).astype(np.float32), "K")
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[N,3,8,8] x) => (float[N,16,1,1] o) {
            z = Conv(x, K)  h = LeakyRelu <alpha = 0.1> (z)  o = GlobalAveragePool(h) }""".replace(")  ", ")\n")
    )
    proto.graph.initializer.append(kernel)
    (check,) = onnx_prelu.rewrite(proto, to="relu", form="mirror", providers=["cpu"]).report.check
    assert check.status == "passed"
    assert [pair.exact for pair in check.pairs] == [True]


def test_standard_output_holds_the_json_alone(tmp_path):
    """a = 1/2 makes a and 1 − a one constant, read twice."""
    proto = model("h = PRelu(x, a)", "float[N,3] x", "float[N,3] h", {"a": np.array([0.5])})
    onnx.save(proto, tmp_path / "half.onnx")
    result = command("rewrite", "half.onnx", "o.onnx", "--form", "skip", "--json", "--no-bench", cwd=tmp_path)
    assert json.loads(result.stdout)["sites"][0]["form"] == "skip"
    assert result.stderr == ""


def test_what_the_training_information_reads_stays():
    proto = model()
    training = proto.training_info.add()
    training.algorithm.node.append(helper.make_node("Neg", ["A"], ["step"]))
    training.algorithm.output.append(helper.make_tensor_value_info("step", onnx.TensorProto.FLOAT, [4, 3]))
    training.update_binding.add(key="b", value="step")
    result, _ = rewritten(proto, form="split")
    assert {"A", "b"} <= {tensor.name for tensor in result.graph.initializer}
    assert "V" not in {tensor.name for tensor in result.graph.initializer}


def test_a_custom_op_named_prelu_is_none():
    proto = model(CHAIN.replace("PRelu(z, a)", "Relu(z)") + "  o = my.PRelu(x)", outputs="float[N,2] y, float[N,4] o")
    proto.opset_import.add(domain="my", version=1)
    assert onnx_prelu.rewrite(proto, check=False).report.to == "prelu"


def test_a_dimension_that_does_not_exist_is_an_error_without_a_check_too():
    with pytest.raises(onnx_prelu.BadUsage, match="--dim Q"):
        onnx_prelu.rewrite(model(), dim={"Q": 3}, check=False)


def test_a_named_provider_has_to_run_even_where_nothing_is_to_do():
    proto = model(CHAIN.replace("PRelu(z, a)", "Relu(z)"))
    with pytest.raises(onnx_prelu.ProviderNotRun):
        onnx_prelu.rewrite(proto, to="relu", providers=["NoSuchExecutionProvider"])


def chain(middle, **weights):
    return model(f"z = MatMul(x, A)  {middle}  y = MatMul(h, V)", weights=weights)


def ops(proto):
    return [node.op_type for node in proto.graph.node]


def test_a_bias_of_zeros_is_a_bias():
    """An Add of zeros changes no value, and still is no part of the activation after it."""
    proto = chain("u = Add(z, b)  h = PRelu(u, a)", b=np.zeros(3))
    assert rewritten(proto, to="prelu")[0].SerializeToString() == proto.SerializeToString()
    wide, _ = rewritten(proto, form="split")
    assert ops(rewritten(wide, to="prelu")[0]) == ops(proto)
    relu = chain("u = Add(z, b)  h = Relu(u)", b=np.zeros(3), A=np.hstack([np.eye(4), -np.eye(4)])[:, :3])
    once, _ = rewritten(relu, to="prelu")
    assert rewritten(once, to="prelu")[0].SerializeToString() == once.SerializeToString()


def test_zeros_that_enlarge_x_are_no_part_of_a_site():
    weights = {"c": np.zeros((3, 4)), "s": np.zeros((1,))}
    proto = model("u = Add(x, c)  h = PRelu(u, s)", "float[N,4] x", "float[3,4] h", weights)
    result, (choice,) = rewritten(proto)
    assert (choice.spelling, ops(result)) == ("PRelu(x, c)", ["Add", "Relu"])
    wide = model(
        "u = Add(x, c)  h = PRelu(u, s)", "float[N,1] x", "float[N,5] h", {"c": np.zeros(5), "s": np.ones(1) / 4}
    )
    assert rewritten(wide)[1][0].form == "mirror"


def test_a_relu_over_a_prelu_stays_outside():
    proto = model("p = Mul(c, x)  q = Max(x, p)  h = Relu(q)", "float[4] x", "float[4] h", {"c": np.array([0.25])})
    once, _ = rewritten(proto, to="prelu")
    assert ops(once) == ["PRelu", "Relu"]
    assert rewritten(once, to="prelu")[0].SerializeToString() == once.SerializeToString()


def test_a_type_that_only_the_result_tells_is_taken_from_it():
    text = """<ir_version: 8, opset_import: ["" : 17, "my" : 1]>
        g (double[2,4] x) => (double[2,4] h) { z = my.Op(x)
            h = LeakyRelu <alpha = 0.25> (z) }"""
    result, _ = rewritten(onnx.parser.parse_model(text), form="mirror")
    assert [t.data_type for t in result.graph.initializer] == [onnx.TensorProto.DOUBLE]


def test_opset_6_does_not_guess_axes():
    body = "p = Mul(x, c)  h = Max(x, p)"
    for shape in ((2, 3), (3,)):
        proto = model(body, "float[2,3] x", "float[2,3] h", {"c": np.full(shape, 0.25) + np.arange(3) / 8}, opset=6)
        result, choices = rewritten(proto, to="prelu")
        assert result.SerializeToString() == proto.SerializeToString()
        assert not any(choice.form for choice in choices)
    rows = RNG.normal(size=(3, 2))
    wide = {"A": np.hstack([rows, -rows]), "V": np.vstack([np.eye(2), -0.25 * np.eye(2)])}
    proto = model("z = MatMul(x, A)  h = Relu(z)  y = MatMul(h, V)", "float[2,5,3] x", "float[2,5,2] y", wide, opset=6)
    assert rewritten(proto, to="prelu")[1] == []


ODD = {
    "sparse constant": '<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] h) { h = PRelu(x, a) }',
    "no inputs": '<ir_version: 8, opset_import: ["" : 17]> g (float[2,0] x) => (float[2,2] y) '
    "<float[0,4] A = {}, float[4,2] V = {1,2,3,4,5,6,7,8}> { z = MatMul(x, A)\n h = Relu(z)\n y = MatMul(h, V) }",
    "empty slope": '<ir_version: 8, opset_import: ["" : 17]> g (float[2,0] x) => (float[2,0] h) '
    "<float[0] a = {}> { h = PRelu(x, a) }",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_legal_models_are_no_crash(name):
    proto = onnx.parser.parse_model(ODD[name])
    if name == "sparse constant":
        values = numpy_helper.from_array(np.array([0.25], np.float32), "v")
        indices = numpy_helper.from_array(np.array([1]), "i")
        sparse = helper.make_sparse_tensor(values, indices, [3])
        proto.graph.node.insert(0, helper.make_node("Constant", [], ["a"], sparse_value=sparse))
    assert onnx_prelu.inspect(proto).sites is not None
    for form in ("mirror", "leakyrelu"):
        rewritten(proto, form=form)
    rewritten(proto, to="prelu")


def test_slopes_that_two_prelus_make_together_are_not_lost():
    for slope in (1e30, 1e-30):
        proto = model("p = PRelu(x, a)  h = PRelu(p, a)", "float[N,3] x", "float[N,3] h", {"a": np.full(3, slope)})
        _, choices = rewritten(proto, form="mirror")
        assert [choice.spelling for choice in choices] == ["PRelu(x, c)", "PRelu(x, c)"]


def test_a_broken_slope_over_a_constant_is_still_an_error():
    proto = model(
        "h = PRelu(k, a)  y = Add(x, h)", "float[3] x", "float[3] y", {"k": np.ones(3), "a": np.full(3, np.nan)}
    )
    with pytest.raises(onnx_prelu.BadInput, match="n_h"):
        onnx_prelu.inspect(proto)


@pytest.mark.parametrize(("low", "high", "found"), [(-3.4e38, 3.4028235e38, True), (None, -3.4028235e38, False)])
def test_a_bound_at_the_wrong_end_is_a_bound(low, high, found):
    bounds = {"lo": np.array(0.0), "hi": np.array(high)} if found else {"hi": np.array(high)}
    body = f"r = Clip(x, {'lo' if found else ''}, hi)  n = Neg(x)  m = Relu(n)  q = Mul(c, m)  h = Sub(r, q)"
    proto = model(body, "float[4] x", "float[4] h", {**bounds, "c": np.array([0.25])})
    assert bool(onnx_prelu.inspect(proto).sites) is found
