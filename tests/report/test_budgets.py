import json
from dataclasses import replace

import pytest
from examples import AFTER, BEFORE, FASTER, PASSED, UNTIMED

from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.report.budgets import KEYS, asked_gate
from onnx_prelu.report.report import Report

SURE = replace(FASTER, detectable=0.0)


def report(**parts):
    given = {"before": BEFORE, "after": AFTER, "check": (PASSED,), "latency": (SURE,)} | parts
    return Report("check", "a.onnx", against="b.onnx", **given)


def earlier(**parts):
    return report(**parts).to_dict()


def judged(now, baseline, fail_on):
    return asked_gate(baseline, fail_on).judged(now)


@pytest.mark.parametrize("key", ["file_bytes", "weight_bytes", "parameters", "macs", "nodes"])
@pytest.mark.parametrize(
    ("was", "now", "limit", "status"),
    [
        (1000, 1100, 1.10, "held"),
        (1000, 1101, 1.10, "broken"),
        (1000, 899, 0.9, "held"),
        (1000, 901, 0.9, "broken"),
        (0, 0, 1.0, "held"),
        (0, 1, 99.0, "broken"),
    ],
)
def test_what_is_counted_is_held_to_the_number(key, was, now, limit, status):
    baseline = earlier(after=replace(AFTER, **{key: was}))
    (found,) = judged(report(after=replace(AFTER, **{key: now})), baseline, f"{key}>{limit}")
    assert (found.status, found.baseline, found.now, found.provider) == (status, was, now, None)
    assert (found.reason is None) == (status == "held")


def test_the_line_says_which_budget_broke():
    now = report(after=replace(AFTER, file_bytes=300_000), check=None, latency=None)
    budgets = judged(now, earlier(after=replace(AFTER, file_bytes=150_000)), "nodes>1,file_bytes>1.10")
    failed = replace(now, budgets=budgets)
    assert failed.exit_code == 1
    assert failed.failure == (
        "budget file_bytes>1.1 is broken: "
        "file_bytes is 2.000 times the baseline's: 300 kB against 150 kB; 1.1 is allowed"
    )


def times(before, after, **other):
    return (replace(SURE, before_ms=before, after_ms=after, **other),)


OTHER_FIRST = replace(BEFORE, file_bytes=1)


@pytest.mark.parametrize(
    ("before", "was", "now", "first", "status", "ratio"),
    [
        (10.0, 5.0, 5.2, BEFORE, "held", 1.04),
        (10.0, 5.0, 5.3, BEFORE, "broken", 1.06),
        # The first model took half as long again, so the machine did: the second is no slower.
        (15.0, 5.0, 7.5, BEFORE, "held", 1.0),
        # It took half as long, and the second just as long as ever.
        (5.0, 5.0, 5.0, BEFORE, "broken", 2.0),
        # Another first model says nothing of the machine.
        (15.0, 5.0, 7.5, OTHER_FIRST, "broken", 1.5),
        (5.0, 5.0, 5.0, OTHER_FIRST, "held", 1.0),
    ],
)
def test_a_latency_is_told_apart_from_the_machine(before, was, now, first, status, ratio):
    baseline = earlier(latency=times(10.0, was))
    (found,) = judged(report(before=first, latency=times(before, now)), baseline, "latency>1.05")
    assert (found.status, found.provider, found.baseline, found.now) == (status, "cpu", was, now)
    assert found.ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("now", "here", "there", "status"),
    [(5.4, 0.0, 0.0, "broken"), (5.4, 0.04, 0.0, "held"), (5.4, 0.0, 0.04, "held"), (5.8, 0.04, 0.04, "broken")],
)
def test_a_latency_within_the_noise_of_both_runs_is_held(now, here, there, status):
    baseline = earlier(latency=times(10.0, 5.0, detectable=there))
    (found,) = judged(report(latency=times(10.0, now, detectable=here)), baseline, "latency>1.05")
    assert found.status == status
    assert found.noise == pytest.approx((1 + here) * (1 + there) - 1)
    assert ("more than allowed, within noise" in found.reason) == (status == "held")


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ({"latency": None}, "not_run", "the check failed, so nothing was timed"),
        ({"latency": (UNTIMED,)}, "broken", "nothing was timed on cuda now"),
        ({"latency": (replace(SURE, provider="cuda"),)}, "broken", "nothing was timed on cuda in the baseline"),
        ({"latency": (replace(SURE, threads=2),)}, "broken", "the baseline was timed with --threads 1"),
        ({"latency": (replace(SURE, sizes={"x": (1, 64)}),)}, "broken", "timed at no sizes, and here at x 1x64"),
    ],
)
def test_a_latency_that_cannot_be_compared_is_no_pass(parts, status, said):
    (found,) = judged(report(**parts), earlier(), "latency>1.05")
    assert (found.status, found.ratio) == (status, None)
    assert said in found.reason


def test_what_can_be_compared_is_enough():
    (found,) = judged(report(latency=(SURE, UNTIMED)), earlier(latency=(SURE, UNTIMED)), "latency>1.05")
    assert (found.status, found.provider) == ("held", "cpu")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(AFTER, macs=None), "macs is not known now; give --input-shape or --dim"),
        (replace(AFTER, sizes={"x": (1, 64)}), "macs of the baseline is at x 8x64, and here at x 1x64"),
    ],
)
def test_a_count_that_cannot_be_compared_breaks_its_budget(after, said):
    (found,) = judged(report(after=after), earlier(), "macs>1")
    assert found.status == "broken"
    assert said in found.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("speed>1", "--fail-on: there is no budget for 'speed'; use latency, file_bytes, parameters"),
        ("", "there is no budget for ''"),
        ("nodes", "'nodes' is no budget; write it as in nodes>1.05"),
        ("nodes<1", "there is no budget for 'nodes<1'"),
        ("nodes>much", "'nodes>much' is no budget"),
        ("nodes>0", "'nodes>0' is no budget"),
        ("nodes>nan", "'nodes>nan' is no budget"),
        ("nodes>inf", "'nodes>inf' is no budget"),
        ("nodes>1,nodes>2", "nodes has two budgets"),
    ],
)
def test_what_is_no_budget_is_refused(text, said):
    with pytest.raises(BadUsage) as error:
        asked_gate(earlier(), text)
    assert said in str(error.value)


def test_every_key_is_a_number_of_a_report():
    gate = asked_gate(earlier(after=replace(AFTER, activation_bytes=1)), ", ".join(f"{key} > 1.5" for key in KEYS))
    assert [str(budget) for budget in gate.budgets] == [f"{key}>1.5" for key in KEYS]
    assert gate.times
    assert {each.status for each in gate.judged(report(after=replace(AFTER, activation_bytes=1)))} == {"held"}


@pytest.mark.parametrize(
    ("told", "error", "said"),
    [
        ("{", BadInput, "the baseline cannot be read: is no JSON"),
        ("[]", BadInput, "is no report of onnx-prelu; write it with 'check --bench --report FILE.json'"),
        ('{"schema_version": "0"}', BadInput, "is a report of schema version 0, and this onnx-prelu reads 1"),
        ({"after": None}, BadUsage, "has no costs of a second model"),
        ({"latency": None}, BadUsage, "the baseline has no latency that was measured"),
        ({"latency": (UNTIMED,)}, BadUsage, "the baseline has no latency that was measured"),
        ({"after": replace(AFTER, macs=None)}, BadUsage, "the baseline lacks macs; give --input-shape or --dim"),
    ],
)
def test_a_baseline_that_does_not_do_is_refused_with_its_name(told, error, said, tmp_path):
    file = tmp_path / "earlier.json"
    file.write_text(told if isinstance(told, str) else json.dumps(earlier(**told)))
    with pytest.raises(error) as raised:
        asked_gate(file, "latency>1.05,macs>1")
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)


def test_a_baseline_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        asked_gate(tmp_path / "none.json", "nodes>1")


def test_one_without_the_other_is_refused():
    assert asked_gate(None, None) is None
    with pytest.raises(BadUsage, match="add --baseline"):
        asked_gate(None, "nodes>1")
    with pytest.raises(BadUsage, match="add --fail-on"):
        asked_gate(earlier(), None)
