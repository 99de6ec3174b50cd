"""One call does what a command does: on paths, protos and graphsurgeon graphs."""

from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

import onnx_prelu
import onnx_prelu.surgeon
from onnx_prelu import remake
from onnx_prelu.measure.latency import start
from onnx_prelu.passes.catalogue import FAST_PLANNERS
from onnx_prelu.passes.choice import Choice
from onnx_prelu.report.write import json_text
from tests.counts import count
from tests.oracle import assert_close, run
from tests.passes.test_refusals import CHAIN, WEIGHTS, model

MODELS = Path(__file__).parents[1] / "models"
GEMM, CNN, RELU = MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_prelu_cnn.onnx", MODELS / "digits_relu.onnx"


def ops(proto):
    return [node.op_type for node in proto.graph.node]


def test_the_main_job():
    result = onnx_prelu.rewrite(GEMM, providers=["cpu"])
    report = result.report.to_dict()
    assert ops(result.model) == ["Flatten", "Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert [site["form"] for site in report["sites"]] == ["split", "split"]
    assert [check["status"] for check in report["check"]] == ["passed"]
    assert (report["before"]["parameters"], report["after"]["parameters"]) == (5098, 13098)
    assert (report["before"]["ops"]["PRelu"], report["after"]["ops"]["Relu"]) == (2, 2)
    assert "latency" not in report
    assert [pair["status"] for pair in report["check"][0]["pairs"]] == ["passed", "passed"]
    assert {site["node"]: (site["both"], site["units"]) for site in report["check"][0]["spread"]} == {
        "act0": (48, 48),
        "act1": (32, 32),
    }


def test_cuda_is_shown_as_not_run_where_it_does_not_run():
    checks = onnx_prelu.rewrite(GEMM).report.check
    assert checks[0].provider == "cpu"
    assert [check.required for check in checks] == [True, False]
    if checks[1].status == "not_run":
        assert checks[1].reason


@pytest.mark.parametrize("kind", ["path", "str", "proto", "graph"])
def test_a_model_is_a_path_a_proto_or_a_graph(kind):
    proto = onnx.load(GEMM)
    source = {"path": GEMM, "str": str(GEMM), "proto": proto, "graph": gs.import_onnx(onnx.load(GEMM))}[kind]
    before = proto.SerializeToString()
    result = onnx_prelu.rewrite(source, form="mirror", providers=["cpu"])
    assert result.report.check[0].max_abs == 0.0
    assert proto.SerializeToString() == before
    feeds = {"image": np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)}
    assert_close(run(proto, feeds), run(result.model, feeds))
    assert [node.op for node in result.graph.nodes] == ops(result.model)


def test_something_else_is_no_model():
    with pytest.raises(onnx_prelu.BadUsage, match="a int is no model"):
        onnx_prelu.rewrite(3)


def test_nothing_to_do_returns_the_input():
    result = onnx_prelu.rewrite(RELU, to="relu")
    assert result.model.SerializeToString() == onnx.load(RELU).SerializeToString()
    assert "nothing to do" in " ".join(result.report.notes)
    assert result.report.passed
    assert result.report.check is None


def test_auto_goes_there_and_back():
    there = onnx_prelu.rewrite(GEMM, providers=["cpu"])
    back = onnx_prelu.rewrite(there.model, providers=["cpu"])
    assert (there.report.to, back.report.to) == ("relu", "prelu")
    assert ops(back.model) == ops(onnx.load(GEMM))
    assert "running it again goes back" in " ".join(there.report.notes)
    partial = onnx_prelu.rewrite(GEMM, only=["act0"], providers=["cpu"])
    assert "running it again goes back" not in " ".join(partial.report.notes)


def test_strict_fails_with_a_report():
    with pytest.raises(onnx_prelu.NotMet, match="--strict: site 'act0' would take mirror instead of max") as caught:
        onnx_prelu.rewrite(GEMM, form="max", strict=True)
    assert caught.value.exit_code == 1
    assert caught.value.report.exit_code == 1
    assert onnx_prelu.rewrite(GEMM, form="mirror", strict=True, check=False).report.passed


def broken(monkeypatch):
    """A rewrite that is wrong: every new weight 1 % off."""
    finish = remake.finish

    def wrong(draft):
        result = finish(draft)
        for tensor in result.proto.graph.initializer:
            if tensor.name.endswith("/split") and tensor.name.startswith("fc1"):
                value = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
                tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        return result

    monkeypatch.setattr(remake, "finish", wrong)


def test_a_failed_check_raises_with_its_report(monkeypatch):
    broken(monkeypatch)
    with pytest.raises(onnx_prelu.CheckFailed, match="failed on cpu") as caught:
        onnx_prelu.rewrite(GEMM, providers=["cpu"])
    assert caught.value.report.check[0].status == "failed"
    assert {pair.node for pair in caught.value.report.check[0].pairs if pair.status == "failed"} == {"act0", "act1"}
    kept = onnx_prelu.rewrite(GEMM, providers=["cpu"], keep_failed=True)
    assert kept.report.exit_code == 1


def test_a_provider_that_is_named_has_to_run():
    with pytest.raises(onnx_prelu.ProviderNotRun) as caught:
        onnx_prelu.rewrite(GEMM, providers=["cpu", "NoSuchExecutionProvider"])
    assert caught.value.exit_code == 3
    assert [check.status for check in caught.value.report.check] == ["passed", "not_run"]


def test_check_and_bench_and_inspect(monkeypatch):
    monkeypatch.setattr(start, "_PROCESSES", 1)
    wide = MODELS / "digits_relu_wide.onnx"
    assert onnx_prelu.check(GEMM, wide, providers=["cpu"]).passed
    assert not onnx_prelu.check(GEMM, RELU, providers=["cpu"]).passed
    report = onnx_prelu.bench(GEMM, GEMM, providers=["cpu"], duration=0.2, dim={"N": 2})
    (latency,) = report.latency
    assert (latency.status, latency.sizes) == ("measured", {"image": (2, 1, 8, 8)})
    assert [each.model for each in report.start] == [str(GEMM)] * 2
    assert report.throughput is report.profile is None
    (site, _) = onnx_prelu.inspect(CNN).sites
    expected = ("split", "split-step", "concat", "tied", "mirror", "mirror-mul", "mirror-min", "skip", "skip-outside")
    assert tuple(form for form in site.possible if form not in FAST_PLANNERS) == expected
    assert site.refusals["max"].code == "positive-side"


def test_check_holds_the_second_model_to_budgets(tmp_path):
    wide = MODELS / "digits_relu_wide.onnx"
    small, large = (onnx_prelu.check(GEMM, second, providers=["cpu"]) for second in (GEMM, wide))
    (tmp_path / "small.json").write_text(json_text(small))
    held = onnx_prelu.check(GEMM, GEMM, providers=["cpu"], baseline=large.to_dict(), fail_on="file_bytes>1,nodes>1")
    assert ([each.status for each in held.budgets], held.exit_code) == (["held", "held"], 0)
    assert held.latency is None
    path = tmp_path / "small.json"
    broken = onnx_prelu.check(GEMM, wide, providers=["cpu"], baseline=path, fail_on="nodes>1,parameters>2")
    assert ([each.status for each in broken.budgets], broken.exit_code) == (["held", "broken"], 1)
    assert broken.failure == (
        "budget parameters>2 is broken: parameters is 2.569 times the baseline's: 13,098 against 5,098; 2 is allowed"
    )


def test_a_budget_of_the_latency_makes_check_bench():
    settings = {"providers": ["cpu"], "duration": 0.1}
    earlier = onnx_prelu.check(GEMM, GEMM, bench=True, **settings).to_dict()
    (found,) = onnx_prelu.check(GEMM, GEMM, baseline=earlier, fail_on="latency>50", **settings).budgets
    assert (found.status, found.provider, found.baseline) == ("held", "cpu", earlier["latency"][0]["after_ms"])
    failed = onnx_prelu.check(GEMM, RELU, baseline=earlier, fail_on="latency>50", **settings)
    assert (failed.latency, failed.budgets[0].status, failed.exit_code) == (None, "not_run", 1)


def test_bench_of_several_in_full(monkeypatch):
    monkeypatch.setattr(start, "_PROCESSES", 1)
    models = (GEMM, RELU, MODELS / "digits_relu_wide.onnx")
    report = onnx_prelu.bench(*models, providers=["cpu"], duration=0.05, batch=(1, 4), profile=True)
    names = [str(model) for model in models]
    assert (report.model, report.against) == (names[0], f"{names[1]}, {names[2]}")
    assert [each.against for each in report.latency] == names[1:]
    assert [(each.batch, each.model) for each in report.throughput] == [(b, name) for b in (1, 4) for name in names]
    assert all(each.per_second > 0 for each in report.throughput)
    assert [each.model for each in report.start] == [each.model for each in report.profile] == names
    assert "PRelu" in {op.op for op in report.profile[0].ops}
    assert report.before is report.after is None


def test_models_that_cannot_be_fed_alike_are_not_timed():
    other = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (double[1, 64] z) => (double[1, 64] y) { y = Relu(z) }'
    )
    with pytest.raises(
        onnx_prelu.BadUsage, match=r"takes z \(double\), and models/digits_prelu_gemm.onnx takes image \(float\)"
    ):
        onnx_prelu.bench("models/digits_prelu_gemm.onnx", other)


@pytest.mark.parametrize("command", [onnx_prelu.check, onnx_prelu.bench])
def test_sizes_that_make_no_sense_are_refused_though_nothing_can_run(command):
    with pytest.raises(onnx_prelu.BadUsage, match="no input of the model has a dimension of that name"):
        command(GEMM, RELU, dim={"nowhere": 2}, providers=["NoSuchExecutionProvider"])


def test_freeze_says_what_it_does_to_the_inputs():
    proto = model(inputs="float[N,4] x, float[4,3] A, float[3] a")
    result = onnx_prelu.rewrite(proto, freeze=True, providers=["cpu"])
    assert [value.name for value in result.model.graph.input] == ["x"]
    assert "no longer inputs of the graph: A, a" in " ".join(result.report.notes)
    assert result.report.check[0].status == "passed"


def test_graphsurgeon_has_the_passes():
    graph = gs.import_onnx(onnx.load(GEMM))
    relu = graph.prelu_to_relu(providers=["cpu"])
    assert [node.op for node in relu.nodes] == ["Flatten", "Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert [node.op for node in graph.nodes].count("PRelu") == 2
    assert [node.op for node in relu.relu_to_prelu(check=False).nodes].count("PRelu") == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", ["split", "mirror", "skip", "max"])
def test_correct_rewrites_pass_the_check(form, dtype):
    """No false alarm: 200 drawn networks for each type, 50 for each form."""
    kind = {np.float32: "float", np.float16: "float16"}[dtype]
    for seed in range(count(50)):
        rng = np.random.default_rng(seed)
        weights = {name: rng.normal(size=value.shape) * rng.choice([0.1, 1.0]) for name, value in WEIGHTS.items()}
        weights["a"] = rng.choice([-0.3, 0.25, 1.7, 0.0, 0.9], 3) if form != "max" else rng.normal(size=3).clip(-3, 1)
        proto = model(CHAIN, f"{kind}[N,4] x", f"{kind}[N,2] y", weights, dtype=dtype)
        choices: tuple[Choice, ...] = onnx_prelu.rewrite(
            proto, form=form, simplify=False, providers=["cpu"], seed=seed
        ).report.sites
        assert [choice.form for choice in choices] == [form]


def test_one_name_is_as_good_as_a_list_of_one():
    done = onnx_prelu.rewrite(CNN, only="act0", also="Abs", providers="cpu", form="mirror")
    assert [site.node for site in done.report.sites] == ["act0"]
    assert [check.provider for check in done.report.check] == ["cpu"]
    assert onnx_prelu.check(CNN, done.model, providers="cpu").passed
    assert [site.node for site in onnx_prelu.inspect(CNN, skip="act0").sites] == ["act1"]


@pytest.mark.parametrize("given", [{}, {"rtol": -1.0}, {"atol": float("inf")}, {"ulp": 3.0}])
def test_what_is_no_tolerance(given):
    with pytest.raises(onnx_prelu.BadUsage, match="is no tolerance for 'y'"):
        onnx_prelu.check(MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_relu_wide.onnx", tol={"y": given})


def test_a_tolerance_for_an_output_decides_there():
    files = MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_relu_wide.onnx"
    (name,) = [output.name for output in onnx.load(files[0]).graph.output]
    assert not onnx_prelu.check(*files, tol={name: {"atol": 0.0, "rtol": 0.0}}).passed
    assert onnx_prelu.check(*files, tol={name: {"rtol": 1e-4}}).check[0].rounding is None
    assert 0 < onnx_prelu.check(*files).check[0].rounding.reached < 1
