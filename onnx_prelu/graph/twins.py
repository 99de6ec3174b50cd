"""Tensors inside two models that have to hold the same values, and the sites between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from .draft import per_unit
from .model import Model
from .types import typed


@dataclass(frozen=True, eq=False)
class Twin:
    """A tensor of a first model, and the tensor of a second that has to hold the same values.

    Attributes:
        a: Its name in the first model.
        b: Its name in the second.
        axis: The axis of the units, counted from the end; None where whole tensors compare.
        units_a: Which units of the first compare, along the axis; None for all of them.
        units_b: Which units of the second these are; None for all of them.
        factor: By what each unit of the first is multiplied in the second, (units,); None for 1.
    """

    a: str
    b: str
    axis: int | None = None
    units_a: NDArray[np.intp] | None = None
    units_b: NDArray[np.intp] | None = None
    factor: Array | None = None

    def of_a(self, value: NDArray[Any]) -> NDArray[Any]:
        """What compares of the first model's tensor."""
        return self._taken(value, self.units_a)

    def of_b(self, value: NDArray[Any]) -> NDArray[Any]:
        """What compares of the second model's tensor, without the factor, in the tensor's type."""
        taken = self._taken(value, self.units_b)
        if self.factor is None or self.axis is None or not self._fits(taken, len(self.factor)):
            return taken
        return np.asarray(taken.astype(np.float64) / per_unit(self.factor, self.axis), value.dtype)

    def _taken(self, value: NDArray[Any], units: NDArray[np.intp] | None) -> NDArray[Any]:
        if units is None or self.axis is None or not self._fits(value, int(units.max(initial=-1)) + 1):
            return value
        return np.take(value, units, axis=self.axis)

    def _fits(self, value: NDArray[Any], units: int) -> bool:
        return self.axis is not None and value.ndim >= -self.axis and value.shape[self.axis] >= units


@dataclass(frozen=True)
class Suspect:
    """A rewritten site, by the tensors of the first model that its nodes made.

    Attributes:
        node: The site's name.
        own: What the activation itself made, or the nodes that call the body in which it stands.
        around: What other nodes made that the rewrite changed: the layers around it.
    """

    node: str
    own: frozenset[str]
    around: frozenset[str] = field(default=frozenset())


def same_named(a: Model, b: Model) -> list[Twin]:
    """The tensors that nodes of both models' graphs make under one name, in the order of the first.

    Sequences and the like are left out: only tensors are compared.
    """
    made = {name for node in b.proto.graph.node for name in node.output if name}
    names = [name for node in a.proto.graph.node for name in node.output if name in made]
    others = {value.name for model in (a, b) for value in typed(model).value_info if _is_no_tensor(value.type)}
    return [Twin(name, name) for name in names if name not in others]


def _is_no_tensor(type_: Any) -> bool:
    return type_.WhichOneof("value") not in (None, "tensor_type")
