"""The command line end to end, on the models that come with the project and on small ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import parser

from onnx_prelu.cli import main

MODELS = Path(__file__).parents[1] / "models"
CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def ops(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def written(path, text):
    onnx.save(parser.parse_model(text), path)
    return path


HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def activation(path, op, head=HEAD):
    return written(path, f"{head} g (float[N, 4] x) => (float[N, 4] y) <float[1] a = {{0.25}}> {{ y = {op} }}")


def assert_one_line(result, exit_code, *parts):
    assert result.exit_code == exit_code, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


@pytest.mark.parametrize("name", ["digits_prelu_gemm", "digits_prelu_matmul", "digits_prelu_cnn"])
def test_there_and_back(name, tmp_path):
    there, back = tmp_path / "relu.onnx", tmp_path / "prelu.onnx"
    flags = ("--json", "--duration", "0.2")
    result = run("rewrite", MODELS / f"{name}.onnx", there, *flags)
    assert (result.exit_code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["to"] == "relu"
    assert "PRelu" not in ops(there)
    assert {check["provider"]: check["status"] for check in report["check"]} == {
        "cpu": "passed", "cuda": "passed" if CUDA else "not_run"
    }  # fmt: skip
    assert report["latency"][0]["verdict"] in ("faster", "slower", "no difference")
    assert report["after"]["ops"] == {op: ops(there).count(op) for op in ops(there)}
    assert report["after"]["file_bytes"] == there.stat().st_size
    result = run("rewrite", there, back, "--no-bench", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert ops(back) == ops(MODELS / f"{name}.onnx")


def test_a_report_on_a_terminal_says_what_was_done(tmp_path):
    result = run("rewrite", MODELS / "digits_prelu_gemm.onnx", tmp_path / "out.onnx", "--no-bench")
    assert result.exit_code == 0
    assert "to relu: 2 sites rewritten" in " ".join(result.stdout.split())
    assert "cpu passed: max abs" in result.stdout


def test_a_target_refuses_and_writes_nothing(tmp_path):
    out = tmp_path / "out.onnx"
    result = run("rewrite", MODELS / "digits_prelu_cnn.onnx", out, "--ops", "Conv,Tanh", "--no-bench")
    assert_one_line(result, 1, "no form fits --ops: as it is, --ops is not known to take PRelu", "was not written")
    assert "Reasons" in result.stdout
    assert not out.exists()
    result = run("rewrite", MODELS / "digits_prelu_gemm.onnx", out, "--target", "nnenum", "--no-bench", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert set(ops(out)) == {"Flatten", "Gemm", "Relu"}
    result = run("inspect", MODELS / "digits_prelu_gemm.onnx", "--target", "nnenum")
    assert result.exit_code == 0
    assert "nnenum: 0 of 2 sites fit as they are, 2 more can be made to" in " ".join(result.stdout.split())
    assert_one_line(run("inspect", out, "--target", "no-such"), 2, "--target no-such is not known")


def test_nothing_to_do_is_said_and_the_output_is_the_input(tmp_path):
    out = tmp_path / "out.onnx"
    result = run("rewrite", MODELS / "digits_relu.onnx", out, "--to", "relu")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "nothing" in result.stdout.splitlines()[0]
    assert out.read_bytes() == (MODELS / "digits_relu.onnx").read_bytes()


def test_inspect_lists_the_sites():
    result = run("inspect", MODELS / "digits_prelu_cnn.onnx", "--json")
    sites = json.loads(result.stdout)["sites"]
    assert [site["node"] for site in sites] == ["act0", "act1"]
    assert all({"mirror", "split"} <= set(site["possible"]) for site in sites)
    assert sites[0]["refusal_codes"]["relu"] == "other-slope"


@pytest.mark.parametrize("scale", ["1.0", "0.00001"])
def test_prelu_is_not_relu(scale, tmp_path):
    text = f"{HEAD} g (float[N, 4] x) => (float[N, 4] y) <float[1] a = {{0.25}}, float s = {{{scale}}}>"
    prelu = written(tmp_path / "prelu.onnx", f"{text} {{ h = PRelu(x, a) y = Mul(h, s) }}")
    relu = written(tmp_path / "relu.onnx", f"{text} {{ h = Relu(x) y = Mul(h, s) }}")
    report = tmp_path / "r.md"
    assert_one_line(run("check", prelu, relu, "--report", report), 1, "the check failed on cpu: output 'y' differs")
    assert "**the check failed on cpu: output 'y'" in report.read_text()


def test_other_outputs_are_a_difference(tmp_path):
    a = activation(tmp_path / "a.onnx", "PRelu(x, a)")
    b = written(tmp_path / "b.onnx", f"{HEAD} g (float[N, 4] x) => (float[N, 4] z) {{ z = Relu(x) }}")
    assert_one_line(run("check", a, b), 1, "output 'y' is missing")


def test_bench_needs_no_check(tmp_path):
    a, b = activation(tmp_path / "a.onnx", "PRelu(x, a)"), activation(tmp_path / "b.onnx", "Mul(x, a)")
    report = json.loads(run("bench", a, b, "--json", "--duration", "0.1", "--dim", "N=3").stdout)
    assert report["latency"][0]["status"] == "measured"
    assert report["before"]["sizes"] == {"x": [3, 4]}
    assert "check" not in report


@pytest.mark.skipif(CUDA, reason="this machine's ONNX Runtime has CUDA")
def test_a_provider_that_is_asked_for_and_cannot_run(tmp_path):
    a, out, report = activation(tmp_path / "a.onnx", "PRelu(x, a)"), tmp_path / "out.onnx", tmp_path / "r.json"
    result = run("rewrite", a, out, "--provider", "cuda", "--json", "--report", report)
    assert_one_line(result, 3, "cuda could not run", "out.onnx was not written")
    assert not out.exists()
    assert json.loads(result.stdout)["check"][0]["status"] == "not_run"
    assert json.loads(report.read_text()) == json.loads(result.stdout)
    assert_one_line(run("check", a, a, "--provider", "cuda"), 3, "cuda could not run")


def test_a_provider_that_nobody_knows(tmp_path):
    a = activation(tmp_path / "a.onnx", "PRelu(x, a)")
    assert_one_line(run("check", a, a, "--provider", "cpu", "--provider", "nosuch"), 3, "nosuch could not run")


def test_strict_writes_nothing(tmp_path):
    out = tmp_path / "out.onnx"
    a = activation(tmp_path / "a.onnx", "PRelu(x, a)")
    result = run("rewrite", a, out, "--form", "split", "--strict", "--json")
    assert_one_line(result, 1, "--strict", "out.onnx was not written")
    assert not out.exists()
    assert json.loads(result.stdout)["exit_code"] == 1


def test_inputs_from_a_file(tmp_path):
    a = activation(tmp_path / "a.onnx", "PRelu(x, a)")
    data = tmp_path / "data.npz"
    np.savez(data, x=np.ones((5, 4), np.float32))
    report = json.loads(run("check", a, a, "--inputs", data, "--json").stdout)
    assert report["check"][0]["sizes"] == {"x": [5, 4]}


def truncated(path):
    path.write_bytes((MODELS / "digits_prelu_gemm.onnx").read_bytes()[:9_000])


def unknown_op(path):
    activation(path, "NoSuchOp(x, a)")


def nan_slope(path):
    model = parser.parse_model(
        f"{HEAD} g (float[N, 4] x) => (float[N, 4] y) <float[1] a = {{0.25}}> {{ y = PRelu(x, a) }}"
    )
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array([np.nan], np.float32), "a"))
    model.graph.node[0].name = "act"
    onnx.save(model, path)


def lost_weights(path):
    model = onnx.load(MODELS / "digits_prelu_gemm.onnx")
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (path.parent / "w.bin").unlink()


@pytest.mark.parametrize("command", ["inspect", "rewrite", "check", "bench"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "in.onnx"),
        (lambda path: path.write_bytes(b""), "in.onnx"),
        (lambda path: path.write_text("not a model\n" * 50), "in.onnx"),
        (truncated, "in.onnx"),
        (unknown_op, "NoSuchOp"),
        (lost_weights, "w.bin"),
    ],
    ids=["missing", "empty", "text", "truncated", "unknown op", "lost weights"],
)
def test_a_file_that_is_no_model(command, make, said, tmp_path):
    source, fine = tmp_path / "in.onnx", activation(tmp_path / "fine.onnx", "Relu(x)")
    make(source)
    names = sorted(path.name for path in tmp_path.iterdir())
    rest = {"inspect": (), "rewrite": (tmp_path / "out.onnx",)}.get(command, (fine,))
    assert_one_line(run(command, source, *rest, "--report", tmp_path / "r.json"), 2, said)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("command", ["inspect", "rewrite"])
def test_a_slope_that_is_no_number_names_its_node(command, tmp_path):
    nan_slope(tmp_path / "in.onnx")
    rest = (tmp_path / "out.onnx",) if command == "rewrite" else ()
    assert_one_line(run(command, tmp_path / "in.onnx", *rest), 2, "act")
    assert not (tmp_path / "out.onnx").exists()


def test_a_pattern_that_matches_nothing(tmp_path):
    result = run("rewrite", MODELS / "digits_prelu_gemm.onnx", tmp_path / "out.onnx", "--only", "nosuch*")
    assert_one_line(result, 2, "nosuch*")


def test_a_form_that_nobody_knows(tmp_path):
    result = run("rewrite", MODELS / "digits_prelu_gemm.onnx", tmp_path / "out.onnx", "--form", "nosuch")
    assert_one_line(result, 2, "nosuch", "mirror")


def test_the_runtime_writes_nothing_of_its_own_to_the_streams(tmp_path):
    """PRelu of opset 6, which ONNX Runtime does not have: in a process, for its log goes past Python."""
    text = '<ir_version: 8, opset_import: ["" : 6]>'
    source = activation(tmp_path / "in.onnx", "PRelu(x, a)", text)
    environment = {**os.environ, "PYTHONPATH": str(MODELS.parent)}
    command = [sys.executable, "-m", "onnx_prelu", "rewrite", source, tmp_path / "out.onnx", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["check"][0]["status"] == "not_run"
    assert done.stderr.count("\n") == 1
    assert "--no-check writes the model unchecked" in done.stderr
    assert not (tmp_path / "out.onnx").exists()


def test_what_cannot_be_checked_can_be_written_unchecked(tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 6]>'
    source, out = activation(tmp_path / "in.onnx", "PRelu(x, a)", text), tmp_path / "out.onnx"
    result = run("rewrite", source, out, "--no-check", "--form", "mirror")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "PRelu" not in ops(out)
