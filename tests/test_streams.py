"""Models through pipes: the bytes that come out, and what is said elsewhere meanwhile."""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from onnx_prelu.cli import main

ROOT = Path(__file__).parents[1]
GEMM, RELU = ROOT / "models" / "digits_prelu_gemm.onnx", ROOT / "models" / "digits_relu.onnx"
QUICK = ("--no-check", "--no-bench")


def run(*args, given=GEMM):
    return CliRunner().invoke(main, [str(arg) for arg in args], input=given.read_bytes())


def ops(data):
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


def test_through_two_pipes(tmp_path):
    """As a shell runs it: PReLU to ReLU and back, with a check of each, and nothing but models in the pipes."""
    command = f"{sys.executable} -m onnx_prelu rewrite"
    script = f"{command} - - --provider cpu --no-bench < {GEMM} | {command} - - --provider cpu --no-bench > back.onnx"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert ops((tmp_path / "back.onnx").read_bytes()) == ops(GEMM.read_bytes())


def test_the_bytes_are_those_of_a_file(tmp_path):
    result = run("rewrite", "-", "-", *QUICK)
    assert (result.exit_code, result.stderr) == (0, "")
    assert run("rewrite", GEMM, tmp_path / "out.onnx", *QUICK).exit_code == 0
    assert result.stdout_bytes == (tmp_path / "out.onnx").read_bytes()


def test_an_untouched_model_comes_out_byte_for_byte():
    assert run("rewrite", "-", "-", "--to", "relu", *QUICK, given=RELU).stdout_bytes == RELU.read_bytes()


@pytest.mark.parametrize("name", ["check", "bench"])
@pytest.mark.parametrize("models", [("-", RELU), (RELU, "-")])
def test_one_of_several_models(name, models):
    flags = ("--provider", "cpu", *(("--duration", "0.1") if name == "bench" else ()))
    result = run(name, *models, *flags, "--json", given=RELU)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["exit_code"] == 0


def test_inspect():
    assert json.loads(run("inspect", "-", "--json").stdout)["sites"][0]["node"] == "act0"


def test_the_report_goes_to_a_file(tmp_path):
    result = run("rewrite", "-", "-", *QUICK, "--report", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["sites"][0]["form"] == "split"
    assert ops(result.stdout_bytes)[:3] == ["Flatten", "Gemm", "Relu"]


@pytest.mark.parametrize(
    ("args", "given", "exit_code", "said"),
    [
        (("check", "-", "-"), b"", 2, "-: standard input can be one model only; name a file"),
        (("inspect", "-"), b"", 2, "standard input: is empty"),
        (("inspect", "-"), b"ir_version: 8", 2, "standard input: is a text, not an ONNX model"),
        (("inspect", "-"), b"\x00\xff", 2, "standard input: is no ONNX model"),
        (("rewrite", "-", "-", "--json"), GEMM.read_bytes(), 2, "--json: the model and the report cannot both go"),
        (
            ("rewrite", "-", "-", "--ops", "Conv", "--no-bench"),
            GEMM.read_bytes(),
            1,
            "; nothing was written to standard output",
        ),
    ],
)
def test_what_does_not_work_is_one_line_and_no_model(args, given, exit_code, said):
    result = CliRunner().invoke(main, args, input=given)
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def outside(tmp_path):
    path = tmp_path / "outside.onnx"
    onnx.save(onnx.load(GEMM), path, save_as_external_data=True, size_threshold=0, location="w.bin")
    return path


def test_data_files_do_not_go_through_a_pipe(tmp_path):
    path = outside(tmp_path)
    out = run("rewrite", path, "-", *QUICK)
    assert (out.exit_code, out.stdout) == (2, "")
    assert "-: a model with data files of its own does not go through a pipe" in out.stderr
    into = run("inspect", "-", given=path)
    assert into.exit_code == 2
    assert "standard input: tensor 'fc0.w' keeps its data in 'w.bin'" in into.stderr


def test_a_standard_input_that_was_closed():
    script = f"{sys.executable} -m onnx_prelu inspect - <&-"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: standard input: cannot be read")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("sink", "exit_code"), [("/dev/full", 2), ("&-", 2)])
def test_a_standard_output_that_takes_nothing(sink, exit_code):
    script = f"{sys.executable} -m onnx_prelu rewrite {GEMM} - --no-check --no-bench >{sink}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code
    assert done.stderr.startswith("Error: the model cannot be printed on standard output")


def test_a_terminal_is_no_place_for_a_model():
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "onnx_prelu", "rewrite", str(GEMM), "-"]
    done = subprocess.run(command, cwd=ROOT, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(ours)
    assert (done.returncode, done.stderr) == (
        2,
        "Error: -: standard output is a terminal, not a place for a model; name a file\n",
    )


@pytest.mark.parametrize(("shell", "said"), [("bash", "complete -o nosort"), ("zsh", "#compdef onnx-prelu")])
def test_shell_completion(shell, said):
    env = {**os.environ, "_ONNX_PRELU_COMPLETE": f"{shell}_source"}
    command = [sys.executable, "-m", "onnx_prelu"]
    assert said in subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    words = {"COMP_WORDS": "onnx-prelu rewrite --to ", "COMP_CWORD": "3", "_ONNX_PRELU_COMPLETE": "bash_complete"}
    done = subprocess.run(command, cwd=ROOT, env={**env, **words}, capture_output=True, text=True, check=True)
    assert {"plain,relu", "plain,prelu"} <= set(done.stdout.split())
