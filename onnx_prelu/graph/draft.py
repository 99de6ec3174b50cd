"""A model on the workbench: what planning reads, and what commit() changes; one scope for every body."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field

import onnx

from ..algebra.floats import Array
from .calls import typed_functions
from .constants import Constants
from .index import Index, Node, bodies, named_bodies, trained
from .model import Model
from .types import TensorType, typed, types_in
from .walk import Body
from .weights import Weight


def per_unit(values: Array, axis: int) -> Array:
    """One value a unit in the shape in which they broadcast along an axis, counted from the end."""
    return values.reshape(-1, *[1] * (-1 - axis))


@dataclass(frozen=True)
class Widened:
    """A tensor whose units became lanes.

    Attributes:
        old: Its name before.
        new: Its name after.
        axis: The axis of the units, counted from the end.
        units: How many units there were.
        lanes: How many lanes they became.
        factor: By what each unit is multiplied, (units,), where every unit became one lane and that is a multiple of
            it; None where lanes are made otherwise.
        repeats: How many times all units stand along the axis, one run behind the other.
    """

    old: str
    new: str
    axis: int
    units: int
    lanes: int
    factor: Array | None = field(default=None, compare=False)
    repeats: int = 1

    def then(self, later: Widened) -> Widened:
        """What became of the tensor where what was made of it became something else again."""
        factor = None if self.factor is None or later.factor is None else self.factor * later.factor
        return Widened(self.old, later.new, later.axis, self.units, later.lanes, factor)

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


@dataclass(frozen=True)
class Place:
    """Where a body stands in a model.

    Attributes:
        body: The body: the model's graph, a nested graph, or a function.
        types: The same as a graph that declares what is known of the types of its tensors.
        path: What its nodes' labels begin with.
        number: Which of the holder's bodies it is, or which of the model's functions.
        outer: The scope around it; None for the model's graph and for functions.
        holder: The node in whose attribute it stands.
    """

    body: Body
    types: onnx.GraphProto
    path: str = ""
    number: int = 0
    outer: Draft | None = None
    holder: Node | None = None

    def within(self, proto: onnx.ModelProto) -> tuple[Body, ...]:
        """The same body in another copy of the model, in which nodes were replaced; those around it come first."""
        if self.outer is None:
            return (proto.functions[self.number] if isinstance(self.body, onnx.FunctionProto) else proto.graph,)
        assert self.holder is not None
        around = self.outer.place.within(proto)
        holder = next(node for node in around[-1].node if node.output == self.holder.proto.output)
        return (*around, list(bodies(holder))[self.number])


class Draft:
    """A working copy of one body of a model: handles to its nodes and lazy constants. The model is never changed.

    ``Draft(model)`` is that of the model's graph, and holds those of nested graphs and of functions. Each is a scope of
    its own: a nested graph reads the constants and the types of the scopes around it; functions see nothing outside.

    Attributes:
        model: The model it started from.
        place: The body, and where it stands.
        opset: The version of the standard domain.
        index: Makers and readers, up to date.
        constants: Values of constant tensors, up to date.
        types: What is known of the types of tensors.
        frozen: Initializers that a caller could override and that are taken as constants: no inputs any more.
        widened: Tensors whose units became lanes, by the name that they had before.
        new: Constants that edits made, by name.
        dropped: Initializers of the body that lost their last reader.
        replaced: Nodes that edits took out.
        metadata: Entries of the model's metadata that edits made, by key.
        inner: The scopes of the bodies that stand in its nodes, and for the model's graph those of functions.

    Args:
        model: The model to work on.
        freeze: Take initializers that a caller could override as constants.
        place: The body; the model's graph by default.
    """

    def __init__(self, model: Model, *, freeze: bool = False, place: Place | None = None) -> None:
        proto = model.proto
        self.model, self.place = model, place or Place(proto.graph, typed(model))
        body, outer = self.place.body, self.place.outer
        self.opset: int = outer.opset if outer else _opset(body if isinstance(body, onnx.FunctionProto) else proto)
        pinned = trained(proto) if body is proto.graph else ()
        self.index: Index = Index(body, self.place.path, outer.index.names if outer else None, pinned)
        listed = frozenset(self.index.inputs & self.index.initializers.keys())
        overridable = listed if outer or proto.ir_version >= 4 else frozenset[str]()
        self.frozen = overridable if freeze else frozenset[str]()
        own = types_in(self.place.types)
        self.types: MutableMapping[str, TensorType] = ChainMap(own, outer.types) if outer else own
        around = outer.constants if outer else None
        self.constants: Constants = Constants(
            self.index, model.folder, self.opset, self.types, overridable - self.frozen, around
        )
        self.widened: dict[str, Widened] = {}
        self.new: dict[str, NewConstant] = {}
        self.dropped: set[str] = set()
        self.replaced: set[Node] = set()
        self.metadata: dict[str, str] = {}
        self.inner = tuple(Draft(model, place=place) for place in self._places())

    @property
    def whole(self) -> bool:
        """Whether this is the model's own graph: no nested one, and no function."""
        return self.place.outer is None and self.place.body is self.model.proto.graph

    def _places(self) -> Iterator[Place]:
        known = {tuple(node.output): node for node in self.place.types.node if next(bodies(node), None)}
        for holder in self.index.nodes():
            node = known.get(holder.outputs, holder.proto)
            for number, (name, body) in enumerate(named_bodies(holder.proto)):
                types = list(bodies(node))[number]
                yield Place(body, types, f"{holder.label}/{name}/", number, self, holder)
        if self.place.body is self.model.proto.graph:
            functions = self.model.proto.functions
            for number, types in enumerate(typed_functions(self.model) if functions else ()):
                yield Place(functions[number], types, f"{_called(functions[number])}/", number)

    def scopes(self) -> Iterator[Draft]:
        """This scope and all inside it, outer before inner."""
        yield self
        for scope in self.inner:
            yield from scope.scopes()

    @property
    def changed(self) -> bool:
        """True after a commit, here or inside."""
        return any(scope.replaced for scope in self.scopes())

    def dtype(self, tensor: str) -> int:
        """The ONNX number of a tensor's type; UNDEFINED where it is not known."""
        known = self.types.get(tensor)
        return known.dtype if known else onnx.TensorProto.UNDEFINED

    def shape(self, tensor: str) -> tuple[int | str | None, ...] | None:
        """A tensor's shape as far as it is known."""
        known = self.types.get(tensor)
        return known.shape if known else None


def _opset(importing: onnx.ModelProto | onnx.FunctionProto) -> int:
    return max((entry.version for entry in importing.opset_import if entry.domain in ("", "ai.onnx")), default=1)


def _called(function: onnx.FunctionProto) -> str:
    return ".".join(part for part in (function.domain, function.name, function.overload) if part)
