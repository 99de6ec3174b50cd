"""Whatever is tampered with is named; and no tampering at all is accepted that changes what the models compute."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.numpy_helper import from_array
from onnx.reference import ReferenceEvaluator

from onnx_prelu.certificate.verify import BROKEN, Failed, Graph, verify
from tests.certificate.certified import MODELS, certified, convolutions, dense, fails, moved, node, resealed, weight
from tests.counts import examples


@pytest.fixture(scope="module")
def split():
    return certified(dense(), form="split")


# ── what is named ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reader", "position", "index", "unit"),
    [
        ("first", 1, (2, 1), 2),
        ("first", 1, (8, 3), 2),
        ("first", 2, (4,), 4),
        ("third", 1, (3, 1), 3),
        ("third", 1, (9, 0), 4),
    ],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_one_weight_off_by_two_ulp_is_named_with_its_unit(split, reader, position, index, unit, sealed):
    made, before, after = copy.deepcopy(split)
    moved(weight(after, reader, position), index, 2)
    made = resealed(made, before, after) if sealed else made
    text = fails(made, before, after)
    assert f"unit {unit} " in text
    assert "the certificate says 1" in text


def test_one_weight_that_stays_within_its_ulp_fails_by_its_hash(split):
    made, before, after = copy.deepcopy(split)
    tensor = weight(after, "third", 1)
    values = numpy_helper.to_array(tensor).copy()
    slope, theirs = (numpy_helper.to_array(weight(before, *where)) for where in (("act1", 1), ("third", 1)))
    exact = -float(slope[0]) * float(theirs[0, 0])
    values[5, 0] = np.nextafter(values[5, 0], np.float32(np.sign(exact - float(values[5, 0])) * np.inf))
    tensor.CopyFrom(from_array(values, tensor.name))
    assert "not those that the certificate is for" in fails(made, before, after)


def rewire(proto):
    node(proto, "end").input[0] = "z2_other"
    proto.graph.node.insert(0, helper.make_node("Identity", ["x"], ["z2_other"]))


def other_input(proto):
    node(proto, "second").input[0] = node(proto, "first").output[0]


def other_attribute(proto):
    node(proto, "second").attribute[0].f = 0.25


def other_op(proto):
    node(proto, "end").op_type = "Sigmoid"


def other_activation(proto):
    node(proto, "act0/relu").op_type = "Abs"


def other_domain(proto):
    node(proto, "act0/relu").domain = "mine"
    proto.opset_import.append(helper.make_opsetid("mine", 1))


def another_reader(proto):
    proto.graph.node.append(helper.make_node("Neg", [node(proto, "act0/relu").output[0]], ["new"]))


def output_inside(proto):
    proto.graph.output.append(helper.make_tensor_value_info(node(proto, "act0/relu").output[0], 1, None))


@pytest.mark.parametrize(("tamper", "named"), [
    (rewire, "node 'out'"),
    (other_input, "is read in place of"),
    (other_attribute, "other attributes"),
    (other_op, "node 'out'"),
    (other_activation, "site 'act0'"),
    (other_domain, "opset_import"),
    (another_reader, "node 'new'"),
    (output_inside, "outputs"),
])  # fmt: skip
def test_a_tampered_graph_is_named(split, tamper, named):
    made, before, after = copy.deepcopy(split)
    tamper(after)
    assert named in fails(resealed(made, before, after), before, after)


def test_nodes_out_of_order_are_named(split):
    made, before, after = copy.deepcopy(split)
    after.graph.node.insert(0, after.graph.node.pop())
    assert fails(made, before, after) == "'out' is out of order"


def test_swapped_files_and_another_files_certificate(split):
    made, before, after = split
    assert fails(made, after, before) == "the two models are swapped"
    other, _, _ = certified(dense(), form="split")
    assert fails(other, before, after)
    assert fails(made, convolutions(), after)


def set_to(key, value, table=0, lane=6):
    def change(made):
        made["lanes"][table][key][lane] = value

    return change


def duplicated(made):
    for column in ("unit", "row"):
        made["lanes"][0][column].append(made["lanes"][0][column][0])


def omitted(made):
    for column in ("unit", "row"):
        made["lanes"][0][column].pop()


@pytest.mark.parametrize(("tamper", "named"), [
    (lambda made: made["out"].update(k=0), "and the certificate says 0"),
    (lambda made: made["out"].update(k=2), "and the certificate says 2"),
    (lambda made: made["in"].update(k=1), "and the certificate says 1"),
    (set_to("row", 0), "act0"),
    (set_to("row", 1), "act0"),
    (set_to("row", -2), "act0"),
    (set_to("out", 0.5, table=1), "lanes of unit 0"),
    (set_to("unit", 3), "act0"),
    (set_to("unit", 17), "not what the certificate says"),
    (set_to("unit", -1), "not what the certificate says"),
    (duplicated, "not what the certificate says"),
    (omitted, "not what the certificate says"),
    (lambda made: made["sites"].pop(), "what nothing makes"),
    (lambda made: made["layers"].pop(), "'z2'"),
    (lambda made: made["tensors"].pop("z0"), "act0"),
    (lambda made: made.update(format="mine"), "format"),
    (lambda made: made.pop("sites"), "sites"),
    (lambda made: made["sites"][0]["in"].update(x=["y0"]), "act0"),
    (lambda made: made["sites"][0].update(units=7), "act0"),
])  # fmt: skip
def test_a_tampered_certificate_is_named(split, tamper, named):
    made, before, after = copy.deepcopy(split)
    tamper(made)
    assert named in fails(made, before, after)


# ── no tampering is accepted that changes what is computed ────────────────────────────────────────────────────────

PAIRS = [
    certified(MODELS[name], form=form)
    for name, form in (
        ("dense", "split"), ("dense", "concat"), ("dense", "skip"), ("dense", "max"), ("convolutions", "split"),
        ("convolutions", "tied"), ("convolutions", "split-step"), ("residual", "gauge"), ("residual", "dwcat"),
        ("residual", "fold2"), ("pooled", "poolsplit"), ("padded", "poolsplit-padded"), ("pooled", "gauge-conv"),
    )
]  # fmt: skip
PAIRS += [certified(PAIRS[number][2], to="prelu") for number in (0, 1, 4, 5)]


def computed(proto):
    """What a model computes of values of both signs; None where it does not run."""
    shape = [d.dim_value or 2 for d in proto.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    try:
        return ReferenceEvaluator(proto).run(None, {"x": x})
    except Exception:  # noqa: BLE001 (whatever a broken model raises)
        return None


def leaves(value, path=()):
    """The paths of all numbers and strings of a JSON value."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, key))
    else:
        yield path


def tamper_certificate(draw, made):
    paths = [path for path in leaves(made) if path[0] not in ("format", "states") and path[-1] != "weights"]
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(paths))
        holder = made
        for key in way:
            holder = holder[key]
        others = [value_at(made, path) for path in paths]
        holder[last] = draw(st.sampled_from([*others, 0, 1, -1, 2, "1/3"]))


def value_at(value, path):
    for key in path:
        value = value[key]
    return value


def tamper_model(draw, proto):
    each = draw(st.sampled_from(list(proto.graph.node)))
    way = draw(st.sampled_from(["weight", "scale", "input", "op", "attribute", "remove", "swap"]))
    tensor = draw(st.sampled_from(list(proto.graph.initializer)))
    values = numpy_helper.to_array(tensor).copy()
    names = ["x", *(t.name for t in proto.graph.initializer), *(name for n in proto.graph.node for name in n.output)]
    if way in ("weight", "scale"):
        index = draw(st.integers(0, values.size - 1))
        values.flat[index] = values.flat[index] * 2 + 1 if way == "weight" else -values.flat[index]
        tensor.CopyFrom(from_array(values, tensor.name))
    elif way == "input":
        each.input[draw(st.integers(0, len(each.input) - 1))] = draw(st.sampled_from(names))
    elif way == "op":
        each.op_type = draw(st.sampled_from(["Relu", "Neg", "Abs", "Identity", "Add", "Sub", "Mul", "Max", "Min"]))
    elif way == "attribute" and each.attribute:
        each.attribute.pop(draw(st.integers(0, len(each.attribute) - 1)))
    elif way == "remove":
        proto.graph.node.remove(each)
    elif way == "swap":
        other = draw(st.sampled_from(list(proto.graph.initializer)))
        tensor.name, other.name = other.name, tensor.name


@st.composite
def tamperings(draw):
    made, before, after = copy.deepcopy(draw(st.sampled_from(PAIRS)))
    if draw(st.booleans()):
        tamper_model(draw, draw(st.sampled_from([before, after])))
    if draw(st.booleans()):
        tamper_certificate(draw, made)
    return resealed(made, before, after) if sealable(before, after) else made, before, after


def sealable(*protos):
    try:
        for each in protos:
            Graph(each)
    except (Failed, *BROKEN):
        return False
    return True


@given(tamperings())
@examples(2000)
def test_what_is_accepted_computes_the_same(case):
    made, before, after = case
    try:
        verify(made, before, after)
    except Failed:
        return
    expected, found = computed(before), computed(after)
    if expected is None or found is None:  # both models have to be valid
        return
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-3 * float(np.max(np.abs(one), initial=1.0)))
