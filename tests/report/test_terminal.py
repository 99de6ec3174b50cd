"""What a terminal shows, as snapshots; ONNX_PRELU_SNAPSHOTS=write writes them anew, to be read before they are kept."""

import os
import re
from pathlib import Path

import pytest
from examples import REPORTS
from rich.console import Console

from onnx_prelu.passes.choice import Choice
from onnx_prelu.report.report import Report
from onnx_prelu.report.terminal import text

SNAPSHOTS = Path(__file__).parent / "snapshots"


def assert_like_snapshot(name, shown):
    file = SNAPSHOTS / name
    if os.environ.get("ONNX_PRELU_SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def plain(report, width=80):
    return text(report, Console(width=width, color_system=None))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", REPORTS)
def test_snapshot(name, width):
    assert_like_snapshot(f"{name}-{width}.txt", plain(REPORTS[name], width))


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_wider_than_the_terminal(name, width):
    assert max(map(len, plain(REPORTS[name], width).splitlines())) <= width


@pytest.mark.parametrize("name", REPORTS)
def test_the_width_changes_the_layout_and_no_word(name):
    def letters(shown):
        return sorted(re.sub(r"\s", "", shown))

    assert letters(plain(REPORTS[name], 60)) == letters(plain(REPORTS[name], 300))


def test_colour_where_it_is_wanted(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in text(REPORTS["rewrite"], Console(force_terminal=True, color_system="standard", width=80))


def test_no_colour_where_it_is_not(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = text(REPORTS["rewrite"], Console(force_terminal=True, width=80))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


@pytest.mark.parametrize("count", [20, 21])
def test_sites_are_listed_up_to_twenty_and_counted_beyond(count):
    sites = tuple(Choice(f"act{i}", "split", refused=False, reason=None) for i in range(count))
    shown = plain(Report("rewrite", "net.onnx", "relu", sites=sites))
    assert ("act7" in shown) == (count == 20)


def test_names_from_the_model_are_no_markup():
    site = Choice("[red]act[/red]", None, refused=True, reason="[bold]odd")
    shown = plain(Report("rewrite", "[i]net.onnx", "relu", sites=(site,)))
    for name in ("[i]net.onnx", "[red]act[/red]", "[bold]odd"):
        assert name in shown
