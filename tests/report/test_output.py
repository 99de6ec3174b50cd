import io
import json
import sys

import pytest
from examples import REPORTS

from onnx_prelu.report.output import Output

REPORT = REPORTS["rewrite"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def streams(monkeypatch):
    """Replace standard output and error by a terminal or a file each."""

    def replace(*, out=io.StringIO, err=io.StringIO):
        pair = out(), err()
        monkeypatch.setattr(sys, "stdout", pair[0])
        monkeypatch.setattr(sys, "stderr", pair[1])
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        return pair

    return replace


@pytest.mark.parametrize(
    ("as_json", "quiet", "err", "page_on"),
    [
        (False, False, io.StringIO, "out"),
        (False, False, Terminal, "out"),
        (False, True, Terminal, None),
        (True, False, Terminal, "err"),
        (True, False, io.StringIO, None),
        (True, True, Terminal, None),
    ],
)
def test_where_the_page_goes(as_json, quiet, err, page_on, streams):
    pair = dict(zip(("out", "err"), streams(err=err), strict=True))
    Output(as_json, quiet, ()).show(REPORT)
    assert {name for name, stream in pair.items() if "pairs of runs" in stream.getvalue()} == ({page_on} - {None})
    if as_json:
        assert json.loads(pair["out"].getvalue()) == REPORT.to_dict()


@pytest.mark.parametrize(
    ("quiet", "err", "shown"), [(False, Terminal, True), (True, Terminal, False), (False, io.StringIO, False)]
)
def test_progress_is_for_a_terminal_that_somebody_looks_at(quiet, err, shown, streams):
    _, stderr = streams(err=err)
    with Output(as_json=False, quiet=quiet, files=()).progress() as progress:
        if progress is not None:
            progress("check on [cpu] 40 %")
    assert ("check on [cpu] 40 %" in stderr.getvalue()) == shown
    assert (progress is not None) == shown


def test_progress_is_drawn_by_no_thread(streams):
    _, stderr = streams(err=Terminal)
    with Output(as_json=False, quiet=False, files=()).progress() as progress:
        progress("first")
        before = stderr.getvalue()
        progress("second")
        assert "second" in stderr.getvalue()[len(before) :]


def test_a_letter_that_the_terminal_lacks_does_not_end_the_run(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    Output(as_json=False, quiet=False, files=()).show(REPORT.with_notes(["näher"]))
    assert b"n?her" in raw.getvalue()


def test_files_are_claimed_before_any_work_and_written(tmp_path, streams):
    streams()
    link = tmp_path / "link.md"
    link.symlink_to("real.md")
    output = Output(as_json=False, quiet=True, files=(link, tmp_path / "r.json")).claim(tmp_path / "net.onnx")
    output.show(REPORT)
    assert link.is_symlink()
    assert (tmp_path / "real.md").read_text(encoding="utf-8").startswith("### rewrite")
    assert json.loads((tmp_path / "r.json").read_text()) == REPORT.to_dict()
