"""What a reader of JUnit files is told, in the structure that Jenkins's xUnit plugin takes (junit-10.xsd)."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from examples import BROKEN, FAILED, FASTER, HELD, PASSED, REFUSED, REPORTS, SPLIT, UNJUDGED, UNRUN, UNTIMED

from onnx_prelu.errors import BadInput
from onnx_prelu.passes.choice import Choice
from onnx_prelu.report.entries import Entry
from onnx_prelu.report.junit import junit
from onnx_prelu.report.report import Report

# An element's children, the attributes that it has to have, and those that it may have.
RULES = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}


def assert_in_structure(element):
    children, required, optional = RULES[element.tag]
    assert {child.tag for child in element} <= children
    assert required <= set(element.attrib) <= required | optional
    for child in element:
        assert_in_structure(child)


def outcomes(report):
    """What came of each case, and why, by suite and name."""
    root = ET.fromstring(junit(report))
    return {
        (suite.get("name"), case.get("name")): next(
            ((each.tag, each.get("message")) for each in case if each.tag != "system-out"), ("passed", None)
        )
        for suite in root
        for case in suite
    }


@pytest.mark.parametrize("name", REPORTS)
def test_the_structure_and_the_counts(name):
    root = ET.fromstring(junit(REPORTS[name]))
    assert root.tag == "testsuites"
    assert_in_structure(root)
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    for suite in root:
        assert int(suite.get("tests")) == len(suite.findall("testcase")) > 0
        for key, kind in kinds.items():
            assert int(suite.get(key)) == len(suite.findall(f"testcase/{kind}"))
    for key in ("tests", "failures", "errors"):
        assert int(root.get(key)) == sum(int(suite.get(key)) for suite in root)


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_red_where_the_exit_code_is(name):
    root = ET.fromstring(junit(REPORTS[name]))
    assert (root.get("failures") != "0" or root.get("errors") != "0") == bool(REPORTS[name].exit_code)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Report("check", "a", check=(PASSED,)), {("check on cpu", "whole model"): ("passed", None)}),
        (
            Report("check", "a", check=(FAILED,)),
            {
                ("check on cpu", "whole model"): ("failure", FAILED.reason),
                ("check on cpu", "site act0"): ("failure", FAILED.pairs[0].reason),
                ("check on cpu", "site act1"): ("passed", None),
            },
        ),
        (Report("check", "a", check=(UNRUN,)), {("check on cuda", "whole model"): ("skipped", UNRUN.reason)}),
        (
            Report("check", "a", check=(replace(UNRUN, required=True),)),
            {("check on cuda", "whole model"): ("error", UNRUN.reason)},
        ),
        (
            Report("bench", "a", latency=(FASTER, UNTIMED)),
            {
                ("latency on cpu", "b.onnx"): ("passed", None),
                ("latency on cuda", "second model"): ("skipped", UNTIMED.reason),
            },
        ),
        (
            Report("bench", "a", latency=(replace(UNTIMED, required=True),)),
            {("latency on cuda", "second model"): ("error", UNTIMED.reason)},
        ),
        (
            Report("rewrite", "a", sites=(SPLIT, REFUSED)),
            {
                ("rewrite", "site act0"): ("passed", None),
                ("rewrite", "site act2"): ("skipped", REFUSED.reason),
                ("rewrite", "request"): ("passed", None),
            },
        ),
        (Report("rewrite", "a", unmet="act stays"), {("rewrite", "request"): ("failure", "act stays")}),
        (
            Report("check", "a", budgets=(HELD, BROKEN, UNJUDGED)),
            {
                ("budgets", "nodes>1"): ("passed", None),
                ("budgets", "file_bytes>1.1"): ("failure", BROKEN.reason),
                ("budgets", "latency>1.05"): ("skipped", UNJUDGED.reason),
            },
        ),
    ],
)
def test_what_came_of_each_case(report, expected):
    found = outcomes(report)
    assert {key: found[key] for key in expected} == expected


def test_each_of_many_pairs_is_a_case():
    unread = BadInput("there is no such file", where="c.onnx")
    pairs = [Entry("fine", Report("check", "a", check=(PASSED,))), Entry("off", Report("check", "a", check=(FAILED,)))]
    report = Report("check-all", "pairs.toml", entries=(*pairs, Entry("gone", None, unread)))
    found = outcomes(report)
    assert found["pairs", "fine"] == ("passed", None)
    assert found["pairs", "off"] == ("failure", pairs[1].failure)
    assert found["pairs", "gone"] == ("error", str(unread))


def test_text_from_the_model_is_text():
    node = '<act> & "quotes" \x00\x1b\ud800\ufffe é'
    root = ET.fromstring(junit(Report("rewrite", "net.onnx", sites=(Choice(node, "split", False, None),))).encode())
    assert root[0][1].get("name") == 'site <act> & "quotes" \ufffd\ufffd\ufffd\ufffd é'
