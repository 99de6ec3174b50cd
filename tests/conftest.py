"""Every report that a test turns into JSON has to be valid for the schema that is published."""

import functools

import pytest

from onnx_prelu.report.report import Report
from onnx_prelu.report.write import SUMMARY
from tests.reported import validate


@pytest.fixture(autouse=True, scope="session")
def _reports_are_valid():
    plain = Report.to_dict

    @functools.wraps(plain)
    def checked(report):
        told = plain(report)
        validate(told)
        return told

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Report, "to_dict", checked)
        patch.delenv(SUMMARY, raising=False)  # the tests' reports are not those of the workflow that runs them
        yield
