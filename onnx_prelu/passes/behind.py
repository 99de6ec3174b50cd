"""Change an activation and all that reads it, and leave alone what makes it: lanes begin at the activation itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx

from ..algebra.lanes import Lanes
from ..errors import Refused
from ..graph.build import Names
from ..graph.draft import Draft, NewConstant, Widened
from ..graph.edit import Edit, rewired
from ..graph.index import Node
from ..graph.linear import Change, Place
from ..graph.readers import Readers, Reading
from ..graph.weights import Weight
from .plan import Plan
from .wide import constant_name, refuse_overflow

Nodes = tuple[onnx.NodeProto, ...]


@dataclass
class Behind:
    """An edit in the making.

    Attributes:
        draft: The working copy.
        form: The form's name, in which new tensors' names end.
        last: The activation's last node, in whose place new ones come.
        x: What the activation reads.
        y: What it makes.
        place: Where its units lie, before.
        after: All that reads it.
        lanes: What the units become.
        names: New names.
        constants: New initializers.
    """

    draft: Draft
    form: str
    last: Node
    x: str
    y: str
    place: Place
    after: Readers
    lanes: Lanes
    names: Names = field(init=False)
    constants: dict[str, NewConstant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = Names(self.draft.index)
        names = [self.y, *(name for step in self.after.steps for name in step.node.outputs if name)]
        self.rename: dict[str, str] = {name: self.names.new(name, self.form) for name in names}

    @property
    def result(self) -> str:
        """The new name of what the activation makes."""
        return self.rename[self.y]

    def node(self, op: str, inputs: list[str], output: str) -> onnx.NodeProto:
        """A node in the place of the activation, with its doc string and metadata."""
        name = self.names.new(self.last.name, op.lower())
        made = onnx.helper.make_node(op, inputs, [output], name, doc_string=self.last.proto.doc_string)
        made.metadata_props.extend(self.last.proto.metadata_props)
        return made

    def halves(self, inputs: list[str], output: str) -> Nodes:
        """Two lanes of every unit out of two tensors: first all of the one, then all of the other.

        Where a layer behind is grouped, they stand unit by unit, as those of :meth:`Lanes.by_unit` do.

        Raises:
            Refused: ``unknown-shape``, ``opset``, ``group-layout``.
        """
        if self.after.grouped:
            return self._unit_by_unit(inputs, output)
        axis = self.place.axis if self.place.number is None else self.place.number
        if axis < 0 and self.draft.opset < 11:
            text = f"before opset 11 Concat counts axes from the front, and the rank of '{self.x}' is not known"
            raise Refused("unknown-shape", text, self.last.label)
        return (self.concat(inputs, output, axis),)

    def _unit_by_unit(self, inputs: list[str], output: str) -> Nodes:
        """A Concat along the axis behind the units, and a Reshape that counts each half of it as a lane.

        (N, C, H, W) and (N, C, H, W)  ─► Concat ─►  (N, C, 2·H, W)  ─► Reshape ─►  (N, 2·C, H, W)
        """
        unit, shape, label = self.place.number, self.draft.shape(self.x), self.last.label
        if unit is None or self.place.rank is None:
            raise Refused(
                "unknown-shape", f"lanes cannot be put unit by unit: the rank of '{self.x}' is unknown", label
            )
        if unit + 1 == self.place.rank:
            text = f"lanes cannot be put unit by unit: '{self.x}' has no axis behind that of its units"
            raise Refused("group-layout", text, label)
        if self.draft.opset < 5:
            raise Refused("opset", "before opset 5 the shape of a Reshape is an attribute", label)
        sizes = np.zeros(self.place.rank, np.int64)  # 0: as it was
        behind = None if shape is None else shape[unit + 1]
        sizes[unit : unit + 2] = 2 * self.place.units, behind if isinstance(behind, int) and behind else -1
        pair = self.names.new(self.y, "pair")
        reshape = self.node("Reshape", [pair, self.constant(Weight.of(sizes), self.last.name, "shape")], output)
        return (self.concat(inputs, pair, unit + 1), reshape)

    def concat(self, inputs: list[str], output: str, axis: int) -> onnx.NodeProto:
        """A Concat in the place of the activation."""
        made = self.node("Concat", inputs, output)
        made.attribute.append(onnx.helper.make_attribute("axis", axis))
        return made

    def constant(self, weight: Weight, base: str, suffix: str) -> str:
        """The name of an initializer with these values."""
        for name, made in self.constants.items():
            same = made.weight.shape == weight.shape and made.weight.dtype == weight.dtype
            if same and made.weight.stored().tobytes() == weight.stored().tobytes():
                return name
        name = self.names.new(base, suffix)
        self.constants[name] = NewConstant(weight)
        return name

    def rewired(self, node: Node, changes: Iterable[Change]) -> onnx.NodeProto:
        """A node behind the activation with constants of its own.

        Raises:
            Refused: ``overflow``.
        """
        named = {change: constant_name(self.draft, self.names, change, self.form) for change in changes}
        for change, name in named.items():
            refuse_overflow(change)
            self.constants[name] = NewConstant(change.weight, change.node.inputs[change.position])
        return rewired(node, named, named, self.rename)

    def layer(self, reading: Reading) -> Nodes:
        """A layer behind the activation with the columns of the lanes.

        Raises:
            Refused: ``overflow``.
        """
        change = reading.take_columns(self.lanes)
        return (self.rewired(change.node, [change]),)

    def plan(
        self,
        region: tuple[Node, ...],
        activation: Nodes,
        layer: Callable[[Reading], Nodes],
        note: str | None = None,
    ) -> Plan:
        """The plan.

        Args:
            region: The nodes that go.
            activation: Those that come, in the place of the last one.
            layer: Writes what comes in the place of a layer that reads units.
            note: What the user should know.
        """
        steps, layers = self.after.steps, [reading.layer for reading in self.after.layers]
        nodes: dict[Node, Nodes] = dict.fromkeys(region, ())
        nodes[self.last] = activation
        nodes |= {step.node: (self.rewired(step.node, step.changes(self.lanes)),) for step in steps}
        nodes |= {reading.layer.weight.node: layer(reading) for reading in self.after.layers}
        places = {self.y: self.place}
        places |= {name: step.output for step in steps for name in step.node.outputs if name}
        size, units = len(self.lanes), self.place.units
        widened = tuple(
            Widened(old, self.rename[old], place.axis, units, size, repeats=place.repeats)
            for old, place in places.items()
        )
        between = tuple(step.node for step in steps)
        return Plan(
            form=self.form,
            node=self.last,
            edit=Edit(nodes, self.constants, widened),
            equal_bits=False,
            region=region,
            activation=(self.x, self.y),
            before=(*region, *between, *(node for each in layers for node in each.nodes)),
            x=self.x,
            y=tuple(each.y for each in layers),
            unit_axis=self.place.axis,
            between=between,
            lanes=self.lanes,
            note=note,
        )
