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
