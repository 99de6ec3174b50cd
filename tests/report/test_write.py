import json
from pathlib import Path

import pytest
from examples import REPORTS

from onnx_prelu.errors import BadUsage
from onnx_prelu.report.markdown import markdown
from onnx_prelu.report.write import claim, json_text, write

REPORT = REPORTS["rewrite"]


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_the_ending_says_the_format(tmp_path):
    write(REPORT, tmp_path / "r.json")
    write(REPORT, tmp_path / "r.MD")
    assert json.loads((tmp_path / "r.json").read_text(), parse_constant=no_constant) == REPORT.to_dict()
    assert (tmp_path / "r.MD").read_text(encoding="utf-8") == markdown(REPORT)


def test_markdown_goes_to_the_summary_of_a_github_step_too(tmp_path, monkeypatch):
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for ending in (".json", ".md", ".xml", ".html"):
        write(REPORT, tmp_path / f"r{ending}")
    assert summary.read_text(encoding="utf-8") == "before\n" + markdown(REPORT)


def test_a_summary_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(BadUsage, match=r"\$GITHUB_STEP_SUMMARY cannot be written: Is a directory; unset it"):
        write(REPORT, tmp_path / "r.md")


def test_json_keeps_the_order_of_the_keys():
    assert list(json.loads(json_text(REPORT))) == list(REPORT.to_dict())


@pytest.mark.parametrize("ending", [".txt", ".onnx", ".json.gz", ""])
@pytest.mark.parametrize("act", [lambda path: write(REPORT, path), lambda path: claim(path, protect=())])
def test_an_unknown_ending_is_refused(act, ending, tmp_path):
    with pytest.raises(BadUsage, match=r"no report format for .*; use \.json, \.md, \.xml or \.html"):
        act(tmp_path / f"r{ending}")
    assert list(tmp_path.iterdir()) == []


def test_claiming_makes_nothing_and_follows_links(tmp_path):
    (tmp_path / "link.json").symlink_to("real.json")
    assert claim(tmp_path / "link.json", protect=()) == Path(tmp_path / "real.json").resolve()
    assert [path.name for path in tmp_path.iterdir()] == ["link.json"]


def test_a_model_is_no_place_for_a_report(tmp_path):
    with pytest.raises(BadUsage, match="is the same file"):
        claim(tmp_path / "net.json", protect=[tmp_path / "net.json"])
