"""Put an elementwise expression at a site.

x ─► PRelu(a) ─► y      becomes, with the form mirror,      x ─► Relu ───────────────► Sub ─► y
                                                            └─► Neg ─► Relu ─► Mul(a) ──┘
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from ..algebra.floats import Array
from ..algebra.forms import Proof, RuntimeSlope, prove, prove_runtime, spell
from ..algebra.slopes import shrink
from ..errors import Refused
from ..graph.build import Fragment, Names
from ..graph.draft import Draft, NewConstant
from ..graph.edit import Edit
from .plan import Plan
from .sites import Site, working_type
from .slope_fit import check_shape
from .slope_shapes import reshaped


def plan_elementwise(form: str, draft: Draft, site: Site, *, slope_shape: str = "") -> Plan:
    """A plan for one of the expressions of :data:`onnx_prelu.algebra.forms.FORMS`.

    Args:
        form: Its name.
        draft: The working copy.
        site: The site.
        slope_shape: The shape to write the slope in, one of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`;
            "" for the smallest one that holds its values.

    Raises:
        Refused: The form is not this PReLU (``positive-side``, ``other-slope``, ``slope-not-uniform``, ``overflow``,
            ``runtime-slope``), ``slope-enlarges``, ``slope-misaligned``, ``slope-shape``, ``dtype``, ``type-unknown``,
            ``opset``; or ``same-form``: it stands there already.
        BadInput: The slope does not broadcast.
    """
    dtype = working_type(draft, site)
    proof = _proof(form, draft, site, dtype)
    if draft.opset < 7 and site.slope.value is not None and site.slope.value.size > 1 and site.ops != {"PRelu"}:
        text = "before opset 7 a constant broadcasts along an axis that an attribute names, and here it is not known"
        raise Refused("opset", text, site.node.label)
    argument = _written(draft, site, slope_shape)
    reshapes = bool(slope_shape) and argument is not site.slope.value and site.slope.value is not None
    if spell(proof, argument) == site.spelling and not reshapes:
        raise Refused("same-form", f"the site is written as {form} already", site.node.label)
    nodes, constants = write(draft, Names(draft.index), site, proof, argument)
    edit = Edit({node: nodes if node is site.node else () for node in site.region}, constants)
    return in_place(form, site, edit, equal_bits=proof.equal_bits and site.correctly_rounded)


def in_place(form: str, site: Site, edit: Edit, *, equal_bits: bool) -> Plan:
    """The plan of an edit that puts something else in the place of the activation, and touches nothing around it."""
    return Plan(
        form=form,
        node=site.node,
        edit=edit,
        equal_bits=equal_bits,
        region=site.region,
        activation=(site.x, site.y),
        before=site.region,
        x=site.x,
        y=(site.y,),
        unit_axis=site.slope.shrunk().unit_axis,
    )


def write(
    draft: Draft, names: Names, site: Site, proof: Proof, slope: Array | RuntimeSlope
) -> tuple[tuple[onnx.NodeProto, ...], dict[str, NewConstant]]:
    """The nodes of a proved expression from the site's x to its y, and the constants that it does not have already.

    Raises:
        Refused: ``opset``.
    """
    dtype = working_type(draft, site)
    fragment = Fragment(names, site.node, site.y, draft.opset, dtype)
    gone = {name for node in site.region for name in node.outputs}
    read = [name for node in site.region for name in node.inputs if name and name not in gone]
    operands = [name for name in read if draft.constants.get(name)]
    for name in operands:
        weight = draft.constants.get(name)
        if weight is not None and weight.dtype == dtype:
            fragment.reuse(weight.values(), name)
    nodes = fragment.write(proof.expression, site.x, slope)
    like = operands[0] if operands else ""
    return nodes, {name: NewConstant(weight, like) for name, weight in fragment.constants.items()}


def _written(draft: Draft, site: Site, slope_shape: str) -> Array | RuntimeSlope:
    """The slope as the form reads it; the very array of the site where that has the shape asked for."""
    if site.slope.value is None:
        return RuntimeSlope(site.slope.tensor)
    if not slope_shape:
        return shrink(site.slope.value)
    return reshaped(site.slope.value, slope_shape, draft.shape(site.x), site.node.label)


def _proof(form: str, draft: Draft, site: Site, dtype: np.dtype[Any]) -> Proof:
    check_shape(draft, site)
    try:
        if site.slope.value is None:
            return prove_runtime(form, dtype)
        return prove(form, shrink(site.slope.value), dtype)
    except Refused as refused:
        raise refused.at(site.node.label) from None
