import ml_dtypes
import numpy as np
import pytest

from onnx_prelu.algebra.forms import FORMS, RuntimeSlope, is_special, prove, prove_runtime, spell
from onnx_prelu.algebra.rays import slope
from onnx_prelu.errors import Refused
from tests import independent

DTYPES = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
SLOPES = {
    "mixed": [-0.3, 0.0, 0.25, 1.0, 1.7, 1e-4],
    "below one": [-25.0, -0.3, 0.0, 0.25, 1.0],
    "above one": [1.7, 21.0],
    "zero": [0.0, 0.0],
    "one": [1.0],
    "uniform": [0.375, 0.375],  # LeakyRelu's attribute is a float32
}
#: Which form is right for which slopes: from the mathematics, by hand.
APPLIES = {
    "prelu": set(SLOPES),
    "mirror": set(SLOPES),
    "mirror-mul": set(SLOPES),
    "mirror-min": set(SLOPES),
    "skip": set(SLOPES),
    "skip-outside": set(SLOPES),
    "max": {"below one", "above one", "zero", "one", "uniform"},
    "leakyrelu": {"zero", "one", "uniform"},
    "relu": {"zero"},
    "identity": {"one"},
}


def stored(values, dtype):
    return np.asarray(values).astype(dtype).astype(float)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("slopes", SLOPES)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_gives_its_slope_back(form, slopes, dtype):
    a = stored(SLOPES[slopes], dtype)
    try:
        proof = prove(form, a, dtype)
    except Refused:
        assert form == "skip-short" or slopes not in APPLIES[form]
        return
    assert form == "skip-short" or slopes in APPLIES[form]
    np.testing.assert_array_equal(slope(proof.rays).astype(dtype).astype(float) + np.zeros_like(a), a)


@pytest.mark.parametrize("form", ["prelu", "mirror", "mirror-mul", "mirror-min", "skip", "skip-outside"])
def test_any_slope_comes_back(form):
    """Random slopes over the whole range of public networks, and beyond."""
    a = stored(np.random.default_rng(1).normal(size=5000) * np.geomspace(1e-30, 1e4, 5000), np.float32)
    np.testing.assert_array_equal(slope(prove(form, a, np.float32).rays).astype(np.float32), a)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_computes_prelu(form):
    """The expression itself, run in float64 by numpy with the constants that it stores, against the definition."""
    x = np.concatenate([-np.geomspace(1e-6, 1e3, 50), [0.0], np.geomspace(1e-6, 1e3, 50)])
    for values in SLOPES.values():
        for a in stored(values, np.float32):
            slopes = np.array(a)
            try:
                proof = prove(form, slopes, np.float32)
            except Refused:
                continue
            result = proof.expression(_Numpy(), x, slopes, lambda c: np.float32(c).astype(float))
            np.testing.assert_allclose(result, independent.prelu(x, a), rtol=3e-7 * (1 + abs(a)), atol=0)


class _Numpy:
    def __getattr__(self, op):
        return independent.OPS[op]


EXACT = {
    ("prelu", "mixed"): True,
    ("mirror", "mixed"): True,
    ("mirror-mul", "mixed"): True,
    ("mirror-min", "mixed"): True,
    ("max", "below one"): True,
    ("max", "above one"): True,
    ("leakyrelu", "uniform"): True,
    ("relu", "zero"): True,
    ("identity", "one"): True,
    ("skip", "mixed"): False,
    ("skip", "above one"): False,
    ("skip-outside", "mixed"): False,
}


@pytest.mark.parametrize(("form", "slopes"), EXACT)
def test_exactness_is_derived(form, slopes):
    assert prove(form, stored(SLOPES[slopes], np.float32), np.float32).equal_bits is EXACT[form, slopes]


OPS = {
    ("mirror", "mixed"): "Relu Neg Relu Mul Sub",
    ("mirror-mul", "mixed"): "Relu Mul Relu Mul Add",
    ("mirror-min", "mixed"): "Relu Min Mul Add",
    ("skip", "below one"): "Mul Mul Relu Add",
    ("skip", "above one"): "Mul Relu Sub",
    ("skip", "mixed"): "Mul Mul Relu Mul Add",
    ("skip-outside", "mixed"): "Mul Relu Mul Add",
    ("skip-short", "one"): "Mul Relu Add",
    ("max", "below one"): "Mul Max",
    ("max", "above one"): "Mul Min",
}


@pytest.mark.parametrize(("form", "slopes"), OPS)
def test_ops_are_derived(form, slopes):
    assert " ".join(prove(form, stored(SLOPES[slopes], np.float32), np.float32).ops) == OPS[form, slopes]


REFUSALS = [
    ("max", [0.5, 1.5], "positive-side"),
    ("skip-short", [1.5], "positive-side"),
    ("skip-short", [-0.3], "other-slope"),  # 1 + fl(a − 1) is an ulp off this slope
    ("leakyrelu", [0.1, 0.2], "slope-not-uniform"),
    ("relu", [0.1], "other-slope"),
    ("identity", [0.1], "other-slope"),
]


@pytest.mark.parametrize(("form", "values", "code"), REFUSALS)
def test_refusals(form, values, code):
    with pytest.raises(Refused) as caught:
        prove(form, stored(values, np.float32), np.float32)
    assert caught.value.reason.code == code


def test_a_constant_that_does_not_fit_is_refused():
    """1 − a of float16's largest slope just fits; a slope beyond it, which no file can hold, does not."""
    assert prove("skip", np.array([-65504.0]), np.float16).ops == ("Mul", "Mul", "Relu", "Add")
    with pytest.raises(Refused, match="does not fit"):
        prove("skip", np.array([-65504.0 * 2]), np.float16)


RUNTIME = {"prelu": True, "mirror": True, "mirror-mul": True, "mirror-min": True, "skip-outside": True} | dict.fromkeys(
    ["skip", "skip-short", "max", "leakyrelu", "relu", "identity"], False
)


@pytest.mark.parametrize("form", FORMS)
def test_which_forms_take_a_runtime_slope(form):
    if RUNTIME[form]:
        assert prove_runtime(form, np.float32).ops
    else:
        with pytest.raises(Refused) as caught:
            prove_runtime(form, np.float32)
        assert caught.value.reason.code == "runtime-slope"


def test_spelling():
    a = np.array([0.25])
    assert spell(prove("mirror", a, np.float32), a) == "Sub(Relu(x), Mul(Relu(Neg(x)), c))"
    assert spell(prove_runtime("mirror", np.float32), RuntimeSlope("s")) == "Sub(Relu(x), Mul(Relu(Neg(x)), c))"


@pytest.mark.parametrize(
    ("values", "special"), [([0, 0], True), ([1], True), ([-1, -1], True), ([0, 1], False), ([0.5], False), ([], False)]
)
def test_special_slopes(values, special):
    assert is_special(np.asarray(values, float)) is special
