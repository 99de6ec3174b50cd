"""A model walked in float64, with how far rounding may carry each tensor beside its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np
from onnx import GraphProto, NodeProto, TypeProto, helper

from ....graph.model import Model, array
from ...providers.reference import ReferenceRunner
from ...providers.runner import CannotRun
from .bounded import Array, Bounded, exact
from .call import Call, Uncovered
from .rules import RULES

_ONNX = ("", "ai.onnx")
# What comes out of these is not rounded: sizes, and constants.
EXACT = frozenset({"Constant", "ConstantOfShape", "Range", "Shape", "Size"})


class BoundedRun:
    """A model, ready to be walked on inputs.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        graph = model.proto.graph
        self._opset = next((each.version for each in model.proto.opset_import if each.domain in _ONNX), 1)
        self._model = model
        self._outputs = [output.name for output in graph.output]
        self._nodes = _needed(graph)
        self._alone: dict[int, ReferenceRunner] = {}
        self._last_readers = {name: at for at, node in enumerate(self._nodes) for name in node.input}

    @property
    def covers(self) -> bool:
        """Whether any output may get a bound: what it is made from has rules."""
        return bool(self._nodes)

    @cached_property
    def _constants(self) -> dict[str, Bounded]:
        read = {name for node in self._nodes for name in node.input}
        tensors = (each for each in self._model.proto.graph.initializer if each.name in read)
        return {each.name: exact(array(each, self._model.folder)) for each in tensors}

    def bounds(self, feed: Mapping[str, Array]) -> list[Bounded | None]:
        """What comes out for some inputs, and how far off a runtime may be; None behind a node without a rule."""
        known: dict[str, Bounded] = dict(self._constants)
        known.update({name: exact(value) for name, value in feed.items()})
        keep = set(self._outputs)
        with np.errstate(all="ignore"):
            for at, node in enumerate(self._nodes):
                if all(name in known for name in node.input if name):
                    inputs = [known[name] if name else None for name in node.input]
                    with suppress(Uncovered):
                        known.update(zip(node.output, self._run(at, node, inputs), strict=False))
                for name in set(node.input) - keep:
                    if self._last_readers[name] == at:
                        known.pop(name, None)
        return [known.get(name) for name in self._outputs]

    def _run(self, at: int, node: NodeProto, inputs: Sequence[Bounded | None]) -> list[Bounded]:
        def reference(values: Sequence[Array | None]) -> list[Array]:
            return self._by_reference(at, node, values)

        floats = any(each is not None and (each.floats or not each.certain) for each in inputs)
        if node.op_type in EXACT or not (floats or node.op_type in ("Cast", "CastLike")):
            values = [None if each is None else each.value for each in inputs]
            return [exact(np.asarray(value)) for value in reference(values)]
        made = RULES[node.op_type](Call(node, inputs, reference, self._opset))
        return made if isinstance(made, list) else [made]

    def _by_reference(self, at: int, node: NodeProto, values: Sequence[Array | None]) -> list[Array]:
        """What onnx's reference evaluator makes of a node alone."""
        try:
            if at not in self._alone:
                self._alone[at] = ReferenceRunner(_alone(node, self._opset))
            return self._alone[at].run(
                {name: value for name, value in zip(node.input, values, strict=True) if value is not None}
            )
        except CannotRun as refusal:
            raise Uncovered(refusal.reason) from None


def _needed(graph: GraphProto) -> list[NodeProto]:
    """The nodes behind outputs that are made by nodes with a rule only."""
    known = {each.name for each in graph.initializer} | {each.name for each in graph.input}
    covered = []
    for node in graph.node:
        if (
            node.domain in _ONNX
            and node.op_type in (RULES.keys() | EXACT)
            and known.issuperset(filter(None, node.input))
        ):
            covered.append(node)
            known.update(node.output)
    wanted, needed = {output.name for output in graph.output}, []
    for node in reversed(covered):
        if wanted.intersection(node.output):
            needed.append(node)
            wanted.update(node.input)
    return needed[::-1]


def _alone(node: NodeProto, opset: int) -> Model:
    """A model of one node, of whatever types."""
    inputs, outputs = (
        [helper.make_value_info(name, TypeProto()) for name in dict.fromkeys(names) if name]
        for names in (node.input, node.output)
    )
    opsets = [helper.make_opsetid("", opset)]
    return Model(helper.make_model(helper.make_graph([node], "alone", inputs, outputs), opset_imports=opsets))
