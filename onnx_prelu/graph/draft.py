"""A model on the workbench: what planning reads, and what commit() changes."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from .constants import Constants
from .index import Index, trained
from .model import Model
from .types import TensorType, infer
from .weights import Weight


@dataclass(frozen=True)
class Widened:
    """A tensor whose units became lanes.

    Attributes:
        old: Its name before.
        new: Its name after.
        axis: The axis of the units, counted from the end.
        units: How many units there were.
        lanes: How many lanes they became.
    """

    old: str
    new: str
    axis: int
    units: int
    lanes: int

    def size(self, before: int | str | None) -> int | None:
        """How long the axis is that was so long before, where that is known; a unit can be a block of neighbours."""
        return before // self.units * self.lanes if isinstance(before, int) else None

    def shape(self, before: tuple[int | str | None, ...]) -> tuple[int | str | None, ...]:
        """The shape of the tensor that had this shape before."""
        sizes = list(before)
        sizes[self.axis] = self.size(sizes[self.axis])
        return tuple(sizes)


@dataclass(frozen=True)
class NewConstant:
    """An initializer that an edit makes.

    Attributes:
        weight: Its values.
        like: The constant that it replaces, whose place, doc string and metadata it takes; "" if none.
    """

    weight: Weight
    like: str = ""


class Draft:
    """A working copy of a model: handles to its nodes and lazy constants. The model itself is never changed.

    Attributes:
        model: The model it started from.
        opset: The version of the standard domain.
        index: Makers and readers, up to date.
        constants: Values of constant tensors, up to date.
        types: What is known of the types of tensors.
        frozen: Initializers that a caller could override and that are taken as constants: no inputs any more.
        changed: True after a commit.
        widened: Tensors whose units became lanes, by the name that they had before.
        new: Initializers that edits made, by name.
        dropped: Initializers of the model that lost their last reader.

    Args:
        model: The model to work on.
        freeze: Take initializers that a caller could override as constants.
    """

    def __init__(self, model: Model, *, freeze: bool = False) -> None:
        self.model = model
        proto = model.proto
        self.opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
        self.index = Index(proto.graph, trained(proto))
        listed = {value.name for value in proto.graph.input} & self.index.initializers.keys()
        overridable = frozenset(listed) if proto.ir_version >= 4 else frozenset[str]()
        self.frozen = overridable if freeze else frozenset[str]()
        self.constants = Constants(self.index, model.folder, self.opset, overridable - self.frozen)
        self.types: dict[str, TensorType] = infer(model)
        self.changed = False
        self.widened: dict[str, Widened] = {}
        self.new: dict[str, NewConstant] = {}
        self.dropped: set[str] = set()

    def dtype(self, tensor: str) -> int:
        """The ONNX number of a tensor's type; UNDEFINED where it is not known."""
        known = self.types.get(tensor)
        return known.dtype if known else onnx.TensorProto.UNDEFINED

    def shape(self, tensor: str) -> tuple[int | str | None, ...] | None:
        """A tensor's shape as far as it is known."""
        known = self.types.get(tensor)
        return known.shape if known else None
