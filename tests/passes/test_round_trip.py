"""Split, then fold: the original's weights and structure bit for bit, and the slopes where they are determined."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from tests.constants import assert_bits, constants
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.strategies import mlps, nets

MODELS = Path(__file__).parents[2] / "models"
DETERMINED: Counter[bool] = Counter()


def structure(model):
    """Each node's op, attributes and which node made each of its inputs, by position; names left out."""
    makers = {name: i for i, node in enumerate(model.graph.node) for name in node.output}
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [
        (
            node.op_type,
            node.name.split("/")[0],
            sorted(attribute.SerializeToString() for attribute in node.attribute),
            [makers.get(name, arrays[name].shape if name in arrays else name) for name in node.input],
        )
        for node in model.graph.node
    ]


def assert_round_trip(model, slope_in):
    wide, choices = rewritten(model, form="split", slope_in=slope_in)
    assert {choice.form for choice in choices} == {"split"}
    assert not any(node.op_type == "PRelu" for node in wide.graph.node)
    back, choices = rewritten(wide, to="prelu")
    assert {choice.form for choice in choices} == {"fold"}
    again, _ = rewritten(back, form="split", slope_in=slope_in)
    assert_bits(constants(wide, op=False), constants(again, op=False))
    assert_bits(constants(model, op=False), constants(back, op=False))
    slopes = [value.reshape(-1) for value in constants(model, op=True)]
    loose = sum(int(choice.reason.split("; ")[-1].split()[0]) for choice in choices if "several" in choice.reason)
    found = [value.reshape(-1) for value in constants(back, op=True)]
    differ = sum(int(np.sum(a != b)) for a, b in zip(slopes, found, strict=True))
    assert differ <= loose
    return wide, back, Counter({True: sum(map(len, slopes)) - loose, False: loose})


def assert_structure(model, back):
    """Structure; of slopes the number only, as they come back as one value a unit."""

    def counted(nodes):
        return [
            (op, name, attributes, [int(np.prod(i)) if op == "PRelu" and isinstance(i, tuple) else i for i in inputs])
            for op, name, attributes, inputs in nodes
        ]

    assert counted(structure(back)) == counted(structure(model))


@pytest.mark.parametrize("slope_in", ["consumer", "producer"])
@pytest.mark.parametrize("name", ["digits_prelu_gemm", "digits_prelu_matmul", "digits_prelu_cnn"])
def test_every_network_of_models_comes_back(name, slope_in):
    model = onnx.load(MODELS / f"{name}.onnx")
    _, back, _ = assert_round_trip(model, slope_in)
    assert_structure(model, back)


@examples(500)
@given(mlps(), st.sampled_from(["consumer", "producer"]))
def test_drawn_networks_come_back(model, slope_in):
    wide, back, determined = assert_round_trip(model, slope_in)
    DETERMINED.update(determined)
    assert_structure(model, back)
    x = np.random.default_rng(0).normal(size=(16, model.graph.input[0].type.tensor_type.shape.dim[1].dim_value))
    feeds = {"x": x.astype(np.float32)}
    expected = run(model, feeds)
    assert_close(expected, run(wide, feeds))
    assert_close(expected, run(back, feeds))


@examples(2000)
@given(nets(), st.sampled_from(["consumer", "producer"]))
def test_networks_of_all_kinds_of_layers_come_back(model, slope_in):
    wide, back, _ = assert_round_trip(model, slope_in)
    assert_structure(model, back)
    value = model.graph.input[0].type.tensor_type
    shape = [dim.dim_value for dim in value.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.elem_type)
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(dtype)}
    expected = run(model, feeds)
    assert_close(expected, run(wide, feeds))
    assert_close(expected, run(back, feeds))


def test_most_slopes_are_determined():
    """Runs after the properties above: where several floats give the stored weights, any of them is exact."""
    if DETERMINED:
        assert DETERMINED[False] <= 0.1 * DETERMINED[True]


def test_the_wide_model_made_by_hand_is_what_split_makes():
    """models/digits_relu_wide.onnx was made from the PReLU net by the training script's own numpy."""
    split, _ = rewritten(onnx.load(MODELS / "digits_prelu_gemm.onnx"), form="split")
    assert_bits(constants(onnx.load(MODELS / "digits_relu_wide.onnx"), op=False), constants(split, op=False))


@pytest.mark.parametrize("to", ["relu", "prelu"])
def test_both_directions_are_idempotent(to):
    for path in sorted(MODELS.glob("*.onnx")):
        once, _ = rewritten(onnx.load(path), to=to)
        twice, choices = rewritten(once, to=to)
        assert twice.SerializeToString() == once.SerializeToString()
        assert not any(choice.form or choice.refused for choice in choices)
