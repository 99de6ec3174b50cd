"""The choice of the form to quantize."""

from __future__ import annotations

import pytest

from onnx_prelu.errors import NotMet
from onnx_prelu.int8 import Candidate, best

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
