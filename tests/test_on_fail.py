"""One odd site among ten: it is named, and ``--on-fail refuse-site`` leaves it and rewrites the others."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnx.parser
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.graph.weights import Weight
from onnx_prelu.passes import catalogue, folding
from onnx_prelu.passes.sites import Slope
from tests.oracle import assert_close, run
from tests.strategies import stored
from tests.texts import from_text

SITES, WIDTH, BAD = 10, 4, "act6"


def chain(rng):
    """Ten PRelus, each between two Gemms: z ─► act ─► h."""
    weights = {f"w{layer}": stored(rng, (WIDTH, WIDTH), np.float32) for layer in range(SITES + 1)}
    weights |= {f"a{layer}": rng.uniform(-0.5, 0.9, WIDTH).astype(np.float32) for layer in range(SITES)}
    nodes = []
    for layer in range(SITES):
        nodes.append(helper.make_node("Gemm", [f"h{layer}", f"w{layer}"], [f"z{layer}"], f"fc{layer}"))
        nodes.append(helper.make_node("PRelu", [f"z{layer}", f"a{layer}"], [f"h{layer + 1}"], f"act{layer}"))
    nodes.append(helper.make_node("Gemm", [f"h{SITES}", f"w{SITES}"], ["y"], f"fc{SITES}"))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", WIDTH])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


MODEL = chain(np.random.default_rng(7))
FEEDS = {"h0": np.random.default_rng(8).normal(size=(32, WIDTH)).astype(np.float32)}


def other_slope(site):
    assert site.slope.value is not None
    return replace(site, slope=Slope((site.slope.value + 0.05).astype(np.float32).astype(float)))


def off(plan, like):
    """A plan whose new weight in place of one of that name is 5 % off."""
    name, constant = next((name, each) for name, each in plan.edit.constants.items() if each.like.startswith(like))
    wrong = replace(constant, weight=Weight.of((constant.weight.values() * 1.05).astype(np.float32)))
    return replace(plan, edit=replace(plan.edit, constants={**plan.edit.constants, name: wrong}))


def planted(monkeypatch, how, bad=(BAD,)):
    """Let the planners of one site be wrong: in its slope, or in the rows of the layer before it."""
    split, elementwise = catalogue._SPLITS["split"], catalogue.plan_elementwise

    def wrong_split(draft, site, **where):
        odd = site.node.label in bad
        plan = split(draft, other_slope(site) if odd and how == "slope" else site, **where)
        return off(plan, "w") if odd and how == "rows" else plan

    def wrong_elementwise(form, draft, site, **shape):
        odd = site.node.label in bad and how == "slope"
        return elementwise(form, draft, other_slope(site) if odd else site, **shape)

    monkeypatch.setattr(catalogue, "_SPLITS", {**catalogue._SPLITS, "split": wrong_split})
    monkeypatch.setattr(catalogue, "plan_elementwise", wrong_elementwise)


def failing(**request):
    with pytest.raises(onnx_prelu.CheckFailed) as caught:
        onnx_prelu.rewrite(MODEL, to="relu", providers=["cpu"], **request)
    return caught.value


@pytest.mark.parametrize(
    ("form", "slope_in", "tensor", "node"),
    [
        ("mirror", "consumer", "h7", "act6"),
        ("split", "consumer", "z7", "fc7"),
        ("split", "producer", "z7", "fc7"),
    ],
)
def test_the_bad_site_is_named(monkeypatch, form, slope_in, tensor, node):
    planted(monkeypatch, "slope")
    error = failing(form=form, slope_in=slope_in)
    (check,) = error.report.check
    assert (check.blame.tensor, check.blame.node, check.blame.site) == (tensor, node, BAD)
    assert check.blame.difference > check.blame.allowed >= 0
    assert f"the first tensor that differs is '{tensor}' of node '{node}' by " in str(error)
    assert str(error).endswith(f", at site '{BAD}'")
    told = error.report.to_dict()["check"][0]["blame"]
    assert set(told) == {"tensor", "node", "site", "difference", "allowed"}


@pytest.mark.parametrize(
    ("how", "form", "slope_in"),
    [
        ("slope", "mirror", "consumer"),
        ("slope", "split", "consumer"),
        ("slope", "split", "producer"),
        ("rows", "split", "consumer"),
        ("rows", "split", "producer"),
    ],
)
def test_the_others_are_rewritten(monkeypatch, how, form, slope_in):
    planted(monkeypatch, how)
    result = onnx_prelu.rewrite(
        MODEL, to="relu", form=form, slope_in=slope_in, providers=["cpu"], on_fail="refuse-site"
    )
    assert result.report.passed
    assert result.report.exit_code == 0
    assert [site.form for site in result.report.sites] == [None if n == 6 else form for n in range(SITES)]
    (refused,) = [site for site in result.report.sites if site.refused]
    assert refused.reason.startswith("its check failed: ")
    assert {found: reason.code for found, reason in refused.refusals.items()} == {form: "failed-check"}
    assert f"refused, since the check failed with what they would become: {BAD}" in result.report.notes
    assert_close(run(MODEL, FEEDS), run(result.model, FEEDS))


def test_several_bad_sites_go_one_after_the_other(monkeypatch):
    planted(monkeypatch, "slope", bad=("act2", "act3", "act8"))
    result = onnx_prelu.rewrite(MODEL, to="relu", form="split", providers=["cpu"], on_fail="refuse-site")
    assert [site.node for site in result.report.sites if site.refused] == ["act2", "act3", "act8"]
    assert_close(run(MODEL, FEEDS), run(result.model, FEEDS))


def test_strict_takes_a_refused_site_as_a_failure(monkeypatch):
    planted(monkeypatch, "slope")
    with pytest.raises(onnx_prelu.NotMet, match=f"--strict: site '{BAD}' is refused: its check failed: ") as caught:
        onnx_prelu.rewrite(MODEL, to="relu", providers=["cpu"], on_fail="refuse-site", strict=True)
    assert caught.value.exit_code == 1


def test_where_no_site_is_to_blame_it_fails(monkeypatch):
    """A fault that stays whichever site is refused."""
    planted(monkeypatch, "slope", bad=[f"act{n}" for n in range(SITES)])
    real = onnx_prelu.remake.finish

    def wrong(draft):
        model = real(draft)
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        last = next(tensor for tensor in proto.graph.initializer if tensor.name.startswith(f"w{SITES}"))
        last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last) * np.float32(1.1), last.name))
        return replace(model, proto=proto, raw=None)

    monkeypatch.setattr(onnx_prelu.remake, "finish", wrong)
    report = failing(on_fail="refuse-site").report
    assert report.check[0].blame.site is None
    assert sum(site.refused for site in report.sites) == SITES


def test_requests_that_make_no_sense():
    with pytest.raises(onnx_prelu.BadUsage, match="--on-fail ask is not known; take one of fail, refuse-site"):
        onnx_prelu.rewrite(MODEL, on_fail="ask")
    with pytest.raises(onnx_prelu.BadUsage, match="--on-fail refuse-site would change a model after it is quantized"):
        onnx_prelu.rewrite(MODEL, on_fail="refuse-site", purpose="int8", inputs=FEEDS)
    with pytest.raises(onnx_prelu.BadUsage, match="--on-fail refuse-site has no check to fail"):
        onnx_prelu.rewrite(MODEL, on_fail="refuse-site", check=False)


def test_where_every_site_is_to_blame_the_output_is_the_input(monkeypatch):
    planted(monkeypatch, "slope", bad=[f"act{layer}" for layer in range(SITES)])
    result = onnx_prelu.rewrite(MODEL, to="relu", form="split", providers=["cpu"], on_fail="refuse-site")
    assert result.model == MODEL
    assert "no site could be rewritten for --to relu: the output is the input" in result.report.notes


def test_fast_forgets_the_form_of_a_refused_site(monkeypatch):
    planted(monkeypatch, "slope")
    result = onnx_prelu.rewrite(MODEL, to="fast", tune=False, providers=["cpu"], on_fail="refuse-site")
    assert result.report.passed
    forms = {site.node: site.form for site in result.report.sites if site.form is not None}
    assert result.report.tuning.forms == forms
    assert BAD not in forms


def test_a_refused_fold_is_told(monkeypatch):
    wide = onnx_prelu.rewrite(MODEL, to="relu", form="split", providers=["cpu"]).model
    real = folding.plan_fold

    def wrong(draft, node, **shape):
        plan = real(draft, node, **shape)
        if not node.label.startswith(BAD):
            return plan
        constants = dict(plan.edit.constants)
        name = next(name for name, constant in constants.items() if constant.weight.shape == (WIDTH,))
        constants[name] = replace(constants[name], weight=Weight.of(np.full(WIDTH, 3.0, np.float32)))
        return replace(plan, edit=replace(plan.edit, constants=constants))

    monkeypatch.setattr(folding, "plan_fold", wrong)
    result = onnx_prelu.rewrite(wide, to="prelu", providers=["cpu"], on_fail="refuse-site")
    assert [site.form for site in result.report.sites] == [None if n == 6 else "fold" for n in range(SITES)]
    assert_close(run(MODEL, FEEDS), run(result.model, FEEDS))


def test_on_the_command_line(monkeypatch, tmp_path):
    planted(monkeypatch, "slope")
    onnx.save(MODEL, tmp_path / "in.onnx")
    files = [str(tmp_path / name) for name in ("in.onnx", "out.onnx")]
    settings = ["--provider", "cpu", "--no-bench", "--json"]
    failed = CliRunner().invoke(main, ["rewrite", *files, *settings])
    assert failed.exit_code == 1
    assert f"at site '{BAD}'" in failed.stderr
    done = CliRunner().invoke(main, ["rewrite", *files, *settings, "--on-fail", "refuse-site"])
    assert done.exit_code == 0, done.stderr
    assert [site["node"] for site in json.loads(done.stdout)["sites"] if site["refused"]] == [BAD]
    assert_close(run(MODEL, FEEDS), run(onnx.load(files[1]), FEEDS))


INSIDE = """<ir_version: 8, opset_import: ["": 17, "mine": 1]>
g (float[N,4] x, bool c) => (float[N,4] y) <float[4] a = {0.25, 0.5, -0.5, 0.75}> {
    z = mine.Outer (x)
    u = If (c) <then_branch: graph = then () => (float[N,4] p) { p = PRelu(z, a) },
                else_branch: graph = else () => (float[N,4] q) { q = Neg(z) }>
    v = Neg(u)
    y = PRelu(v, a)
}
<domain: "mine", opset_import: ["": 17, "mine": 1]>
Outer (s) => (t) { t = mine.Inner (s) }
<domain: "mine", opset_import: ["": 17]>
Inner (k) => (n) { b = Constant <value = float[4] {0.25, 0.5, -0.5, 0.75}> ()  m = Neg(k)  n = PRelu(m, b) }
"""


@pytest.mark.parametrize(("bad", "tensor"), [("mine.Inner/n", "z"), ("u/then_branch/p", "u"), ("y", "y")])
def test_sites_inside_of_bodies_and_functions(monkeypatch, bad, tensor):
    model = onnx.parser.parse_model(INSIDE)
    sites = [site.node for site in onnx_prelu.inspect(model).sites]
    assert sorted(sites) == ["mine.Inner/n", "u/then_branch/p", "y"]
    planted(monkeypatch, "slope", bad=(bad,))
    inputs = {"x": np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32), "c": np.array(True)}
    settings = {"to": "relu", "form": "mirror", "providers": ["cpu"], "inputs": inputs}
    with pytest.raises(onnx_prelu.CheckFailed) as caught:
        onnx_prelu.rewrite(model, **settings)
    (check,) = caught.value.report.check
    assert (check.blame.tensor, check.blame.site) == (tensor, bad)
    result = onnx_prelu.rewrite(model, **settings, on_fail="refuse-site")
    assert {site.node: site.form for site in result.report.sites} == {
        name: None if name == bad else "mirror" for name in sites
    }


def test_units_that_got_a_factor_compare(monkeypatch):
    """fold2 puts a factor into the rows before: what they make has another name and another scale."""
    layers = [
        f"z{n} = Conv<kernel_shape=[1, 1]>(s{n}, w)  h{n} = PRelu(z{n}, a)  s{n + 1} = Tanh(h{n})" for n in range(3)
    ]
    body = "  ".join([*layers, "y = Neg(s3)"])
    weights = {"w": (4, 4, 1, 1), "a": np.array([0.9, -0.5, -2.0, 0.5], np.float32).reshape(4, 1, 1)}
    model = from_text(body, "float[1, 4, 6, 6] s0", "float[1, 4, 6, 6] y", weights)
    fold2 = catalogue._PLANNERS["fold2"]

    def wrong(draft, site):
        plan = fold2(draft, site)
        return off(plan, "w") if site.y == "h1" else plan

    monkeypatch.setattr(catalogue, "_PLANNERS", {**catalogue._PLANNERS, "fold2": wrong})
    with pytest.raises(onnx_prelu.CheckFailed) as caught:
        onnx_prelu.rewrite(model, form="fold2", providers=["cpu"])
    assert [site.form for site in caught.value.report.sites] == ["fold2"] * 3
    blame = caught.value.report.check[0].blame
    assert (blame.tensor, blame.site) == ("z1", "n_h1")
