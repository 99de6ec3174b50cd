"""A report as JUnit's XML: one suite a provider, one case for each thing that can pass or fail there.

A check, and each site alone, is a case; of many pairs, each pair. What failed is a ``failure``. What did not run is
``skipped``, unless it was required: then it is an ``error``, as the exit code says too. A site that stays is
``skipped`` with its reason.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .page import headline
from .verdicts import check_lines, latency_lines

if TYPE_CHECKING:
    from ..measure.checking.check import Check
    from ..measure.latency.bench import Latency
    from ..passes.choice import Choice
    from .budgets import Judged
    from .entries import Entry
    from .report import Report

Outcome = Literal["passed", "failure", "error", "skipped"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """A test case: its name, what came of it, why, and what else is known of it."""

    name: str
    outcome: Outcome = "passed"
    reason: str = ""
    told: str = ""


def junit(report: Report) -> str:
    """The report as JUnit's XML, valid for the schema ``junit-10.xsd`` of Jenkins's xUnit plugin."""
    suites = list(_suites(report))
    root = ET.Element("testsuites", {"name": _legal(headline(report))})
    counts = [_suite(root, name, cases) for name, cases in suites]
    for key, total in zip(("tests", "failures", "errors"), map(sum, zip(*counts, strict=True)), strict=False):
        root.set(key, str(total))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suites(report: Report) -> Iterator[tuple[str, list[Case]]]:
    """The suites that have a case. What was asked for comes first, so that there is always one."""
    unmet = Case("request", "failure", report.unmet) if report.unmet else Case("request")
    yield report.command, [unmet, *(_site(site) for site in report.sites or ())]
    for check in report.check or ():
        yield f"check on {check.provider}", list(_check(check))
    for provider in dict.fromkeys(each.provider for each in report.latency or ()):
        timed = [each for each in report.latency or () if each.provider == provider]
        yield f"latency on {provider}", [_latency(each) for each in timed]
    if report.budgets:
        yield "budgets", [_budget(each) for each in report.budgets]
    if report.entries:
        yield "pairs", [_entry(each) for each in report.entries]


def _site(site: Choice) -> Case:
    if site.fits is False or site.refused:
        return Case(f"site {site.node}", "skipped", site.reason or "")
    return Case(f"site {site.node}", told=f"{site.form or 'stays'}: {site.reason or site.exactness or ''}".rstrip(": "))


def _check(check: Check) -> Iterator[Case]:
    told = "\n".join(line.text for line in check_lines(check))
    yield Case("whole model", _outcome(check.status, required=check.required), check.reason or "", told)
    for pair in check.pairs:
        # A site that was not compared alone was compared in the whole model: no provider was missing.
        yield Case(f"site {pair.node}", _outcome(pair.status, required=False), pair.reason or "")


def _latency(latency: Latency) -> Case:
    told = "\n".join(line.text for line in latency_lines(latency))
    outcome = _outcome("not_run" if latency.status == "not_run" else "passed", required=latency.required)
    return Case(latency.against or "second model", outcome, latency.reason or "", told)


def _budget(budget: Judged) -> Case:
    name = f"{budget.budget} on {budget.provider}" if budget.provider else budget.budget
    outcomes: dict[str, Outcome] = {"held": "passed", "broken": "failure", "not_run": "skipped"}
    ratio = "" if budget.ratio is None else f"{budget.ratio:.3f} of the baseline"
    return Case(name, outcomes[budget.status], budget.reason or "", budget.reason or ratio)


def _entry(entry: Entry) -> Case:
    outcomes: dict[int, Outcome] = {0: "passed", 1: "failure"}
    checks = (entry.report.check if entry.report else None) or ()
    told = "\n".join(line.text for check in checks for line in check_lines(check))
    return Case(entry.name, outcomes.get(entry.exit_code, "error"), entry.failure or "", told)


def _outcome(status: Literal["passed", "failed", "not_run"], *, required: bool) -> Outcome:
    if status == "not_run":
        return "error" if required else "skipped"
    return "failure" if status == "failed" else "passed"


def _suite(root: ET.Element, name: str, cases: Sequence[Case]) -> tuple[int, int, int]:
    """Write a suite, and count its cases, failures and errors."""
    counts = [sum(case.outcome == kind for case in cases) for kind in ("failure", "error", "skipped")]
    numbers = dict(zip(("tests", "failures", "errors", "skipped"), map(str, (len(cases), *counts)), strict=True))
    suite = ET.SubElement(root, "testsuite", {"name": _legal(name), **numbers})
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", {"name": _legal(case.name), "classname": f"onnx-prelu.{_legal(name)}"}
        )
        if case.outcome != "passed":
            ET.SubElement(element, case.outcome, {"message": _legal(case.reason)})
        if case.told:
            ET.SubElement(element, "system-out").text = _legal(case.told)
    return len(cases), counts[0], counts[1]


def _legal(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
