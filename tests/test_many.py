"""Many pairs at once: what a manifest may say, and what the pairs come to together."""

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import parser

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.errors import BadInput
from onnx_prelu.manifest import pairs
from onnx_prelu.measure.checking.check import Check
from onnx_prelu.measure.inputs.folders import write_test_data
from onnx_prelu.report.entries import Entry, verdicts
from onnx_prelu.report.markdown import markdown
from onnx_prelu.report.report import Report

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 4] x) => (float[N, 4] y) <float[1] a = {0.25}>'
PASSED, FAILED, ABSENT = (Check("cpu", status, True, reason="why") for status in ("passed", "failed", "not_run"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    for name, op in (("prelu", "PRelu(x, a)"), ("leaky", "LeakyRelu<alpha = 0.25>(x)"), ("relu", "Relu(x)")):
        onnx.save(parser.parse_model(f"{HEAD} {{ y = {op} }}"), tmp_path / "nets" / f"{name}.onnx")
    return tmp_path


def manifest(text, path="nets/pairs.toml"):
    Path(path).write_text(text)
    return path


def run(*args):
    return CliRunner().invoke(main, ["check-all", *map(str, args)])


GOOD = '[good]\na = "prelu.onnx"\nb = "leaky.onnx"\n'
DIFFER = '[differ]\na = "prelu.onnx"\nb = "relu.onnx"\n'
GONE = '[gone]\na = "prelu.onnx"\nb = "none.onnx"\n'
ABROAD = '[abroad]\na = "prelu.onnx"\nb = "leaky.onnx"\nproviders = ["no-such"]\n'


@pytest.mark.parametrize(
    ("text", "exit_code", "said"),
    [
        (GOOD, 0, None),
        (GOOD + ABROAD, 3, "[abroad] no-such could not run: "),
        (ABROAD + DIFFER + GOOD, 1, "[differ] the check failed on cpu: output 'y' differs"),
        (DIFFER + GONE, 2, "[gone] nets/none.onnx: there is no such file; check the path (2 of 2 pairs did not pass)"),
    ],
)
def test_the_exit_code_is_the_worst(folder, text, exit_code, said):
    path = manifest('providers = ["cpu"]\n' + text)
    result = run(path, "--json")
    assert result.exit_code == exit_code
    assert result.stderr == "" if said is None else result.stderr.startswith(f"Error: {said}")
    report = json.loads(result.stdout)
    assert (report["command"], report["model"], report["exit_code"]) == ("check-all", path, exit_code)
    assert [entry["name"] for entry in report["entries"]] == [pair.name for pair in pairs(Path(path))]
    alone = onnx_prelu.check("nets/prelu.onnx", "nets/leaky.onnx", providers=["cpu"]).to_dict()
    assert all(entry == {"name": "good", **alone} for entry in report["entries"] if entry["name"] == "good")


def test_what_cannot_be_read_has_a_verdict_too(folder):
    report = onnx_prelu.check_all(manifest(GONE + GOOD)).to_dict()
    assert report["entries"][0] == {
        "name": "gone", "exit_code": 2, "failure": "nets/none.onnx: there is no such file; check the path"
    }  # fmt: skip
    assert report["entries"][1]["exit_code"] == 0


ENTRIES = {
    0: Entry("fine", Report("check", "a", against="b", check=(PASSED,))),
    1: Entry("differ", Report("check", "a", against="b", check=(FAILED,))),
    2: Entry("gone", None, BadInput("is empty")),
    3: Entry("abroad", Report("check", "a", against="b", check=(ABSENT,))),
}


@pytest.mark.parametrize("codes", [codes for n in (1, 2, 4) for codes in itertools.permutations(range(4), n)])
def test_two_is_worse_than_one_than_three(codes):
    report = Report("check-all", "m.toml", entries=tuple(ENTRIES[code] for code in codes))
    worst = 2 if 2 in codes else 1 if 1 in codes else 3 if 3 in codes else 0
    assert report.exit_code == worst
    assert report.passed == (worst == 0)
    assert (report.failure or "[fine]").startswith(f"[{ENTRIES[worst].name}]")


def test_one_table_of_verdicts(folder):
    result = run(manifest('providers = ["cpu"]\n' + GOOD + DIFFER + GONE + ABROAD))
    rows = [line.split() for line in result.stdout.splitlines()]
    assert result.stdout.splitlines()[0] == "check-all nets/pairs.toml: 1 of 4 pairs passed"
    assert [row[1:3] for row in rows if row[:1] == ["good"]] == [["passed", "cpu"]]
    assert {row[0]: row[1] for row in rows if row and row[0] in ("differ", "gone", "abroad")} == {
        "differ": "failed", "gone": "not", "abroad": "not"
    }  # fmt: skip


def test_reports_are_written(folder):
    path = manifest(GOOD)
    assert run(path, "--report", "all.md", "--report", "all.json", "--quiet").output == ""
    report = onnx_prelu.check_all(path)
    assert Path("all.md").read_text() == markdown(report)
    assert "| `good` | passed | cpu |" in Path("all.md").read_text()
    assert json.loads(Path("all.json").read_text()) == report.to_dict()


def test_options_hold_for_all_and_a_pair_has_its_own(folder):
    np.savez("nets/data.npz", x=np.full((2, 4), 3, np.float32))
    text = 'seed = 4\natol = 1\nproviders = ["cpu"]\ndim = { N = 2 }\n'
    own = 'atol = 0.5\nrtol = 0\nsigned_zeros = true\ninputs = "data.npz"\nrequire_all_nodes_on = "cpu"\n'
    own += "tol = { y = { atol = 0, rtol = 1e-4 } }\n"
    first, second = pairs(Path(manifest(text + GOOD + DIFFER + own + "[differ.input_shape]\nx = [2, 4]\n")))
    assert first.options == {"seed": 4, "atol": 1, "providers": ["cpu"], "dim": {"N": 2}}
    assert second.options == {
        **first.options, "atol": 0.5, "rtol": 0, "signed_zeros": True, "inputs": Path("nets/data.npz"),
        "require_all_nodes_on": "cpu", "tol": {"y": {"atol": 0, "rtol": 1e-4}}, "input_shape": {"x": [2, 4]},
    }  # fmt: skip
    assert [str(file) for file in second.files] == ["nets/prelu.onnx", "nets/relu.onnx", "nets/data.npz"]
    assert onnx_prelu.check_all("nets/pairs.toml").passed  # on positive inputs a Relu is a PRelu


def test_a_pair_says_how_much_is_tried_and_within_what(folder):
    np.savez("nets/ends.npz", low=np.zeros(4), high=np.full(4, 2.0))
    text = 'providers = ["cpu"]\ninput_range = { x = "ends.npz" }\nseeds = 2\n'
    own = 'input_range = { x = [-1, 0.5] }\ncheck_budget = 60\nsave_failing = "bad"\n'
    first, second = pairs(Path(manifest(text + DIFFER + GOOD + own)))
    ends = {"x": Path("nets/ends.npz")}
    assert first.options == {"providers": ["cpu"], "input_range": ends, "seeds": 2}
    assert first.files[-1] == ends["x"]
    own_options = {"input_range": {"x": [-1, 0.5]}, "check_budget": 60, "save_failing": Path("nets/bad")}
    assert second.options == {**first.options, **own_options}
    report = onnx_prelu.check_all("nets/pairs.toml")
    assert report.passed  # on positive inputs a Relu is a PRelu
    assert [entry.report.check[0].seeds for entry in report.entries] == [2, 2]


def test_a_pair_that_passes_against_what_its_data_expect_says_so(folder):
    """Both models give the same, and neither what the data set holds: the table and JUnit's case tell of that."""
    x = np.ones((1, 4), np.float32)
    write_test_data(Path("nets/bad"), {"x": x}, {"y": x + 1})
    path = manifest('providers = ["cpu"]\n' + GOOD + 'inputs = "bad"\n')
    result = run(path, "--report", "r.xml")
    assert result.exit_code == 0
    said = "expects other outputs: the first model's output 'y' differs"
    (row,) = verdicts(onnx_prelu.check_all(path).entries).rows
    assert row[1] == "passed"
    assert said in row[3]
    assert said in Path("r.xml").read_text()


def test_sizes_reach_the_check(folder):
    text = 'providers = ["cpu"]\n' + GOOD + "dim = { N = 5 }\n"
    (entry,) = onnx_prelu.check_all(manifest(text)).entries
    assert entry.report.check[0].sizes == {"x": (5, 4)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "pairs.toml: names no pair"),
        ('providers = ["cpu"]', "pairs.toml: names no pair"),
        ("[a", "pairs.toml: is no TOML (Expected ']' at the end of a table declaration (at end of document)"),
        ("[p]\n[p]\n", "pairs.toml: is no TOML (Cannot declare ('p',) twice (at line 2"),
        ('[p]\na = "x"', "pairs.toml [p]: b is missing; name two models"),
        ('[p]\na = 3\nb = "x"', "pairs.toml [p]: a is no path"),
        ('[p]\na = ""\nb = "x"', "pairs.toml [p]: a is no path"),
        (GOOD + "tolerance = 3", "pairs.toml [good]: 'tolerance' is not known; use a, b, providers, "),
        ("speed = 3\n" + GOOD, "pairs.toml: 'speed' is not known"),
        ("seed = -1\n" + GOOD, "pairs.toml: seed is -1, not a whole number from 0 on"),
        (GOOD + "seed = true", "pairs.toml [good]: seed is True, not a whole number"),
        (GOOD + "seed = 1.5", "pairs.toml [good]: seed is 1.5, not a whole number"),
        (GOOD + "atol = nan", "pairs.toml [good]: atol is nan, not a number from 0 on"),
        (GOOD + "rtol = '1'", "pairs.toml [good]: rtol is '1', not a number from 0 on"),
        (GOOD + "tol = { y = 1e-4 }", "pairs.toml [good]: tol is {'y': 0.0001}, not tolerances by output"),
        (GOOD + "tol = { y = {} }", "pairs.toml [good]: tol is {'y': {}}, not tolerances by output"),
        (GOOD + "tol = { y = { ulp = 3 } }", "pairs.toml [good]: tol is {'y': {'ulp': 3}}, not tolerances by output"),
        (GOOD + "tol = { y = { rtol = -1 } }", "pairs.toml [good]: tol is {'y': {'rtol': -1}}, not tolerances by"),
        (GOOD + "signed_zeros = 1", "pairs.toml [good]: signed_zeros is 1, not true or false"),
        (GOOD + "providers = 'cpu'", "pairs.toml [good]: providers is 'cpu', not a list of providers"),
        (GOOD + "providers = []", "pairs.toml [good]: providers is [], not a list of providers"),
        (GOOD + "dim = { N = 0 }", "pairs.toml [good]: dim is {'N': 0}, not sizes by name"),
        (GOOD + "input_shape = { x = 4 }", "pairs.toml [good]: input_shape is {'x': 4}, not sizes by input"),
        (GOOD + "inputs = 3", "pairs.toml [good]: inputs is 3, not a path"),
        (GOOD + "input_range = { x = 1 }", "pairs.toml [good]: input_range is {'x': 1}, not ends by input"),
        (GOOD + "input_range = { x = [0, inf] }", "pairs.toml [good]: input_range is {'x': [0, inf]}, not ends by"),
        (GOOD + "seeds = 0", "pairs.toml [good]: seeds is 0, not a whole number from 1 on"),
        (GOOD + "check_budget = 0", "pairs.toml [good]: check_budget is 0, not a number of seconds"),
        (GOOD + "require_all_nodes_on = ['cpu']", "pairs.toml [good]: require_all_nodes_on is ['cpu'], not a provider"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_one_line(folder, text, said):
    result = run(manifest(text))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: nets/{said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (Path.mkdir, "cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no TOML ("),
    ],
)
def test_a_manifest_that_cannot_be_read(folder, make, said):
    make(Path("pairs.toml"))
    result = run("pairs.toml")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"Error: pairs.toml: {said}")


@pytest.mark.parametrize("name", ["nets/pairs.toml", "nets/prelu.onnx"])
def test_a_report_is_none_of_the_files(folder, name):
    path = manifest(GOOD)
    Path("link.json").symlink_to(name)
    result = run(path, "--report", "link.json")
    assert (result.exit_code, "is the same file" in result.stderr) == (2, True)


def test_progress_names_the_pair(folder):
    seen = []
    onnx_prelu.check_all(manifest('providers = ["cpu"]\n' + GOOD + DIFFER), progress=seen.append)
    assert [*dict.fromkeys(seen)] == [
        "[good] check on cpu", "[differ] check on cpu", "[differ] check on cpu, where the difference begins",
    ]  # fmt: skip
