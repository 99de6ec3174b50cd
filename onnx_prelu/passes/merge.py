"""A layer of which every unit is proven to be linear, put together with the layer behind it.

    Gemm(A, b) ─► Relu ─► Gemm(V, c)    becomes    Gemm(V·A, V·b + c)

where A·x + b is never below 0. Not into a Conv that pads: at the border that sees 0, and not b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ..algebra.floats import Array
from ..errors import Refused
from ..graph.build import Names
from ..graph.draft import Draft, NewConstant, per_unit
from ..graph.edit import Edit
from ..graph.index import Node
from ..graph.linear import Linear
from ..graph.readers import Reading
from ..graph.weights import Weight
from .plan import Plan
from .ranges.layers import attributes, rounded
from .stable import Stable
from .wide import layers_around

_MATRICES = frozenset({"Gemm", "MatMul"})


def plan_merge(draft: Draft, found: Stable) -> Plan:
    """The plan that puts a layer of linear units into the layer behind it.

    The product is computed in float64 and rounded once: right up to rounding, within the ranges.

    Raises:
        Refused: ``not-linear``: some unit is not proven to be linear; ``layer-kind``: the layers are not two of Gemm
            and MatMul, or two Convs of one group of which one is 1x1, or something stands between them, or the second
            one pads; ``too-large``: the product would hold more weights than the two; ``overflow``, or what
            :func:`~onnx_prelu.passes.wide.layers_around` refuses.
    """
    node = found.node
    if np.any(np.isnan(found.factor)):
        raise Refused("not-linear", "not every unit is proven to stay on one side of zero", node.label)
    layers = layers_around(draft, node.inputs[0], node.outputs[0], (node,), node)
    if layers.after.steps or len(layers.after.layers) != 1:
        text = "a layer is merged into one that alone reads its activation, with nothing between"
        raise Refused("layer-kind", text, node.label)
    before, (reading,) = layers.before, layers.after.layers
    product = _product(draft, before, reading, found.factor)
    old = before.weight.weight, reading.layer.weight.weight
    if product.weights.size > sum(int(np.prod(weight.shape)) for weight in old):
        text = f"the product would hold {product.weights.size:,} weights, more than the two layers"
        raise Refused("too-large", text, node.label)
    edit = _written(draft, node, before, reading.layer, product)
    return Plan(
        form="merge",
        node=node,
        edit=edit,
        equal_bits=False,
        region=(node,),
        activation=(before.y, node.outputs[0]),
        before=(*before.nodes, node, *reading.layer.nodes),
        x=before.x,
        y=(reading.layer.y,),
        unit_axis=before.output.axis,
        note=f"all {before.units} units are proven to stay on one side of zero",
        proven=True,
    )


@dataclass(frozen=True)
class _Product:
    """The layer that two make together.

    Attributes:
        weights: (units, inputs, taps).
        shift: (units,).
        kernel: The node whose attributes it takes.
    """

    weights: Array
    shift: Array
    kernel: Node


def _product(draft: Draft, before: Linear, reading: Reading, factor: Array) -> _Product:
    first, second = before.weight.node, reading.layer.weight.node
    kinds = {first.op, second.op}
    right = before.weight.position == 1 == reading.layer.weight.position
    one = before.groups == reading.layer.groups == 1 and reading.layer.inputs == before.units and reading.repeats == 1
    same = before.weight.weight.dtype == reading.layer.weight.weight.dtype
    if not (right and one and same and (kinds <= _MATRICES or kinds == {"Conv"})):
        text = f"a {first.op} and a {second.op} like these are not merged"
        raise Refused("layer-kind", text, second.label)
    inner, outer = rounded(draft, before), rounded(draft, reading.layer)
    if outer.sees_zero:
        raise Refused("layer-kind", "the Conv behind pads: at its border it does not see the bias", second.label)
    (rows,), (behind,) = inner.groups, outer.groups
    a, v = (each.weights * each.scale[:, None, None] for each in (rows, behind))
    shift = behind.shift + v.sum(axis=2) @ (factor * rows.shift)
    if v.shape[2] == 1 and _moves_nothing(second):
        return _Product(np.einsum("ou,uik->oik", v[..., 0] * factor, a), shift, first)
    if a.shape[2] == 1 and _moves_nothing(first) and not inner.sees_zero:
        return _Product(np.einsum("ouk,ui->oik", v * factor[:, None], a[..., 0]), shift, second)
    raise Refused("layer-kind", "of two Convs one has to be 1x1 of stride 1 to be merged", second.label)


def _moves_nothing(node: Node) -> bool:
    return all(stride == 1 for stride in attributes(node).get("strides", ()))


def _written(draft: Draft, node: Node, before: Linear, layer: Linear, product: _Product) -> Edit:
    """The merged node in the place of the second layer's; the others go.

    Raises:
        Refused: ``overflow``.
    """
    target, dtype, names = layer.weight.node, layer.weight.weight.dtype, Names(draft.index)
    matrix = product.weights[..., 0]
    if target.op == "Conv":
        values = product.weights.reshape(*matrix.shape, *_space(draft, product.kernel))
    else:
        values = matrix if target.op == "Gemm" else matrix.T
    constants: dict[str, NewConstant] = {}

    def constant(values: Array, base: str) -> str:
        with np.errstate(over="ignore"):
            stored = values.astype(dtype)
        if not np.all(np.isfinite(stored)):
            raise Refused("overflow", f"a merged weight does not fit into {dtype}", target.label)
        name = names.new(base, "merged")
        constants[name] = NewConstant(Weight.of(stored), base if base in target.inputs else "")
        return name

    weight = constant(values, target.inputs[1])
    proto = onnx.NodeProto()
    proto.CopyFrom(target.proto)
    del proto.input[:], proto.attribute[:]
    proto.input.extend([before.x, weight])
    if target.op == "Gemm":
        proto.attribute.append(onnx.helper.make_attribute("transB", 1))
    elif target.op == "Conv":
        proto.attribute.extend(product.kernel.proto.attribute)
    nodes: dict[Node, tuple[onnx.NodeProto, ...]] = {**dict.fromkeys(before.nodes, ()), node: (), target: (proto,)}
    needed = target.op == "Gemm" and draft.opset < 11  # before, its bias was no option
    if not (np.any(product.shift) or needed):
        return Edit(nodes, constants)
    if target.op != "MatMul":
        proto.input.append(constant(product.shift, target.inputs[2] if len(target.inputs) > 2 else target.name))
        return Edit(nodes, constants)
    bias = constant(per_unit(product.shift, layer.output.axis), target.name)
    proto.output[0] = names.new(layer.y, "product")
    add = onnx.helper.make_node("Add", [proto.output[0], bias], [layer.y], names.new(target.name, "add"))
    types = {proto.output[0]: draft.types[layer.y]} if layer.y in draft.types else {}
    return Edit({**nodes, target: (proto, add)}, constants, types=types)


def _space(draft: Draft, node: Node) -> tuple[int, ...]:
    """The size of a Conv's kernel."""
    return draft.constants.need(node.inputs[1], "the kernel", node).shape[2:]
