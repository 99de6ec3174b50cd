"""The command line against an API that is told what to answer: what is parsed, shown, written, and the exit code."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from onnx_prelu import api
from onnx_prelu.cli import main
from onnx_prelu.errors import BadInput, BadUsage, CheckFailed, NotMet, ProviderNotRun
from onnx_prelu.graph.model import Model
from onnx_prelu.passes.catalogue import FORM_NAMES
from onnx_prelu.passes.choice import Choice
from onnx_prelu.report.report import Report, version

DONE = Report("rewrite", "in.onnx", "relu", sites=(Choice("act", "split", False, None, exactness="rounding"),))
UNMET = Report("rewrite", "in.onnx", "relu", unmet="site act keeps PRelu, and --strict was given")


class Rewritten:
    """What the API gives back: saving writes a mark and has something to say."""

    def __init__(self, report, notes=()):
        self.report, self.notes = report, notes

    def save(self, path):
        Path(path).write_text("the model")
        return self.notes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.onnx").write_text("a model")
    Path("other.onnx").write_text("another model")
    monkeypatch.setattr("onnx_prelu.streams.load", lambda path: Model(onnx.ModelProto(), path.absolute().parent, path))
    return tmp_path


@pytest.fixture
def answer(monkeypatch):
    """Make a function of the API return a value, or raise it; its arguments are kept in the list returned."""

    def set_answer(name, value):
        calls = []
        signature = inspect.signature(getattr(api, name))

        def fake(*args, **settings):
            signature.bind(*args, **settings)
            calls.append((args, settings))
            if isinstance(value, BaseException):
                raise value
            return value

        monkeypatch.setattr(api, name, fake)
        return calls

    return set_answer


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def assert_one_line(result, exit_code, *parts):
    assert result.exit_code == exit_code, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")
    for part in parts:
        assert part in result.stderr


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


COMMANDS = {
    "inspect": ("in.onnx",),
    "rewrite": ("in.onnx", "out.onnx"),
    "check": ("in.onnx", "other.onnx"),
    "bench": ("in.onnx", "other.onnx"),
    "diff": ("in.onnx", "other.onnx"),
}


def test_every_command_is_listed_and_has_an_example():
    assert set(main.commands) == {*COMMANDS, "check-all"}
    for name in main.commands:
        text = run(name, "--help").stdout
        assert f"Example:\n  onnx-prelu {name} " in text


def test_help_comes_in_groups():
    text = run("rewrite", "--help").stdout
    places = [text.index(title) for title in ("What to rewrite:", "How to check:", "How to measure:", "Output:")]
    assert places == sorted(places)
    assert text.index("--strict") < places[1] < text.index("--atol") < places[2] < text.index("--duration")
    assert places[3] < text.index("--report")


def test_help_lists_the_forms():
    text = "".join(run("rewrite", "--help").stdout.split())
    assert f"Preferredform:{','.join(FORM_NAMES)}." in text


def test_version():
    assert run("--version").stdout == f"onnx-prelu, version {version()}\n"


def test_without_a_command_help_is_shown():
    result = run()
    assert result.exit_code == 0
    assert "Commands:" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_options_and_defaults_of_its_function(name, folder, answer):
    parameters = inspect.signature(getattr(api, name)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
    calls = answer(name, Rewritten(DONE) if name == "rewrite" else Report(name, "in.onnx"))
    assert run(name, *COMMANDS[name]).exit_code == 0
    ((models, settings),) = calls
    assert [str(model.path) for model in models] == list(COMMANDS[name][: len(models)])
    empty = {key: {} for key in ("dim", "input_shape", "input_range", "tol") if key in defaults}
    measured = {"bench": True} if name == "rewrite" else {}
    assert settings == defaults | empty | measured


def test_all_options_of_rewrite(folder, answer):
    calls = answer("rewrite", Rewritten(DONE))
    result = run(
        *("rewrite", "in.onnx", "out.onnx", "--to", "relu", "--form", "skip", "--slope-in", "producer"),
        *("--form", "a=b*=split", "--target", "eran", "--ops", "Relu, Mul", "--slope-shape", "1d"),
        *("--opset", "17", "--ir-version", "9"),
        *("--only", "act*", "--only", "b", "--skip", "c", "--strict", "--freeze", "--no-check", "--keep-failed"),
        *("--also", "Abs", "--fix-slopes", "--no-simplify"),
        *("--provider", "cpu", "--provider", "DmlExecutionProvider", "--inputs", "data.npz"),
        *("--require-all-nodes-on", "cuda"),
        *("--input-shape", "x:0:1,16", "--input-shape", "s:", "--dim", "N=8", "--dim", "a=b=2,4"),
        *("--seed", "3", "--atol", "0", "--rtol", "1e-3", "--signed-zeros", "--no-bench", "--threads", "2"),
        *("--tol", "a:0:rtol=1e-4", "--tol", "b:atol=0,rtol=1e-2"),
        *("--duration", "0.5", "--no-tune", "--budget", "7", "--no-layout", "--exact", "--max-growth", "1.5"),
        *(
            "--on-fail",
            "refuse-site",
            "--plan",
            "plan.json",
            "--for",
            "int8",
            "--min-sqnr",
            "30",
            "--quantized-out",
            "int8.onnx",
        ),
        *(
            "--input-range",
            "x:0=-1,2.5",
            "--seeds",
            "4",
            "--check-budget",
            "9",
            "--save-failing",
            "bad",
            "--prove",
            "bisect",
            "--slope-tolerance",
            "1e-3",
        ),
    )
    assert result.exit_code == 0, result.output
    assert calls[0][1] == {
        "prove": "bisect", "slope_tolerance": 1e-3,
        "to": "relu", "form": ("skip", "a=b*=split"), "slope_in": "producer",
        "target": "eran", "ops": ["Relu", "Mul"], "slope_shape": "1d", "opset": 17, "ir_version": 9,
        "only": ("act*", "b"), "skip": ("c",), "also": ("Abs",), "fix_slopes": True, "simplify": False,
        "strict": True, "freeze": True, "check": False, "keep_failed": True,
        "on_fail": "refuse-site",
        "providers": ("cpu", "DmlExecutionProvider"), "inputs": Path("data.npz"),
        "require_all_nodes_on": "cuda",
        "input_shape": {"x:0": (1, 16), "s": ()}, "dim": {"N": 8, "a=b": (2, 4)}, "seed": 3, "atol": 0.0, "rtol": 1e-3,
        "tol": {"a:0": {"rtol": 1e-4}, "b": {"atol": 0.0, "rtol": 1e-2}},
        "signed_zeros": True, "bench": False, "threads": 2, "duration": 0.5, "progress": None,
        "tune": False, "budget": 7.0, "layout": False, "exact": True, "max_growth": 1.5, "plan": Path("plan.json"),
        "purpose": "int8", "min_sqnr": 30.0, "quantized_out": Path("int8.onnx"), "certificate": False,
        "input_range": {"x:0": (-1.0, 2.5)}, "seeds": 4, "check_budget": 9.0, "save_failing": Path("bad"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rewrite"], "Missing argument 'IN'; see 'onnx-prelu rewrite --help'"),
        (["rewrite", "in.onnx"], "Missing argument 'OUT'"),
        (["rewite"], "No such command 'rewite'"),
        (["rewrite", "in.onnx", "out.onnx", "--too", "relu"], "No such option"),
        (["rewrite", "in.onnx", "out.onnx", "--to", "gelu"], "'gelu' is not one of"),
        (["rewrite", "in.onnx", "out.onnx", "--input-shape", "x"], "'x' is not a name and sizes, like x:1,16"),
        (["rewrite", "in.onnx", "out.onnx", "--input-shape", "x:1,0"], "'x:1,0' is not a name and sizes"),
        (["rewrite", "in.onnx", "out.onnx", "--input-shape", "x:1,n"], "'x:1,n' is not a name and sizes"),
        (["rewrite", "in.onnx", "out.onnx", "--input-shape", ":1"], "':1' is not a name and sizes"),
        (["check", "in.onnx", "other.onnx", "--dim", "N"], "'N' is not a dimension and its size, like N=8"),
        (["check", "in.onnx", "other.onnx", "--dim", "N="], "'N=' is not a dimension and its size"),
        (["check", "in.onnx", "other.onnx", "--dim", "N=-1"], "'N=-1' is not a dimension and its size"),
        (["check", "in.onnx", "other.onnx", "--dim", "N=1", "--dim", "N=2"], "'N' is given twice"),
        (["check", "in.onnx", "other.onnx", "--atol", "nan"], "nan is not a finite number"),
        (["check", "in.onnx", "other.onnx", "--rtol", "inf"], "inf is not a finite number"),
        (["check", "in.onnx", "other.onnx", "--atol", "-1"], "'--atol'"),
        (["check", "in.onnx", "other.onnx", "--tol", "y"], "'y' is not an output and what is allowed there"),
        (["check", "in.onnx", "other.onnx", "--tol", "y:tol=1"], "'y:tol=1' is not an output and what is allowed"),
        (["check", "in.onnx", "other.onnx", "--tol", "y:rtol=-1"], "'y:rtol=-1' is not an output and what is allowed"),
        (["check", "in.onnx", "other.onnx", "--tol", "y:rtol=1,rtol=2"], "'y:rtol=1,rtol=2' is not an output"),
        (["bench", "in.onnx", "other.onnx", "--threads", "0"], "'--threads'"),
        (["bench", "in.onnx", "other.onnx", "--duration", "0"], "'--duration'"),
        (["bench", "in.onnx", "other.onnx", "--duration", "inf"], "inf is not a finite number"),
        (["bench", "in.onnx"], "Missing argument 'B'"),
        (["bench", "in.onnx", "other.onnx", "--batch", "1,x"], "'1,x' is not a list of sizes, like 1,8,32"),
        (["bench", "in.onnx", "other.onnx", "--batch", "0"], "'0' is not a list of sizes"),
        (["check", "in.onnx", "other.onnx", "--report", "r.txt"], "r.txt: no report format for '.txt'; use .json, .md"),
        (["check", "in.onnx", "other.onnx", "--report", "r.onnx"], "r.onnx: no report format for '.onnx'"),
        (["check", "in.onnx", "other.onnx", "--report", "no/r.md"], "no/r.md: the folder"),
        (["rewrite", "in.onnx", "in.onnx"], "in.onnx: is the same file"),
        (["rewrite", "in.onnx", "out.onnx", "--plan", "in.onnx"], "in.onnx: is the same file"),
        (["rewrite", "in.onnx", "out.onnx", "--quantized-out", "out.onnx"], "out.onnx: is the same file"),
        (["rewrite", "in.onnx", "out.json", "--plan", "p.json", "--report", "p.json"], "p.json: is the same file"),
        (["rewrite", "in.onnx", "out.onnx", "--for", "int4"], "'int4' is not"),
        (["rewrite", "in.onnx", "out.onnx", "--budget", "0"], "'--budget'"),
        (["rewrite", "in.onnx", "out.onnx", "--max-growth", "0.9"], "'--max-growth'"),
        (["rewrite", "in.onnx", "out.onnx", "--dim", "N=1,x"], "'N=1,x' is not a dimension and its size"),
        (["rewrite", "in.onnx", "link.onnx"], "link.onnx: is the same file"),
        (["rewrite", "in.onnx", "no/out.onnx"], "no/out.onnx: the folder"),
        (["rewrite", "in.onnx", "pipe"], "pipe: is a pipe"),
        (["rewrite", "in.onnx", "."], ".: is a folder"),
        (["rewrite", "in.onnx", "out.json", "--report", "out.json"], "out.json: is the same file"),
        (["rewrite", "net.json", "out.onnx", "--report", "net.json"], "net.json: is the same file"),
        (["check", "in.onnx", "net.json", "--report", "link.json"], "link.json: is the same file"),
        (
            [
                *("check", "in.onnx", "other.onnx", "--report", "net.json"),
                *("--baseline", "net.json", "--fail-on", "nodes>1"),
            ],
            "net.json: is the same file",
        ),
        (["inspect", "net.json", "--report", "net.json"], "net.json: is the same file"),
        (["bench", "in.onnx", "net.json", "--report", "net.json"], "net.json: is the same file"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line_and_touches_nothing(args, said, folder, answer):
    calls = [answer(name, AssertionError("no work was to be done")) for name in COMMANDS]
    Path("link.onnx").symlink_to("in.onnx")
    Path("net.json").write_text("a model")
    Path("link.json").symlink_to("net.json")
    os.mkfifo("pipe")
    names = listed(folder)
    assert_one_line(run(*args), 2, said)
    assert calls == [[]] * len(COMMANDS)
    assert listed(folder) == names
    assert {name: Path(name).read_text() for name in ("in.onnx", "other.onnx", "net.json")} == {
        "in.onnx": "a model", "other.onnx": "another model", "net.json": "a model"
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",), ("--json", "--quiet", "--report", "r.json")])
@pytest.mark.parametrize(
    "error",
    [BadInput("the file is empty", where="in.onnx", todo="export it again"), BadUsage("--to both is not known")],
)
def test_an_error_of_the_user_is_one_line_and_writes_no_report(name, flags, error, folder, answer):
    answer(name, error)
    result = run(name, *COMMANDS[name], *flags)
    assert_one_line(result, 2, f"Error: {error}")
    assert result.stdout == ""
    assert listed(folder) == ["in.onnx", "other.onnx"]


def test_budgets_of_check(folder, answer):
    calls = answer("check", Report("check", "in.onnx"))
    budgets = ("--baseline", "earlier.json", "--fail-on", "latency>1.05, nodes>1")
    assert run("check", "in.onnx", "other.onnx", *budgets).exit_code == 0
    told = calls[0][1]
    assert (told["baseline"], told["fail_on"]) == (Path("earlier.json"), "latency>1.05, nodes>1")


def test_a_long_line_stays_one_line(folder, answer):
    answer("inspect", BadInput("x" * 500 + " y\nz", where="in.onnx"))
    assert run("inspect", "in.onnx").stderr == f"Error: in.onnx: {'x' * 500} y z\n"


def test_rewrite_writes_the_model_and_shows_the_report(folder, answer):
    answer("rewrite", Rewritten(DONE))
    result = run("rewrite", "in.onnx", "out.onnx")
    assert (result.exit_code, result.stderr) == (0, "")
    assert Path("out.onnx").read_text() == "the model"
    assert result.stdout.splitlines()[0] == "rewrite in.onnx to relu: 1 site rewritten"


def test_rewrite_writes_through_a_link(folder, answer):
    answer("rewrite", Rewritten(DONE))
    Path("link.onnx").symlink_to("real.onnx")
    assert run("rewrite", "in.onnx", "link.onnx").exit_code == 0
    assert Path("link.onnx").is_symlink()
    assert Path("real.onnx").read_text() == "the model"


def test_what_saving_has_to_say_is_a_note_of_the_report(folder, answer):
    answer("rewrite", Rewritten(DONE, notes=("the weights moved to w.bin",)))
    assert "the weights moved to w.bin" in run("rewrite", "in.onnx", "out.onnx").stdout
    assert json.loads(run("rewrite", "in.onnx", "out.onnx", "--json").stdout)["notes"] == ["the weights moved to w.bin"]


def test_json_is_the_only_thing_on_standard_output(folder, answer):
    answer("rewrite", Rewritten(DONE))
    result = run("rewrite", "in.onnx", "out.onnx", "--json")
    assert json.loads(result.stdout) == DONE.to_dict()
    assert result.stderr == ""


def test_quiet_says_nothing_and_still_writes(folder, answer):
    answer("rewrite", Rewritten(DONE))
    result = run("rewrite", "in.onnx", "out.onnx", "--quiet", "--report", "r.json", "--report", "r.md")
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(Path("r.json").read_text()) == DONE.to_dict()
    assert Path("r.md").read_text().startswith("### rewrite in.onnx to relu: 1 site rewritten\n")


@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",), ("--json", "--quiet")])
@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (CheckFailed("the check failed on cpu", report=DONE), 1),
        (NotMet("site act keeps PRelu", report=UNMET), 1),
        (ProviderNotRun("cuda could not run: no device", report=DONE), 3),
    ],
)
def test_a_rewrite_that_fails_writes_reports_but_no_model(error, exit_code, flags, folder, answer):
    answer("rewrite", error)
    result = run("rewrite", "in.onnx", "out.onnx", "--report", "r.json", *flags)
    assert_one_line(result, exit_code, f"Error: {error}; out.onnx was not written")
    assert not Path("out.onnx").exists()
    assert json.loads(Path("r.json").read_text()) == error.report.to_dict()
    if "--json" in flags:
        assert json.loads(result.stdout) == error.report.to_dict()
    else:
        assert (result.stdout == "") == ("--quiet" in flags)


def test_a_failed_rewrite_leaves_an_older_file_as_it_was(folder, answer):
    answer("rewrite", CheckFailed("the check failed on cpu", report=DONE))
    Path("out.onnx").write_text("an older model")
    result = run("rewrite", "in.onnx", "out.onnx")
    assert_one_line(result, 1, "Error: the check failed on cpu; out.onnx stays as it was\n")
    assert Path("out.onnx").read_text() == "an older model"


def test_a_failure_that_is_kept_is_written_and_still_a_failure(folder, answer):
    answer("rewrite", Rewritten(UNMET))
    result = run("rewrite", "in.onnx", "out.onnx", "--keep-failed", "--json")
    assert_one_line(result, 1, f"Error: {UNMET.unmet}; out.onnx was written all the same\n")
    assert Path("out.onnx").read_text() == "the model"
    assert json.loads(result.stdout)["exit_code"] == 1


@pytest.mark.parametrize("name", ["inspect", "check", "bench"])
@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",)])
def test_a_report_that_did_not_pass_ends_with_its_line_and_code(name, flags, folder, answer):
    report = Report(name, "in.onnx", unmet="that is not so")
    answer(name, report)
    result = run(name, *COMMANDS[name], *flags, "--report", "r.json")
    assert_one_line(result, 1, "Error: that is not so\n")
    assert json.loads(Path("r.json").read_text()) == report.to_dict()


def test_an_interrupt_is_one_line(folder, answer):
    answer("rewrite", KeyboardInterrupt())
    result = run("rewrite", "in.onnx", "out.onnx")
    assert_one_line(result, 130, "Error: interrupted\n")
    assert not Path("out.onnx").exists()


def test_a_bug_is_not_swallowed(folder, answer):
    answer("inspect", ZeroDivisionError("a bug"))
    result = run("inspect", "in.onnx")
    assert isinstance(result.exception, ZeroDivisionError)


SCRIPT = """
import sys
from onnx_prelu import api
from onnx_prelu.report.report import Report
api.inspect = lambda model, **request: Report("inspect", str(model), notes=tuple("note " * 50 for _ in range(2000)))
from onnx_prelu.cli import main
main()
"""


def test_a_reader_that_goes_away_is_one_line(folder):
    model = Path(__file__).parents[1] / "models" / "digits_relu.onnx"
    command = [sys.executable, "-c", SCRIPT, "inspect", str(model), "--report", "r.json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(api.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
    assert said == "Error: standard output was closed before the report was printed\n"
    assert process.returncode == 141
    assert len(json.loads(Path("r.json").read_text())["notes"]) == 2000


def test_the_module_runs_like_the_script(folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(api.__file__).parents[1])}
    command = [sys.executable, "-m", "onnx_prelu", "rewrite", "in.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: Missing argument 'OUT'; see 'onnx-prelu rewrite --help'\n"
