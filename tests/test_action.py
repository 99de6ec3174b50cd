"""The composite action, run in bash as a workflow's runner would run it."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.workflow import Job, StepFailed, loaded

pytest.importorskip("yaml", reason="PyYAML is not installed, which reads workflows")

ROOT = Path(__file__).parents[1]
ACTION = loaded(ROOT / "action.yml")
PRELU, RELU = "models/digits_prelu_gemm.onnx", "models/digits_relu.onnx"


@pytest.fixture
def job(tmp_path):
    """A workspace with the models, and the action in ``onnx-prelu``."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "onnx-prelu").symlink_to(ROOT)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Job(tmp_path, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)})


def use(job, **inputs):
    """Use the action once; its outputs by name, ``fail_on`` standing for ``fail-on``."""
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    try:
        job.run([{"uses": "./onnx-prelu", "id": "it", "with": given}])
    except StepFailed:
        failed = True
    else:
        failed = False
    outputs = {name: job.values[f"steps.it.outputs.{name}"] for name in ACTION["outputs"]}
    assert failed == (outputs["exit-code"] != "0")
    return outputs


@pytest.mark.parametrize(
    ("inputs", "exit_code", "verdict", "failure"),
    [
        ({"a": PRELU, "b": PRELU}, "0", "passed", ""),
        ({"a": PRELU, "b": RELU, "providers": "cpu"}, "1", "failed", "the check failed on cpu: output "),
        ({"a": "none.onnx", "b": RELU}, "2", "unusable", "none.onnx: there is no such file"),
        ({"a": PRELU, "b": PRELU, "providers": "cpu no-such"}, "3", "not-run", "no-such could not run: "),
        ({"command": "gelu", "a": PRELU}, "2", "unusable", "No such command 'gelu'"),
    ],
)
def test_outputs(job, inputs, exit_code, verdict, failure):
    outputs = use(job, **inputs)
    assert (outputs["exit-code"], outputs["verdict"]) == (exit_code, verdict)
    assert outputs["failure"].startswith(failure)
    assert bool(failure) == bool(outputs["failure"])
    assert (f"::error title=onnx-prelu::{failure}" in job.said) == bool(failure)


def test_a_rewrite_with_reports_and_further_options(job):
    arguments = "--to=relu\n--form=mirror\n--no-bench\n"
    outputs = use(job, command="rewrite", a=PRELU, b="a b.onnx", report="one.json\ntwo words.md\n", arguments=arguments)
    assert outputs["verdict"] == "passed", job.said
    assert (job.workspace / "a b.onnx").exists()
    assert (job.workspace / "two words.md").exists()
    report = json.loads((job.workspace / "one.json").read_text())
    assert [site["form"] for site in report["sites"]] == ["mirror", "mirror"]


@pytest.fixture
def recording(job):
    """A ``python`` that only writes down what it is called with, and has no onnx_prelu."""
    folder = job.workspace / "bin"
    folder.mkdir()
    stub = '#!/bin/bash\nprintf "%s\\n" "$@" "" >> "$CALLS"\n[[ $1 != -c ]]\n'
    (folder / "python").write_text(stub)
    (folder / "python").chmod(0o755)
    calls = job.workspace / "calls"
    job.env |= {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    return lambda: [call.splitlines() for call in calls.read_text().split("\n\n") if call]


def test_what_the_inputs_become(job, recording):
    use(
        job,
        a="$(touch evil)",
        b="b; touch evil",
        providers=" cpu\n cuda ",
        report="x.json\n`touch evil`.md",
        baseline="base.json",
        fail_on="latency>1.05,file_bytes>1.10",
        arguments="--dim=N=4\n--seed=$(touch evil)",
        runtime="gpu",
    )
    asked, installed, ran = recording()
    assert asked[0] == "-c"
    assert installed == ["-m", "pip", "install", "--quiet", f"{job.workspace / 'onnx-prelu'}[gpu]"]
    assert ran == [
        *("-m", "onnx_prelu", "check", "$(touch evil)", "b; touch evil", "--provider=cpu", "--provider=cuda"),
        *("--report=x.json", "--report=`touch evil`.md", "--baseline=base.json"),
        *("--fail-on=latency>1.05,file_bytes>1.10", "--dim=N=4", "--seed=$(touch evil)"),
    ]
    assert not (job.workspace / "evil").exists()


def test_by_default_only_the_models(job, recording):
    use(job, a="a.onnx", b="b.onnx")
    assert recording()[-1] == ["-m", "onnx_prelu", "check", "a.onnx", "b.onnx"]


def test_no_script_holds_what_an_input_says():
    assert not [step for step in ACTION["runs"]["steps"] if "${{" in step["run"]]


def test_every_input_and_output_is_described():
    for about in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert about["description"].endswith(".")
