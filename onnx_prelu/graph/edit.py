"""The only room that changes a model: an Edit is data, commit() applies it to a Draft, finish() writes the proto.

The input's proto is never touched. Nodes are replaced in place, initializers that lost their last reader go (nested
bodies counted), new ones stand where the ones they replace stood, in the body that reads them. What no edit named comes
out byte for byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx

from .draft import Draft, NewConstant, Widened
from .filled import is_told
from .index import Node
from .linear import Change
from .model import Model
from .types import TensorType
from .walk import Body
from .weights import Weight


@dataclass(frozen=True)
class Edit:
    """A change of a model, as data.

    Attributes:
        nodes: For each node that goes, the protos that take its place (none: it just goes).
        constants: New initializers by name.
        widened: Tensors whose units became lanes.
        types: What is known of other new tensors.
        metadata: Entries of the model's metadata, by key.
    """

    nodes: Mapping[Node, tuple[onnx.NodeProto, ...]]
    constants: Mapping[str, NewConstant] = field(default_factory=dict)
    widened: tuple[Widened, ...] = ()
    types: Mapping[str, TensorType] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def rewired(
    node: Node, changes: Iterable[Change], names: Mapping[Change, str], rename: Mapping[str, str]
) -> onnx.NodeProto:
    """A copy of a node that reads other constants at some positions, and other tensors for some names.

    Args:
        node: The node.
        changes: Which constants are replaced; those of other nodes are passed over.
        names: The new constant's name for each change.
        rename: New names of tensors that the node reads or makes.
    """
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    for position, name in enumerate(node.inputs):
        proto.input[position] = rename.get(name, name)
    for position, name in enumerate(node.outputs):
        proto.output[position] = rename.get(name, name)
    for change in changes:
        if change.node is node:
            proto.input[change.position] = names[change]
    return proto


def commit(draft: Draft, edit: Edit) -> None:
    """Apply an edit: nodes, constants, types, and the initializers that lose their last reader by it."""
    index = draft.index
    for name, constant in edit.constants.items():
        before = draft.new.get(constant.like)
        draft.new[name] = replace(constant, like=before.like) if before else constant
        draft.constants.define(name, constant.weight)
        index.names.add(name)
    forgotten: list[str] = []
    for node, protos in edit.nodes.items():
        position = index.remove(node)
        forgotten.extend(node.inputs)
        for number, proto in enumerate(protos):
            index.add(Node.of(proto, node.slot, node.path), position + number)
            index.names.update((proto.name, *proto.output))
    known = {widened.new: widened for widened in draft.widened.values()}
    for widened in edit.widened:
        whole = known[widened.old].then(widened) if widened.old in known else widened
        draft.widened[whole.old] = whole
        if widened.old in draft.types:
            draft.types[widened.new] = _wider(draft.types[widened.old], widened)
    draft.types.update(edit.types)
    draft.metadata.update(edit.metadata)
    _drop_unread(draft, forgotten)
    draft.replaced.update(edit.nodes)


def _wider(known: TensorType, widened: Widened) -> TensorType:
    return known if known.shape is None else replace(known, shape=widened.shape(known.shape))


def _drop_unread(draft: Draft, tensors: list[str]) -> None:
    """Drop initializers that lost their last reader, and nodes that only told what no run decides."""
    index = draft.index
    while tensors:
        name = tensors.pop()
        if not name or index.is_read(name):
            continue
        if name in draft.new:
            del draft.new[name]
        elif name in index.initializers:
            draft.dropped.add(name)
        elif (node := index.maker.get(name)) is not None and is_told(draft, node):
            index.remove(node)
            tensors.extend(node.inputs)
        elif name in index.captured:
            _release(draft, name)


def _release(draft: Draft, tensor: str) -> None:
    """A body does not read a tensor of the scope around it any more: there, it has one reader less."""
    outer, holder = draft.place.outer, draft.place.holder
    assert outer is not None
    assert holder is not None
    draft.index.captured.remove(tensor)
    outer.index.release(holder, draft.place.number, tensor)
    _drop_unread(outer, [tensor])


# ── from the draft back to a proto ────────────────────────────────────────────────────────────────────────────


def finish(draft: Draft) -> Model:
    """The edited model; the very model that was put in where nothing changed."""
    if not draft.changed:
        return draft.model
    proto = onnx.ModelProto()
    proto.CopyFrom(draft.model.proto)
    new: set[str] = set()
    for scope in draft.scopes():
        if scope.replaced or scope.dropped or scope.frozen:
            _write(scope, scope.place.within(proto)[-1], proto.ir_version)
            new |= scope.new.keys()
        for key, value in scope.metadata.items():
            _set_metadata(proto, key, value)
    return replace(draft.model, proto=proto, raw=None, fresh=draft.model.fresh | new)


def _set_metadata(proto: onnx.ModelProto, key: str, value: str) -> None:
    entry = next((each for each in proto.metadata_props if each.key == key), None) or proto.metadata_props.add(key=key)
    entry.value = value


def _write(draft: Draft, body: Body, ir_version: int) -> None:
    """Put a scope's nodes and constants into a copy of its body; bodies inside are written after it."""
    before = draft.place.body
    nodes = [node.proto for node in draft.index.nodes()]
    gone = {name for node in before.node for name in node.output} | draft.dropped
    gone -= {name for node in nodes for name in node.output}
    top = draft.place.outer is None and isinstance(body, onnx.GraphProto)
    if isinstance(body, onnx.GraphProto) and takes_initializers(draft, ir_version):
        _refill(body.initializer, _initializers(draft))
    else:
        nodes[:0] = [_constant_node(name, constant.weight) for name, constant in draft.new.items()]
    _refill(body.node, nodes)
    if isinstance(body, onnx.GraphProto) and isinstance(before, onnx.GraphProto):
        if top:
            _refill(body.input, _inputs(draft, listed=ir_version < 4))
        annotations = [each for each in before.quantization_annotation if each.tensor_name not in gone]
        _refill(body.quantization_annotation, annotations)
    _refill(body.value_info, _value_info(draft, gone))


def takes_initializers(draft: Draft, ir_version: int) -> bool:
    """Whether new constants are initializers; else they are Constant nodes, before all others.

    A function has no initializers, and before IR version 4 every initializer of a graph has to be an input of it, which
    a body's signature does not allow.
    """
    return isinstance(draft.place.body, onnx.GraphProto) and (draft.place.outer is None or ir_version >= 4)


def _constant_node(name: str, weight: Weight) -> onnx.NodeProto:
    return onnx.helper.make_node("Constant", [], [name], name, value=_tensor("", weight, None))


def _refill(container: Any, messages: Iterable[Any]) -> None:
    """Put messages (of another proto) into a repeated field in place of what it holds."""
    del container[:]
    container.extend(messages)


def _initializers(draft: Draft) -> list[onnx.TensorProto]:
    """A graph's initializers less the dropped ones; each new one where the one it replaces stood, or at the end."""
    replacing: dict[str, list[str]] = defaultdict(list)
    for name, constant in draft.new.items():
        replacing[constant.like if constant.like in draft.index.initializers else ""].append(name)
    result: list[onnx.TensorProto] = []
    for tensor in draft.index.initializers.values():
        if tensor.name not in draft.dropped:
            result.append(tensor)
        result.extend(_tensor(name, draft.new[name].weight, tensor) for name in replacing.pop(tensor.name, ()))
    result.extend(_tensor(name, draft.new[name].weight, None) for name in replacing[""])
    return result


def _tensor(name: str, weight: Weight, like: onnx.TensorProto | None) -> onnx.TensorProto:
    """The initializer for a weight, rounded now, with the doc string and metadata of what it replaces."""
    stored = weight.stored()
    number = onnx.helper.np_dtype_to_tensor_dtype(stored.dtype)
    tensor = onnx.TensorProto(name=name, data_type=number, dims=stored.shape, raw_data=stored.tobytes())
    if like is not None:
        tensor.doc_string = like.doc_string
        tensor.metadata_props.extend(like.metadata_props)
    return tensor


def _inputs(draft: Draft, *, listed: bool) -> list[onnx.ValueInfoProto]:
    """The graph's inputs less dropped and frozen initializers; in IR version 3 (``listed``) with the new ones."""
    gone = draft.dropped | draft.frozen
    inputs = [value for value in draft.model.proto.graph.input if value.name not in gone]
    if listed:
        inputs.extend(
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(constant.weight.dtype), constant.weight.shape
            )
            for name, constant in draft.new.items()
        )
    return inputs


def _value_info(draft: Draft, gone: set[str]) -> list[onnx.ValueInfoProto]:
    """The declared types less those of tensors that are gone; a widened tensor's with its new name and width."""
    result: list[onnx.ValueInfoProto] = []
    for value in draft.place.body.value_info:
        if value.name not in gone:
            result.append(value)
        elif value.name in draft.widened:
            widened = draft.widened[value.name]
            wider = onnx.ValueInfoProto()
            wider.CopyFrom(value)
            wider.name = widened.new
            shape = wider.type.tensor_type.shape
            if shape.dim:
                size = shape.dim[widened.axis]
                if size.HasField("dim_value"):
                    size.dim_value = widened.size(size.dim_value) or 0
                else:
                    size.Clear()
            result.append(wider)
    return result
