"""The published schema knows every key of a report and no other."""

from copy import deepcopy
from dataclasses import fields, replace

import pytest
from examples import DRAWING, REPORTS, SPLIT
from jsonschema import Draft202012Validator, ValidationError

from onnx_prelu.errors import BadInput
from onnx_prelu.measure.changes.change import Change, Diff
from onnx_prelu.measure.changes.moved import Moved
from onnx_prelu.measure.checking.blame import Blame
from onnx_prelu.measure.checking.check import (
    Check,
    Expected,
    Failing,
    NonFinite,
    Output,
    PairResult,
    Rounding,
    Spread,
    Tolerance,
)
from onnx_prelu.measure.checking.compare import Difference
from onnx_prelu.measure.checking.site_nodes import SiteNodes
from onnx_prelu.measure.costs.cost import Cost
from onnx_prelu.measure.latency.bench import Latency
from onnx_prelu.measure.latency.by_op import OpTime, Profile
from onnx_prelu.measure.latency.start import Start
from onnx_prelu.measure.latency.throughput import Throughput
from onnx_prelu.measure.providers.placement import Placed
from onnx_prelu.passes.choice import SlopeSummary
from onnx_prelu.passes.distance import Distance, Extent, Saving
from onnx_prelu.passes.drawing import Drawing, Drawn
from onnx_prelu.passes.narrowing import Narrowing
from onnx_prelu.passes.neighbours import Neighbour
from onnx_prelu.passes.stable import Proven, Units
from onnx_prelu.passes.within import Span
from onnx_prelu.report.budgets import Judged
from onnx_prelu.report.entries import Entry
from onnx_prelu.report.report import SCHEMA_VERSION, Report
from onnx_prelu.tuning.fast import Tuning
from onnx_prelu.tuning.int8 import Candidate, Int8
from tests.reported import SCHEMA, validate

PARTS = {
    "units": Units,
    "proven": Proven,
    "span": Span,
    "candidate": Candidate,
    "int8": Int8,
    "tuning": Tuning,
    "blame": Blame,
    "budget": Judged,
    "change": Change,
    "check": Check,
    "cost": Cost,
    "difference": Difference,
    "distance": Distance,
    "drawing": Drawing,
    "drawn": Drawn,
    "expected": Expected,
    "failing": Failing,
    "extent": Extent,
    "latency": Latency,
    "moved": Moved,
    "narrowing": Narrowing,
    "neighbour": Neighbour,
    "nonfinite": NonFinite,
    "op": OpTime,
    "output": Output,
    "pair": PairResult,
    "placed": Placed,
    "profile": Profile,
    "rounding": Rounding,
    "saving": Saving,
    "site_nodes": SiteNodes,
    "slope": SlopeSummary,
    "spread": Spread,
    "start": Start,
    "throughput": Throughput,
    "tolerance": Tolerance,
}


def objects(schema):
    """Every schema of an object of known keys, wherever it stands."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_it_is_a_schema_of_this_version():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert SCHEMA["$id"].endswith(f":{SCHEMA_VERSION}")


@pytest.mark.parametrize("part", PARTS)
def test_it_has_the_keys_of_what_a_report_holds(part):
    keys = {field.name for field in fields(PARTS[part])}
    assert set(SCHEMA["$defs"][part]["properties"]) == set(SCHEMA["$defs"][part]["required"]) == keys


MOVED = Moved(4, 1, 0.5, 0.25, 3.0)
OTHERS = {
    "diff": Report("diff", "a", against="b", diff=Diff((Change("initializer", "w", "changed", ("it moved",), MOVED),))),
    "check-all": Report(
        "check-all",
        "pairs.toml",
        entries=(Entry("fine", REPORTS["rewrite"]), Entry("gone", None, BadInput("is empty"))),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_reports_of_other_commands_are_valid(name):
    validate(OTHERS[name].to_dict())


def test_its_first_level_is_what_a_report_can_have():
    told = {key for report in (*REPORTS.values(), *OTHERS.values()) for key in report.to_dict()}
    never_told = {"unmet"}  # it is the failure
    assert {field.name for field in fields(Report)} - never_told <= set(SCHEMA["properties"])
    assert set(SCHEMA["properties"]) == told


def test_no_other_key_is_let_through():
    found = list(objects(SCHEMA))
    assert len(found) > len(PARTS)
    assert all(each["additionalProperties"] is False for each in found)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_valid(name):
    validate(REPORTS[name].to_dict())


TOLD = Report(
    "rewrite", "net.onnx", sites=(replace(SPLIT, drawing=DRAWING, narrowing=Narrowing(8, 4, paired=4)),)
).to_dict()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), "2"),
        (("exit_code",), 4),
        (("tool", "name"), "another"),
        (("sites", 0, "another"), 1),
        (("sites", 0, "node"), None),
        (("sites", 0, "exactness"), "nearly"),
        (("sites", 0, "slope", "count"), -1),
        (("sites", 0, "narrowing", "before"), -1),
        (("sites", 0, "drawing", "after", 0, "role"), "guest"),
    ],
)
def test_what_is_not_a_report_is_not_valid(path, value):
    told = deepcopy(TOLD)
    validate(told)
    place = told
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        validate(told)
