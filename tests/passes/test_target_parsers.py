"""Results loaded by the targets' own parsers, where they are installed.

Marabou's is in the package maraboupy. auto_LiRPA of the package index needs a PyTorch that no current Python has,
onnx2tf brings TensorFlow, nnenum and ERAN are not on the index, and the others are no Python packages.
"""

import numpy as np
import onnx
import pytest

import onnx_prelu
from tests.activations import LEAKY, PRELU, UNIFORM, image, mlp

pytestmark = [pytest.mark.targets, pytest.mark.filterwarnings("ignore::UserWarning")]


@pytest.fixture(scope="module")
def marabou():
    return pytest.importorskip("maraboupy.Marabou", reason="maraboupy is not installed: pip install maraboupy")


def loaded(marabou, model, folder):
    path = folder / "model.onnx"
    onnx.save(model, path)
    return marabou.read_onnx(str(path))


MADE = {
    "split": mlp(PRELU, inputs="T[1,4] x"),
    "leakyrelu": image(PRELU, UNIFORM),
    "as it is": image(LEAKY),
}


@pytest.mark.parametrize("name", MADE)
def test_marabou_reads_what_is_made_for_it(name, marabou, tmp_path):
    model = onnx_prelu.rewrite(MADE[name], target="marabou").model
    network = loaded(marabou, model, tmp_path)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    (expected,) = network.evaluateWithoutMarabou([x])
    (found,) = network.evaluateWithMarabou([x])
    np.testing.assert_allclose(found, np.asarray(expected).reshape(np.shape(found)), atol=1e-4)


@pytest.mark.parametrize("name", ["split", "leakyrelu"])
def test_marabou_does_not_read_what_was_there(name, marabou, tmp_path):
    with pytest.raises(NotImplementedError, match="Operation PRelu not implemented"):
        loaded(marabou, MADE[name], tmp_path)
