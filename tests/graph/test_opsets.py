import onnx
import onnx.parser
import pytest

from onnx_prelu.errors import BadInput
from onnx_prelu.graph.model import load

HEAD = '<ir_version: 8, opset_import: ["" : 17, "other" : 1]>'
BODY = "g (float[2] x, bool c) => (float[2] y)"


def _model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


KNOWN = {
    "standard ops": HEAD + BODY + "{ y = Relu(x) }",
    "another domain is the runtime's business": HEAD + BODY + "{ y = other.Whatever(x) }",
    "deprecated, but known": '<ir_version: 4, opset_import: ["" : 10]>' + BODY + "{ s = Shape(x) y = Upsample(x, s) }",
    "a function of the model's own": HEAD
    + BODY
    + '{ y = Mine(x) } <opset_import: ["" : 17], domain: "">  Mine (a) => (b) { b = Relu(a) }',
    "its domain spelled out": '<ir_version: 8, opset_import: ["ai.onnx" : 17]>' + BODY + "{ y = ai.onnx.Relu(x) }",
    "an op set of the future, ops of today": '<ir_version: 8, opset_import: ["" : 12345]>' + BODY + "{ y = Relu(x) }",
    "a function with an op set of its own": HEAD
    + BODY
    + '{ y = other.F(x) } <opset_import: ["" : 20], domain: "other">  F (a) => (b) { b = Gelu(a) }',
}


@pytest.mark.parametrize("name", KNOWN)
def test_known(name):
    assert load(_model(KNOWN[name])).proto == _model(KNOWN[name])


UNKNOWN = {
    "misspelled": (HEAD + BODY + "{ [n] y = ReLU(x) }", ["'n'", "ReLU"]),
    "unnamed nodes go by their output": (HEAD + BODY + "{ y = ReLU(x) }", ["'y'", "ReLU"]),
    "its domain spelled out": (
        '<ir_version: 8, opset_import: ["ai.onnx" : 17]>' + BODY + "{ [n] y = ai.onnx.ReLU(x) }",
        ["'n'", "ReLU"],
    ),
    "newer than the op set": (HEAD + BODY + "{ [n] y = Gelu(x) }", ["'n'", "Gelu", "op set 17"]),
    "an op set newer than onnx": (
        '<ir_version: 8, opset_import: ["" : 12345]>' + BODY + "{ [n] y = Novel(x) }",
        ["'n'", "Novel", "op set 12345", f"op set {onnx.defs.onnx_opset_version()}", "upgrade onnx"],
    ),
    "nested": (
        HEAD + BODY + "{ y = If (c) <then_branch = t () => (z) { [n] z = Odd(x) }, "
        "else_branch = e () => (w) { w = Relu(x) }> }",
        ["'n'", "Odd"],
    ),
    "in a function": (
        HEAD + BODY + '{ y = other.F(x) } <opset_import: ["" : 17], domain: "other">  F (a) => (b) { [n] b = Odd(a) }',
        ["'n'", "Odd"],
    ),
    "too new for the function": (
        HEAD + BODY + '{ y = other.F(x) } <opset_import: ["" : 17], domain: "other">  F (a) => (b) { [n] b = Gelu(a) }',
        ["'n'", "Gelu", "op set 17"],
    ),
    "a function of that name in another domain": (
        HEAD + BODY + '{ [n] y = F(x) } <opset_import: ["" : 17], domain: "other">  F (a) => (b) { b = Relu(a) }',
        ["'n'", "F"],
    ),
    "no op set of the standard domain": (
        '<ir_version: 8, opset_import: ["other" : 1]>' + BODY + "{ [n] y = Relu(x) }",
        ["'n'", "Relu", "imports no op set"],
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown(name):
    text, words = UNKNOWN[name]
    with pytest.raises(BadInput) as caught:
        load(_model(text))
    line = str(caught.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == []


def test_before_ir_version_3_the_op_set_is_the_first():
    model = _model(HEAD + BODY + "{ [n] y = Relu(x) }")
    model.ir_version = 2
    del model.opset_import[:]
    assert load(model).proto == model
    model.graph.node[0].op_type = "Gelu"
    with pytest.raises(BadInput, match=r"'n' uses the standard op Gelu, which does not exist in op set 1;"):
        load(model)
