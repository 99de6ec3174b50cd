"""What stands in a model, in short words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import onnx
from google.protobuf.message import Message

from ..inputs.dtypes import type_name
from ..inputs.spec import shape_text, spec_of

_LONG = 60  # characters


def short(text: object) -> str:
    """A text on one line, cut off where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONG else f"{line[: _LONG - 1]}…"


def fields(a: Message, b: Message, but: Collection[str]) -> Iterator[tuple[str, str]]:
    """The fields of two messages that differ, other than those that are looked at elsewhere, and how."""
    for field in a.DESCRIPTOR.fields:
        one, two = getattr(a, field.name), getattr(b, field.name)
        if field.name not in but and one != two:
            yield field.name, f"{_value(one)} → {_value(two)}"


def type_text(value: onnx.ValueInfoProto) -> str:
    """The type that is declared of a tensor: ``float [N, 3]``."""
    kind = value.type.WhichOneof("value")
    if kind is None:
        return "no type"
    if kind != "tensor_type":
        return short(value.type)
    spec = spec_of(value)
    return f"{type_name(spec.dtype)} {shape_text(spec.shape)}"


def tensor_text(tensor: onnx.TensorProto) -> str:
    """A tensor's type and shape."""
    return f"{type_name(tensor.data_type)} {shape_text(tuple(tensor.dims))}"


def op_text(node: onnx.NodeProto) -> str:
    """A node's op, with its domain in front unless it is the standard one."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def node_text(node: onnx.NodeProto) -> str:
    """A node as a line: ``Add(a, b) → c``."""
    return f"{op_text(node)}({', '.join(node.input)}) → {', '.join(node.output)}"


def attribute_text(attribute: onnx.AttributeProto) -> str:
    """The value of an attribute."""
    if attribute.ref_attr_name:
        return f"the parameter {attribute.ref_attr_name}"
    if attribute.type == onnx.AttributeProto.TENSOR:
        return tensor_text(attribute.t)
    if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        return "a graph"
    value = onnx.helper.get_attribute_value(attribute)
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else [value]
    told = ", ".join(_one(each) for each in values)
    return short(told if values == [value] else f"[{told}]")


def _one(value: Any) -> str:
    """One value of an attribute; a float in the digits that its type holds."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _value(value: Any) -> str:
    """The value of a field."""
    if isinstance(value, Sequence) and value and hasattr(value[0], "key"):
        value = ", ".join(f"{entry.key}={entry.value}" for entry in value)
    return short(value) if str(value).strip() and value != [] else "nothing"
