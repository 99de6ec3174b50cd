"""inspect counts units, proven and silent: in Python, on the command line, in every format."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.errors import BadInput, BadUsage
from tests.oracle import run
from tests.reported import validate
from tests.texts import from_text

MODELS = Path(__file__).parents[1] / "models"
DATA = MODELS / "digits_test.npz"
WEIGHTS = {"A": np.eye(3), "b": np.array([-2.0, 2.0, 0.0]), "V": (3, 2)}


def small():
    return from_text("z = Gemm(x, A, b)  h = Relu(z)  y = Gemm(h, V)", "float[N,3] x", "float[N,2] y", WEIGHTS)


def silent(name):
    """By hand: how many units of each activation are 0 on every image."""
    model = onnx.load(MODELS / name)
    nodes = [node for node in model.graph.node if node.op_type in ("Relu", "PRelu")]
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    outputs = run(model, dict(np.load(DATA)))[1:]
    return {node.name: int(np.sum(np.all(value == 0, axis=0))) for node, value in zip(nodes, outputs, strict=True)}


@pytest.mark.parametrize(("name", "some"), [("digits_relu_wide.onnx", True), ("digits_prelu_gemm.onnx", False)])
def test_units_that_are_silent_on_data_are_counted(name, some):
    report = onnx_prelu.inspect(MODELS / name, inputs=DATA)
    validate(report.to_dict())
    expected = silent(name)
    assert {units.node: units.silent for units in report.units} == expected
    assert any(expected.values()) == some
    assert len(np.load(DATA)["image"]) == 450


def test_the_two_models_of_the_documentation_compute_the_same():
    wide, narrow = MODELS / "digits_relu_wide.onnx", MODELS / "digits_prelu_gemm.onnx"
    assert onnx_prelu.check(wide, narrow, providers=["cpu"]).passed


@pytest.mark.parametrize(("prove", "tiers"), [(None, 1), ("interval", 1), ("symbolic", 2), ("bisect", 3)])
def test_each_way_up_to_the_one_asked_for_is_told(prove, tiers):
    report = onnx_prelu.inspect(small(), input_range={"x": (-1, 1)}, prove=prove).to_dict()
    validate(report)
    assert report["units"] == [
        {
            "node": "n_h",
            "op": "Relu",
            "units": 3,
            "proven": [
                {"tier": tier, "dead": 1, "on": 1, "negative": 0} for tier in ("interval", "symbolic", "bisect")[:tiers]
            ],
            "silent": None,
        }
    ]


def test_nothing_is_told_where_nothing_is_given_and_nothing_proven():
    assert "units" not in onnx_prelu.inspect(small()).to_dict()


def test_data_and_ranges_that_make_no_sense():
    with pytest.raises(BadInput, match="holds nothing for 'x'"):
        onnx_prelu.inspect(small(), inputs={})
    with pytest.raises(BadInput, match=r"'x' is \[4, 2\]"):
        onnx_prelu.inspect(small(), inputs={"x": np.zeros((4, 2), np.float32)})
    with pytest.raises(BadUsage, match="1,-1 is no range"):
        onnx_prelu.inspect(small(), input_range={"x": (1, -1)})
    with pytest.raises(BadUsage, match="take one of interval, symbolic, bisect"):
        onnx_prelu.inspect(small(), prove="all")


def test_on_the_command_line(tmp_path):
    onnx.save(small(), tmp_path / "net.onnx")
    np.savez(tmp_path / "ends.npz", low=np.array([-1.0, -1, -1]), high=np.array([1.0, 1, 1]))
    np.savez(tmp_path / "data.npz", x=np.full((20, 3), -0.5, np.float32))
    words = ["inspect", str(tmp_path / "net.onnx"), "--input-range", f"x={tmp_path / 'ends.npz'}"]
    words += ["--prove", "symbolic", "--inputs", str(tmp_path / "data.npz")]
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == 0, result.output
    (units,) = json.loads(result.stdout)["units"]
    assert units["silent"] == 2
    shown = " ".join(CliRunner().invoke(main, words).stdout.split())
    assert "1 dead, 1 always on" in shown
    assert "2 silent" in shown
    assert "of 3 units, interval proves 1 dead, 1 always on; symbolic proves 1 dead, 1 always on" in shown
    taken = CliRunner().invoke(main, [*words, "--report", str(tmp_path / "data.npz")])
    assert taken.exit_code == 2  # what is read is not written


def test_a_rewrite_on_the_command_line(tmp_path):
    onnx.save(small(), tmp_path / "net.onnx")
    words = ["rewrite", str(tmp_path / "net.onnx"), str(tmp_path / "out.onnx"), "--to", "prelu", "--no-bench", "--json"]
    result = CliRunner().invoke(main, [*words, "--input-range", "x=-1,1"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    validate(report)
    assert report["within"] == {"x": {"low": -1.0, "high": 1.0, "per_element": False}}
    assert report["check"][0]["status"] == "passed"
    written = onnx.load(tmp_path / "out.onnx")
    assert [each.key for each in written.metadata_props] == ["onnx_prelu.input_ranges"]
    again = ["check", str(tmp_path / "net.onnx"), str(tmp_path / "out.onnx"), "--provider", "cpu", "--quiet"]
    assert CliRunner().invoke(main, [*again, "--input-range", "x=-1,1"]).exit_code == 0
    assert CliRunner().invoke(main, again).exit_code == 1
    (note,) = onnx_prelu.inspect(written).notes[-1:]
    assert note.endswith('right within these ranges of its inputs only: [{"x": {"low": -1.0, "high": 1.0}}]')
    assert note in onnx_prelu.check(small(), written, providers=["cpu"]).notes
