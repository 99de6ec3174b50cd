"""All that reads an activation of which some units come out with the other sign, also through residual sums.

y ─► Conv ──┐             The layers take the signs in their columns. A sum passes them on, if what is added comes
y ─► Add ─► t             from a layer that takes them in its rows. Where a PRelu reads t, they end.
o ───┘
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...errors import Refused
from ...graph.affine import computed_operand
from ...graph.between import Step
from ...graph.draft import Draft
from ...graph.index import Node, Use
from ...graph.linear import Linear, Place
from ...graph.readers import Readers, Reading, reader, refuse_output
from ..wide import layer_before


@dataclass(frozen=True)
class Sum:
    """An Add of units and of what a linear layer makes.

    Attributes:
        node: The Add.
        output: Where the units lie in its result.
        other: The layer whose result is added, and read by nothing else.
    """

    node: Node
    output: Place
    other: Linear

    def tensors(self) -> Iterator[str]:
        """The tensors that come out with other signs: of the layer, and of the sum."""
        yield from (node.outputs[0] for node in self.other.nodes)
        yield self.node.outputs[0]


@dataclass(frozen=True)
class Signed:
    """All that reads units whose signs may be turned.

    Attributes:
        after: The layers, and the steps on the way.
        sums: The sums on the way.
        ends: Sums that a PRelu reads, which takes no signs.
    """

    after: Readers
    sums: tuple[Sum, ...]
    ends: tuple[str, ...]


def signed_readers(draft: Draft, tensor: str, place: Place) -> Signed:
    """All that reads a tensor, down to linear layers and to the next PRelus.

    Raises:
        Refused: ``graph-output``, ``consumer-not-linear``, or what :func:`~onnx_prelu.graph.readers.reader` and
            :func:`~onnx_prelu.passes.wide.layer_before` refuse.
    """
    found: list[Sum | Step | Reading] = []
    ends: dict[str, None] = {}
    summed: set[str] = set()
    waiting = [(tensor, place)]
    while waiting:
        name, at = waiting.pop()
        for use in draft.index.uses(name):
            if name in summed and use.node.op == "PRelu" and use.position == 0:
                ends[name] = None
                continue
            each = _sum(draft, use, name, at) or reader(draft, use, at)
            found.append(each)
            if isinstance(each, Sum):
                summed.add(each.node.outputs[0])
            if not isinstance(each, Reading):
                waiting.append((each.node.outputs[0], each.output))
    steps = tuple(each for each in found if isinstance(each, Step))
    layers = tuple(each for each in found if isinstance(each, Reading))
    sums = tuple(each for each in found if isinstance(each, Sum))
    _refuse_both_sides(layers, sums)
    return Signed(Readers(steps, layers), sums, tuple(ends))


def _sum(draft: Draft, use: Use, name: str, place: Place) -> Sum | None:
    """The sum that a use is, or None if it is none: an Add of a constant is a step."""
    node = use.node
    if node.op != "Add" or use.position is None or computed_operand(draft, node) is not None:
        return None
    other = layer_before(draft, node.inputs[1 - use.position], (node,), node)
    if other.output.axis != place.axis or (other.units, 1) != (place.units, place.block):
        text = f"what is added to '{name}' has its units elsewhere"
        raise Refused("consumer-not-linear", text, node.label)
    refuse_output(draft, node)
    shape = draft.shape(node.outputs[0])
    return Sum(node, replace(place, rank=None if shape is None else len(shape)), other)


def _refuse_both_sides(layers: tuple[Reading, ...], sums: tuple[Sum, ...]) -> None:
    """A layer that reads the units and is added to them would take signs on both sides."""
    reading = {reading.layer.weight.node for reading in layers}
    for each in sums:
        if each.other.weight.node in reading:
            text = f"'{each.other.nodes[0].name}' reads the activation and is added to it"
            raise Refused("consumer-not-linear", text, each.node.label)
