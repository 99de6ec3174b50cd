"""Types inside of functions, against those that ONNX's own inliner and inference find at every call."""

import onnx
import onnx.parser
import pytest

from onnx_prelu.graph.calls import typed_functions
from onnx_prelu.graph.model import Model
from onnx_prelu.graph.types import TensorType, types_in

FLOAT, FLOAT16, UNDEFINED = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UNDEFINED
IMPORTS = 'opset_import: ["" : 17, "own" : 1]'
BLOCK = f'<{IMPORTS}, domain: "own"> block (x) => (y) {{ h = Relu(x) y = Transpose(h) }}'


def parsed(text, ir=10):
    return onnx.parser.parse_model(f"<ir_version: {ir}, {IMPORTS}>\n{text}")


def known(proto, number=0):
    return types_in(typed_functions(Model(proto))[number])


#: name: (the graph, what is known of the block's input and of its output)
CALLS = {
    "one call": (
        "g (float[N,4] x) => (float[] y) { y = own.block(x) }", (FLOAT, ("N", 4)), (FLOAT, (4, "N")),
    ),
    "two that agree": (
        "g (float[N,4] x, float[N,4] o) => (float[] y, float[] p) { y = own.block(x) p = own.block(o) }",
        (FLOAT, ("N", 4)), (FLOAT, (4, "N")),
    ),
    "other sizes": (
        "g (float[N,4] x, float[M,4] o) => (float[] y, float[] p) { y = own.block(x) p = own.block(o) }",
        (FLOAT, (None, 4)), (FLOAT, (4, "unk__0")),  # a name that inference gives
    ),
    "other ranks": (
        "g (float[N,4] x, float[4] o) => (float[] y, float[] p) { y = own.block(x) p = own.block(o) }",
        (FLOAT, None), None,
    ),
    "other types": (
        "g (float[N,4] x, float16[N,4] o) => (float[] y, float16[] p) { y = own.block(x) p = own.block(o) }",
        (UNDEFINED, ("N", 4)), None,
    ),
    "from a body": (
        """g (float[N,4] x, bool c) => (float[] y) { v = Neg(x) y = If (c) <
            then_branch = t () => (float[] o) { o = own.block(v) },
            else_branch = e () => (float[] p) { p = Transpose(v) }> }""",
        (FLOAT, ("N", 4)), (FLOAT, (4, "N")),
    ),
    "of an unknown tensor": ("g (float[N,4] x) => (float[] y) { v = own.other(x) y = own.block(v) }", None, None),
    "none": ("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }", None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_all_calls_agree_on_is_known_inside(name):
    text, x, y = CALLS[name]
    found = known(parsed(f"{text}\n{BLOCK}"))
    assert found.get("x") == (None if x is None else TensorType(*x))
    h = found.get("h", TensorType(UNDEFINED, None))
    assert h.dtype == (x[0] if x else UNDEFINED)
    if y is not None:
        assert found["y"] == TensorType(*y)


def test_functions_that_functions_call_have_the_types_of_all_calls():
    """The second call comes through another function, with a parameter that says nothing of the input's type."""
    outer = f"""<{IMPORTS}, domain: "own"> outer <alpha> (x) => (y) {{
        h = Flatten(x) y = own.block <beta: float = @alpha> (h) }}"""
    block = BLOCK.replace("block (x)", "block <beta> (x)")
    one = "g (float[2,3,4] x) => (float[] y) { y = own.outer <alpha = 0.5> (x) }"
    both = """g (float[2,3,4] x, float[2,5] o) => (float[] y, float[] p) {
        y = own.outer <alpha = 0.5> (x) p = own.block <beta = 1.0> (o) }"""
    for functions, place in ((f"{outer}\n{block}", 1), (f"{block}\n{outer}", 0)):
        assert known(parsed(f"{one}\n{functions}"), place)["x"] == TensorType(FLOAT, (2, 12))
        assert known(parsed(f"{both}\n{functions}"), place)["x"] == TensorType(FLOAT, (2, None))


def test_what_a_parameter_decides_is_not_known():
    text = f"""g (float[N,4] x) => (float[] y) {{ y = own.cast <to = 10> (x) }}
        <{IMPORTS}, domain: "own"> cast <to> (x) => (y) {{ h = Cast <to: int = @to> (x) k = Neg(h) y = Neg(k) }}"""
    found = known(parsed(text))
    assert found["x"] == TensorType(FLOAT, ("N", 4))
    assert {name: each.dtype for name, each in found.items() if name in "hky"} == {}


def test_what_a_function_declares_counts_before_what_it_is_fed():
    proto = parsed(f"g (float[N,4] x) => (float[] y) {{ y = own.block(x) }}\n{BLOCK}")
    proto.functions[0].value_info.append(onnx.helper.make_tensor_value_info("x", FLOAT, ["rows", 4]))
    assert known(proto)["h"] == TensorType(FLOAT, ("rows", 4))


def test_functions_that_call_each_other_are_left_alone():
    """ONNX forbids it; such a file is still read."""
    text = f"""g (float[N,4] x) => (float[] y) {{ y = own.a(x) }}
        <{IMPORTS}, domain: "own"> a (x) => (y) {{ y = own.b(x) }}
        <{IMPORTS}, domain: "own"> b (x) => (y) {{ y = own.a(x) }}"""
    assert len(typed_functions(Model(parsed(text)))) == 2


def test_a_call_in_the_training_information_agrees_with_nothing():
    proto = parsed(f"g (float[N,4] x) => (float[] y) {{ y = own.block(x) }}\n{BLOCK}")
    training = proto.training_info.add()
    training.algorithm.name = "step"
    training.algorithm.node.add(op_type="block", domain="own", input=["w"], output=["v"])
    assert "x" not in known(proto)


def test_the_model_is_not_touched():
    proto = parsed(f"g (float[N,4] x) => (float[] y) {{ y = own.block(x) }}\n{BLOCK}")
    before = proto.SerializeToString()
    typed_functions(Model(proto))
    assert proto.SerializeToString() == before
