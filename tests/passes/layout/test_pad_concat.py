"""Shortcuts that a Pad fits to more channels."""

import numpy as np
import pytest

from tests.laid_out import assert_same_function, laid_out, ops
from tests.texts import from_text

WEIGHTS = {"w": (48, 3, 1, 1), "b": (48,), "s": (16, 3, 1, 1), "pads": [0, 0, 0, 0, 0, 32, 0, 0]}
BODY = "p = Conv(x, s)  q = Pad(p, pads)  z = Conv(x, w, b)  y = Add(q, z)"


def net(body=BODY, weights=None, outputs="float[2,48,5,4] y", **options):
    return from_text(body, "float[2,3,5,4] x", outputs, {**WEIGHTS, **(weights or {})}, **options)


@pytest.mark.parametrize(
    ("body", "opset"),
    [
        (BODY, 17),
        (BODY.replace("Add(q, z)", "Add(z, q)"), 13),
        (BODY.replace("Pad(p, pads)", "Pad<pads = [0, 0, 0, 0, 0, 32, 0, 0]>(p)"), 9),
        (BODY.replace("Pad(p, pads)", "Pad(p, two, zero, one)"), 18),
        (BODY.replace("(x, w, b)", "(x, w)"), 17),
    ],
    ids=["Pad first", "Conv first", "as attributes", "by axes", "no bias"],
)
def test_a_pad_becomes_a_concat_behind_the_add(body, opset):
    weights = {"two": [0, 32], "one": [1], "zero": np.array(0.0)}
    used = {name: value for name, value in weights.items() if f" {name}" in body}
    result = assert_same_function(net(body, used, opset=opset), "pad-concat", places={"pad-concat:n_y"})
    assert ops(result) == ["Conv", "Conv", "Conv", "Add", "Concat"]
    sizes = sorted(tensor.dims[0] for tensor in result.graph.initializer if len(tensor.dims) == 4)
    assert sizes == [16, 16, 32]


@pytest.mark.parametrize(
    ("body", "weights", "outputs"),
    [
        (BODY, {"pads": [0, 32, 0, 0, 0, 0, 0, 0]}, "float[2,48,5,4] y"),
        (BODY.replace("pads)", "pads, one)"), {"one": np.array(1.0)}, "float[2,48,5,4] y"),
        (BODY.replace("Pad(", 'Pad<mode = "edge">('), {}, "float[2,48,5,4] y"),
        (BODY, {"pads": [0, 0, 0, 0, 0, 24, 0, 0], "w": (40, 3, 1, 1), "b": (40,)}, "float[2,40,5,4] y"),
        (BODY, {"pads": [0, 0, 1, 0, 0, 32, 0, 0], "s": (16, 3, 2, 1)}, "float[2,48,5,4] y"),
        (BODY, {}, "float[2,48,5,4] y, float[2,48,5,4] z"),
        (f"{BODY}  v = Relu(q)", {}, "float[2,48,5,4] y, float[2,48,5,4] v"),
        (BODY.replace("Conv(x, w", "Conv<group = 3>(x, w"), {"w": (48, 1, 1, 1)}, "float[2,48,5,4] y"),
        (BODY.replace("z = Conv(x, w, b)", "k = Conv(x, w, b)  z = Relu(k)"), {}, "float[2,48,5,4] y"),
        (BODY.replace("z = Conv(x,", "g = GlobalAveragePool(x)  z = Conv(g,"), {}, "float[2,48,5,4] y"),
    ],
    ids=["in front", "of ones", "edge", "no whole block", "space too", "the Conv is an output", "the Pad is read",
         "groups", "no Conv", "the Conv is broadcast"],
)  # fmt: skip
def test_what_is_no_such_shortcut_stays(body, weights, outputs):
    model = net(body, weights, outputs)
    assert laid_out(model, "pad-concat") == (model, [])
