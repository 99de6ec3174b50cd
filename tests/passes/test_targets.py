"""Every target of targets.toml: a model that fits as it is, one that is made to fit, one that a rule refuses."""

import numpy as np
import onnx
import pytest

import onnx_prelu
from onnx_prelu.errors import BadUsage, NotMet
from onnx_prelu.passes.catalogue import FORM_NAMES
from onnx_prelu.passes.choose import misfit
from onnx_prelu.passes.request import TIES, for_target
from onnx_prelu.passes.targets import targets
from tests.activations import LEAKY, MASKS, MAX, MIRROR, PRELU, SKIP, UNIFORM, image, mlp, only_site, parsed
from tests.oracle import assert_close, run

REPEATED = np.broadcast_to(np.array([0.25, -0.5]).reshape(2, 1, 1), (2, 3, 3))
RESIDUAL = {"rest": "y = Add(h, z)", "outputs": "T[N,3] y"}
INT = {"kind": "uint32", "opset": 16}  # unsigned: no Neg, no Relu; slopes on both sides of 1: no Max, no Min
MIXED = [[2], [0]]
AT_RUN_TIME = {"inputs": ", float[2,1,1] a"}
#: target: a model that fits as it is; one that is made to fit, and the form that does; one refused, and by which rule
CASES = {
    "relu-only": (mlp(MIRROR), (mlp(PRELU), "split"), (image(PRELU, MIXED, **INT), "target-op")),
    "nnenum": (mlp("h = Relu(z)"), (mlp(PRELU), "split"), (mlp(PRELU, **RESIDUAL), "target-op")),
    "eran": (image(SKIP), (image(PRELU), "skip-short"), (image(PRELU, **AT_RUN_TIME), "target-op")),
    "marabou": (image(LEAKY), (image(PRELU, UNIFORM), "leakyrelu"), (image(SKIP), "target-constant")),
    "auto-lirpa": (image(MAX), (image(PRELU), "max"), (image(PRELU, MIXED, **INT), "target-op")),
    "rknn": (image(PRELU), (image(MIRROR), "prelu"), (image(PRELU, opset=11), "target-opset")),
    "edge-tpu": (mlp(PRELU), (image(LEAKY), "prelu"), (image(PRELU, MIXED, **INT), "target-constant")),
    "kneron": (image(PRELU), (image(SKIP), "prelu"), (image(MIRROR, kind="bfloat16", opset=13), "target-op")),
    "ascend": (image(PRELU, [0.25]), (image(PRELU), "max"), (image(PRELU, [0.25], kind="double"), "target-type")),
    "vela": (image(PRELU), (image(MIRROR), "prelu"), (image(PRELU, shape="T[1,1,2,3,3]"), "target-rank")),
    "coreml": (image(PRELU), (image(PRELU, REPEATED), "prelu"), (image(PRELU, [0, 1, 2], **INT), "target-constant")),
    "nnapi": (image(PRELU), (image(PRELU, opset=16), "max"), (image(PRELU, MIXED, **INT), "target-opset")),
    "webgpu": (image(LEAKY), (image(PRELU), "skip-short"), (image(PRELU, MIXED, **INT), "target-op")),
    "tensorrt": (image(PRELU), (image(MASKS), "prelu"), (image(PRELU, kind="double"), "target-type")),
}  # fmt: skip


def rewritten(model, **request):
    return onnx_prelu.rewrite(model, check=False, **request)


def ops(model):
    return [node.op_type for node in model.graph.node]


def outputs(model):
    shapes = {v.name: [d.dim_value or 7 for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    rng = np.random.default_rng(1)
    return run(model, {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})


def test_every_target_has_its_three_models():
    assert CASES.keys() == targets().keys()


@pytest.mark.parametrize("name", CASES)
def test_what_fits_stays_as_it_is(name):
    model = CASES[name][0]
    result = rewritten(model, target=name)
    assert result.model.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    assert {site.reason for site in result.report.sites} <= {f"stays: it fits {name}"}
    assert result.report.to == name
    found = onnx_prelu.inspect(model, target=name)
    assert [site.fits for site in found.sites] == [True] * len(found.sites)


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_is_made_to(name):
    model, form = CASES[name][1]
    (before,) = onnx_prelu.inspect(model, target=name).sites
    assert not before.fits
    assert form in before.possible
    result = rewritten(model, target=name)
    assert [site.form for site in result.report.sites] == [form]
    onnx.checker.check_model(result.model, full_check=True)
    assert set(ops(result.model)) <= targets()[name].takes
    assert_close(outputs(model), outputs(result.model))
    again = rewritten(result.model, target=name)
    assert again.model.SerializeToString() == result.model.SerializeToString()


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_fit_is_refused_by_a_rule(name):
    model, code = CASES[name][2]
    with pytest.raises(NotMet, match=f"site 'n_[hy]': no form fits {name}: as it is, {name} ") as caught:
        rewritten(model, target=name)
    (site,) = caught.value.report.sites
    assert (site.form, site.refused) == (None, True)
    assert caught.value.report.exit_code == 1
    (inspected,) = onnx_prelu.inspect(model, target=name).sites
    assert (inspected.fits, inspected.possible) == (False, ())
    assert misfit(*only_site(model), for_target(targets()[name])).code == code


# ── what else can be asked with a target ──────────────────────────────────────────────────────────────────────


def test_your_own_ops_are_a_target():
    result = rewritten(mlp(PRELU), ops=["Gemm", "Max", "Min", "Mul", "Relu", "Add"])
    assert [site.form for site in result.report.sites] == ["split"]
    result = rewritten(image(PRELU), ops=["Max", "Mul"])
    assert ops(result.model) == ["Mul", "Max"]
    with pytest.raises(NotMet, match="no form fits --ops: as it is, --ops is not known to take PRelu"):
        rewritten(image(PRELU), ops=["Max"])


def test_the_cheapest_form_puts_in_the_fewest_nodes():
    """For slopes on both sides of 1, of forms of four nodes the one of equal bits; without Min, the others."""
    mixed = image(PRELU, [[0.3], [1.5]])
    assert rewritten(mixed, target="edge-tpu").report.sites[0].form == "mirror-min"
    assert rewritten(mixed, target="eran").report.sites[0].form == "skip-outside"
    assert rewritten(mixed, target="relu-only").report.sites[0].form == "skip-outside"
    assert rewritten(mixed, ops=["Relu", "Neg", "Mul", "Sub"]).report.sites[0].form == "mirror"
    assert rewritten(mixed, ops=["Relu", "Mul", "Add"], form="mirror-mul").report.sites[0].form == "mirror-mul"
    assert set(TIES) < set(FORM_NAMES)


def test_a_form_that_is_asked_for_comes_first_where_it_fits():
    assert rewritten(mlp(PRELU), target="relu-only", form="mirror").report.sites[0].form == "mirror"
    (site,) = rewritten(mlp(PRELU), target="nnenum", form="mirror").report.sites
    assert (site.form, site.reason) == ("split", "not mirror: nnenum is not known to take Neg")
    with pytest.raises(NotMet, match="--strict: site 'n_h' would take split instead of mirror"):
        rewritten(mlp(PRELU), target="nnenum", form="mirror", strict=True)


def test_a_direction_narrows_a_target_down():
    assert rewritten(image(MIRROR), target="tensorrt", to="prelu").report.sites[0].form == "prelu"
    assert rewritten(image(MIRROR), target="tensorrt").report.sites[0].form is None
    assert rewritten(image(PRELU), target="tensorrt", to="relu").report.sites[0].form == "max"
    assert rewritten(mlp(PRELU), target="tensorrt", to="relu").report.sites[0].form == "split"


def test_a_site_that_fits_is_met_whatever_else_was_asked():
    """There is no PRelu of bfloat16 in opset 13, but what stands there fits."""
    (site,) = rewritten(image(MAX, kind="bfloat16", opset=13), target="rknn", to="prelu").report.sites
    assert (site.form, site.refused, site.fits) == (None, True, True)


def test_the_fold_is_held_to_the_target():
    wide = rewritten(mlp(PRELU), to="relu").model
    assert ops(rewritten(wide, target="tensorrt", to="prelu").model) == ["Gemm", "PRelu", "Gemm"]
    assert onnx_prelu.inspect(wide, target="tensorrt").sites[0].possible == ("fold",)
    assert onnx_prelu.inspect(wide, target="nnenum").sites == ()


def test_nnenum_takes_convolutions_and_no_max_pool():
    body = "z = Conv(x, A)  h = PRelu(z, a)  f = Flatten(h)  y = MatMul(f, V)"
    weights = {"A": np.ones((2, 1, 2, 2)), "a": np.array([[[0.25]], [[-0.5]]]), "V": np.ones((8, 1))}
    model = parsed(body, "T[1,1,3,3] x", "T[1,1] y", weights)
    assert ops(rewritten(model, target="nnenum").model) == ["Conv", "Relu", "Flatten", "MatMul"]
    body = "z = Conv(x, A)  h = PRelu(z, a)  y = MaxPool <kernel_shape = [2, 2]> (h)"
    pooled = parsed(body, "T[1,1,3,3] x", "T[1,2,1,1] y", weights)
    assert "nnenum is not known to take: MaxPool (outside the sites)" in rewritten(pooled, target="nnenum").report.notes


def test_ops_outside_the_sites_are_noted_not_refused():
    model = mlp(PRELU, rest="t = Tanh(h)  y = Gemm(t, V)")
    note = "relu-only is not known to take: Tanh (outside the sites)"
    result = rewritten(model, target="relu-only")
    assert note in result.report.notes
    assert result.report.sites[0].form == "skip-outside"
    notes = onnx_prelu.inspect(model, target="relu-only", dim={"N": 4}).notes
    assert notes == ("relu-only: 0 of 1 sites fit as they are, 1 more can be made to", note)
    cannot = onnx_prelu.inspect(image(PRELU), target="nnenum").notes
    assert cannot == ("nnenum: 0 of 1 sites fit as they are, 1 cannot",)


def test_a_reader_sees_the_rules_in_the_report():
    with pytest.raises(NotMet) as caught:
        rewritten(image(SKIP), target="marabou")
    line = str(caught.value)
    rule = "marabou takes Mul with a constant of shape scalar as input 1 only; here it is [2, 1, 1] as input 0"
    assert line.startswith(f"site 'n_h': no form fits marabou: as it is, {rule}; ")
    assert "; prelu: marabou does not take PRelu" in line
    assert "; split, concat, tied: the activation 'h' is an output of the graph; " in line


CONTRADICTIONS = {
    "unknown": ({"target": "riscv"}, "--target riscv is not known"),
    "both": ({"target": "eran", "ops": ["Relu"]}, "--target and --ops both say what is taken"),
    "no op": ({"ops": []}, "--ops names no op"),
    "misspelled op": ({"ops": ["Rellu"]}, "ONNX has no op Rellu"),
    "to prelu": ({"target": "eran", "to": "prelu"}, "--to prelu is about PRelu, which eran is not known to take"),
    "form prelu": ({"target": "eran", "form": "prelu"}, "--form prelu is about PRelu, which eran is not known"),
    "to fast": ({"target": "eran", "to": "fast"}, "--to fast chooses by time, and a target by what it takes"),
    "slope shape": ({"target": "eran", "slope_shape": "1d"}, "--slope-shape is about PRelu"),
    "form of relu": ({"target": "rknn", "to": "prelu", "form": "split"}, "--form split is a form of --to relu"),
    "form of prelu": ({"target": "rknn", "to": "relu", "form": "prelu"}, "--form prelu is the form of --to prelu"),
    "direction": ({"target": "rknn", "to": "up"}, "--to up is not known"),
    "form": ({"target": "rknn", "form": "up"}, "--form up is not known"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_bad_usage(name):
    request, line = CONTRADICTIONS[name]
    with pytest.raises(BadUsage, match=line):
        rewritten(image(PRELU), **request)
