from dataclasses import replace

import numpy as np
import pytest
from examples import EQUAL, FAILED, FASTER, MIXED, PASSED, UNRUN, UNTIMED

from onnx_prelu.measure.checking.check import Blame, Expected, Failing, Rounding, Spread
from onnx_prelu.report.report import Report
from onnx_prelu.report.verdicts import Line, check_lines, latency_lines


def said(check):
    return [(line.level, line.text) for line in check_lines(check)]


def test_a_check_that_passed_says_how_near_and_at_the_nearest_output():
    assert said(PASSED) == [
        (
            0,
            (
                "cpu passed: max abs 3.1e-07, max rel 2.2e-07, 80 ulp; "
                "0.021 of the tolerance (1e-05 of the largest value, and 0.0001 of each)"
            ),
        ),
        (1, "9 batches of x 8x64"),
        (1, "2 of 2 sites passed alone, 1 of them with equal values"),
        (1, "94 of 96 units saw both sides of zero; fewest at 'act1': 30 of 32"),
        (1, "39 zeros differ in sign only"),
    ]


@pytest.mark.parametrize(
    ("rounding", "text"),
    [
        (
            Rounding(0.314, 1e-6),
            "max abs 3.1e-07, max rel 2.2e-07, 80 ulp; 0.31 of the allowed rounding (1e-06 where it",
        ),
        (Rounding(0.0, None), "all values equal"),
    ],
)
def test_a_check_by_rounding_says_how_much_of_it(rounding, text):
    assert said(replace(PASSED, tolerance=None, rounding=rounding))[0][1].startswith(f"cpu passed: {text}")


def test_what_the_batches_were():
    many = replace(PASSED, batches=30, kinds={"random": 27, "zeros": 3}, seeds=3)
    assert (1, "30 batches of x 8x64: 27 random, 3 zeros, by 3 seeds") in said(many)
    assert (1, "9 batches of x 8x64") in said(replace(PASSED, kinds={"given": 9}))


def test_what_data_sets_expect():
    rows = (
        Expected("set_0", None, None),
        Expected("set_1", None, "run fails"),
        Expected("set_2", "output 'y' is 1", "output 'y' is 2"),
    )
    lines = [text for _, text in said(replace(PASSED, expected=rows))]
    assert lines[-3:] == [
        "both models give the expected outputs of 1 of 3 data sets",
        "'set_1' expects other outputs: the second model's run fails",
        "'set_2' expects other outputs: the first model's output 'y' is 1; the second model's output 'y' is 2",
    ]


def test_an_input_that_fails_is_told_with_the_line_that_shows_it_again():
    small = Failing("bad/test_data_set_0", "near kinks", {"x": (1, 64)}, 64, 1, "onnx-prelu check a b --inputs bad/…")
    assert said(replace(FAILED, failing=small))[-2:] == [
        (1, "a failing input, made small from 'near kinks' (x 1x64, 1 of 64 values not 0); once more:"),
        (1, "onnx-prelu check a b --inputs bad/…"),
    ]


def test_equal_values_have_no_tolerance_to_be_near_to():
    assert said(EQUAL) == [
        (0, "cpu passed: all values equal, as they have to be"),
        (1, "9 batches of x 8x64"),
        (1, "64 of 64 units saw both sides of zero"),
    ]


def test_a_check_that_failed_says_each_failure_once():
    lines = said(FAILED)
    assert lines[0] == (0, f"cpu failed: {FAILED.reason}")
    assert lines[1:4] == [
        (1, f"output 'features' {FAILED.outputs[0].failure}"),
        (1, "site 'act0' alone, on values of its own, 'y' differs by up to 5"),
        (1, "9 batches of x 8x64"),
    ]
    assert (1, "1 of 2 sites passed alone, 1 of them with equal values") in lines


@pytest.mark.parametrize(
    ("blame", "said_of_it"),
    [
        (
            Blame("z7", "fc7", "act6", 0.25, 1.5e-5),
            "the first tensor that differs is 'z7' of node 'fc7' by 0.25 where 1.5e-05 is allowed, at site 'act6'",
        ),
        (
            Blame("z7", "fc7", None, 0.5, 0.0),
            "the first tensor that differs is 'z7' of node 'fc7' by 0.5 where 0 is allowed",
        ),
        (Blame("z7", "fc7", None, np.inf), "the first tensor that differs is 'z7' of node 'fc7' by inf"),
        (Blame("z7", "fc7", None), "the first tensor that differs is 'z7' of node 'fc7'"),
    ],
)
def test_a_check_that_failed_says_where_it_begins(blame, said_of_it):
    check = replace(FAILED, blame=blame)
    assert (1, said_of_it) in said(check)
    report = Report("check", "a.onnx", check=(check,))
    assert report.failure == f"the check failed on cpu: {FAILED.reason}; {said_of_it}"
    told = report.to_dict()["check"][0]["blame"]
    assert (told["tensor"], told["node"], told["site"]) == (blame.tensor, blame.node, blame.site)
    assert told["difference"] == (None if blame.difference == np.inf else blame.difference)


def test_a_site_that_is_wrong_alone_is_said_once():
    check = replace(FAILED, blame=Blame(None, "act0", "act0", 5.0))
    assert said(check) == said(FAILED)
    assert Report("check", "a.onnx", check=(check,)).failure == f"the check failed on cpu: {FAILED.reason}"


def test_where_nodes_ran_and_what_else_there_is_to_say():
    lines = said(MIXED)
    assert (1, "nodes of the second model taken: 8 by CUDAExecutionProvider, 2 by CPUExecutionProvider") in lines
    assert lines[-1] == (1, MIXED.notes[0])


def test_a_check_that_did_not_run_says_why():
    assert list(check_lines(UNRUN)) == [Line("cuda not run: no CUDA device was found", mood="open")]


@pytest.mark.parametrize(
    ("spread", "line"),
    [
        ((Spread("a", 4, 3),), "3 of 4 units saw both sides of zero"),
        ((Spread("a", 1, 1), Spread("b", 1, 1)), "2 of 2 units saw both sides of zero"),
        ((Spread("a", 4, 3), Spread("b", 8, 2)), "5 of 12 units saw both sides of zero; fewest at 'b': 2 of 8"),
    ],
)
def test_the_share_of_units_that_saw_both_sides(spread, line):
    assert (1, line) in said(replace(EQUAL, spread=spread))


@pytest.mark.parametrize(("verdict", "mood"), [("faster", "good"), ("slower", "bad"), ("no difference", "plain")])
def test_a_timing_is_its_sentence_and_the_times_behind_it(verdict, mood):
    latency = replace(FASTER, verdict=verdict)
    assert list(latency_lines(latency)) == [
        Line(latency.sentence(), mood=mood),
        Line(
            "0.234 ms before, 0.145 ms after; 1,200 pairs of runs; noise 1.2 %; 1.9 % or more would show; 7 outliers",
            level=1,
        ),
    ]


def test_a_timing_that_did_not_come_about():
    assert list(latency_lines(UNTIMED)) == [Line(UNTIMED.sentence(), mood="open")]
