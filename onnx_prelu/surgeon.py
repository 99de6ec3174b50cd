"""The passes as functions of a graphsurgeon graph: import this module, and every ``gs.Graph`` has them.

>>> import onnx, onnx_graphsurgeon as gs, onnx_prelu.surgeon
>>> graph = gs.import_onnx(onnx.load("models/digits_prelu_gemm.onnx"))
>>> [node.op for node in graph.prelu_to_relu().nodes]
['Flatten', 'Gemm', 'Relu', 'Gemm', 'Relu', 'Gemm']
"""

from __future__ import annotations

from typing import Any

import onnx_graphsurgeon as gs

from .api import rewrite


@gs.Graph.register()  # type: ignore[untyped-decorator]
def prelu_to_relu(self: gs.Graph, **options: Any) -> gs.Graph:
    """The graph with its PReLUs lowered to ReLU; the graph itself is not changed.

    Args:
        self: The graph.
        **options: What :func:`onnx_prelu.rewrite` takes; ``check`` is on unless turned off.

    Raises:
        What :func:`onnx_prelu.rewrite` raises.
    """
    return rewrite(self, to="relu", **options).graph


@gs.Graph.register()  # type: ignore[untyped-decorator]
def relu_to_prelu(self: gs.Graph, **options: Any) -> gs.Graph:
    """The graph with double-width ReLU layers folded, and PReLUs spelled as PRelu; the graph itself is not changed.

    Args:
        self: The graph.
        **options: What :func:`onnx_prelu.rewrite` takes; ``check`` is on unless turned off.

    Raises:
        What :func:`onnx_prelu.rewrite` raises.
    """
    return rewrite(self, to="prelu", **options).graph
