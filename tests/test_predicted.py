"""What `inspect` predicts for a site and a form is what rewriting that site alone gives."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnx_prelu
from tests.counts import examples
from tests.passes.test_drawn_bodies import wrapped
from tests.strategies import mlps, nets

MODELS = Path(__file__).parents[1] / "models"
EXACT = ("nodes", "parameters", "weight_bytes", "macs")
SHAPES = {
    "digits_prelu_gemm": {"image": (4, 1, 8, 8)},
    "digits_prelu_matmul": {"image": (4, 1, 8, 8)},
    "digits_prelu_cnn": {"image": (4, 1, 8, 8)},
    "digits_relu": {"image": (4, 1, 8, 8)},
    "digits_relu_wide": {"image": (4, 1, 8, 8)},
}


def assert_as_predicted(model, shapes=None):
    """Every form of every site: the predicted change, and that of the rewritten model; how many there were."""
    compared = 0
    for site in onnx_prelu.inspect(model, input_shape=shapes).sites:
        assert set(site.predicted) == set(site.possible)
        for form, change in site.predicted.items():
            asked = {"to": "prelu"} if form in ("fold", "prelu") else {"to": "relu", "form": form}
            report = onnx_prelu.rewrite(
                model, only=[site.node], check=False, simplify=False, input_shape=shapes, **asked
            ).report
            (choice,) = report.sites
            if choice.form != form:
                continue  # LeakyRelu stays where PRelu is asked for: it is one
            before, after = report.before, report.after
            for name in EXACT:
                old, new = getattr(before, name), getattr(after, name)
                computed = name == "macs" and form == "tied" and change[name] is None  # its columns are made by nodes
                if old is not None and new is not None and not computed:
                    assert change[name] == new - old, (site.node, form, name)
            size = max(before.file_bytes, after.file_bytes)
            assert abs(after.file_bytes - before.file_bytes - change["file_bytes"]) <= 200 + 0.02 * size
            compared += 1
    return compared


@pytest.mark.parametrize("name", SHAPES)
def test_the_models(name):
    assert assert_as_predicted(MODELS / f"{name}.onnx", SHAPES[name]) >= (name != "digits_relu")


@examples(100)
@given(nets())
def test_drawn_networks(model):
    assert_as_predicted(model)


@examples(60)
@given(mlps(dtypes=(np.float32, np.float64)), st.sampled_from(["if", "loop"]), st.tuples(st.booleans(), st.booleans()))
def test_drawn_bodies(mlp, kind, own):
    """Weights that stand around a body, or are read by both of its branches, go only where nothing reads them."""
    assert_as_predicted(wrapped(mlp, kind, own))


def test_a_weight_that_another_layer_reads_stays():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]> g (float[2, 3] x) => (float[2, 3] y)
        <float[3, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[3] a = {0.1, 0.2, 0.3}>
        { h = MatMul(x, w) p = PRelu(h, a) y = MatMul(p, w) }
    """)
    (site,) = onnx_prelu.inspect(model).sites
    # w goes, [w, −w] and its counterpart come, and so does the slope
    assert site.predicted["split"]["parameters"] == 18 + 18 - 9 - 3
    assert site.predicted["split"]["macs"] == 2 * 3 * 3 * 2
    assert site.predicted["mirror"]["macs"] == 0
    assert_as_predicted(model)


@pytest.mark.parametrize(
    ("body", "producer", "consumers"),
    [
        ("h = MatMul(x, w) y = PRelu(h, a)", "MatMul h", ["output y"]),
        ("h = MatMul(x, w) i = Add(h, a) p = PRelu(i, a) y = MatMul(p, w)", "MatMul h", ["MatMul y"]),
        ("p = PRelu(x, a) y = Mul(p, p)", "input x", ["Mul y"]),
        ("h = Tanh(x) y = PRelu(h, a) z = MatMul(y, w)", "Tanh h", ["MatMul z", "output y"]),
        ("h = Add(x, x) p = PRelu(h, a) z = Neg(p) y = Add(p, z)", "Add h", ["Neg z", "Add y"]),
    ],
)
def test_the_neighbours(body, producer, consumers):
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]> g (float[2, 3] x) => (float[2, 3] y)
        <float[3, 3] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9}}, float[3] a = {{0.1, 0.2, 0.3}}> {{ {body} }}
    """)
    (site,) = onnx_prelu.inspect(model).sites
    assert f"{site.producer.op} {site.producer.node}" == producer
    assert [f"{each.op} {each.node}" for each in site.consumers] == consumers


NET = """
    <ir_version: 8, opset_import: ["" : 17]> g (float{} x) => (float[M, 3] y)
    <float[3, 3] w = {{1, 2, 3, 4, 5, 6, 7, 8, 9}}, float[3] a = {{0.1, 0.2, 0.3}}>
    {{ h = MatMul(x, w) y = PRelu(h, a) }}
"""


@pytest.mark.parametrize(
    ("shape", "options", "hint"),
    [
        ("[N, 3]", {}, "--dim N=4"),
        ("[N, 3]", {"dim": {"N": 2}}, ""),
        ("[N, 3]", {"input_shape": {"x": (2, 3)}}, ""),
        ("[?, 3]", {}, "--input-shape x:4,…"),
        ("[2, 3]", {}, ""),
    ],
)
def test_unknown_costs_name_the_option_that_makes_them_known(shape, options, hint):
    report = onnx_prelu.inspect(onnx.parser.parse_model(NET.format(shape)), **options)
    told = [note for note in report.notes if "unknown" in note]
    assert told == ([f"what is unknown depends on the size of the input; fix it: {hint}"] if hint else [])
    assert (report.before.macs is None) == bool(hint)
