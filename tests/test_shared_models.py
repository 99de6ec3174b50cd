"""Real models made by others, where the folder with them stands beside the repository."""

from pathlib import Path

import onnx
import pytest

import onnx_prelu
from onnx_prelu.graph.model import load, save

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
