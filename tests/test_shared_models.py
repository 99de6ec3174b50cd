"""Real models made by others, where the folder with them stands beside the repository."""

from pathlib import Path

import onnx
import pytest

import onnx_prelu
from onnx_prelu.graph.model import load, save
from onnx_prelu.graph.walk import within
from onnx_prelu.passes.catalogue import FAST_PLANNERS
from tests.constants import assert_bits, constants
from tests.counts import FULL
from tests.returned import assert_returned

FOLDER = Path(__file__).parents[2] / "shared" / "models"
MODELS = sorted(FOLDER.glob("*.onnx"))
pytestmark = pytest.mark.skipif(not MODELS, reason="there is no folder ../shared/models with the real models")


def holds_prelu(path):
    return any(node.op_type == "PRelu" for node in onnx.load(path, load_external_data=False).graph.node)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_untouched_models_are_saved_byte_for_byte(path, tmp_path):
    report = onnx_prelu.inspect(path)
    prelus = sum(node.op_type in ("PRelu", "LeakyRelu") for node in onnx.load(path).graph.node)
    assert len([site for site in report.sites if site.possible != ("fold",)]) == prelus
    save(load(path), tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", [path for path in MODELS if holds_prelu(path)], ids=lambda path: path.stem)
def test_mirror_is_equal_in_bits_on_real_models(path):
    result = onnx_prelu.rewrite(path, to="relu", form="mirror", providers=["cpu"])
    assert {site.form for site in result.report.sites} == {"mirror"}
    assert {site.exactness for site in result.report.sites} == {"equal bits"}
    (check,) = result.report.check
    assert (check.status, check.max_abs, check.tolerance) == ("passed", 0.0, None)
    assert not any(node.op_type == "PRelu" for node in result.model.graph.node)
    assert [pair.status for pair in check.pairs] == ["passed"] * len(result.report.sites)


#: How many sites take split; the others are refused: MaxPool, residual Adds and outputs stand behind them.
SPLIT = {
    "gtcrn": (6, 15),
    "gtcrn_simple": (6, 15),
    "mediapipe_face_landmark": (0, 23),
    "minifasnet_v2": (33, 33),
    "mnist_leaky": (6, 6),
    "mtcnn_onet": (2, 5),
    "mtcnn_pnet": (2, 3),
    "mtcnn_rnet": (2, 4),
    "prelu_channel": (0, 1),
    "prelu_scalar": (0, 1),
}


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("path", [path for path in MODELS if path.stem in SPLIT], ids=lambda path: path.stem)
def test_split_is_checked_on_real_models_and_comes_back_bit_for_bit(path, slope_in):
    wide = onnx_prelu.rewrite(path, to="relu", form="split", slope_in=slope_in, providers=["cpu"])
    forms = [site.form for site in wide.report.sites]
    assert (forms.count("split"), len(forms)) == SPLIT[path.stem]
    (check,) = wide.report.check
    assert (check.status, {pair.status for pair in check.pairs}) == ("passed", {"passed"})
    back = onnx_prelu.rewrite(wide.model, to="prelu", check=False).model
    model = onnx.load(path)
    assert_bits(constants(model, op=False), constants(back, op=False))
    if path.stem != "mnist_leaky":  # a LeakyRelu has no slope tensor
        for before, after in zip(constants(model, op=True), constants(back, op=True), strict=True):
            assert (before.reshape(-1) == after.reshape(-1)).all()


#: gtcrn is gtcrn_simple before it was simplified, with four times as many nodes; it takes minutes.
SOME = [path for path in MODELS if FULL or path.stem != "gtcrn"]


def forms_of(sites, number):
    """The forms that apply to a model; one of them, another one for each model, where not all tests run."""
    others = {"prelu", "relu", "identity", "fold", *FAST_PLANNERS}  # those for speed have tests of their own
    forms = sorted({form for site in sites for form in site.possible} - others)
    return forms if FULL or not forms else [forms[number % len(forms)]]


def ops(model):
    return [node.op_type for graph in within(model.graph) for node in graph.node]


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_every_form_that_applies_is_checked_on_real_models_and_comes_back(path):
    model, sites = onnx.load(path), onnx_prelu.inspect(path).sites
    slopes = [value.reshape(-1) for value in constants(model, op=True)]
    for form in forms_of(sites, MODELS.index(path)):
        result = onnx_prelu.rewrite(path, to="relu", form=form, providers=["cpu"])
        expected = [form if form in site.possible else "mirror" for site in sites]
        assert [site.form for site in result.report.sites] == expected
        (check,) = result.report.check
        assert (check.status, {pair.status for pair in check.pairs}) == ("passed", {"passed"}), form
        assert ops(result.model).count("PRelu") == 0
        assert ops(result.model).count("LeakyRelu") == expected.count("leakyrelu")
        back = onnx_prelu.rewrite(result.model, to="prelu", check=False).model
        assert ops(back).count("PRelu") + ops(back).count("LeakyRelu") == len(sites)
        found = [value.reshape(-1) for value in constants(back, op=True)]
        if "leakyrelu" in expected or path.stem == "mnist_leaky":  # a LeakyRelu has no slope tensor
            found = slopes
        assert_returned(form, constants(model, op=False), constants(back, op=False), slopes, found)


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_to_relu_leaves_no_prelu_but_at_refused_sites(path):
    result = onnx_prelu.rewrite(path, to="relu", providers=["cpu"])
    assert [check.status for check in result.report.check] == ["passed"]
    refused = sum(site.refused for site in result.report.sites)
    assert ops(result.model).count("PRelu") + ops(result.model).count("LeakyRelu") == refused == 0


@pytest.mark.parametrize("path", [path for path in MODELS if path.stem in ("mtcnn_onet", "mtcnn_rnet")])
def test_marabou_takes_a_max_pool_behind_a_split_of_its_own(path):
    """A MaxPool stands behind the first sites, a Transpose and a Flatten behind the next."""
    report = onnx_prelu.rewrite(path, target="marabou", providers=["cpu"]).report
    forms = [site.form for site in report.sites]
    assert forms == ["split-step"] * (len(forms) - 2) + ["split"] * 2
    assert {pair.status for pair in report.check[0].pairs} == {"passed"}
