"""The kinds of rules that say what may stand at a site: its ops, its constants, the rank and type of x, the opset.

A rule is a sentence about a target, to be read after its name ("takes PRelu of opset 15 or lower"), that can check what
is placed at a site, now or by a plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import onnx

from ..errors import Refused
from .placed import Placed, op_of
from .slope_shapes import kinds


class Rule(Protocol):
    """Something that a target demands.

    Attributes:
        source: Where that is known from.
    """

    @property
    def source(self) -> str:
        """Where that is known from."""

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""

    def check(self, placed: Placed, taker: str) -> None:
        """Raise Refused where what is placed at a site breaks the rule; ``taker`` is the target's name."""


@dataclass(frozen=True)
class Ops:
    """Which ops a target takes. One that is not listed is not known to be taken, which counts as no.

    Attributes:
        takes: The ops.
        lacks: Ops of which it is known that it does not take them.
        source: Where that is known from.
    """

    takes: Collection[str]
    source: str
    lacks: Collection[str] = ()

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        but = f", not {', '.join(self.lacks)}" if self.lacks else ""
        return f"takes {', '.join(self.takes)}{but}"

    def check(self, placed: Placed, taker: str) -> None:
        """Every op has to be taken.

        Raises:
            Refused: ``target-op``.
        """
        for node in placed.nodes:
            if (op := op_of(node)) not in self.takes:
                verb = "does not take" if op in self.lacks else "is not known to take"
                raise Refused("target-op", f"{taker} {verb} {op}", placed.label)


@dataclass(frozen=True)
class Constant:
    """One operand of an op has to be a constant, of certain shapes.

    Attributes:
        op: The op.
        source: Where that is known from.
        shapes: Names of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`, or "same" for the other operand's
            shape; empty where any shape will do.
        position: As which input it has to be given; None where that does not matter.
        ranks: Over x of these ranks; empty for every rank.
    """

    op: str
    source: str
    shapes: Sequence[str] = ()
    position: int | None = None
    ranks: Sequence[int] = ()

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        shapes = f" of shape {' or '.join(self.shapes)}" if self.shapes else ""
        place = "" if self.position is None else f" as input {self.position}"
        ranks = f" over x of rank {', '.join(map(str, self.ranks))}" if self.ranks else ""
        return f"takes {self.op} with a constant{shapes}{place} only{ranks}"

    def check(self, placed: Placed, taker: str) -> None:
        """Each node of that op has such a constant.

        Raises:
            Refused: ``target-constant``.
        """
        if self.ranks and placed.rank not in self.ranks:
            return
        for node in placed.nodes:
            if op_of(node) == self.op and not self._holds(placed, node):
                operands = [(position, placed.constant(name)) for position, name in enumerate(node.input)]
                found = [f"{list(weight.shape)} as input {place}" for place, weight in operands if weight is not None]
                here = f"here it is {', '.join(found)}" if found else "here there is none"
                raise Refused("target-constant", f"{taker} {self.sentence()}; {here}", placed.label)

    def _holds(self, placed: Placed, node: onnx.NodeProto) -> bool:
        for position, name in enumerate(node.input):
            weight = placed.constant(name)
            if weight is not None and self.position in (None, position):
                others = [placed.shape_of(other) for other in node.input if other != name]
                x = others[0] if others else None
                if not self.shapes or self._fits(weight.shape, x):
                    return True
        return False

    def _fits(self, shape: tuple[int, ...], x: tuple[int | str | None, ...] | None) -> bool:
        named = kinds(shape, x) | ({"same"} if shape == x else set())
        return not named.isdisjoint(self.shapes)


@dataclass(frozen=True)
class Opset:
    """Which opsets a target takes, of the whole model or where an op is used.

    Attributes:
        source: Where that is known from.
        first: The first one, or None.
        last: The last one, or None.
        op: Where this op is used; None for any op.
    """

    source: str
    first: int | None = None
    last: int | None = None
    op: str | None = None

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        what = f"{self.op} of opset" if self.op else "opset"
        if self.first is None:
            return f"takes {what} {self.last} or lower"
        return f"takes {what} {self.first} " + ("or higher" if self.last is None else f"to {self.last}")

    def check(self, placed: Placed, taker: str) -> None:
        """The model's opset is one of them.

        Raises:
            Refused: ``target-opset``.
        """
        if self.op is not None and not placed.uses(self.op):
            return
        opset = placed.draft.opset
        if not (self.first or 0) <= opset <= (opset if self.last is None else self.last):
            text = f"{taker} {self.sentence()}, and the model is of opset {opset}; --opset may change that"
            raise Refused("target-opset", text, placed.label)


@dataclass(frozen=True)
class Rank:
    """Which ranks of x a target takes, of any op or where an op is used.

    Attributes:
        ranks: The ranks.
        source: Where that is known from.
        op: Where this op is used; None for any op.
    """

    ranks: Collection[int]
    source: str
    op: str | None = None

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        return f"takes {self.op or 'tensors'} of rank {', '.join(map(str, self.ranks))}"

    def check(self, placed: Placed, taker: str) -> None:
        """The rank of x is one of them; an unknown one is none.

        Raises:
            Refused: ``target-rank``.
        """
        if self.op is not None and not placed.uses(self.op):
            return
        if placed.rank not in self.ranks:
            here = "is not known" if placed.rank is None else f"is {placed.rank}"
            raise Refused("target-rank", f"{taker} {self.sentence()}; that of '{placed.x}' {here}", placed.label)


@dataclass(frozen=True)
class Type:
    """Which types of x a target takes.

    Attributes:
        types: Their names, as numpy and ml_dtypes have them.
        source: Where that is known from.
    """

    types: Collection[str]
    source: str

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        return f"takes {', '.join(self.types)}"

    def check(self, placed: Placed, taker: str) -> None:
        """The type of x is one of them.

        Raises:
            Refused: ``target-type``.
        """
        name = None if placed.dtype is None else placed.dtype.name
        if name not in self.types:
            here = "not known" if name is None else name
            raise Refused("target-type", f"{taker} {self.sentence()}; that of '{placed.x}' is {here}", placed.label)


@dataclass(frozen=True)
class Chain:
    """A target that takes one sequential chain: no tensor is read twice, no node reads two.

    Attributes:
        source: Where that is known from.
    """

    source: str

    def sentence(self) -> str:
        """What the target takes, to be read after its name."""
        return "takes one sequential chain of nodes only"

    def check(self, placed: Placed, taker: str) -> None:
        """Each node reads one tensor, which nothing else reads.

        Raises:
            Refused: ``target-branch``.
        """
        reads: Counter[str] = Counter()
        for node in placed.nodes:
            names = list(placed.computed(node))
            if len(names) > 1:
                text = f"{taker} {self.sentence()}, and {op_of(node)} would join '{names[0]}' and '{names[1]}'"
                raise Refused("target-branch", text, placed.label)
            reads.update(names)
        index = placed.draft.index
        for name in {*reads, *(name for node in placed.nodes for name in node.output)}:
            others = sum(use.node not in placed.instead for use in index.uses(name)) + (name in index.outputs)
            if reads[name] + others > 1:
                text = f"{taker} {self.sentence()}, and '{name}' would be read {reads[name] + others} times"
                raise Refused("target-branch", text, placed.label)


@dataclass(frozen=True)
class SlopeShape:
    """``--slope-shape``: the slope of every PRelu has one shape.

    Attributes:
        kind: One of :data:`~onnx_prelu.passes.slope_shapes.SLOPE_SHAPES`.
    """

    kind: str

    def check(self, placed: Placed) -> None:
        """Each PRelu's slope has it.

        Raises:
            Refused: ``slope-shape``.
        """
        for node in placed.nodes:
            if op_of(node) == "PRelu":
                shape = placed.shape_of(node.input[1])
                if shape is None or self.kind not in kinds(shape, placed.shape):
                    here = "is not known" if shape is None else f"is {list(shape)}"
                    raise Refused("slope-shape", f"its slope's shape {here}, not {self.kind}", placed.label)
