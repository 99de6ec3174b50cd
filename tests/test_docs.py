"""The documentation says what the code derives, and what it shows runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from onnx_prelu.algebra.forms import FORMS, prove
from onnx_prelu.passes.request import TIES
from onnx_prelu.passes.targets import targets

ROOT = Path(__file__).parents[1]
FORMS_PAGE = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
TARGETS_PAGE = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
SAMPLES = {
    "any": [-0.3, 0.5, 1.7],
    "all equal": [0.25, 0.25],
    "all 0": [0.0, 0.0],
    "all 1": [1.0],
    "all <= 1": [-0.3, 0.5, 1.0],
    "all > 1": [1.5, 21.0],
    "all >= 1": [1.0, 1.5],
    "mixed": [-0.3, 1.7],
    "<= 1, where 1 + (a−1) is a in the stored type": [0.25, -3.0],
}


def rows(section):
    table = FORMS_PAGE.split(section)[1].split("\n\n")[2]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


ELEMENTWISE = rows("## Elementwise forms")


@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: f"{row[0]} {row[2]}")
def test_ops_and_exactness_are_what_the_code_derives(row):
    form, _, slopes, ops, exactness = row
    proof = prove(form, np.asarray(SAMPLES[slopes], np.float32).astype(float), np.float32)
    assert ", ".join(proof.ops) == ops
    assert ("equal bits" if proof.equal_bits else "rounding") == exactness


def test_every_form_has_its_rows():
    assert {row[0] for row in ELEMENTWISE} == set(FORMS)
    for form, expressions in FORMS.items():
        assert len(expressions) == sum(row[0] == form for row in ELEMENTWISE)


def raised_codes():
    found = set()
    for path in (ROOT / "onnx_prelu").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'Refused\(\s*"([a-z-]+)"', text))
    return found


def test_every_refusal_is_documented_and_tested():
    documented = {row[0] for row in rows("## Refusals")}
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert documented == raised_codes()
    assert not [code for code in documented if f'"{code}"' not in tests]


@pytest.mark.parametrize("target", targets().values(), ids=lambda target: target.name)
def test_the_page_of_targets_says_what_their_rules_say(target):
    section = TARGETS_PAGE.split(f"### {target.name}\n")[1].split("### ")[0]
    rules = [f"| {rule.sentence()} | {rule.source} |" for rule in target.rules]
    assert section.strip().splitlines() == [f"For {target.about}.", "", "| rule | source |", "|---|---|", *rules]


def test_the_page_of_targets_has_no_other():
    assert re.findall(r"^### (.+)$", TARGETS_PAGE, re.MULTILINE) == list(targets())
    assert ", ".join(TIES) in " ".join(TARGETS_PAGE.split())
