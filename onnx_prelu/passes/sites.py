"""Where PReLU stands: a region of nodes that evaluates to one, however it was written.

Each tensor is evaluated over rays in terms of every tensor behind it that it could be a function of. Where the result
is a PReLU, and nothing outside reads the inside, the region is a site; the largest one wins.

    x ─► Relu ──────────────► Add ─► y        is a site:  PReLU_a(x), region {Relu, Neg, Relu, Mul, Add}
     └─► Neg ─► Relu ─► Mul ──┘
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from ..algebra.floats import Array, round_to
from ..algebra.forms import is_special, spelled
from ..algebra.rays import correctly_rounded, slope
from ..algebra.slopes import Shape, fits, repaired, shrink
from ..errors import BadInput, Refused
from ..graph.constants import FLOAT_TYPES, is_float
from ..graph.draft import Draft
from ..graph.index import Node
from .regions import SAMPLES, Function, Functions, functions, is_closed

ACTIVATIONS = frozenset({"PRelu", "LeakyRelu"})


@dataclass(frozen=True)
class Slope:
    """A slope: values in their own layout, or a tensor that is only known at run time.

    Attributes:
        value: float64 values of the model's type, in a shape that broadcasts to x; None at run time.
        tensor: The tensor's name at run time; "" for a constant.
    """

    value: Array | None
    tensor: str = ""

    @property
    def unit_axis(self) -> int | None:
        """The one axis, counted from the end, along which the slope varies; None where there is none, or several."""
        shape = self.value.shape if self.value is not None else ()
        axes = [axis - len(shape) for axis, size in enumerate(shape) if size != 1]
        return axes[0] if len(axes) == 1 else None

    def shrunk(self) -> Slope:
        """The same slope in the smallest shape: what rewriting puts in."""
        return self if self.value is None else Slope(shrink(self.value))

    def per_unit(self, units: int, axis: int, node: str) -> Array:
        """One slope for each unit along an axis, counted from the end: (units,).

        Raises:
            Refused: ``runtime-slope``, ``slope-not-per-unit``.
        """
        if self.value is None:
            raise Refused("runtime-slope", f"the slope '{self.tensor}' is only known at run time", node)
        shape = self.value.shape
        if self.value.size != 1 and (self.unit_axis != axis or self.value.size != units):
            text = f"the slope has shape {list(shape)}, which is not one value for each of the {units} units"
            raise Refused("slope-not-per-unit", text, node)
        return np.broadcast_to(self.value.reshape(-1), (units,))


@dataclass(frozen=True)
class Site:
    """A PReLU in the graph.

    Attributes:
        node: The region's last node, by whose name the site goes.
        x: The tensor that it is a function of.
        y: The tensor that it makes.
        slope: Its slope.
        region: Its nodes, in order.
        dtype: The type of x; None where the type is not a floating-point type that rewrites work in.
        correctly_rounded: True if the region as it stands gives the correctly rounded PReLU.
        spelling: How it is written, with x for the tensor and c for a constant.
    """

    node: Node
    x: str
    y: str
    slope: Slope
    region: tuple[Node, ...]
    dtype: np.dtype[Any] | None
    correctly_rounded: bool
    spelling: str

    @property
    def ops(self) -> frozenset[str]:
        """The ops that it is made of."""
        return frozenset(node.op for node in self.region)


def find_sites(draft: Draft, also: Collection[str] = ()) -> list[Site]:
    """All sites of the graph, in the order of their last nodes.

    Args:
        draft: The working copy.
        also: Ops that count as PReLUs though they have a name of their own: ``"Abs"``.

    Raises:
        BadInput: A slope is NaN or infinite; the node is named.
    """
    seen = functions(draft)
    taken: set[Node] = set()
    sites: list[Site] = []
    for node in reversed(list(draft.index.nodes())):
        site = _largest_site(draft, node, seen, taken, also)
        if site is not None:
            taken.update(site.region)
            sites.append(site)
    return sites[::-1]


def _largest_site(
    draft: Draft, node: Node, seen: dict[str, Functions], taken: set[Node], also: Collection[str]
) -> Site | None:
    found = seen.get(node.outputs[0], {}) if node.outputs else {}
    for source, function in sorted(found.items(), key=lambda item: -len(item[1].region)):
        if taken.isdisjoint(function.region) and not function.perm and is_closed(draft, function.region, node):
            site = _site(draft, node, source, function, also)
            if site is not None:
                return site
    if node.op == "PRelu" and node not in taken:
        return _runtime_site(draft, node)
    return None


def _site(draft: Draft, node: Node, source: str, function: Function, also: Collection[str]) -> Site | None:
    region, y = function.region, node.outputs[0]
    dtype, written = _dtype(draft, source, node), any(inner.op in ACTIVATIONS for inner in function.region)
    try:
        exact = slope(function.rays)
    except Refused:
        return None
    if draft.dtype(y) != draft.dtype(source) and _known(draft, y) and _known(draft, source):
        return None
    if function.runtime:
        return _spelled_runtime_site(draft, node, source, function, exact)
    value = exact if dtype is None else round_to(exact, dtype)
    if np.all(np.isfinite(exact)) and not np.all(np.isfinite(value)):
        return None
    value = value if written else shrink(value)  # zeros of full shape gave it theirs
    if not written and is_special(value) and not _is_wanted(value, region, also):
        return None
    if not np.all(np.isfinite(value)):
        raise BadInput("the slope is NaN or infinite", where=f"node '{node.label}'", todo="repair the model's weights")
    if not written and not _fits(value.shape, draft.shape(source)):
        return None
    return Site(
        node, source, y, Slope(value), region, dtype,
        correctly_rounded(function.rays) and bool(np.all(function.rays.neg == value)),
        spelling(region, node, source),
    )  # fmt: skip


def _is_wanted(value: Array, region: tuple[Node, ...], also: Collection[str]) -> bool:
    """True for an absolute value, if that is to count as the PReLU of slope −1."""
    return bool(np.all(value == -1)) and any(node.op in also for node in region)


def _spelled_runtime_site(draft: Draft, node: Node, source: str, function: Function, found: Array) -> Site | None:
    """A region with a slope that is a tensor of the graph, if it is that PReLU for every slope."""
    tensor = function.runtime
    known, shape = draft.shape(tensor), draft.shape(source)
    if known is None or shape is None or len(known) > len(shape) or not np.array_equal(found, SAMPLES):
        return None
    if any(size not in (1, other) or size is None for size, other in zip(known[::-1], shape[::-1], strict=False)):
        return None
    return Site(
        node, source, node.outputs[0], Slope(None, tensor), function.region, _dtype(draft, source, node),
        correctly_rounded(function.rays), spelling(function.region, node, source),
    )  # fmt: skip


def _runtime_site(draft: Draft, node: Node) -> Site:
    """A PRelu whose slope is no constant (or has a type that rewrites do not work in)."""
    x, tensor = node.inputs[0], node.inputs[1]
    slope_ = Slope(None, tensor)
    return Site(node, x, node.outputs[0], slope_, (node,), _dtype(draft, x, node), True, spelling((node,), node, x))


def _known(draft: Draft, tensor: str) -> bool:
    return draft.dtype(tensor) != onnx.TensorProto.UNDEFINED


def _dtype(draft: Draft, x: str, node: Node) -> np.dtype[Any] | None:
    if not _known(draft, x):  # the operands of these ops share their type
        weights = [weight for name in node.inputs if (weight := draft.constants.get(name)) is not None]
        return weights[0].dtype if weights and is_float(weights[0].dtype) else np.dtype(np.float32)
    return FLOAT_TYPES.get(draft.dtype(x))


def _fits(slope: tuple[int, ...], x: Shape | None) -> bool:
    return x is None or fits(slope, x)


@dataclass(frozen=True)
class Misfit:
    """A slope that does not leave the shape of x alone.

    Attributes:
        text: What does not fit.
        broadcasts: True if it broadcasts all the same, to something larger than x.
        shape: The shape that it was meant to have, where that can be seen; else None.
    """

    text: str
    broadcasts: bool
    shape: tuple[int, ...] | None


def misfit(draft: Draft, site: Site) -> Misfit | None:
    """What is wrong with the shape of a site's slope, as far as shapes are known; None where nothing is."""
    slope, x = _slope_shape(draft, site), draft.shape(site.x)
    if slope is None or x is None or fits(slope, x):
        return None
    text = f"the slope has shape {shown(slope)} and x has {shown(x)}"
    constant = site.slope.value is not None and draft.opset >= 7
    shape = repaired(slope, x) if constant else None
    try:
        np.broadcast_shapes(slope, tuple(d if isinstance(d, int) else 1 for d in x))
    except ValueError:
        return Misfit(f"{text}: it does not broadcast", False, shape)
    return Misfit(f"{text}: the result would be larger than x", True, shape)


def check_shape(draft: Draft, site: Site) -> None:
    """A slope has to leave the shape of x alone.

    Raises:
        Refused: ``slope-enlarges``: the result would be larger than x, though checkers take it; ``slope-misaligned``:
            it does not broadcast, and is as long as the channels, so it was meant to.
        BadInput: The slope does not broadcast to x at all.
    """
    found = misfit(draft, site)
    if found is None:
        return
    remedy = f"; --fix-slopes makes it {shown(found.shape)}" if found.shape else ""
    if found.broadcasts:
        raise Refused("slope-enlarges", found.text + remedy, site.node.label)
    if found.shape:
        raise Refused("slope-misaligned", found.text + remedy, site.node.label)
    raise _does_not_broadcast(site, found)


def require_broadcast(draft: Draft, site: Site) -> None:
    """A slope that does not broadcast is an error where a model is to be made of it.

    Raises:
        BadInput: It does not, and the error says what to do about it.
    """
    found = misfit(draft, site)
    if found is not None and not found.broadcasts:
        raise _does_not_broadcast(site, found)


def _does_not_broadcast(site: Site, found: Misfit) -> BadInput:
    todo = f"--fix-slopes makes it {shown(found.shape)}" if found.shape else "reshape the slope, (C, 1, 1) say"
    return BadInput(found.text, where=f"node '{site.node.label}'", todo=todo)


def _slope_shape(draft: Draft, site: Site) -> tuple[int, ...] | None:
    if site.slope.value is not None:
        return site.slope.value.shape
    known = draft.shape(site.slope.tensor) or ()
    sizes = tuple(size for size in known if isinstance(size, int))
    return sizes if len(sizes) == len(known) else None


def shown(shape: Shape) -> str:
    """A shape for people."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def spelling(region: tuple[Node, ...], last: Node, x: str) -> str:
    """How a region is written, with x for the tensor and c for a constant."""
    maker = {node.outputs[0]: node for node in region}

    def text(name: str) -> str:
        if name == x:
            return "x"
        return read(maker[name]) if name in maker else "c" if name else ""

    def read(node: Node) -> str:
        return spelled(node.op, [text(name) for name in node.inputs])

    return read(last)


def named(site: Site) -> Iterator[str]:
    """The names by which a user can mean this site: that of every node of its region."""
    for node in site.region:
        yield node.label
