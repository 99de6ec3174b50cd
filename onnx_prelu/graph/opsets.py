"""Does the installed onnx know every op of the standard domain that a model uses?"""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from ..errors import BadInput
from .walk import roots, within

STANDARD = ("", "ai.onnx")


def require_known_ops(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a model that uses a standard op which does not exist in the op set that it imports.

    Ops of other domains are the runtime's business, and so is a standard name that the model itself defines
    as a function.

    Args:
        proto: The model.
        where: The model's name in messages.

    Raises:
        BadInput: Names the node and the op.
    """
    functions = {_key(function.domain, function.name) for function in proto.functions}
    # Before IR version 3 there was one op set and nothing to import.
    model_version = _version(proto.opset_import) or (1 if proto.ir_version < 3 else None)
    known: set[tuple[str, int | None]] = set()
    for root in roots(proto):
        own = _version(root.opset_import) if isinstance(root, onnx.FunctionProto) else None
        version = own or model_version
        for body in within(root):
            for node in body.node:
                if node.domain in STANDARD and (node.op_type, version) not in known:
                    if _key(node.domain, node.op_type) not in functions:
                        _require(node, version, where)
                    known.add((node.op_type, version))


def _key(domain: str, name: str) -> tuple[str, str]:
    return ("" if domain in STANDARD else domain, name)


def _version(imports: Iterable[onnx.OperatorSetIdProto]) -> int | None:
    return next((entry.version for entry in imports if entry.domain in STANDARD), None)


def _require(node: onnx.NodeProto, version: int | None, where: str) -> None:
    label = node.name or next(iter(node.output), "")
    what = f"node '{label}' uses the standard op {node.op_type}, "
    if version is None:
        raise BadInput(
            f"{what}but the model imports no op set of the standard domain",
            where=where,
            todo="export the model again",
        )
    try:
        onnx.defs.get_schema(node.op_type, min(version, 2**31 - 1), "")
    except onnx.defs.SchemaError:
        newest = onnx.defs.onnx_opset_version()
        if version > newest:
            what += f"of op set {version}; onnx {onnx.__version__} ends at op set {newest} and does not know it"
            todo = "upgrade onnx (pip install --upgrade onnx)"
        elif onnx.defs.has(node.op_type, ""):
            what += f"which does not exist in op set {version}"
            todo = "correct the op set that the model imports"
        else:
            what += f"which onnx {onnx.__version__} does not know"
            todo = "check its name, or give it a domain of its own"
        raise BadInput(what, where=where, todo=todo) from None
