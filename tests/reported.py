"""The published schema of reports, and whether a report is valid for it."""

import json
from importlib.resources import files

from jsonschema import Draft202012Validator

SCHEMA = json.loads(files("onnx_prelu.report").joinpath("report.schema.json").read_text(encoding="utf-8"))

_VALIDATOR = Draft202012Validator(SCHEMA)


def validate(told):
    """Raise where a report is not valid, naming the place."""
    _VALIDATOR.validate(told)
