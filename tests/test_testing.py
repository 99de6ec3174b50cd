"""assert_equivalent as a test uses it."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import parser

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.testing import assert_equivalent

MODELS = Path(__file__).parents[1] / "models"
GEMM, WIDE, RELU = MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_relu_wide.onnx", MODELS / "digits_relu.onnx"
CPU = {"providers": ["cpu"]}


def act(op, slope=0.25, name="y"):
    text = f'<ir_version: 8, opset_import: ["": 17]> g (float[N,4] x) => (float[N,4] {name}) '
    return parser.parse_model(text + f"<float[1] a = {{{slope}}}> {{ {name} = {op} }}")


def message(a, b, **options):
    with pytest.raises(AssertionError) as failure:
        assert_equivalent(a, b, **options)
    return str(failure.value)


def test_the_report_of_models_that_agree():
    report = assert_equivalent(GEMM, WIDE, **CPU)
    assert isinstance(report, onnx_prelu.Report)
    assert (report.passed, report.check[0].provider) == (True, "cpu")


def test_a_failure_says_which_output_how_far_and_where():
    said = message(act("PRelu(x, a)"), act("Relu(x)"), **CPU)
    report = onnx_prelu.check(act("PRelu(x, a)"), act("Relu(x)"), **CPU)
    (output,) = report.check[0].outputs
    assert said.splitlines()[0] == f"g and g are not shown to compute the same: {report.failure}"
    assert said.count("output 'y'") == 1
    assert f"output 'y' differs by up to {output.difference.max_abs:.3g}" in said
    assert f"at {list(output.difference.where)}, by {output.difference.excess:.3g} times the" in said
    assert "to see it again" not in said


def test_the_worst_element_is_the_worst(tmp_path):
    """On given inputs, so that it is known without the check which element that is."""
    x = np.array([[1, -1, 2, -8], [3, 4, -2, 5]], np.float32)
    assert " at [0, 3], " in message(act("PRelu(x, a)"), act("Relu(x)"), inputs={"x": x}, **CPU)


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({}, ""),
        (
            {"providers": ("cpu",), "seed": 3, "dim": {"N": 2}, "rtol": 1e-6, "signed_zeros": True},
            "--provider cpu --seed 3 --dim N=2 --rtol 1e-06 --signed-zeros",
        ),
        ({"tol": {"y": {"atol": 0.0, "rtol": 1e-6}}}, "--tol y:atol=0.0,rtol=1e-06"),
        (
            {"input_range": {"x": (-3, 0.5)}, "seeds": 2, "check_budget": 60.0, "save_failing": None},
            "--input-range x=-3.0,0.5 --seeds 2 --check-budget 60.0",
        ),
        ({"input_shape": {"x": (3, 4)}, "atol": 0.0, "signed_zeros": False}, "--input-shape x:3,4 --atol 0.0"),
    ],
)
def test_the_command_that_shows_it_again(options, flags, tmp_path):
    a, b = tmp_path / "a model.onnx", tmp_path / "b.onnx"
    onnx.save(act("PRelu(x, a)"), a)
    onnx.save(act("Relu(x)"), b)
    line = message(a, str(b), **options).splitlines()[-1]
    assert line == f"  to see it again: {shlex.join(['onnx-prelu', 'check', str(a), str(b), *flags.split()])}"
    result = CliRunner().invoke(main, shlex.split(line.split("onnx-prelu ")[1]))
    assert result.exit_code == 1
    assert result.stderr.strip().removeprefix("Error: ") in message(a, b, **options)


def test_no_command_gives_arrays(tmp_path):
    onnx.save(act("PRelu(x, a)"), tmp_path / "a.onnx")
    onnx.save(act("Relu(x)"), tmp_path / "b.onnx")
    inputs = {"x": np.full((1, 4), -1, np.float32)}
    assert "to see it again" not in message(tmp_path / "a.onnx", tmp_path / "b.onnx", inputs=inputs)
    ends = {"x": (np.full(4, -2.0), np.full(4, -1.0))}
    assert "to see it again" not in message(tmp_path / "a.onnx", tmp_path / "b.onnx", input_range=ends)


@pytest.mark.parametrize(
    ("b", "options", "said"),
    [
        (act("Relu(x)", name="z"), CPU, "check failed on cpu"),
        (act("PRelu(x, a)"), {"providers": ["no-such"]}, "no-such could not run: "),
    ],
)
def test_an_interface_or_a_provider_is_an_assertion_too(b, options, said):
    assert said in message(act("PRelu(x, a)"), b, **options)


def test_what_cannot_be_read_is_no_assertion(tmp_path):
    with pytest.raises(onnx_prelu.BadInput):
        assert_equivalent(GEMM, tmp_path / "none.onnx")


def test_pytest_shows_the_line_of_the_test(tmp_path):
    test = tmp_path / "test_it.py"
    test.write_text(
        "from onnx_prelu.testing import assert_equivalent\n"
        f"def test_it():\n    assert_equivalent({str(GEMM)!r}, {str(RELU)!r}, providers=['cpu'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    root = str(MODELS.parent)
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "test_it.py:3: AssertionError" in done.stdout
    assert "AssertionError: " + str(GEMM) in done.stdout
    assert "raise AssertionError(" not in done.stdout
