import re
from dataclasses import replace

import pytest
from examples import PASSED, REFUSED, REPORTS, SPLIT
from test_terminal import assert_like_snapshot

from onnx_prelu.passes.choice import Choice
from onnx_prelu.report.markdown import markdown
from onnx_prelu.report.report import Report


@pytest.mark.parametrize("name", REPORTS)
def test_snapshot(name):
    assert_like_snapshot(f"{name}.md", markdown(REPORTS[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_every_row_of_a_table_has_the_cells_of_its_head(name):
    columns = 0
    for line in markdown(REPORTS[name]).splitlines():
        cells = line.replace("\\|", "").count("|") - 1
        if not line.startswith("|"):
            columns = 0
        elif columns:
            assert cells == columns
        else:
            columns = cells


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("act", "`act`"),
        ("a|b", "`a\\|b`"),
        ("a`b", "a\\`b"),
        ("<img src=x>", "`<img src=x>`"),
        ("a\nb", "`a b`"),
    ],
)
def test_a_name_is_a_cell_of_its_own(name, cell):
    site = Choice(name, "split", refused=False, reason=None)
    assert f"| {cell} |" in markdown(Report("rewrite", "net.onnx", "relu", sites=(site,)))


def test_text_from_the_model_is_no_markup():
    site = Choice("act", None, refused=True, reason="*odd* <b> | [x](y) `z`\nnext")
    shown = markdown(Report("rewrite", "net_1*.onnx", "relu", sites=(site,)))
    assert "### rewrite net\\_1\\*.onnx to relu" in shown
    assert "| `act` | \\*odd\\* \\<b\\> \\| \\[x\\](y) \\`z\\`<br>next |" in shown


def test_a_failure_stands_first():
    shown = markdown(Report("check", "a.onnx", against="b.onnx", unmet="that is not so"))
    assert shown == "### check a.onnx against b.onnx: failed\n\n**that is not so**\n"


@pytest.mark.parametrize(("sites", "folded"), [(12, False), (13, True)])
def test_a_long_table_is_folded(sites, folded):
    report = Report("rewrite", "net.onnx", "relu", sites=tuple(replace(SPLIT, node=f"act{i}") for i in range(sites)))
    shown = markdown(report)
    assert ("<details><summary>13 rows</summary>\n\n| site |" in shown) == folded
    assert shown.count("<details>") == shown.count("</details>") == folded


def refused(count, length=20):
    """Sites that are refused for a reason each has alone, so that each has a row."""
    return tuple(replace(REFUSED, node=f"act{i}", reason=f"{i} {'|' * length}") for i in range(count))


@pytest.mark.parametrize(
    ("report", "kept"),
    [
        (Report("rewrite", "net.onnx", "relu", sites=refused(50)), 50),
        (Report("rewrite", "net.onnx", "relu", sites=refused(3_000)), 400),
        (Report("rewrite", "net.onnx", "relu", sites=refused(3_000, 300)), 100),
        (Report("rewrite", "net.onnx", "relu", sites=refused(300, 5_000)), 5),
    ],
)
def test_a_report_fits_into_a_comment(report, kept):
    shown = markdown(report)
    assert len(shown) < 65_536
    assert len(re.findall(r"^\| `act\d+` ", shown, re.MULTILINE)) == kept
    assert (f"*and {len(report.sites) - kept:,} more, in the JSON report*" in shown) == (kept < len(report.sites))
    assert shown.count("<details>") == shown.count("</details>")


def test_sentences_without_end_are_cut_too():
    notes = tuple(f"{i} {'n' * 100}" for i in range(2_000))
    shown = markdown(Report("check", "a.onnx", check=(replace(PASSED, notes=notes),)))
    assert len(shown) < 65_536
    assert "more, in the JSON report*" in shown


def test_a_row_without_end_is_cut():
    shown = markdown(Report("rewrite", "net.onnx", "relu", sites=refused(14, 40_000)))
    assert len(shown) < 65_536
    assert "<details>" not in shown
    assert shown.endswith("*cut here: it is too long for a comment, and whole in the JSON report*\n")
