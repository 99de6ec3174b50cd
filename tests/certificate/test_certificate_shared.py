"""Certificates of every covered form on real models, where the folder with them stands beside the repository."""

import json
from pathlib import Path

import onnx
import pytest

import onnx_prelu
from onnx_prelu.certificate.verify import verify
from tests.certificate.certified import ELEMENTWISE, FAST, WIDE
from tests.counts import FULL

FOLDER = Path(__file__).parents[3] / "shared" / "models"
MODELS = [
    path
    for path in sorted(FOLDER.glob("*.onnx"))
    if any(node.op_type == "PRelu" for node in onnx.load(path, load_external_data=False).graph.node)
]
pytestmark = pytest.mark.skipif(not MODELS, reason="there is no folder ../shared/models with the real models")


@pytest.mark.parametrize("form", [*ELEMENTWISE, *WIDE, *FAST] if FULL else ("skip", "split", "concat", "poolsplit"))
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_certificates_of_real_models_verify(path, form):
    if not FULL and path.stem not in ("mtcnn_rnet", "prelu_channel", "gtcrn_simple"):
        pytest.skip("a larger model: ONNX_PRELU_FULL=1 runs it")
    to = "fast" if form in FAST else "relu"
    result = onnx_prelu.rewrite(path, to=to, form=form, check=False, certificate=True)
    assert verify(json.loads(json.dumps(result.certificate)), onnx.load(path), result.model)
    back = onnx_prelu.rewrite(result.model, to="prelu", check=False, certificate=True)
    assert verify(back.certificate, result.model, back.model)
