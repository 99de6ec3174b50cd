"""A certificate replays what a rewrite did from the two models alone; what it does not cover is refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_prelu
from onnx_prelu.certificate.verify import verify
from tests.certificate.certified import (
    ELEMENTWISE,
    FAST,
    MODELS,
    WIDE,
    certified,
    dense,
    drawn,
    model,
    pooled,
    residual,
)

VERIFY = Path(onnx_prelu.__file__).parent / "certificate" / "verify.py"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", [*ELEMENTWISE, *WIDE, *FAST])
def test_every_covered_form_verifies_there_and_back(form, name):
    made, before, after = certified(MODELS[name], form=form)
    assert verify(made, before, after).startswith(("exact", "within 1 ulp"))
    back, wide, narrow = certified(after, to="prelu")
    assert verify(back, wide, narrow)
    assert back["out"]["k"] == 0


@pytest.mark.parametrize(("build", "form"), [
    (dense, "split"), (residual, "gauge"), (residual, "dwcat"), (pooled, "poolsplit"), (pooled, "pool"),
])  # fmt: skip
def test_the_forms_are_taken_that_are_meant(build, form):
    made, _, _ = certified(build(), form=form)
    assert form in {site["form"] for site in made["sites"]}


def test_slopes_in_the_producer_and_those_of_leakyrelu_are_covered():
    made, before, after = certified(dense(), form="split", slope_in="producer")
    assert verify(made, before, after) == "within 1 ulp"
    leaky = model([helper.make_node("LeakyRelu", ["x"], ["out"], "act", alpha=0.1)], [2, 3], {})
    assert verify(*certified(leaky, form="skip")) == "within 1 ulp"


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_types_are_covered(dtype):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("PRelu", ["z", "a"], ["y"], "act"),
             helper.make_node("MatMul", ["y", "v"], ["out"])]  # fmt: skip
    weights = {"w": drawn(3, 4), "a": np.array([0.3, -0.1, 0.7, 1.1]), "v": drawn(4, 2)}
    before = model(nodes, [2, 3], {name: values.astype(dtype) for name, values in weights.items()})
    for value in (before.graph.input[0], before.graph.output[0]):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for form in ("split", "concat", "skip"):
        assert verify(*certified(before, form=form)) == "within 1 ulp"


def test_what_is_elementwise_and_stored_as_it_is_is_exact():
    assert verify(*certified(dense(), form="mirror")) == "exact"


def test_some_sites_may_stay():
    made, before, after = certified(dense(), form="split", only=("act1",))
    assert [site["site"] for site in made["sites"]] == ["act1"]
    assert verify(made, before, after) == "within 1 ulp"


def test_the_api_says_what_it_found_in_a_report():
    made, before, after = certified(dense(), form="split")
    report = onnx_prelu.verify(made, before, after)
    assert report.notes == ("the certificate holds: within 1 ulp",)
    with pytest.raises(onnx_prelu.NotMet, match="swapped"):
        onnx_prelu.verify(made, after, before)


@pytest.mark.parametrize("form", ["comp", "ext0"])
def test_a_form_that_is_not_covered_is_refused_by_site_and_name(form, tmp_path):
    nodes = [helper.make_node("Conv", ["x", "k"], ["z"], "before"), helper.make_node("PRelu", ["z", "a"], ["y"], "act")]
    nodes += [helper.make_node("MaxPool", ["y"], ["p"], "pool", kernel_shape=[2, 2])] * (form == "ext0")
    nodes += [helper.make_node("Conv", [nodes[-1].output[0], "q"], ["out"], "behind")]
    weights = {"k": drawn(2, 3, 1, 1), "a": np.array([0.25, -0.5], np.float32).reshape(2, 1, 1), "q": drawn(2, 2, 1, 1)}
    onnx.save(model(nodes, [1, 3, 8, 8], weights), tmp_path / "in.onnx")
    command = [sys.executable, "-m", "onnx_prelu", "rewrite", "in.onnx", "out.onnx", "--to", "fast", "--form", form]
    ran = subprocess.run(
        [*command, "--certificate", "cert.json", "--no-bench"],
        cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(VERIFY.parents[2])},
    )  # fmt: skip
    assert ran.returncode == 1
    assert "'act'" in ran.stderr
    assert form in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.onnx"]


def relus(rows, columns):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"], "act"),
             helper.make_node("MatMul", ["y", "v"], ["out"])]  # fmt: skip
    return model(nodes, [2, 3], {"w": np.stack(rows, axis=1), "v": np.stack(columns)})


def test_a_fold_beside_units_that_stay_is_covered():
    """One pair, scaled; one unit alone; two sides of one direction that are no pair."""
    (a, b, c), (u, v, w, t) = drawn(3, 3), drawn(4, 2)
    before = relus([a, b, c, -2 * a, -c], [u, v, w, -np.float32(0.125) * u, t])
    made, _, after = certified(before, to="prelu")
    assert made["sites"][0]["form"] == "fold"
    assert len(made["lanes"][0]["unit"]) == 5
    assert verify(made, before, after) == "exact"


@pytest.mark.parametrize("rows", [lambda a, b: [a, b, 2 * a], lambda a, b: [a, b, 0 * a]])
def test_merged_and_constant_units_are_refused_by_name(rows):
    with pytest.raises(onnx_prelu.NotMet, match=r"'act': .*merged, dropped or moved to the bias"):
        certified(relus(rows(*drawn(2, 3)), drawn(3, 2)), to="prelu")


def test_what_only_holds_for_some_inputs_is_refused():
    """The unit that is dead where x is in [0, 1] goes, and no lanes say why."""
    before = relus([-np.ones(3, np.float32), *drawn(2, 3)], drawn(3, 2))
    with pytest.raises(onnx_prelu.NotMet, match=r"'act': .*values that the inputs can bring about"):
        certified(before, to="prelu", input_range={"x": (0.5, 1)})


def test_what_would_change_the_model_first_is_refused():
    with pytest.raises(onnx_prelu.BadUsage, match="certificate"):
        onnx_prelu.rewrite(dense(), to="relu", certificate=True, freeze=True)
    with pytest.raises(onnx_prelu.NotMet, match="opset_import"):
        onnx_prelu.rewrite(dense(), to="relu", certificate=True, opset=18, check=False)


def test_a_site_in_a_body_is_refused_by_name():
    inner = helper.make_graph(
        [helper.make_node("PRelu", ["x", "a"], ["h"], "inside")], "then", [],
        [helper.make_tensor_value_info("h", 1, None)],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["i"])], "else", [], [helper.make_tensor_value_info("i", 1, None)]
    )
    nodes = [helper.make_node("If", ["c"], ["out"], "if", then_branch=inner, else_branch=other)]
    before = model(nodes, [2], {"a": drawn(2), "c": np.array(True)})
    with pytest.raises(onnx_prelu.NotMet, match=r"inside.*body"):
        certified(before, form="mirror")


def test_the_verifier_runs_by_itself(tmp_path):
    made, before, after = certified(dense(), form="split")
    (tmp_path / "verify.py").write_bytes(VERIFY.read_bytes())
    (tmp_path / "cert.json").write_text(json.dumps(made))
    onnx.save(before, tmp_path / "in.onnx")
    onnx.save(after, tmp_path / "out.onnx")

    def run(*names):
        command = [sys.executable, "-I", "verify.py", *names]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return ran.returncode, (ran.stdout + ran.stderr).strip()

    assert run("cert.json", "in.onnx", "out.onnx") == (0, "within 1 ulp")
    assert run("cert.json", "out.onnx", "in.onnx") == (1, "failed: the two models are swapped")
    assert run("cert.json", "in.onnx")[0] == 2
    assert run("none.json", "in.onnx", "out.onnx")[0] == 2
