"""Networks of all kinds of layers with zeros, copies and mirrored copies planted in them compute the same narrower."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import onnx_prelu
from tests.counts import examples
from tests.oracle import assert_close, run
from tests.rewriting import rewritten
from tests.strategies import nets

FORMS: Counter[str] = Counter()


def planted(rng, net):
    """The network with some rows and columns zero, or multiples of others, and some slopes alike."""
    model = onnx.ModelProto()
    model.CopyFrom(net)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        matrix = next((stored[name] for name in node.input if name in stored and len(stored[name].dims) > 1), None)
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            bias = stored[node.input[2]] if len(node.input) > 2 else None
            rows = 0 if node.op_type == "Conv" or node.input[0] == matrix.name else 1
            plant(rng, matrix, 1 - rows, None)
            plant(rng, matrix, rows, bias)
        elif node.op_type == "PRelu" and rng.integers(2):
            put(stored[node.input[1]], rng.choice([0, 0.25], stored[node.input[1]].dims))
    return model


def plant(rng, tensor, axis, bias):
    """Perhaps a slice of zeros, or one that is a multiple of another, with its entry of the bias."""
    values = numpy_helper.to_array(tensor).copy()
    slices = np.moveaxis(values, axis, 0)
    one, two = rng.integers(0, len(slices), 2)
    factor = rng.choice([None, None, 0, 1, 2, -0.5])
    if factor is None or (one == two and factor):
        return
    slices[two] = slices[one] * np.float32(factor)
    put(tensor, values)
    if bias is not None and bias.dims[-1] == len(slices) and factor:
        added = numpy_helper.to_array(bias).copy()
        added[..., two] = added[..., one] * np.float32(factor)
        put(bias, added)


def put(tensor, values):
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values).astype(dtype), tensor.name))


@examples(1000)
@given(nets(), st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_planted_goes_and_nothing_else_changes(net, seed, wide):
    model = planted(np.random.default_rng(seed), net)
    if wide:
        model, _ = rewritten(model, form="split")
    result = onnx_prelu.rewrite(model, to="prelu", providers=["cpu"])
    value = model.graph.input[0].type.tensor_type
    shape, dtype = [dim.dim_value for dim in value.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(value.elem_type)
    feeds = {"x": np.random.default_rng(0).normal(size=shape).astype(dtype)}
    assert_close(run(model, feeds), run(result.model, feeds))
    if not any("proven" in note for note in result.report.notes):  # beside such a site, none is run alone
        assert not [note for note in result.report.notes if "small model" in note]
    assert rewritten(result.model, to="prelu")[0].SerializeToString() == result.model.SerializeToString()
    FORMS.update(site.form for site in result.report.sites if site.narrowing)


def test_much_was_planted():
    """Runs after the property above."""
    if FORMS:
        assert min(FORMS["fold"], FORMS["reduce"]) >= 5
