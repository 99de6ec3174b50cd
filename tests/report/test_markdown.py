import pytest
from examples import REPORTS
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
