"""What the logger ``onnx_prelu`` is told, and that nobody else is."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import onnx_prelu

ROOT = Path(__file__).parents[1]
GEMM = ROOT / "models" / "digits_prelu_gemm.onnx"


def told(caplog, level, call):
    with caplog.at_level(level, logger="onnx_prelu"):
        call()
    assert {record.name for record in caplog.records} <= {"onnx_prelu"}
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_rewrite_tells_its_decisions_and_its_progress(caplog):
    seen = []
    lines = told(
        caplog,
        "DEBUG",
        lambda: onnx_prelu.rewrite(GEMM, providers=["cpu"], form=["act0=max", "split"], progress=seen.append),
    )
    assert ("INFO", "site 'act1': split (rounding)") in lines
    assert [text for level, text in lines if level == "INFO" and text.startswith("site 'act0': mirror")]
    assert [
        text for level, text in lines if level == "DEBUG" and text.startswith("site 'act0': not max [positive-side")
    ]
    assert [text for _, text in lines if text in seen] == seen
    assert ("INFO", f"rewrite {GEMM}: passed") in lines


def test_at_info_refusals_are_left_out(caplog):
    lines = told(caplog, "INFO", lambda: onnx_prelu.inspect(GEMM))
    assert {level for level, _ in lines} == {"INFO"}
    assert any(text.startswith("site 'act0': can be ") for _, text in lines)


@pytest.mark.parametrize("against", ["digits_relu_wide", "digits_relu"])
def test_the_verdict(caplog, against):
    other = ROOT / "models" / f"{against}.onnx"
    report = onnx_prelu.check(GEMM, other, providers=["cpu"])
    lines = told(caplog, "INFO", lambda: onnx_prelu.check(GEMM, other, providers=["cpu"]))
    assert lines[-1] == ("INFO", f"check {GEMM} against {other}: {report.failure or 'passed'}")


def test_nothing_is_printed_unless_asked_for():
    code = f"import onnx_prelu; onnx_prelu.rewrite({str(GEMM)!r}, providers=['cpu'])"
    for ahead, lines in ("", False), ("import logging; logging.basicConfig(level='INFO'); ", True):
        done = subprocess.run(
            [sys.executable, "-c", ahead + code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        assert ("INFO:onnx_prelu:site 'act0': split" in done.stderr) == lines == bool(done.stderr)


def test_the_level_of_the_logger_is_the_programs():
    assert logging.getLogger("onnx_prelu").level == logging.NOTSET
