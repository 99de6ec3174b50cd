"""gauge-conv: gauge with depthwise 1x1 Convs in place of its Muls, which bring the data back into the blocked layout.

    z ─► PRelu(a) ─► Conv(V)        becomes        z ─┬─► DW(σ·a) ───────────► Add ─► Conv(V·σ)
                                                      └─► DW(|1−a|) ─► Relu ──┘

A Mul is made such a Conv by ONNX Runtime itself where what it reads is in the layout; where an op before has left it, a
residual Add of tensors of which one is not there, say, only a Conv takes the data back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx

from ...errors import Refused
from ...graph.build import Names
from ...graph.draft import Draft, NewConstant
from ...graph.weights import Weight
from ..plan import Plan
from ..sites import Site
from .gauge import plan_gauge

FORM = "gauge-conv"


def plan_gauge_conv(draft: Draft, site: Site) -> Plan:
    """The plan of gauge, its Muls by one value a channel written as Convs: the same products, so the same exactness.

    At ±inf and NaN it does what gauge does.

    Raises:
        Refused: ``unsupported-layout``: x is not known to have four dimensions, or a factor is not one value a
            channel; or what :func:`~onnx_prelu.passes.fast.gauge.plan_gauge` refuses.
        BadInput: The slope does not broadcast.
    """
    plan, shape = plan_gauge(draft, site), draft.shape(site.x)
    if shape is None or len(shape) != 4:
        raise Refused("unsupported-layout", f"'{site.x}' is not known to have four dimensions", site.node.label)
    nodes, constants = dict(plan.edit.nodes), dict(plan.edit.constants)
    names = Names(draft.index)
    activation = tuple(_as_conv(draft, proto, constants, names, site, shape[1]) for proto in nodes[site.node])
    nodes[site.node] = activation
    read = {name for protos in nodes.values() for proto in protos for name in proto.input}
    kept = {name: constant for name, constant in constants.items() if name in read}
    types = {name: draft.types[site.x] for proto in activation if proto.op_type == "Conv" for name in proto.output}
    edit = replace(plan.edit, nodes=nodes, constants=kept, types={**plan.edit.types, **types})
    return replace(plan, form=FORM, edit=edit)


def _as_conv(
    draft: Draft,
    proto: onnx.NodeProto,
    constants: dict[str, NewConstant],
    names: Names,
    site: Site,
    channels: int | str | None,
) -> onnx.NodeProto:
    """A Mul by one value a channel as a depthwise Conv; any other node as it is."""
    if proto.op_type != "Mul":
        return proto
    ((factor, weight),) = _constants(draft, proto, constants)
    if weight.shape[-3:] != (channels, 1, 1) or max(weight.shape[:-3], default=1) != 1:
        text = f"a factor of shape {list(weight.shape)} is not one value a channel"
        raise Refused("unsupported-layout", text, site.node.label)
    (x,) = (name for name in proto.input if name != factor)
    kernel, units = names.new(factor, "kernel"), weight.shape[-3]
    constants[kernel] = NewConstant(weight.reshaped((units, 1, 1, 1)))
    made = onnx.helper.make_node(
        "Conv", [x, kernel], list(proto.output), names.new(site.node.name, "conv"), doc_string=proto.doc_string,
        group=units, kernel_shape=[1, 1],
    )  # fmt: skip
    made.metadata_props.extend(proto.metadata_props)
    return made


def _constants(draft: Draft, proto: onnx.NodeProto, constants: dict[str, NewConstant]) -> Iterator[tuple[str, Weight]]:
    for name in proto.input:
        weight = constants[name].weight if name in constants else draft.constants.get(name)
        if weight is not None:
            yield name, weight
