"""The reproduction of the slow kernel: what it feeds, what it runs and what it prints. No time is judged here."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from benchmarks import prelu_kernel
from benchmarks.prelu_kernel import OPS, PATTERNS, inputs, model, rows


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(prelu_kernel, "SHAPE", (1, 4, 8, 16))


def run(op, x):
    made = model(op)
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    slopes = [numpy_helper.to_array(tensor) for tensor in made.graph.initializer if tensor.name == "a"]
    return session.run(None, {"x": x})[0], *slopes


@pytest.mark.parametrize("op", ["PRelu", "Max(x, a·x)", "Where(x < 0, a·x, x)"])
def test_all_are_the_prelu_of_their_slopes(op):
    x = inputs("mixed")[0]
    y, slopes = run(op, x)
    np.testing.assert_array_equal(y, np.where(x >= 0, x, slopes * x))
    assert slopes.shape == (4, 1, 1)


@pytest.mark.parametrize(("op", "slope"), [("LeakyRelu", 0.25), ("Relu", 0)])
def test_what_is_timed_beside_them(op, slope):
    x = inputs("mixed")[0]
    (y,) = run(op, x)
    np.testing.assert_array_equal(y, np.where(x >= 0, x, np.float32(slope) * x))


CHANGES = {
    "mixed": (0.4, 0.6),
    "positive": (0, 0),
    "negative": (0, 0),
    "runs of 16": (0.01, 0.06),
    "alternating": (1, 1),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_signs_change_as_often_as_the_pattern_says(pattern):
    drawn = inputs(pattern)
    low, high = CHANGES[pattern]
    for x in drawn:
        positive = x.ravel() > 0
        assert low <= np.mean(positive[1:] != positive[:-1]) <= high
    assert positive.all() == (pattern == "positive")
    assert positive.any() == (pattern != "negative")
    assert len(drawn) > 1
    assert not np.array_equal(*drawn[:2])


def test_versions_stand_below_each_other():
    times = {version: {op: dict.fromkeys(PATTERNS, 1234.4) for op in OPS} for version in ("1.26.0", "1.27.0")}
    lines = rows(times)
    assert lines[0] == "| µs on [1, 4, 8, 16] | mixed | positive | negative | runs of 16 | alternating |"
    assert lines[2] == "| PRelu, 1.26.0 | 1,234 | 1,234 | 1,234 | 1,234 | 1,234 |"
    assert [line.split(" | ")[0] for line in lines[3:5]] == ["| PRelu, 1.27.0", "| Max(x, a·x), 1.26.0"]
    assert len(lines) == 2 + 2 * len(OPS)


def test_times_have_every_op_and_pattern(tmp_path):
    prelu_kernel.main(["--samples", "2", "--json", str(tmp_path / "times.json")])
    ((version, times),) = json.loads((tmp_path / "times.json").read_text()).items()
    assert version == onnxruntime.__version__
    assert {op: set(by_pattern) for op, by_pattern in times.items()} == {op: set(PATTERNS) for op in OPS}
    assert all(time > 0 for by_pattern in times.values() for time in by_pattern.values())


def test_each_version_is_measured_in_an_environment_of_its_own(monkeypatch, capsys):
    asked = []

    def under(version, module, arguments, dependencies):
        asked.append((version, module, arguments, dependencies))
        return {version: {op: dict.fromkeys(PATTERNS, 7.0) for op in OPS}}

    monkeypatch.setattr(prelu_kernel, "under", under)
    prelu_kernel.main(["--runtimes", "1.26.0, 1.27.0", "--samples", "3"])
    arguments = ("benchmarks.prelu_kernel", ["--samples", "3"], ["numpy", "onnx"])
    assert asked == [("1.26.0", *arguments), ("1.27.0", *arguments)]
    assert "| Relu, 1.27.0 | 7 |" in capsys.readouterr().out
