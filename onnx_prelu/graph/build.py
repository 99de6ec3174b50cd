"""New nodes for an expression: opset, dtype, readable names.

Nodes are written in graphsurgeon's language and exported as a fragment. They are named after the node and the
tensor that they replace, with that name as the beginning, and inherit its doc string and metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from ..algebra.floats import Array
from ..algebra.forms import Expression, RuntimeSlope
from ..errors import Refused
from .index import Index, Node
from .weights import Weight


class Names:
    """New names for one edit: they begin with what they replace, and collide with nothing."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._own: set[str] = set()

    def new(self, base: str, suffix: str) -> str:
        """``base/suffix``, with a number where that is taken."""
        name, number = f"{base}/{suffix}", 1
        while name in self._index.names or name in self._own:
            number += 1
            name = f"{base}/{suffix}_{number}"
        self._own.add(name)
        return name


class Fragment:
    """Nodes that compute one expression of a tensor x, and the constants that they read.

    Attributes:
        constants: New initializers by name.
    """

    def __init__(self, names: Names, site: Node, y: str, opset: int, dtype: np.dtype[Any]) -> None:
        self.constants: dict[str, Weight] = {}
        self._names, self._site, self._y = names, site, y
        self._opset, self._dtype = opset, dtype
        self._nodes: list[gs.Node] = []
        self._known: list[tuple[Array, str]] = []
        self._runtime: dict[str, gs.Variable] = {}
        self._tensors: dict[str, gs.Variable] = {}

    def _tensor(self, name: str) -> gs.Variable:
        """The one variable of this name: graphsurgeon takes two of one name for two tensors, and says so on stdout."""
        return self._tensors.setdefault(name, gs.Variable(name))

    def reuse(self, value: Array, tensor: str) -> None:
        """Let a constant of this value and shape be an existing tensor instead of a new initializer."""
        self._known.append((value, tensor))

    def write(self, expression: Expression, x: str, a: Array | RuntimeSlope) -> tuple[onnx.NodeProto, ...]:
        """The nodes of an expression, in order; the last one makes y.

        Raises:
            Refused: ``opset``: an op does not exist, or not for this type, in the model's opset.
        """
        result = expression(self, self._tensor(x), a, self._constant)
        result.name = self._y
        graph = gs.Graph(nodes=self._nodes, opset=self._opset)
        nodes = list(gs.export_onnx(graph, do_type_check=False).graph.node)
        for node in nodes:
            node.doc_string = self._site.proto.doc_string
            node.metadata_props.extend(self._site.proto.metadata_props)
        return tuple(nodes)

    def __getattr__(self, op: str) -> Callable[..., gs.Variable]:
        if op.startswith("_"):
            raise AttributeError(op)
        return lambda *inputs, **attributes: self._apply(op, inputs, attributes)

    def _apply(self, op: str, inputs: tuple[gs.Variable, ...], attributes: dict[str, Any]) -> gs.Variable:
        if not supports(op, self._opset, self._dtype.name):
            text = f"{op} does not exist for {self._dtype.name} in opset {self._opset}"
            raise Refused("opset", text, self._site.label)
        if self._opset < 8 and op in ("Max", "Min") and any(value.name in self._scalars() for value in inputs):
            text = f"{op} broadcasts from opset 8 on, and the model is of opset {self._opset}"
            raise Refused("opset", text, self._site.label)
        if self._opset < 7 and op == "Mul":
            inputs, attributes = self._legacy_mul(inputs)
        output = gs.Variable(self._names.new(self._y, op.lower()))
        name = self._names.new(self._site.name, op.lower())
        self._nodes.append(gs.Node(op, name, attributes, list(inputs), [output]))
        return output

    def _legacy_mul(self, inputs: tuple[gs.Variable, ...]) -> tuple[tuple[gs.Variable, ...], dict[str, Any]]:
        """Before opset 7 the second operand broadcasts, and only where an attribute says so: (C,) along axis 1."""
        factor, x = inputs  # forms write the constant first
        single = any(value.size == 1 for value, tensor in self._known if tensor == factor.name)
        return (x, factor), {"broadcast": 1} if single else {"broadcast": 1, "axis": 1}

    def _constant(self, value: Any) -> gs.Variable:
        if isinstance(value, RuntimeSlope):
            return self._runtime_constant(value)
        if self._opset < 7:
            value = value.reshape(-1)
        for known, tensor in self._known:
            if known.shape == value.shape and np.array_equal(known, value):
                return self._tensor(tensor)
        name = self._names.new(self._site.name, "slope" if not self.constants else "factor")
        self.constants[name] = Weight.of(value.astype(self._dtype))
        self._known.append((value, name))
        return self._tensor(name)

    def _scalars(self) -> set[str]:
        return {tensor for value, tensor in self._known if value.size == 1}

    def _runtime_constant(self, slope: RuntimeSlope) -> gs.Variable:
        if not slope.minus:
            return self._tensor(slope.tensor)
        if slope.minus not in self._runtime:
            op, one, first = _OF_A_SLOPE[slope.minus]
            if self._opset < 7 and op == "Sub":
                text = f"{slope.minus} of a slope that is only known at run time needs broadcasting, of opset 7"
                raise Refused("opset", text, self._site.label)
            pair = [self._constant(np.array(one)), self._tensor(slope.tensor)]
            self._runtime[slope.minus] = self._apply(op, tuple(pair if first else pair[::-1]), {})
        return self._runtime[slope.minus]


_OF_A_SLOPE = {"1-a": ("Sub", 1.0, True), "a-1": ("Sub", 1.0, False), "-a": ("Mul", -1.0, True)}
"""For what a form makes of a runtime slope: the op, its constant, and whether the constant is the first operand."""


@cache
def supports(op: str, opset: int, dtype: str) -> bool:
    """True if the op exists for a type (``"float32"``) in an opset of the standard domain, by onnx's own schemas."""
    try:
        schema = onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return False
    name = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    constraint = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    allowed = constraint.get(schema.inputs[0].type_str, [schema.inputs[0].type_str])
    return f"tensor({name})" in allowed
