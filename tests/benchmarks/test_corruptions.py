"""The check on correct rewrites, none of which it may fail, and on damaged ones."""

import numpy as np
import pytest

import onnx_prelu
from benchmarks.corruptions import KINDS, Case, corrupted, met, page
from benchmarks.drawn import FORMS, network, rewritten
from tests.counts import count


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", FORMS)
def test_no_correct_rewrite_is_failed(form, dtype):
    """As the command line checks; slopes up to ±25, chains of all kinds; 1,008 rewrites in all at the full count."""
    compared, nearest, seed = 0, 0.0, 10_000
    while compared < count(84):
        given = network(seed, dtype)
        made = rewritten(given, form)
        seed += 1
        if made is None:
            continue
        (found,) = onnx_prelu.check(given, made, providers=["cpu"]).check
        assert found.status == "passed", (seed - 1, found.reason)
        assert found.tolerance is None
        nearest = max(nearest, found.rounding.reached)
        compared += 1
    assert nearest > 0


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_shows_is_caught(kind):
    found, seed = [], list(KINDS).index(kind)
    while len(found) < count(20):
        case = corrupted(seed, 200)
        seed += len(KINDS)
        found += [] if case is None else [case]
    assert {case.kind for case in found} == {kind}
    assert all(case.caught for case in found if case.own)


CAUGHT, MISSED, UNSEEN = (Case("a Relu dropped", *each) for each in (
    (True, True, True), (False, False, True), (False, False, False)
))  # fmt: skip


@pytest.mark.parametrize(
    ("cases", "passes"),
    [
        ([CAUGHT] * 97 + [MISSED] * 3 + [UNSEEN] * 50, True),
        ([CAUGHT] * 96 + [MISSED] * 4, False),
        ([CAUGHT] * 99 + [Case("a Relu dropped", False, True, True)], False),
    ],
)
def test_the_score(cases, passes):
    assert met(cases) == passes


def test_the_page():
    text = page([CAUGHT, MISSED, UNSEEN], 200)
    assert "**1 of 1** that show on the check's own inputs, and **1 of 2** that show" in text
    assert "| a Relu dropped | 3 | 1 of 1 | 1 of 2 | 1 |" in text
