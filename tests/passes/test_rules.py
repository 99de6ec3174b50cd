"""The kinds of rules: what each refuses, and that one fact less lets it pass."""

import pytest

from onnx_prelu.errors import Refused
from onnx_prelu.passes.placed import Placed
from onnx_prelu.passes.rules import Chain, Constant, Ops, Opset, Rank, Type
from onnx_prelu.passes.targets import KINDS, targets
from tests.activations import LEAKY, MIRROR, PRELU, image, mlp, only_site

RESIDUAL = {"rest": "y = Add(h, z)", "outputs": "T[N,3] y"}
AT_RUN_TIME = {"inputs": ", float[2,1,1] a"}
#: rule: a model that it refuses, the code, and what the sentence says
RULES = {
    "op": (Ops(["Relu", "PRelu"], "s", lacks=["Neg"]), image(MIRROR), "target-op", "T does not take Neg"),
    "unknown op": (Ops(["Relu"], "s"), image(MIRROR), "target-op", "T is not known to take Neg"),
    "shape": (Constant("PRelu", "s", ["scalar"]), image(PRELU), "target-constant", "here it is [2, 1, 1] as input 1"),
    "position": (Constant("Mul", "s", ["c11"], position=1), image(MIRROR), "target-constant", "as input 1 only"),
    "no constant": (Constant("PRelu", "s"), image(PRELU, **AT_RUN_TIME), "target-constant", "here there is none"),
    "rank of a shape": (Constant("PRelu", "s", ["1d"], ranks=[4]), image(PRELU), "target-constant", "over x of rank 4"),
    "opset": (Opset("s", first=16), image(PRELU), "target-opset", "opset 16 or higher, and the model is of opset 15"),
    "opset of an op": (Opset("s", last=14, op="PRelu"), image(PRELU), "target-opset", "PRelu of opset 14 or lower"),
    "rank": (Rank([2], "s"), image(PRELU), "target-rank", "that of 'z' is 4"),
    "rank of an op": (Rank([2], "s", op="PRelu"), image(PRELU), "target-rank", "T takes PRelu of rank 2"),
    "type": (Type(["float16"], "s"), image(PRELU), "target-type", "that of 'z' is float32"),
    "join": (Chain("s"), image(MIRROR), "target-branch", "Sub would join 'r' and 'm'"),
    "branch": (Chain("s"), mlp(LEAKY, **RESIDUAL), "target-branch", "'z' would be read 2 times"),
    "output": (Chain("s"), mlp(LEAKY, outputs="T[N,2] y, T[N,3] h"), "target-branch", "'h' would be read 2 times"),
}  # fmt: skip
#: rule: a model that it lets pass, one fact away
PASSES = {
    "op": image(PRELU),
    "shape": image(PRELU, [0.25]),
    "position": image("r = Relu(z)  n = Neg(z)  s = Relu(n)  m = Mul(s, a)  h = Sub(r, m)"),
    "no constant": image(PRELU),
    "rank of a shape": mlp(PRELU),
    "opset": image(PRELU, opset=16),
    "opset of an op": image(PRELU, opset=14),
    "rank": mlp(PRELU),
    "rank of an op": image(LEAKY),
    "branch": mlp(LEAKY),
    "output": mlp(LEAKY),
}


def check(rule, model):
    draft, site = only_site(model)
    rule.check(Placed.now(draft, site), "T")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_refuses(name):
    rule, model, code, text = RULES[name]
    with pytest.raises(Refused) as caught:
        check(rule, model)
    reason = caught.value.reason
    assert (reason.code, reason.node) == (code, "n_h")
    assert text in reason.text


@pytest.mark.parametrize("name", PASSES)
def test_a_rule_lets_pass(name):
    check(RULES[name][0], PASSES[name])


def test_every_rule_has_a_source_and_a_sentence():
    for target in targets().values():
        assert target.about
        assert isinstance(target.rules[0], Ops)
        for rule in target.rules:
            assert isinstance(rule, tuple(KINDS.values()))
            assert len(rule.source) > 8
            assert rule.sentence().startswith("takes ")
