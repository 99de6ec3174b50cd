"""Where two models begin to differ, whichever tool made the second."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from onnx_prelu.graph.model import load
from onnx_prelu.graph.twins import Suspect, Twin, same_named
from onnx_prelu.measure.checking import blame as room
from onnx_prelu.measure.checking.check import Given, Inside, check
from tests.texts import from_text

VECTOR = ("float[N, 4] x", "float[N, 4] y")


def blamed(a, b, **known):
    (found,) = check(load(a), load(b), providers=["cpu"], **known)
    assert found.status == "failed"
    return found


def scaled(depth, at=None, name="t{}"):
    """x · 2 · ½ · 2 …, a node a factor; the one at a place is off."""
    names = ["x", *(name.format(n) for n in range(depth - 1)), "y"]
    body = "  ".join(f"{names[n + 1]} = Mul({names[n]}, {'odd' if n == at else 'even'})" for n in range(depth))
    weights = {"even": np.full(4, 2.0), "odd": np.array([2.0, 2.0, 2.1, 2.0])}
    return from_text(body, *VECTOR, weights if at is not None else {"even": weights["even"]})


@pytest.mark.parametrize("at", [0, 1, 13, 31, 62, 63])
def test_the_first_tensor_that_differs_is_found_in_few_sessions(at, monkeypatch):
    opened = []
    real = room.open_runner
    monkeypatch.setattr(room, "open_runner", lambda *args, **settings: opened.append(1) or real(*args, **settings))
    found = blamed(scaled(64), scaled(64, at)).blame
    tensor = "y" if at == 63 else f"t{at}"
    assert (found.tensor, found.node, found.site) == (tensor, f"n_{tensor}", None)
    assert found.difference > found.allowed > 0
    assert len(opened) <= 6


BRANCHES = "a1 = Mul(x, two)  b1 = Neg(x)  a2 = Relu(a1)  b2 = Abs(b1)  b3 = Mul(b2, {})  a3 = Neg(a2)  y = Add(a3, b3)"


def test_what_lies_beside_does_not_mislead():
    weights = {"two": np.full(4, 2.0), "three": np.full(4, 3.0)}
    a, b = (from_text(BRANCHES.format(name), *VECTOR, weights) for name in ("two", "three"))
    assert blamed(a, b).blame.tensor == "b3"


def test_without_common_names_it_says_so():
    found = blamed(scaled(6), scaled(6, 2, name="other{}"))
    assert (found.blame.tensor, found.blame.node) == ("y", "n_y")
    assert "where it begins is not known: no tensor inside has one name in both models" in found.notes


def test_a_tensor_of_another_size_under_the_same_name_says_nothing():
    a = from_text("t = Concat<axis=1>(x, x)  u, v = Split<axis=1>(t)  w = Neg(u)  y = Add(w, v)", *VECTOR, {})
    b = from_text("u = Neg(x)  t = Neg(u)  w = Abs(t)  y = Add(w, x)", *VECTOR, {})
    assert blamed(a, b).blame.tensor == "u"


def test_sequences_are_left_out():
    body = "s = SplitToSequence<axis=1>(x, k)  t = ConcatFromSequence<axis=1>(s)  u = Mul(t, {})  y = Neg(u)"
    weights = {"k": [2, 2], "two": np.full(4, 2.0), "three": np.full(4, 3.0)}
    a, b = (load(from_text(body.format(name), *VECTOR, weights)) for name in ("two", "three"))
    assert [twin.a for twin in same_named(a, b)] == ["t", "u", "y"]
    assert blamed(a.proto, b.proto).blame.tensor == "u"


def test_nan_has_no_size():
    broken = {"two": np.full(4, 2.0), "three": np.array([2.0, np.nan, 2.0, 2.0])}
    body = "t = Mul(x, {})  u = Neg(t)  y = Identity(u)"
    a, b = (from_text(body.format(name), *VECTOR, broken) for name in ("two", "three"))
    found = blamed(a, b).blame
    assert (found.tensor, found.difference, found.allowed) == ("t", np.inf, None)


def test_equal_bits_are_asked_for_inside_too():
    one = np.ones(4, np.float32)
    body = "t = Mul(x, one)  u = Mul(t, k)  y = Neg(u)"
    weights = {"one": one, "k": np.full(4, 3.0)}
    a = from_text(body, *VECTOR, weights)
    b = from_text(body, *VECTOR, {**weights, "one": np.nextafter(one, np.float32(2))})
    (found,) = check(load(a), load(b), providers=["cpu"], exact=True)
    assert (found.blame.tensor, found.blame.allowed) == ("t", 0.0)


@pytest.mark.parametrize(
    ("given", "tensor"),
    [
        ({}, "t3"),
        ({"rtol": 0.0, "atol": 1e-6}, "t3"),
        ({"tol": {"y": Given(rtol=0.0, atol=1e-6)}, "rtol": 1.0}, "t3"),
    ],
)
def test_what_holds_at_the_output_holds_inside(given, tensor):
    """A factor that is off by 1e-5: more than rounding explains, less than the type's tolerance."""
    a, b = scaled(9, 3), scaled(9, 3)
    for proto in (a, b):
        values = np.full(4, 2.0 if proto is a else 2.00002, np.float32)
        odd = next(each for each in proto.graph.initializer if each.name == "odd")
        odd.CopyFrom(numpy_helper.from_array(values, "odd"))
    found = blamed(a, b, **given).blame
    assert found.tensor == tensor
    assert found.difference > found.allowed > 0


def test_what_rounding_explains_inside_is_not_blamed():
    """Two orders of a sum, before the first real difference."""
    weights = {"c": np.full(4, 0.1), "d": np.full(4, 1e-3), "two": np.full(4, 2.0), "off": np.full(4, 2.0002)}
    body = "s = Mul(x, c)  r = Add(x, d)  t = {}  u = Mul(t, {})  y = Neg(u)"
    orders = "Sum(s, r, x)", "Sum(x, r, s)"
    a, b = (from_text(body.format(*each), *VECTOR, weights) for each in zip(orders, ("two", "off"), strict=True))
    assert blamed(a, b).blame.tensor == "u"


def test_a_difference_inside_a_body_is_that_of_its_holder():
    branch = helper.make_graph([], "g", [], [helper.make_tensor_value_info("b", 1, None)])

    def model(factor):
        proto = from_text("t = Abs(x)  u = Neg(t)  y = Neg(u)", *VECTOR, {"c": np.array(True)})
        proto.graph.initializer[0].CopyFrom(helper.make_tensor("c", 9, [], [1]))
        branch.ClearField("node")
        branch.node.append(helper.make_node("Constant", [], ["k"], value_float=factor))
        branch.node.append(helper.make_node("Mul", ["t", "k"], ["b"]))
        proto.graph.node[1].CopyFrom(helper.make_node("If", ["c"], ["u"], "if", then_branch=branch, else_branch=branch))
        return proto

    suspects = (Suspect("before", frozenset({"t"})), Suspect("u/then_branch/act", frozenset({"u"})))
    found = blamed(model(2.0), model(3.0), inside=Inside(suspects=suspects)).blame
    assert (found.tensor, found.node, found.site) == ("u", "if", "u/then_branch/act")


def test_the_site_that_stands_in_between_comes_before_one_that_shares_a_layer():
    suspects = (
        Suspect("behind", frozenset({"t5"}), frozenset({"t4"})),
        Suspect("between", frozenset({"t4"})),
        Suspect("far", frozenset({"t1"}), frozenset({"t2"})),
    )
    assert blamed(scaled(9), scaled(9, 4), inside=Inside(suspects=suspects)).blame.site == "between"
    assert blamed(scaled(9), scaled(9, 4), inside=Inside(suspects=suspects[::2])).blame.site == "behind"
    assert blamed(scaled(9), scaled(9, 7), inside=Inside(suspects=suspects)).blame.site is None


UNITS = np.arange(12.0, dtype=np.float32).reshape(1, 3, 4)
BOTH = np.concatenate([UNITS, -UNITS], 1)


@pytest.mark.parametrize(
    ("twin", "b"),
    [
        (Twin("t", "t"), UNITS),
        (Twin("t", "w", -2, np.array([0, 2]), np.array([4, 1])), BOTH[:, [5, 2, 1, 3, 0]]),
        (Twin("t", "w", -1, factor=np.array([1.0, -2.0, 4.0, 0.5])), UNITS * np.float32([1, -2, 4, 0.5])),
    ],
)  # fmt: skip
def test_twins_compare_where_they_are_the_same(twin, b):
    np.testing.assert_array_equal(twin.of_a(UNITS), twin.of_b(b))
    assert twin.of_b(b).dtype == np.float32


def test_a_twin_of_another_rank_is_left_as_it_is():
    twin = Twin("t", "w", -3, np.array([0]), np.array([7]), np.array([2.0]))
    assert twin.of_a(UNITS[0]).shape == (3, 4)
    assert twin.of_b(UNITS).shape == UNITS.shape
