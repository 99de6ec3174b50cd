"""Static quantization, and what it leaves of the signal."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from onnx_prelu.graph.model import load
from onnx_prelu.measure.inputs.samples import samples
from onnx_prelu.measure.inputs.spec import specs
from onnx_prelu.measure.int8.quantize import quantized, sqnr
from onnx_prelu.measure.providers.runner import Runner

CNN = load("models/digits_prelu_cnn.onnx")
FEEDS = samples(Path("models/digits_test.npz"), specs(CNN.proto), batch=15)


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, feed)
    return result


def test_a_quantized_model_computes_nearly_the_same_in_int8():
    before = CNN.proto.SerializeToString()
    small = quantized(CNN, FEEDS[:10])
    ops = {node.op_type for node in small.proto.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= ops
    assert {tensor.data_type for tensor in small.proto.graph.initializer} >= {onnx.TensorProto.INT8}
    wanted, found = run(CNN.proto, FEEDS[20]), run(small.proto, FEEDS[20])
    assert 0 < np.max(np.abs(found - wanted)) < 0.1 * np.max(np.abs(wanted))
    assert CNN.proto.SerializeToString() == before


class Fixed(Runner):
    def __init__(self, *outputs: np.ndarray) -> None:
        self.values = list(outputs)
        self.outputs = tuple(f"y{i}" for i in range(len(outputs)))

    def run(self, feeds: object) -> list[np.ndarray]:
        return self.values


@pytest.mark.parametrize(
    ("signal", "noisy", "db"),
    [
        ([3.0, 4.0], [3.0, 4.5], 20.0),  # 25 over 0.25
        ([3.0, 4.0], [3.0, 4.0], np.inf),
        ([0.0, 0.0], [1.0, 0.0], -np.inf),
    ],
)
def test_sqnr_is_signal_over_noise_in_db(signal, noisy, db):
    assert sqnr(Fixed(np.array(signal)), Fixed(np.array(noisy)), [{}, {}]) == db


def test_sqnr_is_that_of_the_worst_output():
    one, good, bad = np.ones(4), np.full(4, 1.01), np.full(4, 1.1)
    assert sqnr(Fixed(one, one), Fixed(good, bad), [{}]) == pytest.approx(20)


@pytest.mark.parametrize(("opset", "scales"), [(12, 1), (13, 16)])
def test_from_opset_13_on_each_channel_has_a_scale(opset, scales):
    proto = onnx.ModelProto()
    proto.CopyFrom(CNN.proto)
    proto.opset_import[0].version = opset
    small = quantized(load(proto), FEEDS[:2]).proto
    weight = next(tensor for tensor in small.graph.initializer if tensor.data_type == onnx.TensorProto.INT8)
    (reader,) = (node for node in small.graph.node if weight.name in node.input)
    (scale,) = (tensor for tensor in small.graph.initializer if tensor.name == reader.input[1])
    assert np.prod(scale.dims, dtype=int) == scales
