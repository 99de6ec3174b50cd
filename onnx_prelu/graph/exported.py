"""A gs.Graph as a ModelProto, leaving no trace on the graph and no word on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.logger import G_LOGGER
from onnx_graphsurgeon.util.exception import OnnxGraphSurgeonException

from ..errors import BadInput

# What graphsurgeon raises on a graph that makes no sense; it checks little.
_FAILURES = (
    OnnxGraphSurgeonException,
    AssertionError,
    AttributeError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


def exported(graph: gs.Graph) -> onnx.ModelProto:
    """The model of a graph, less what a gs.Graph cannot hold (metadata, quantization annotations).

    Raises:
        BadInput: graphsurgeon cannot export it, for instance where an input has no type.
    """
    # The logger prints to stdout, and one step above its highest level silences it.
    with G_LOGGER.suppress(G_LOGGER.CRITICAL + 1), _unchanged(graph):
        try:
            proto: onnx.ModelProto = gs.export_onnx(graph)  # a copy all through: make_model copies
        except _FAILURES as error:
            raise BadInput(
                f"graphsurgeon cannot export this graph ({error})",
                where=f"graph '{graph.name}'",
                todo="correct the graph, or give the model's path",
            ) from error
    return proto


@contextmanager
def _unchanged(graph: gs.Graph) -> Iterator[None]:
    """Undo what the export does to its argument: it completes imports and renames tensors not loaded yet."""
    bodies = [graph, *graph.subgraphs(recursive=True), *graph.functions]
    imports = [(body, body.import_domains, len(body.import_domains or ())) for body in bodies]
    stored = [proto for body in bodies for proto in _stored(body)]
    names = [proto.name for proto in stored]
    try:
        yield
    finally:
        for body, domains, count in imports:
            if domains is not None:
                del domains[count:]
            body.import_domains = domains
        for proto, name in zip(stored, names, strict=True):
            proto.name = name


def _stored(body: Any) -> Iterator[onnx.TensorProto]:
    for tensor in body.tensors().values():
        lazy = getattr(tensor, "_values", None)
        stored = getattr(lazy, "tensor", None)
        if isinstance(stored, onnx.TensorProto):
            yield stored
