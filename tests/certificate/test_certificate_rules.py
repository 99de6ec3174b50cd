"""No rule of the verifier is wider than it is true: certificates by hand, of pairs that are nearly the same."""

import copy

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnx_prelu.certificate.verify import verify
from tests.certificate.certified import certified, dense, drawn, fails, model, moved, pooled, resealed, weight


def small(shape, nodes, **weights):
    """A model from x to out."""
    return model([helper.make_node(*each[:3], **(each[3] if len(each) > 3 else {})) for each in nodes], shape, weights)


def told(before, after, *sites, tensors=None, lanes=(), layers=()):
    """A certificate of these models by hand."""
    made = {"format": "onnx-prelu certificate 1", "narrow": "in", "lanes": list(lanes), "tensors": tensors or {}}
    made |= {"layers": list(layers), "in": {"k": 0}, "out": {"k": 0}}
    whole = [{"site": "s", "axis": -1, "units": 1, **site} for site in sites]
    return resealed({**made, "sites": whole}, before, after), before, after


def part(nodes, x="x", y="out"):
    return {"x": [x], "y": [y], "nodes": nodes}


HALF = np.array([0.5], np.float32)
WINDOW = {"kernel_shape": [3], "pads": [1, 1]}
PRELU = ("PRelu", ["x", "a"], ["out"])


def test_a_certificate_by_hand_holds():
    before = small([2, 4], [PRELU], a=HALF)
    after = small([2, 4], [("Mul", ["x", "a"], ["m"]), ("Max", ["x", "m"], ["out"])], a=HALF)
    assert verify(*told(before, after, {"in": part(["out"]), "out": part(["m", "out"])})) == "exact"


@pytest.mark.parametrize(("shape", "before", "after", "more"), [
    # nothing made what a site makes
    ([2], [PRELU], [("Mul", ["x", "a"], ["out"])], {"in": part([], "out"), "out": part([], "out")}),
    # (2, C) is larger, and is no factor for z >= 0 and another for z < 0
    ([2], [PRELU], [("Mul", ["x", "b"], ["out"])], {}),
    # a third operand counts too
    ([2], [PRELU], [("Mul", ["x", "a"], ["m"]), ("Max", ["x", "m", "n"], ["out"])], {}),
    ([2], [PRELU], [("Mul", ["x", "a"], ["m"]), ("Mul", ["x", "c"], ["n"]), ("Max", ["x", "m", "n"], ["out"])], {}),
    # a constant moves the kink
    ([2], [("Relu", ["x"], ["out"])], [("Max", ["x", "a"], ["out"])], {}),
    # twice the tensor is another one, also where units are not told apart
    ([1, 2], [PRELU], [("PRelu", ["x", "a"], ["m"]), ("Concat", ["m", "m"], ["out"], {"axis": 1})], {}),
    ([1, 2], [PRELU], [("PRelu", ["x", "a"], ["m"]), ("Concat", ["m", "m"], ["out"], {"axis": 1})], {"units": 2}),
    ([1, 2], [PRELU], [("PRelu", ["x", "a"], ["m"]), ("Concat", ["m", "m"], ["out"], {"axis": 0})], {"axis": -2}),
    # a maximum is lost, or is not that of what is activated, or of other windows
    ([1, 1, 4], [PRELU], [("PRelu", ["x", "a"], ["m"]), ("MaxPool", ["m"], ["out"], WINDOW)],
     {"axis": -2}),
    ([1, 1, 4], [("Neg", ["x"], ["m"]), ("MaxPool", ["m"], ["out"], WINDOW)],
     [("MaxPool", ["x"], ["m"], WINDOW), ("Neg", ["m"], ["out"])], {"axis": -2}),
    ([1, 1, 4], [("MaxPool", ["x"], ["out"], WINDOW)],
     [("MaxPool", ["x"], ["out"], {"kernel_shape": [1]})], {"axis": -2}),
    # a type, a domain
    ([2], [PRELU], [("Relu", ["x"], ["out"], {"domain": "mine"})], {}),
])  # fmt: skip
def test_no_rule_is_wider_than_it_is_true(shape, before, after, more):
    weights = {"a": HALF, "b": np.array([[1, 1], [0.5, 0.5]], np.float32), "c": 3 * HALF}
    two = [small(shape, nodes, **weights) for nodes in (before, after)]
    parts = {side: part([each[2][0] for each in nodes]) for side, nodes in (("in", before), ("out", after))}
    fails(*told(*two, {**parts, **more}))


def test_halves_of_a_maximum_stay_maxima():
    """Joined along the axis behind the units, counted as lanes, and added up: it is still a maximum."""
    join = [("Concat", ["m", "m"], ["c"], {"axis": 2}), ("Reshape", ["c", "s"], ["l"]), ("Conv", ["l", "w"], ["out"])]
    pool = ("MaxPool", ["x"], ["m"], WINDOW)
    weights = {"s": np.array([0, 2, 4], np.int64), "w": np.ones((1, 2, 1), np.float32)}
    before = small([1, 1, 4], [("Add", ["x", "x"], ["out"])])
    for first in (pool, ("Identity", ["x"], ["m"])):
        after = small([1, 1, 4], [first, *join], **weights)
        certificate = told(before, after, {"in": part(["out"]), "out": part(["m", "c", "l", "out"]), "axis": -2})
        if first is pool:
            fails(*certificate)
        else:
            assert verify(*certificate) == "exact"


def test_lanes_are_counted_by_tensor():
    """Two tensors with as many lanes together as told, and not each."""
    made, before, after = copy.deepcopy(certified(pooled(), form="poolsplit"))
    assert verify(made, before, after) == "exact"
    (name,) = (name for name, each in made["tensors"].items() if len(each["wide"]) == 2)
    one, two = made["tensors"][name]["wide"]
    made["tensors"][name]["wide"][one] += 1
    made["tensors"][name]["wide"][two] -= 1
    assert "act0" in fails(made, before, after)


def test_units_do_not_leave_their_batch():
    """(2, 4) as (4, 2): what were units are no units any more, though all sizes are known."""
    nodes = [("MatMul", ["x", "w"], ["z"]), ("PRelu", ["z", "a"], ["y"]), ("Reshape", ["y", "s"], ["t"])]
    weights = {"w": drawn(3, 4), "a": HALF, "s": np.array([4, 2], np.int64), "v": drawn(2, 3)}
    before = small([2, 3], [*nodes, ("MatMul", ["t", "v"], ["out"])], **weights)
    made, _, after = copy.deepcopy(certified(before, form="mirror"))
    assert verify(made, before, after) == "exact"
    made["tensors"] = {"t": {"wide": {"t": 2}, "axis": -1, "lanes": 0}, "y": {"wide": {"y": 4}, "axis": -1, "lanes": 1}}
    made["lanes"] = [{"units": n, "unit": list(range(n)), "out": [1] * n} for n in (2, 4)]
    made["layers"] = [{"narrow": name, "wide": [name]} for name in ("t", "out")]
    made["sites"][0] |= {"axis": -1, "units": 4}
    assert "'t'" in fails(made, before, after)


def test_the_default_of_an_input_is_compared():
    def made_of(value):
        proto = dense()
        proto.graph.input.append(helper.make_tensor_value_info("w2", 1, [5, 2]))
        moved(weight(proto, "third", 1), (0, 0), value)
        return proto

    certificate, before, after = certified(made_of(0), form="mirror")
    moved(weight(after, "third", 1), (0, 0), 1000)
    assert "reads what changed: ['w2']" in fails(resealed(certificate, before, after), before, after)


@pytest.mark.parametrize(
    ("rows", "outs", "expected"),
    [([1, -1], [1, -0.5], 0.5), ([-1], [-1], -1)],  # max(x⁺) − 0.5·max(x⁻); −max(−x)
)
def test_maxima_of_several_lanes_do_not_add_up_to_a_maximum(rows, outs, expected):
    """Where x is (−1, 1) the maximum of PRelu(x), or of x, is 1."""
    bends, pool = len(rows) > 1, ("MaxPool", ["y"], ["p"], {"kernel_shape": [1, 2]})
    first, last = ("Conv", ["x", "k"], ["z"]), ("Conv", ["p", "v"], ["out"])
    slope = np.full((1, 1, 1), 0.5 if bends else 1, np.float32)
    narrow, wide = (np.array(each, np.float32) for each in ([1], rows))
    before = small(
        [1, 1, 1, 2], [first, ("PRelu", ["z", "a"], ["y"]), pool, last],
        k=narrow.reshape(-1, 1, 1, 1), a=slope, v=narrow.reshape(1, -1, 1, 1),
    )  # fmt: skip
    after = small(
        [1, 1, 1, 2], [first, ("Relu" if bends else "Identity", ["z"], ["y"]), pool, last],
        k=wide.reshape(-1, 1, 1, 1), v=np.array(outs, np.float32).reshape(1, -1, 1, 1),
    )  # fmt: skip
    site, unit = part(["y", "p"], "z", "p"), [0] * len(rows)
    certificate = told(
        before, after, {"in": site, "out": site, "axis": -3},
        tensors={name: {"wide": {name: len(rows)}, "axis": -3, "lanes": n} for n, name in enumerate(("z", "p"))},
        lanes=[{"units": 1, "unit": unit, "row": rows}, {"units": 1, "unit": unit, "out": outs}],
        layers=[{"narrow": name, "wide": [name]} for name in ("z", "out")],
    )  # fmt: skip
    x = {"x": np.array([[[[-1, 1]]]], np.float32)}
    assert [ReferenceEvaluator(each).run(None, x)[0].item() for each in (before, after)] == [1, expected]
    assert "a maximum is added up" in fails(*certificate)
