"""What a timing says of times that are given, and that a real run says it in full. Nothing asserts how fast it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model
from onnx_prelu.measure.inputs.draw import InputOptions
from onnx_prelu.measure.latency import setting
from onnx_prelu.measure.latency.bench import Latency, bench
from onnx_prelu.measure.providers.runner import CannotRun, Runner


def model(text: str) -> Model:
    proto = parser.parse_model(f'<ir_version: 8, opset_import: ["":17]>\n{text}')
    proto.graph.initializer.append(numpy_helper.from_array(np.eye(16, dtype=np.float32), "w"))
    return Model(proto)


SMALL = model("g (float[N,16] x) => (float[N,16] y) { z = MatMul(x, w)  y = Relu(z) }")
OTHER = model("g (float[N,16] x) => (float[N,16] y) { z = MatMul(x, w)  y = Abs(z) }")


@pytest.fixture(scope="module")
def measured() -> Latency:
    (latency,) = bench(SMALL, OTHER, providers=["cpu"], options=InputOptions(input_shape={"x": (3, 16)}), duration=0.2)
    return latency


def test_a_measurement_is_complete(measured: Latency):
    assert (measured.status, measured.provider, measured.required, measured.threads) == ("measured", "cpu", True, 1)
    assert measured.reason is None
    assert measured.sizes == {"x": (3, 16)}
    assert measured.rounds >= 5
    assert len(measured.times_before_ms) == len(measured.times_after_ms) == measured.pairs >= 2 * measured.rounds
    assert measured.verdict in ("faster", "slower", "no difference")


def test_the_numbers_follow_from_the_times(measured: Latency):
    before, after = np.array(measured.times_before_ms), np.array(measured.times_after_ms)
    assert measured.before_ms == np.median(before) > 0
    assert measured.after_ms == np.median(after) > 0
    assert measured.ratio == pytest.approx(np.median(after / before))
    assert measured.ci_low <= measured.ratio <= measured.ci_high
    again = np.array(measured.times_again_ms) / before
    assert measured.noise >= max(np.median(again), 1 / np.median(again)) - 1


def test_several_models_are_timed_in_one_run_against_the_first():
    found = bench(SMALL, OTHER, SMALL, providers=["cpu"], duration=0.05)
    assert [each.status for each in found] == ["measured"] * 2
    assert found[0].times_before_ms == found[1].times_before_ms
    assert found[0].times_again_ms == found[1].times_again_ms
    assert found[0].times_after_ms != found[1].times_after_ms
    assert [each.against for each in found] == ["g", "g"]


def test_one_that_cannot_run_is_told_of_all():
    refused = model("g (double[N,16] x) => (double[N,16] y) { y = nowhere.Op(x) }")
    found = bench(SMALL, OTHER, refused, providers=["cpu"], duration=0.05)
    assert [each.status for each in found] == ["not_run"] * 2
    assert found[0].reason == found[1].reason


def test_to_dict_is_json(measured: Latency):
    found = measured.to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["sizes"] == {"x": [3, 16]}
    assert found["times_before_ms"] == pytest.approx(measured.times_before_ms, rel=1e-3)
    assert {"provider", "status", "reason", "before_ms", "after_ms", "ratio", "ci_low", "ci_high", "noise"} <= set(
        found
    )
    assert {"verdict", "threads", "required", "pairs", "outliers"} <= set(found)


def test_progress_goes_from_nothing_to_all():
    seen: list[str] = []
    bench(SMALL, SMALL, providers=["cpu"], duration=0.05, progress=seen.append)
    assert (seen[0], seen[-1]) == ("bench on cpu 0 %", "bench on cpu 100 %")
    shares = [int(line.split()[-2]) for line in seen]
    assert shares == sorted(shares)


def test_a_provider_that_is_missing_is_not_run():
    (latency,) = bench(SMALL, OTHER, providers=["NoSuchExecutionProvider"], duration=0.05)
    assert (latency.status, latency.required, latency.verdict, latency.ratio) == ("not_run", True, None, None)
    assert "NoSuch" in latency.reason
    assert latency.to_dict()["before_ms"] is None


def test_a_model_that_takes_other_inputs_is_not_run():
    (latency,) = bench(SMALL, model("g (float[N,16] z) => (float[N,16] y) { y = MatMul(z, w) }"), providers=["cpu"])
    assert latency.status == "not_run"
    assert "z" in latency.reason


@pytest.mark.parametrize("which", [0, 1])
def test_a_model_that_cannot_run_is_not_run(which):
    refused = model("g (double[N,16] x) => (double[N,16] y) { y = nowhere.Op(x) }")
    models = [SMALL, SMALL]
    models[which] = refused
    (latency,) = bench(*models, providers=["cpu"], duration=0.05)
    assert latency.status == "not_run"
    assert latency.reason


def test_what_is_not_asked_for_and_missing_is_not_required(monkeypatch):
    def refuse(*_: object, **__: object) -> Runner:
        raise CannotRun("no device")

    monkeypatch.setattr(setting, "open_runner", refuse)
    found = [(latency.provider, latency.required, latency.status) for latency in bench(SMALL, OTHER)]
    assert found == [("cpu", True, "not_run"), ("cuda", False, "not_run")]


def latency(ratio: float, low: float, high: float, verdict: str, **more: object) -> Latency:
    values = {"before_ms": 1.0, "after_ms": ratio, "noise": 0.019, "detectable": 0.028, **more}
    return Latency("cpu", "measured", True, 1, 3.0, ratio=ratio, ci_low=low, ci_high=high, verdict=verdict, **values)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (latency(0.617, 0.602, 0.633, "faster"), "1.62x faster [1.58, 1.66] on CPU, 1 thread"),
        (latency(1.2, 1.1, 1.31, "slower"), "1.20x slower [1.10, 1.31] on CPU, 1 thread"),
        (latency(0.96, 0.95, 0.98, "faster"), "1.042x faster [1.020, 1.053] on CPU, 1 thread"),
        (
            latency(0.998, 0.985, 1.012, "no difference"),
            "no difference on CPU, 1 thread (ratio 0.998 [0.985, 1.012], noise ±1.9 %); --duration 20 resolves less",
        ),
        (
            latency(1.002, 0.999, 1.005, "no difference", noise=0.01, detectable=0.012),
            "no difference on CPU, 1 thread (ratio 1.002 [0.999, 1.005], noise ±1.0 %)",
        ),
        (
            Latency("cuda", "not_run", False, 1, 3.0, reason="no CUDA device was found"),
            "not run on CUDA: no CUDA device was found",
        ),
        (
            Latency("DmlExecutionProvider", "not_run", True, 4, 3.0, reason="unknown"),
            "not run on DmlExecutionProvider: unknown",
        ),
    ],
)
def test_sentences(result, sentence):
    assert result.sentence() == sentence


def test_what_the_second_is_compared_with_the_first():
    assert latency(0.617, 0.602, 0.633, "faster").change() == "1.62x faster [1.58, 1.66]"
    assert latency(0.998, 0.985, 1.012, "no difference").change() == "no difference, ratio 0.998 [0.985, 1.012]"


def test_threads_are_named():
    result = replace(latency(1.0, 0.9, 1.1, "no difference"), threads=4, duration=30.0)
    assert "on CPU, 4 threads" in result.sentence()
    assert "--duration 120" in result.sentence()
