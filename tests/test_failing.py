"""A check that fails leaves an input that shows it, and the line that shows it again."""

import json
import shlex

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper, parser

import onnx_prelu
from onnx_prelu.cli import main


def text(alpha, extra=""):
    return f"""<ir_version: 8, opset_import: ["": 17]> g (float[N,6] x, float[N,6] k) => (float[N,6] y)
        {{ z = Add(x, k) h = LeakyRelu <alpha = {alpha}> (z) {extra or "y = Identity(h)"} }}"""


@pytest.fixture
def pair(tmp_path):
    onnx.save(parser.parse_model(text(0.25)), tmp_path / "first model.onnx")
    onnx.save(parser.parse_model(text(0.3)), tmp_path / "second.onnx")
    return tmp_path / "first model.onnx", tmp_path / "second.onnx"


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def tensors(folder, kind):
    return [
        numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes()))
        for file in sorted(folder.glob(f"{kind}_*.pb"))
    ]


def test_the_line_that_is_printed_shows_it_again(pair, tmp_path):
    failed = run("check", *pair, "--provider", "cpu", "--save-failing", tmp_path / "bad")
    assert failed.exit_code == 1
    line = failed.stderr.strip().rpartition("; once more: ")[2]
    program, *words = shlex.split(line)
    folder = tmp_path / "bad" / "test_data_set_0"
    assert (program, words) == ("onnx-prelu", ["check", *map(str, pair), "--inputs", str(folder)])
    x, k = tensors(folder, "input")
    assert x.shape == k.shape == (1, 6)
    assert np.count_nonzero(x) + np.count_nonzero(k) == 1  # all that it takes
    (y,) = tensors(folder, "output")
    assert np.array_equal(y, np.where(x + k < 0, (x + k) * np.float32(0.25), x + k))
    again = run(*words)
    assert again.exit_code == 1
    assert "expects other outputs: the second model's output 'y' differs" in " ".join(again.stdout.split())
    assert run("check", pair[0], pair[0], "--inputs", folder).exit_code == 0


def test_the_report_holds_it(pair, tmp_path):
    report = onnx_prelu.check(*pair, providers=["cpu"], save_failing=tmp_path / "bad", atol=1e-4)
    failing = json.loads(json.dumps(report.to_dict()))["check"][0]["failing"]
    assert failing["folder"] == str(tmp_path / "bad" / "test_data_set_0")
    assert (failing["sizes"], failing["values"], failing["nonzero"]) == ({"x": [1, 6], "k": [1, 6]}, 12, 1)
    assert failing["again"].endswith("test_data_set_0 --atol 0.0001")
    assert report.failure.endswith(f"; once more: {failing['again']}")


def test_nothing_is_saved_where_nothing_fails_or_nobody_asks(pair, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert run("check", pair[0], pair[0], "--save-failing", tmp_path / "bad").exit_code == 0
    assert run("check", *pair).exit_code == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_second_model_that_does_not_run_on_it(tmp_path, pair):
    """Only where there are three samples does the second model fail: dropping one more would lose that."""
    wrong = parser.parse_model(text(0.25, "y = Add(h, w)"))
    wrong.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 6), np.float32), "w"))
    wrong.graph.node[-1].CopyFrom(onnx.helper.make_node("Reshape", ["h", "s"], ["y"]))
    wrong.graph.initializer.append(numpy_helper.from_array(np.array([1, 6]), "s"))
    onnx.save(wrong, tmp_path / "one only.onnx")
    failed = run("check", pair[0], tmp_path / "one only.onnx", "--provider", "cpu", "--save-failing", tmp_path / "bad")
    assert failed.exit_code == 1
    x, k = tensors(tmp_path / "bad" / "test_data_set_0", "input")
    assert x.shape == k.shape == (2, 6)
    assert not np.concatenate([x, k]).any()


def test_a_rewrite_that_fails_is_saved_beside_it(tmp_path, monkeypatch, pair):
    """The rewritten model is written nowhere else; here it is one of another slope."""
    remake = onnx_prelu.rewriting.remake

    def wrong(*args, **settings):
        made = remake(*args, **settings)
        for node in made.result.proto.graph.node:
            for attribute in node.attribute:
                attribute.f = 0.5
        for tensor in made.result.proto.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.5), tensor.name))
        return made

    monkeypatch.setattr("onnx_prelu.rewriting.remake", wrong)
    failed = run("rewrite", pair[0], tmp_path / "out.onnx", "--to", "relu", "--provider", "cpu", "--no-bench",
                 "--save-failing", tmp_path / "bad")  # fmt: skip
    assert failed.exit_code == 1
    assert not (tmp_path / "out.onnx").exists()
    line = failed.stderr.partition("; once more: ")[2].partition(";")[0]
    _, *words = shlex.split(line)
    assert words[2] == str(tmp_path / "bad" / "test_data_set_0" / "second.onnx")
    assert run(*words).exit_code == 1


def test_a_range_from_a_file(pair, tmp_path):
    """The two slopes give the same above 0; and the report may not replace the file."""
    for name, low in (("above.npz", np.zeros(6)), ("one below.npz", np.array([0, 0, 0, 0, 0, -1.0]))):
        np.savez(tmp_path / name, low=low, high=np.ones(6))
    words = ["check", *pair, "--provider", "cpu", "--input-range", "k=0,0", "--input-range"]
    assert run(*words, f"x={tmp_path / 'above.npz'}").exit_code == 0
    assert run(*words, f"x={tmp_path / 'one below.npz'}").exit_code == 1
    (tmp_path / "r.json").hardlink_to(tmp_path / "above.npz")
    over = run(*words, f"x={tmp_path / 'above.npz'}", "--report", tmp_path / "r.json")
    assert (over.exit_code, "which is in use" in over.stderr) == (2, True)


def test_what_is_saved_lies_in_the_range(pair, tmp_path):
    """Each value is as near to 0 as its range goes, but for those that it takes: x + k is below 0 in one element."""
    ends = np.arange(6) / 4
    np.savez(tmp_path / "x.npz", low=-1 - ends, high=2 - ends)
    ranges = ["--input-range", f"x={tmp_path / 'x.npz'}", "--input-range", "k=-0.75,-0.3"]
    assert run("check", *pair, "--provider", "cpu", *ranges, "--save-failing", tmp_path / "bad").exit_code == 1
    x, k = tensors(tmp_path / "bad" / "test_data_set_0", "input")
    assert ((-1 - ends <= x) & (x <= 2 - ends)).all()
    assert (k.astype(np.float64) <= -0.3).all()
    assert (k >= -0.75).all()
    assert (x == 0).all()


def test_failing_inputs_go_into_a_folder(pair):
    failed = run("check", *pair, "--save-failing", pair[0])
    assert failed.exit_code == 2
    assert f"--save-failing {pair[0]}: is a file, and failing inputs go into a folder" in failed.stderr


def test_several_seeds_where_nothing_is_drawn(pair, tmp_path):
    arrays = {name: np.ones((1, 6), np.float32) for name in ("x", "k")}
    np.savez(tmp_path / "all.npz", **arrays)
    np.savez(tmp_path / "one.npz", x=arrays["x"])
    refused = run("check", *pair, "--inputs", tmp_path / "all.npz", "--seeds", 2)
    assert refused.exit_code == 2
    assert "--seeds 2: --inputs gives all values; drop one of them" in refused.stderr
    words = ["--inputs", tmp_path / "one.npz", "--provider", "cpu"]
    (found,) = onnx_prelu.check(pair[0], pair[0], inputs=tmp_path / "one.npz", seeds=2, providers=["cpu"]).check
    assert (found.status, found.seeds) == ("passed", 2)
    assert not any("seeds" in note for note in found.notes)
    cut = run("check", pair[0], pair[0], *words, "--seeds", 2, "--check-budget", 1e-9)
    assert cut.exit_code == 0
    assert "1 of 2 seeds were tried: the time was up" in " ".join(cut.stdout.split())
    assert "of 2 seeds" not in run("check", *pair, *words, "--seeds", 2).stdout  # the first difference ends it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input-range", "x=0"], "'x=0' is not a name and two numbers, like x=0,1"),
        (["--input-range", "x=1,0"], "--input-range x: 1,0 is no range"),
        (["--seeds", "0"], "Invalid value for '--seeds'"),
        (["--check-budget", "0"], "Invalid value for '--check-budget'"),
    ],
)
def test_bad_usage(pair, words, said):
    failed = run("check", *pair, *words)
    assert (failed.exit_code, said in failed.stderr) == (2, True)


def test_a_report_may_not_replace_the_data(pair, tmp_path):
    np.savez(tmp_path / "0.npz", x=np.ones((1, 6), np.float32))
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x.npy", np.ones((1, 6), np.float32))
    (tmp_path / "r.json").hardlink_to(tmp_path / "data" / "x.npy")
    failed = run("check", *pair, "--inputs", tmp_path / "data", "--report", tmp_path / "r.json")
    assert (failed.exit_code, "which is in use" in failed.stderr) == (2, True)
