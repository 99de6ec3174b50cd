"""What an edit takes out of a body and what it puts in, told without committing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from .draft import Draft
from .edit import Edit, takes_initializers
from .extract import reads
from .filled import is_told
from .index import Node


@dataclass(frozen=True)
class Exchange:
    """Two small graphs: what goes, and what comes. Their initializers have types and shapes, and no values.

    Attributes:
        gone: The nodes and constants that go.
        put: The nodes and constants that come.
    """

    gone: onnx.GraphProto
    put: onnx.GraphProto


def exchange(draft: Draft, edit: Edit) -> Exchange:
    """What committing an edit would take out and put in, in the scope of the draft and in those around it."""
    protos = [proto for replacing in edit.nodes.values() for proto in replacing]
    put = onnx.GraphProto(node=protos)
    initializers = takes_initializers(draft, draft.model.proto.ir_version)
    for name, constant in edit.constants.items():
        number = onnx.helper.np_dtype_to_tensor_dtype(constant.weight.dtype)
        shape = onnx.TensorProto(name=name, data_type=number, dims=constant.weight.shape)
        if initializers:
            put.initializer.append(shape)
        else:
            put.node.append(onnx.helper.make_node("Constant", [], [name], name, value=shape))
    gone = onnx.GraphProto(node=[node.proto for node in edit.nodes])
    read = frozenset(name for proto in protos for name in reads(proto))
    for item in _unread(draft, [name for node in edit.nodes for name in node.inputs], set(edit.nodes), read):
        if isinstance(item, Node):
            gone.node.append(item.proto)
        else:
            gone.initializer.append(onnx.TensorProto(name=item.name, data_type=item.data_type, dims=item.dims))
    return Exchange(gone, put)


def _unread(
    draft: Draft, tensors: list[str], gone: set[Node], read: frozenset[str]
) -> Iterator[onnx.TensorProto | Node]:
    """Of these tensors or behind them, initializers, and nodes that tell what no run decides, that nobody reads then.

    Args:
        draft: The scope.
        tensors: Where to begin.
        gone: Nodes that go, and read nothing any more.
        read: What is read by the nodes in their place.
    """
    index, told = draft.index, set[str]()
    while tensors:
        name = tensors.pop()
        kept = name in read or name in index.outputs or name in index.pinned
        if not name or kept or name in told or any(use.node not in gone for use in index.uses(name)):
            continue
        told.add(name)
        maker = index.maker.get(name)
        if name in index.initializers:
            yield index.initializers[name]
        elif maker is not None and maker not in gone and is_told(draft, maker):
            gone = gone | {maker}
            tensors.extend(maker.inputs)
            yield maker
        elif name in index.captured:
            outer, holder = draft.place.outer, draft.place.holder
            assert outer is not None
            assert holder is not None
            others = reads(holder.proto)  # each body that reads a tensor counts once
            others.remove(name)
            yield from _unread(outer, [name], {holder}, frozenset(others))
