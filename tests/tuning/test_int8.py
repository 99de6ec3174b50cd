"""The choice of the form to quantize."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx_prelu
from onnx_prelu.errors import BadUsage, NotMet
from onnx_prelu.tuning.int8 import Candidate, best

CNN, DATA = Path("models/digits_prelu_cnn.onnx"), Path("models/digits_test.npz")

TABLE = [
    Candidate("as it is", 28.3, 2.20, 1.00),
    Candidate("split", 30.9, 1.81, 0.82),
    Candidate("skip", 26.8, 1.13, 0.51),
    Candidate("mirror", 27.5, 1.17, 0.53),
    Candidate("max", reason="it cannot be quantized"),
]


@pytest.mark.parametrize(
    ("min_sqnr", "form"),
    [(None, "mirror"), (26.0, "skip"), (27.0, "mirror"), (28.0, "split"), (30.9, "split")],
)
def test_the_best_near_the_fastest_or_the_fastest_that_is_good_enough(min_sqnr, form):
    assert best(TABLE, min_sqnr) == form


def test_what_no_form_reaches_is_said():
    with pytest.raises(NotMet, match=r"no form reaches 31 dB: the best is split, with 30\.9 dB"):
        best(TABLE, 31)


def test_the_chosen_form_is_written_in_float_and_in_int8(tmp_path):
    out = tmp_path / "int8.onnx"
    done = onnx_prelu.rewrite(CNN, purpose="int8", inputs=DATA, min_sqnr=0, quantized_out=out, providers=["cpu"])
    table = {each.form: each for each in done.report.int8.candidates}
    (chosen,) = (each for each in table.values() if each.chosen)
    assert {"as it is", "split", "skip", "max", "mirror"} <= set(table)
    assert chosen.ratio == min(each.ratio for each in table.values() if each.ratio is not None)
    taken = {site.form for site in done.report.sites} - {None}  # a site may refuse the form, and stays
    assert taken == ({chosen.form} - {"as it is"})
    assert onnx.load(out) == done.quantized
    images = np.load(DATA)["image"][225:]
    wanted, found = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"image": images}
        )[0].astype(np.float64)
        for each in (onnx.load(CNN), done.quantized)
    )  # fmt: skip
    db = 10 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2))
    assert chosen.sqnr_db == pytest.approx(db, abs=0.01)
    assert done.report.to_dict()["int8"]["by_channel"] is True


def test_a_demand_that_nothing_meets_writes_nothing(tmp_path):
    out = tmp_path / "int8.onnx"
    with pytest.raises(NotMet, match="no form reaches 200 dB"):
        onnx_prelu.rewrite(CNN, purpose="int8", inputs=DATA, min_sqnr=200, quantized_out=out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"purpose": "int8"}, "--for int8 takes the ranges of tensors from data"),
        ({"purpose": "int4"}, "--for int4 is not known"),
        ({"min_sqnr": 30.0}, "add --for int8"),
        ({"quantized_out": "q.onnx"}, "add --for int8"),
    ],
)
def test_what_makes_no_sense_is_said(wish, said):
    with pytest.raises(BadUsage, match=said):
        onnx_prelu.rewrite(CNN, **wish)
