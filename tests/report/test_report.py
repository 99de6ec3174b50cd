import json
from dataclasses import replace

import numpy as np
import pytest
from examples import (
    AFTER,
    BEFORE,
    BROKEN,
    FAILED,
    FASTER,
    HELD,
    PASSED,
    REFUSED,
    REPORTS,
    SPLIT,
    UNJUDGED,
    UNRUN,
    UNTIMED,
)

from onnx_prelu.report.report import Report

ALWAYS = {"schema_version", "tool", "command", "model", "notes", "exit_code", "failure"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("rewrite", {"to", "sites", "before", "after", "check", "latency"}),
        ("inspect", {"sites", "distances", "before", "units"}),
        ("check", {"against", "check"}),
        ("bench", {"against", "latency"}),
        ("full", {"against", "latency", "start", "throughput", "profile"}),
        ("nothing", {"to", "sites"}),
        ("within", {"to", "sites", "within"}),
        ("fast", {"to", "sites", "tuning"}),
        ("int8", {"to", "sites", "int8"}),
        ("budgets", {"against", "before", "after", "check", "latency", "budgets"}),
    ],
)
def test_parts_that_a_command_does_not_have_are_absent(name, keys):
    assert set(REPORTS[name].to_dict()) == ALWAYS | keys


def test_the_head():
    head = REPORTS["rewrite"].to_dict()
    assert head["schema_version"] == "1"
    assert head["tool"]["name"] == "onnx-prelu"
    assert head["tool"]["version"].count(".") == 2
    assert (head["command"], head["model"], head["to"]) == ("rewrite", "models/net.onnx", "relu")


def test_a_site():
    assert Report("rewrite", "net.onnx", sites=(REFUSED,)).to_dict()["sites"] == [
        {
            "node": "act2",
            "form": None,
            "refused": True,
            "reason": REFUSED.reason,
            "refusals": {form: REFUSED.refusals[form].text for form in ("split", "mirror")},
            "refusal_codes": {"split": "shared-producer", "mirror": "slope-enlarges"},
            "spelling": "PRelu(x, c)",
            "slope": {
                "shape": [3], "low": 0.1, "high": 0.9, "negative": 0, "zero": 0, "above_one": 0, "count": 3,
                "histogram": [],
            },
            "exactness": None,
            "possible": [],
            "fits": None,
            "producer": None,
            "consumers": [],
            "predicted": {},
            "narrowing": None,
            "drawing": None,
        }
    ]  # fmt: skip


def test_costs():
    after = REPORTS["rewrite"].to_dict()["after"]
    assert after["nodes"] == 10
    assert after["ops"]["Relu"] == 3
    assert (after["parameters"], after["weight_bytes"], after["file_bytes"]) == (49_380, 197_520, 198_402)
    assert (after["macs"], after["activation_bytes"], after["sizes"]) == (3_145_728, None, {"x": [8, 64]})


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, np.float32(np.nan), np.float64(np.inf)])
def test_a_number_that_is_not_finite_is_null_wherever_it_stands(value):
    slope = replace(SPLIT.slope, low=value)
    latency = replace(FASTER, noise=value)
    report = Report("rewrite", "net.onnx", sites=(replace(SPLIT, slope=slope),), latency=(latency,))
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["sites"][0]["slope"]["low"] is None
    assert read["latency"][0]["noise"] is None


def with_macs(value):
    return Report("bench", "a.onnx", before=replace(BEFORE, macs=value)).to_dict()["before"]["macs"]


def with_max_abs(value):
    return Report("check", "a.onnx", check=(replace(PASSED, max_abs=value),)).to_dict()["check"][0]["max_abs"]


def with_spots(value):
    output = replace(PASSED.outputs[0], difference=replace(PASSED.outputs[0].difference, spots=value))
    (check,) = Report("check", "a.onnx", check=(replace(PASSED, outputs=(output,)),)).to_dict()["check"]
    return check["outputs"][0]["difference"]["spots"]


@pytest.mark.parametrize(
    ("read", "value", "plain"),
    [
        (with_macs, np.int64(3), 3),
        (with_max_abs, np.float32(0.25), 0.25),
        (with_spots, np.array([[1.0, 2.0]]), [[1.0, 2.0]]),
        (with_spots, np.array([[np.inf, 1.0]]), [[None, 1.0]]),
    ],
)
def test_numpy_becomes_plain(read, value, plain):
    found = read(value)
    assert found == plain
    assert type(found) is type(plain)


def test_an_infinite_difference_is_null():
    output = replace(PASSED.outputs[0], difference=replace(PASSED.outputs[0].difference, excess=np.inf))
    check = replace(PASSED, max_abs=np.float64(np.inf), outputs=(output,))
    read = json.loads(json.dumps(Report("check", "a.onnx", check=(check,)).to_dict(), allow_nan=False))["check"][0]
    assert (read["max_abs"], read["outputs"][0]["difference"]["excess"]) == (None, None)
    assert (read["provider"], read["status"], read["tolerance"]) == (
        "cpu",
        "passed",
        {"atol": 1e-5, "rtol": 1e-4, "bound": 0.0},
    )


def test_what_json_does_not_know_is_a_bug():
    with pytest.raises(TypeError, match="a report cannot hold a set"):
        Report("bench", "a.onnx", before=replace(BEFORE, macs={1})).to_dict()


def test_notes_are_added_once():
    report = REPORTS["nothing"]
    assert report.with_notes(["new", *report.notes]).notes == (*report.notes, "new")


REQUIRED_UNRUN = replace(UNRUN, required=True)
REQUIRED_CUDA = replace(UNTIMED, required=True)


@pytest.mark.parametrize(
    ("report", "exit_code", "failure"),
    [
        (Report("bench", "a"), 0, None),
        (Report("bench", "a", latency=(FASTER, UNTIMED)), 0, None),
        (Report("bench", "a", latency=(FASTER, REQUIRED_CUDA)), 3, "cuda could not run: no CUDA device was found"),
        (
            Report("bench", "a", latency=(REQUIRED_CUDA, replace(REQUIRED_CUDA, provider="Dml"))),
            3,
            "cuda could not run: no CUDA device was found (also Dml)",
        ),
        (Report("check", "a", check=(PASSED, UNRUN)), 0, None),
        (Report("check", "a", check=(PASSED, FAILED)), 1, f"the check failed on cpu: {FAILED.reason}"),
        (
            Report("check", "a", check=(FAILED, replace(FAILED, provider="cuda"))),
            1,
            f"the check failed on cpu: {FAILED.reason} (also cuda)",
        ),
        (
            Report("rewrite", "a", check=(REQUIRED_UNRUN, FAILED), unmet="act stays"),
            1,
            f"the check failed on cpu: {FAILED.reason}",
        ),
        (Report("check", "a", check=(PASSED, REQUIRED_UNRUN)), 3, "cuda could not run: no CUDA device was found"),
        (
            Report("rewrite", "a", check=(PASSED, REQUIRED_UNRUN)),
            3,
            "cuda could not run: no CUDA device was found; --no-check writes the model unchecked",
        ),
        (Report("rewrite", "a", latency=(REQUIRED_CUDA,)), 3, "cuda could not run: no CUDA device was found"),
        (Report("rewrite", "a", unmet="act stays"), 1, "act stays"),
        (Report("rewrite", "a", unmet="act stays", latency=(REQUIRED_CUDA,)), 1, "act stays"),
        (Report("rewrite", "a", before=BEFORE, after=AFTER), 0, None),
        (Report("check", "a", check=(PASSED,), budgets=(HELD, UNJUDGED)), 0, None),
        (
            Report("check", "a", check=(PASSED, REQUIRED_UNRUN), budgets=(HELD, BROKEN)),
            1,
            f"budget file_bytes>1.1 is broken: {BROKEN.reason}",
        ),
        (
            Report("check", "a", check=(FAILED,), budgets=(BROKEN, BROKEN)),
            1,
            f"the check failed on cpu: {FAILED.reason}",
        ),
        (
            Report("check", "a", budgets=(BROKEN, BROKEN)),
            1,
            f"budget file_bytes>1.1 is broken: {BROKEN.reason} (and 1 more)",
        ),
    ],
)  # fmt: skip
def test_exit_code_and_its_line(report, exit_code, failure):
    assert (report.exit_code, report.failure, report.passed) == (exit_code, failure, exit_code == 0)
    head = report.to_dict()
    assert (head["exit_code"], head["failure"]) == (exit_code, failure)
