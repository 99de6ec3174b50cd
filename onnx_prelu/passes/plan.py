"""What planning a form at a site gives: an edit, and what is promised of it. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..algebra.floats import Array
from ..algebra.lanes import Lanes
from ..algebra.reduction import Reduced
from ..graph.edit import Edit
from ..graph.index import Node
from ..graph.weights import Take
from .narrowing import Narrowing
from .sites import Slope


@dataclass(frozen=True)
class Seam:
    """How the units before and the lanes after a wide form relate, for running a neighbour without this site.

    Attributes:
        units: How many units both sides can be made from.
        into_before: Each unit before, as a multiple of one of them.
        into_after: Each lane after, as a multiple of one of them.
        from_before: Which units before can be compared.
        from_after: Which lanes after are these.
        shift: What is added to each unit before, (m,): all of a unit that does not depend on the input; None for zeros.
    """

    units: int
    into_before: Take
    into_after: Take
    from_before: NDArray[np.intp]
    from_after: NDArray[np.intp]
    shift: Array | None = None


@dataclass(frozen=True)
class Left:
    """An activation that a plan leaves in the graph, at another place or in parts: one node, a site again.

    Attributes:
        y: The tensor that it makes.
        slope: Its slope.
    """

    y: str
    slope: Slope


@dataclass(frozen=True)
class Plan:
    """A form put at a site, as data.

    Attributes:
        form: The form's name.
        node: The site's last node.
        edit: The change.
        equal_bits: True if the result is the original's in every bit but a zero's sign, on finite values.
        region: The activation's nodes.
        activation: The activation's input and output tensor.
        before: The nodes that compute the same thing before: the region; with a wide form, the layers around it too.
        x: The tensor that these nodes read.
        y: The tensors that they make.
        unit_axis: The axis of the units, counted from the end; None where one slope serves all.
        between: The nodes between the activation and the layers behind it, in a wide form.
        lanes: The lanes of a wide form.
        reduced: What units became where there are fewer now: of what each was a multiple, and which columns were added.
        seam: How units and lanes of a wide form relate; None where the pre-activation stays as it is.
        note: Something that the user should know of this plan.
        left: The activations that it leaves, which the engine offers again.
        proven: Whether it is right only for values that the inputs of the whole model can bring about: then it cannot
            be tried alone.
        limited: Whether that takes the ranges of the inputs for granted.
        bound: The most that an output of the model is off, by name, where it is not the same but for rounding.
    """

    form: str
    node: Node
    edit: Edit
    equal_bits: bool
    region: tuple[Node, ...]
    activation: tuple[str, str]
    before: tuple[Node, ...]
    x: str
    y: tuple[str, ...]
    unit_axis: int | None = None
    between: tuple[Node, ...] = ()
    lanes: Lanes | None = None
    reduced: Reduced | None = None
    seam: Seam | None = None
    note: str | None = None
    left: tuple[Left, ...] = ()
    proven: bool = False
    limited: bool = False
    bound: Mapping[str, float] = field(default_factory=dict)

    @property
    def narrowing(self) -> Narrowing | None:
        """How many units went where, if there are fewer now."""
        return None if self.reduced is None else replace(Narrowing.of(self.reduced), bound=dict(self.bound))

    def followed(self, inner: Plan) -> Plan:
        """This plan together with one for an activation that it leaves: what both do, told of the site."""
        y = tuple(name for mine in self.y for name in (inner.y if mine == inner.activation[1] else (mine,)))
        return replace(
            self,
            edit=replace(self.edit, widened=(*self.edit.widened, *inner.edit.widened)),
            equal_bits=self.equal_bits and inner.equal_bits,
            before=(*self.before, *inner.before),
            y=y,
        )
