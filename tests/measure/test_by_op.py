"""Time by op: what is read out of a profile, by hand, and that of a real run."""

import numpy as np
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model
from onnx_prelu.measure.inputs.draw import InputOptions
from onnx_prelu.measure.latency import by_op
from onnx_prelu.measure.latency.by_op import OpTime, profiles
from onnx_prelu.measure.latency.setting import prepared


def kernel(name: str, op: str, start: int, micros: int) -> dict[str, object]:
    return {
        "cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": micros, "args": {"op_name": op},
    }  # fmt: skip


def run(start: int, micros: int) -> dict[str, object]:
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": micros, "args": {}}


@pytest.fixture
def no_warming(monkeypatch):
    monkeypatch.setattr(by_op, "_WARM", 0)


def test_times_are_medians_over_runs_of_all_nodes_of_an_op(no_warming):
    events = [
        run(0, 100), kernel("a", "Conv", 1, 30), kernel("act", "PRelu", 40, 20), kernel("b", "Conv", 61, 10),
        run(200, 100), kernel("a", "Conv", 201, 32), kernel("act", "PRelu", 240, 20), kernel("b", "Conv", 261, 10),
        run(400, 900), kernel("a", "Conv", 401, 800), kernel("act", "PRelu", 1210, 20), kernel("b", "Conv", 1231, 9),
        {"cat": "Session", "name": "SequentialExecutor::Execute", "ts": 401, "dur": 880, "args": {}},
        {"cat": "Node", "name": "a_fence_before", "ts": 401, "dur": 0, "args": {"op_name": "Conv"}},
    ]  # fmt: skip
    profile = by_op._profile("cpu", "net.onnx", events)
    assert (profile.provider, profile.model, profile.runs, profile.reason) == ("cpu", "net.onnx", 3, None)
    assert profile.ops == (
        OpTime("Conv", 2, pytest.approx(0.042), pytest.approx(42 / 62)),
        OpTime("PRelu", 1, pytest.approx(0.020), pytest.approx(20 / 62)),
    )


def test_the_first_runs_do_not_count():
    events = [event for at in range(7) for event in (run(1000 * at, 900), kernel("a", "Relu", 1000 * at, 700 - at))]
    profile = by_op._profile("cpu", "net.onnx", events)
    assert profile.runs == 2
    assert profile.ops == (OpTime("Relu", 1, pytest.approx(0.6945), 1.0),)


def test_what_runs_within_a_node_is_not_counted_twice(no_warming):
    events = [
        run(0, 1000),
        kernel("loop", "Loop", 10, 500), kernel("in", "Mul", 20, 100), kernel("if", "If", 130, 300),
        kernel("deep", "Mul", 140, 200), kernel("after", "Relu", 510, 50), kernel("next", "Relu", 560, 7),
    ]  # fmt: skip
    found = {op.op: (op.nodes, round(op.ms * 1e3)) for op in by_op._profile("cpu", "m", events).ops}
    assert found == {"Mul": (2, 300), "If": (1, 100), "Loop": (1, 100), "Relu": (2, 57)}


def test_an_op_that_some_runs_do_not_reach_counts_as_nothing_there(no_warming):
    events = [
        *(run(0, 90), kernel("a", "Relu", 1, 10), kernel("b", "Abs", 20, 10)),
        *(run(100, 90), kernel("a", "Relu", 101, 10)),
        *(run(200, 90), kernel("a", "Relu", 201, 10)),
    ]
    assert {op.op: op.ms for op in by_op._profile("cpu", "m", events).ops} == {"Relu": pytest.approx(0.01), "Abs": 0.0}


def quiet(_: str) -> None:
    """Progress that nobody looks at."""


def net(op: str) -> Model:
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["":17]> {op} (float[N,16] x) => (float[N,4] y)'
        f"{{ z = Gemm(x, w)  r = {op}(z)  y = Gemm(r, v) }}"
    )
    for name, shape in (("w", (16, 8)), ("v", (8, 4))):
        proto.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    return Model(proto)


def test_a_real_profile_has_the_ops_after_fusion():
    models = [net("Relu"), net("Sin")]
    fused, apart = profiles(models, prepared(models[0], "cpu", InputOptions(), 1), quiet)
    assert (fused.model, apart.model) == ("Relu", "Sin")
    assert {op.op: op.nodes for op in fused.ops} == {"FusedGemm": 1, "Gemm": 1}  # Gemm takes Relu in
    assert {op.op: op.nodes for op in apart.ops} == {"Gemm": 2, "Sin": 1}
    for profile in (fused, apart):
        assert profile.runs == 50
        assert sum(op.share for op in profile.ops) == pytest.approx(1) or all(op.ms == 0 for op in profile.ops)


def test_a_model_that_does_not_run_says_why():
    odd = Model(
        parser.parse_model('<ir_version: 8, opset_import: ["":17]> g (float[2] x) => (float[2] y) { y = Sin(x) }')
    )
    found = profiles([net("Relu"), odd], prepared(net("Relu"), "cpu", InputOptions(), 1), quiet)
    assert [each.ops for each in found] == [(), ()]
    assert found[0].reason == found[1].reason
    assert "x" in found[0].reason


def test_the_reference_evaluator_has_no_profile():
    assert profiles([net("Relu")], prepared(net("Relu"), "reference", InputOptions(), 1), quiet) == ()
