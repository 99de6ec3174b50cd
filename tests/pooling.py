"""Networks with an activation before a MaxPool, and their rewrite, for tests of pool, poolsplit and ext0."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from onnx_prelu.graph.draft import Draft
from onnx_prelu.graph.edit import finish
from onnx_prelu.graph.model import load
from onnx_prelu.passes.alone import sites_alone
from onnx_prelu.passes.choose import Policy
from onnx_prelu.passes.engine import Scope, rewrite_sites
from tests.oracle import assert_close, run
from tests.texts import feeds, from_text

MIXED = ("poolsplit", "poolsplit-padded", "ext0")


def slopes(negative, positive, rng=None):
    """So many slopes below 0 and not below 0, in random order; some are 0, 1 and above 1."""
    rng = rng or np.random.default_rng(3)
    high = rng.choice([0.0, 0.25, 1.0, 1.5, 0.7], positive)
    return rng.permutation(np.concatenate([-rng.uniform(0.1, 1.4, negative), high]))


def net(a, middle="p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (h)", tail="y = Conv(p, V)", **changes):
    """Conv, PRelu, MaxPool, and a layer or more behind it."""
    channels = len(a)
    weights = {
        "A": (channels, 3, 3, 3), "b": (channels,), "a": np.reshape(a, (-1, 1, 1)), "V": (4, channels, 2, 2),
        **changes.pop("weights", {}),
    }  # fmt: skip
    body = changes.pop("body", f"z = Conv(x, A, b)  h = PRelu(z, a)  {middle}  {tail}")
    read = {word for line in body.split("(")[1:] for word in line.split(")")[0].replace(",", " ").split()}
    inputs = changes.pop("inputs", "float[2,3,9,9] x")
    outputs = changes.pop("outputs", "float[N,C,H,W] y")
    return from_text(body, inputs, outputs, {name: w for name, w in weights.items() if name in read}, **changes)


def put(model, *forms, **draft):
    """Rewrite by these forms in order of preference; every site that changes is compared alone as well."""
    bench = Draft(load(model), **draft)
    decided = rewrite_sites(bench, Policy(forms), Scope())
    result = finish(bench)
    onnx.checker.check_model(result.proto, full_check=True)
    plans = [plan for plan, _ in decided if plan is not None]
    pairs = list(sites_alone(bench, plans, result))
    assert len(pairs) == len(plans)
    for pair in pairs:
        x = feeds(pair.before.proto, seed=1)
        assert [value.name for value in pair.after.proto.graph.input] == list(x)
        before, after = run(pair.before.proto, x), run(pair.after.proto, x)
        assert all(value.size for value in before)
        assert_close(before, after)
    return result.proto, [choice for _, choice in decided]


def ops(model):
    return [node.op_type for node in model.graph.node]


def tensors(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
