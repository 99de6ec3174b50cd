"""--to fast: what it decides, what it must not do, and that a plan makes the same file again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_prelu
from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.tuning import fast
from onnx_prelu.tuning.search import Timed

CNN = Path("models/digits_prelu_cnn.onnx")
GEMM = Path("models/digits_prelu_gemm.onnx")


def conv_net(slopes: np.ndarray, channels: int = 16, sites: int = 2) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    nodes, constants, x = [], [], "x"
    for i in range(sites):
        weight = rng.standard_normal((channels, channels, 3, 3)) / 12
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"w{i}"))
        constants.append(numpy_helper.from_array(slopes.astype(np.float32).reshape(-1, 1, 1), f"s{i}"))
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [f"z{i}"], f"conv{i}", pads=[1] * 4))
        nodes.append(helper.make_node("PRelu", [f"z{i}", f"s{i}"], [f"h{i}"], f"act{i}"))
        x = f"h{i}"
    constants.append(numpy_helper.from_array(rng.standard_normal((8, channels, 3, 3)).astype(np.float32), "w"))
    nodes.append(helper.make_node("Conv", [x, "w"], ["y"], "head"))
    shape = [1, channels, 12, 12]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 10, 10])], constants,
    )  # fmt: skip
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )


def mlp() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    nodes, constants, x = [], [], "x"
    for i in range(3):
        constants.append(numpy_helper.from_array((rng.standard_normal((64, 64)) / 8).astype(np.float32), f"w{i}"))
        constants.append(numpy_helper.from_array(rng.uniform(-0.5, 0.9, 64).astype(np.float32), f"s{i}"))
        nodes.append(helper.make_node("MatMul", [x, f"w{i}"], [f"z{i}"], f"mm{i}"))
        nodes.append(helper.make_node("PRelu", [f"z{i}", f"s{i}"], ["y" if i == 2 else f"h{i}"], f"act{i}"))
        x = f"h{i}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [128, 64]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


MIXED = np.linspace(-0.5, 0.9, 16)


@pytest.fixture(autouse=True)
def newest(monkeypatch):
    """What the heuristic takes the runtime for, whatever is installed."""
    monkeypatch.setattr(fast, "release", lambda: (1, 32))


@pytest.fixture
def times(monkeypatch):
    """Times of models as a function of how often an op stands in them, in place of a clock."""

    def of(**cost: float):
        def timed(models, _setting, _seconds):
            taken = [1 + sum(cost.get(node.op_type, 0) for node in model.proto.graph.node) for model in models]
            return [Timed(each / taken[0], each / taken[0] * 0.99, each / taken[0] * 1.01) for each in taken[1:]]

        monkeypatch.setattr(fast, "_timed", timed)

    return of


def test_what_is_fastest_is_taken_and_told(times):
    times(PRelu=10, Max=1, Mul=1, Relu=3, Add=3)
    report = onnx_prelu.rewrite(conv_net(MIXED), to="fast", budget=5, layout=False).report
    assert [site.form for site in report.sites] == ["max", "max"]
    assert report.tuning.by == "measurement"
    assert report.tuning.forms == {"act0": "max", "act1": "max"}
    assert not report.tuning.kept_input
    told = report.to_dict()["tuning"]
    assert {trial["what"] for trial in told["tried"]} >= {"the heuristic", "max everywhere", "mirror-min everywhere"}
    assert told["runtime"].startswith("ONNX Runtime ")
    assert report.passed


def test_nothing_faster_leaves_the_input(times):
    times(PRelu=1, Max=10, Mul=10, Relu=10, Add=10, LeakyRelu=10)
    model = conv_net(MIXED)
    done = onnx_prelu.rewrite(model, to="fast", budget=5)
    assert done.model == model
    assert done.report.tuning.kept_input
    assert [site.form for site in done.report.sites] == [None, None]


def test_exact_takes_equal_bits_only(times):
    times(PRelu=10, Max=8, Mul=1, Relu=1, Add=1, Min=9)
    report = onnx_prelu.rewrite(conv_net(MIXED), to="fast", budget=5, exact=True, layout=False).report
    assert {site.exactness for site in report.sites} == {"equal bits"}
    assert report.check[0].tolerance is None
    guessed = onnx_prelu.rewrite(conv_net(MIXED), to="fast", tune=False, exact=True, layout=False).report
    assert {site.exactness for site in guessed.sites} == {"equal bits"}


def test_the_heuristic_is_the_same_every_time():
    made = [onnx_prelu.rewrite(conv_net(MIXED), to="fast", tune=False) for _ in range(2)]
    assert made[0].model == made[1].model
    assert made[0].report.tuning.by == "heuristic"
    assert all(site.form for site in made[0].report.sites)


def test_a_plan_is_saved_and_made_again(tmp_path, times):
    times(PRelu=10, Max=1, Mul=1, Relu=3, Add=3)
    plan = tmp_path / "plan.json"
    first = onnx_prelu.rewrite(CNN, to="fast", budget=5, plan=plan)
    saved = json.loads(plan.read_text())
    assert saved["decisions"]["forms"] == {site.node: site.form or "prelu" for site in first.report.sites}
    times(PRelu=1, Max=100, Mul=100, Relu=100, Add=100)
    again = onnx_prelu.rewrite(CNN, to="fast", plan=plan)
    assert again.model == first.model
    assert again.report.tuning.by == "plan"
    with pytest.raises(BadInput, match="was made for another model"):
        onnx_prelu.rewrite(GEMM, to="fast", plan=plan)


def test_a_plan_makes_the_same_on_another_release(tmp_path, monkeypatch):
    plan = tmp_path / "plan.json"
    monkeypatch.setattr(fast, "release", lambda: (1, 26))
    first = onnx_prelu.rewrite(GEMM, to="fast", tune=False, dim={"N": 512}, plan=plan, check=False)
    monkeypatch.setattr(fast, "release", lambda: (1, 32))
    again = onnx_prelu.rewrite(GEMM, to="fast", plan=plan, check=False)
    other = onnx_prelu.rewrite(GEMM, to="fast", tune=False, dim={"N": 512}, check=False)
    assert again.model == first.model != other.model


def test_a_plan_with_layout_rules_and_no_layout_contradict_each_other(tmp_path):
    plan = tmp_path / "plan.json"
    onnx_prelu.rewrite(mlp(), to="fast", tune=False, plan=plan)
    assert json.loads(plan.read_text())["decisions"]["layout"] == ["lift-matmul"]
    with pytest.raises(BadUsage, match="takes the layout rules lift-matmul, and --no-layout forbids them"):
        onnx_prelu.rewrite(mlp(), to="fast", plan=plan, layout=False)


def test_no_plan_is_left_by_a_request_that_is_not_met(tmp_path):
    plan = tmp_path / "plan.json"
    with pytest.raises(onnx_prelu.ProviderNotRun):
        onnx_prelu.rewrite(CNN, to="fast", tune=False, plan=plan, providers=["OpenVINO"])
    assert not plan.exists()


@pytest.mark.parametrize("text", ["", "{}", '{"plan_version": 2}', "[1]"])
def test_what_is_no_plan_is_refused(tmp_path, text):
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    with pytest.raises(BadInput, match=r"is no plan .*remove the file"):
        onnx_prelu.rewrite(CNN, to="fast", plan=plan)


def test_a_file_that_would_grow_too_much_is_not_taken(times, monkeypatch):
    times(PRelu=10)
    monkeypatch.setattr(fast, "SMALL_GROWTH", 0)
    done = onnx_prelu.rewrite(conv_net(MIXED), to="fast", budget=5, max_growth=1.0)
    assert done.report.tuning.kept_input
    guessed = onnx_prelu.rewrite(conv_net(MIXED), to="fast", tune=False, max_growth=1.0)
    assert guessed.report.tuning.kept_input
    assert "--max-growth" in guessed.report.tuning.notes[-1]


@pytest.mark.parametrize(("wish", "said"), [({"budget": 0}, "--budget"), ({"max_growth": 0.5}, "--max-growth")])
def test_wishes_that_make_no_sense(wish, said):
    with pytest.raises(BadUsage, match=said):
        onnx_prelu.rewrite(CNN, to="fast", **wish)


def test_a_provider_that_cannot_run_leaves_the_heuristic():
    with pytest.raises(onnx_prelu.errors.ProviderNotRun) as failure:
        onnx_prelu.rewrite(CNN, to="fast", providers=["OpenVINO"], budget=5)
    tuning = failure.value.report.tuning
    assert tuning.by == "heuristic"
    assert tuning.notes[0].startswith("not tuned, as openvino cannot run it here: ")


def test_several_sizes_are_tuned_for(monkeypatch):
    sizes = []

    def timed(models, setting, _seconds):
        sizes.append(next(iter(setting.inputs[0].values())).shape[0])
        return [Timed(0.5 if sizes[-1] == 1 else 2.2, 0.4, 0.6) for _ in models[1:]]

    monkeypatch.setattr(fast, "_timed", timed)
    report = onnx_prelu.rewrite(GEMM, to="fast", dim={"N": (1, 32)}, budget=5).report
    assert set(sizes) == {1, 32}
    assert report.tuning.kept_input  # twice as fast at 1 and 2.2 times as slow at 32
    assert report.tuning.tried[0]["ratio"] == pytest.approx(1.1**0.5)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"to": "relu", "exact": True}, "--exact has no meaning here: it is about --to fast"),
        ({"to": "prelu", "plan": "p.json"}, "--plan has no meaning here"),
        ({"to": "fast", "form": "max", "plan": "p.json"}, "--plan has no meaning here: --form says the form"),
        ({"tune": False, "layout": False}, "--no-tune, --no-layout has no meaning here"),
        ({"to": "relu", "purpose": "int8"}, "--for int8 chooses the form, and --to relu asks for one"),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(wish, said):
    with pytest.raises(BadUsage, match=said):
        onnx_prelu.rewrite(CNN, **wish)


def test_an_interrupted_search_keeps_no_plan(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fast, "_timed", interrupted)
    plan = tmp_path / "plan.json"
    report = onnx_prelu.rewrite(CNN, to="fast", plan=plan).report
    assert report.tuning.interrupted
    assert not plan.exists()


def test_units_are_watched_under_their_own_names_behind_layout_rules():
    report = onnx_prelu.rewrite(mlp(), to="fast", tune=False).report
    assert report.tuning.layout == ("lift-matmul",)
    assert not any("not known:" in note for note in report.check[0].notes)
