"""gauge: two passes over the data for every slope; units of slopes above 1 come out with the other sign.

    z ─► PRelu(a) ─► Conv(V)        becomes        z ─┬─► Mul(σ·a) ───────────► Add ─► Conv(V·σ)
                                                      └─► Mul(|1−a|) ─► Relu ──┘

with σ = −1 where a > 1. In a residual net the sum passes the signs on: what is added to it takes them in its rows, and
the next gauge in its two constants.

    y ───────────► Add ─► PRelu         y' ──────────────► Add ─► t' ─┬─► Mul(σ'·a'·σ)
    x ─► Conv(A) ──┘                    x ─► Conv(σ·A) ────┘          └─► Mul(|1−a'|·σ) ─► Relu …
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from ...algebra.floats import Array
from ...algebra.forms import Expression, prove, spell
from ...algebra.lanes import scaled
from ...algebra.slopes import shrink
from ...algebra.two_pass import turn
from ...errors import Refused
from ...graph.build import Fragment, Names
from ...graph.draft import Draft, NewConstant, Widened, per_unit
from ...graph.edit import Edit
from ...graph.index import Node
from ...graph.weights import Weight
from ..behind import Behind, Nodes
from ..beside import require_ops, units_behind
from ..elementwise import in_place
from ..plan import Plan
from ..sites import Site, working_type
from .signed import Sum, signed_readers

FORM = "gauge"


def plan_gauge(draft: Draft, site: Site) -> Plan:
    """``σ·a·z + Relu(|1−a|·z)``, which is σ times the activation: exact up to a few ulps of the larger of a·z and z.

    Where no slope is above 1, nothing behind the activation is touched, and the slope may have any shape. Signs that a
    gauge before turned are taken in. Where the next PRelu is left as it is, a Mul before it turns them back.
    At ±inf it gives inf − inf, which is NaN, where a < 0 or a > 1, and 0·inf where a is 0 or 1.

    Raises:
        Refused: ``dtype``, ``opset``, ``type-unknown``, ``slope-enlarges``, ``runtime-slope``, ``same-form``; and where
            a slope is above 1 ``slope-not-per-unit``, ``unknown-shape``, ``no-consumer``, or what
            :func:`~onnx_prelu.passes.fast.signed.signed_readers` refuses.
        BadInput: The slope does not broadcast.
    """
    require_ops(draft, site, ("Mul", "Relu", "Add"))
    label, value = site.node.label, site.slope.value
    if draft.opset < 7:
        raise Refused("opset", "one factor a unit needs broadcasting, of opset 7", label)
    if value is None:
        raise Refused("runtime-slope", f"the slope '{site.slope.tensor}' is only known at run time", label)
    source = _Source.of(draft, site)
    return _turned(draft, site, source) if np.any(value > 1) else _upright(draft, site, source, shrink(value))


@dataclass(frozen=True)
class _Source:
    """What the activation reads: x, or a tensor of which x is a multiple.

    Attributes:
        x: The tensor.
        factor: The factor of x.
        gone: The Mul between the two, which nothing else reads.
    """

    x: str
    factor: Array
    gone: tuple[Node, ...] = ()

    @classmethod
    def of(cls, draft: Draft, site: Site) -> _Source:
        widened, maker = draft.widened.get(site.x), draft.index.maker.get(site.x)
        if widened is None or widened.factor is None or maker is None or widened.new not in maker.inputs:
            return cls(site.x, np.ones(()))
        alone = all(use.node in site.region for use in draft.index.uses(site.x))
        return cls(widened.new, per_unit(widened.factor, widened.axis), (maker,) if alone else ())


def _upright(draft: Draft, site: Site, source: _Source, slopes: Array) -> Plan:
    if site.spelling == _SPELLING:
        raise Refused("same-form", f"the site is written as {FORM} already", site.node.label)
    fragment = Fragment(Names(draft.index), site.node, site.y, draft.opset, working_type(draft, site))
    nodes: dict[Node, Nodes] = dict.fromkeys((*site.region, *source.gone), ())
    nodes[site.node] = fragment.write(_two_pass(slopes, source), source.x, slopes)
    edit = Edit(nodes, {name: NewConstant(weight) for name, weight in fragment.constants.items()})
    return in_place(FORM, site, edit, equal_bits=False)


def _turned(draft: Draft, site: Site, source: _Source) -> Plan:
    place, signed, slopes = units_behind(draft, site, signed_readers)
    sign = turn(slopes)[0]
    behind = Behind(draft, FORM, site.node, site.x, site.y, place, signed.after, scaled(np.ones(len(sign)), sign))
    behind.rename |= {name: behind.names.new(name, FORM) for each in signed.sums for name in each.tensors()}
    fragment = Fragment(behind.names, site.node, behind.result, draft.opset, working_type(draft, site))
    activation = fragment.write(_two_pass(per_unit(slopes, place.axis), source), source.x, slopes)
    behind.constants |= {name: NewConstant(weight) for name, weight in fragment.constants.items()}
    plan = behind.plan(site.region, activation, behind.layer)
    nodes: dict[Node, Nodes] = {**plan.edit.nodes, **dict.fromkeys(source.gone, ())}
    for each in signed.sums:
        nodes |= _sum(behind, each, sign, ends=each.node.outputs[0] in signed.ends)
    widened = [
        Widened(name, behind.rename[name], each.output.axis, len(sign), len(sign), sign)
        for each in signed.sums
        for name in each.tensors()
    ]
    adds = tuple(each.node for each in signed.sums)
    return replace(
        plan,
        edit=Edit(nodes, behind.constants, (*plan.edit.widened, *widened)),
        before=(*plan.before, *adds),
        between=(*plan.between, *adds),
        y=(*plan.y, *signed.ends),
    )


def _sum(behind: Behind, each: Sum, sign: Array, *, ends: bool) -> dict[Node, Nodes]:
    """A sum of turned units, what is added to it, and where signs end, a Mul that turns them back."""
    changes = list(each.other.take_rows(scaled(sign, np.ones(len(sign)))))
    nodes: dict[Node, Nodes] = {
        node: (behind.rewired(node, [change for change in changes if change.node is node]),)
        for node in each.other.nodes
    }
    add, tensor = each.node, each.node.outputs[0]
    nodes[add] = (behind.rewired(add, ()),)
    if ends:
        signs = per_unit(sign, each.output.axis).astype(each.other.weight.weight.dtype)
        factor = behind.constant(Weight.of(signs), tensor, "sign")
        name = behind.names.new(add.name, "mul")
        nodes[add] += (onnx.helper.make_node("Mul", [factor, behind.rename[tensor]], [tensor], name),)
    return nodes


def _two_pass(slopes: Array, source: _Source) -> Expression:
    _, linear, bent = turn(slopes)
    straight, kinked = linear * source.factor, bent * source.factor
    return lambda o, x, _, constant: o.Add(o.Mul(constant(straight), x), o.Relu(o.Mul(constant(kinked), x)))


_SPELLING = spell(prove("skip", np.zeros(()), np.float64), np.zeros(()))
"""Without signs it is the first expression of skip."""
