"""Readers of a tensor: each reading counts once, and goes with its node or with the body that released it."""

import onnx.parser

from onnx_prelu.graph.index import Index, Use

TEXT = """<ir_version: 8, opset_import: ["" : 17]> g (float[4] x, bool c) => (float[4] y, float[4] d) {
    d = Add(x, x)
    y = If (c) <
        then_branch = t () => (float[4] o) { o = Mul(x, x) },
        else_branch = e () => (float[4] p) { p = Neg(x) }
    >
}"""


def test_every_reading_is_one_use_and_every_body_one_more():
    index = Index(onnx.parser.parse_model(TEXT).graph)
    add, branch = index.nodes()
    uses = [Use(add, 0), Use(add, 1), Use(branch, None, 0), Use(branch, None, 1)]
    assert list(index.uses("x")) == uses
    index.release(branch, 1, "x")
    assert list(index.uses("x")) == uses[:3]
    index.remove(add)
    assert list(index.uses("x")) == uses[2:3]
    index.remove(branch)
    assert not index.uses("x")
    assert not index.is_read("x")
    index.add(add)
    assert list(index.uses("x")) == uses[:2]
    assert index.maker["d"] is add
