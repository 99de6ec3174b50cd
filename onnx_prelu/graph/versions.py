"""Another opset or IR version for a model, where nothing but the number has to change.

Converting an op to another version of itself can change what it computes, so this does not: an opset is legal where
every op of the model is of the same version in both, and an IR version where it can hold what the model holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import onnx

from ..errors import BadUsage, NotMet
from .model import Model
from .opsets import STANDARD
from .walk import roots, tensors, within

OLDEST_IR = 3
"""Before it, a model had no opset."""


def with_versions(model: Model, opset: int | None = None, ir_version: int | None = None) -> Model:
    """The model under another opset and IR version; the very model where neither changes.

    From IR version 4 on, initializers are constants unless they are listed as inputs; in version 3 all are listed, and
    are constants all the same. So going up takes them out of the inputs, and going down to 3 lists them.

    Raises:
        BadUsage: The installed onnx does not know that version.
        NotMet: An op would be another version of itself, or the model holds what that IR version cannot.
    """
    if opset is not None:
        model = _with_opset(model, opset)
    return model if ir_version is None else _with_ir(model, ir_version)


def _with_opset(model: Model, opset: int) -> Model:
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= opset <= newest:
        raise BadUsage(f"--opset {opset}: this onnx knows opsets 1 to {newest}", todo="take one of them")
    proto = model.proto
    if all(entry.version == opset for entry in _imports(proto)):
        return model
    now = next((entry.version for entry in proto.opset_import if entry.domain in STANDARD), 1)
    functions = {(function.domain, function.name) for function in proto.functions}
    for root in roots(proto):
        own = now
        if isinstance(root, onnx.FunctionProto):
            own = next((entry.version for entry in root.opset_import if entry.domain in STANDARD), now)
        for body in within(root):
            for node in body.node:
                if node.domain in STANDARD and (node.domain, node.op_type) not in functions:
                    _require_same(node, own, opset)
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    for entry in _imports(changed):
        entry.version = opset
    return replace(model, proto=changed, raw=None)


def _imports(proto: onnx.ModelProto) -> Iterator[onnx.OperatorSetIdProto]:
    every = [*proto.opset_import, *(entry for function in proto.functions for entry in function.opset_import)]
    return (entry for entry in every if entry.domain in STANDARD)


def _require_same(node: onnx.NodeProto, now: int, then: int) -> None:
    """Refuse an op that is another version of itself in another opset.

    Raises:
        NotMet: It is, or it does not exist there.
    """
    what = f"--opset {then}: {node.op_type} of node '{node.name or node.output[0]}'"
    before = onnx.defs.get_schema(node.op_type, now, "").since_version
    try:
        after = onnx.defs.get_schema(node.op_type, then, "").since_version
    except onnx.defs.SchemaError:
        raise NotMet(f"{what} does not exist there", todo="take a higher opset") from None
    if before != after:
        why = f"is of version {before} in opset {now}, and of version {after} there"
        raise NotMet(f"{what} {why}", todo="export the model for that opset")


@dataclass(frozen=True)
class _Needs:
    """Content that only IR versions from ``version`` on can hold."""

    version: int
    what: str
    found: Callable[[onnx.ModelProto], bool]


_NEEDS = (
    _Needs(5, "quantization annotations", lambda proto: bool(proto.graph.quantization_annotation)),
    _Needs(6, "sparse initializers", lambda proto: bool(proto.graph.sparse_initializer)),
    _Needs(7, "training information", lambda proto: bool(proto.training_info)),
    _Needs(8, "functions", lambda proto: bool(proto.functions)),
    _Needs(9, "float8 tensors", lambda proto: _holds(proto, "FLOAT8")),
    _Needs(10, "4-bit integers", lambda proto: _holds(proto, "INT4") or _holds(proto, "UINT4")),
    _Needs(10, "metadata of nodes", lambda proto: any(node.metadata_props for node in proto.graph.node)),
    _Needs(11, "4-bit floats", lambda proto: _holds(proto, "FLOAT4")),
)


def _holds(proto: onnx.ModelProto, type_name: str) -> bool:
    """True if a tensor or a declared value has a type whose name begins like this."""
    numbers = {tensor.data_type for tensor in tensors(proto)}
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        numbers.add(value.type.tensor_type.elem_type)
    return any(onnx.TensorProto.DataType.Name(number).startswith(type_name) for number in numbers)


def _with_ir(model: Model, version: int) -> Model:
    newest = int(onnx.IR_VERSION)
    if not OLDEST_IR <= version <= newest:
        raise BadUsage(f"--ir-version {version}: this onnx knows {OLDEST_IR} to {newest}", todo="take one of them")
    proto = model.proto
    if proto.ir_version == version:
        return model
    for needs in _NEEDS:
        if version < needs.version and needs.found(proto):
            line = f"--ir-version {version}: the model holds {needs.what}, which come with IR version {needs.version}"
            raise NotMet(line, todo=f"take {needs.version} or higher")
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    changed.ir_version = version
    initializers = {tensor.name: tensor for tensor in proto.graph.initializer}
    listed = {value.name for value in proto.graph.input}
    if version == OLDEST_IR:
        for name, tensor in initializers.items():
            if name not in listed:
                value = onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
                changed.graph.input.append(value)
    elif proto.ir_version <= OLDEST_IR:
        kept = [value for value in proto.graph.input if value.name not in initializers]
        del changed.graph.input[:]
        changed.graph.input.extend(kept)
    return replace(model, proto=changed, raw=None)
