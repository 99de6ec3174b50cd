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

from ..algebra.floats import Array, is_integer, is_normal, round_to
from ..algebra.forms import is_special, spelled
from ..algebra.rays import Rays, correctly_rounded, slope
from ..algebra.slopes import Shape, fits, shrink
from ..errors import BadInput, Refused
from ..graph.constants import NUMBER_TYPES
from ..graph.draft import Draft
from ..graph.index import Node
from .regions import SAMPLES, Function, Functions, functions, is_closed, with_own

NUMBERS = frozenset(NUMBER_TYPES.values())
ACTIVATIONS = frozenset({"PRelu", "LeakyRelu"})
_TELLING = frozenset({"Cast", "CastLike", "Transpose"})  # they change a type or a layout where they change no value


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
        if (
            taken.isdisjoint(function.region)
            and not function.perm
            and not _idle(node, source, found, seen)
            and is_closed(draft, function.region, node)
        ):
            site = _site(draft, node, source, function, also)
            if site is not None:
                return site
    return _lone_prelu(draft, node) if node.op == "PRelu" and node not in taken else None


def _idle(node: Node, source: str, found: Functions, seen: dict[str, Functions]) -> bool:
    """True if a region begins or ends with nodes that change nothing, an Add of zeros say: they are no part of a site.

    The shape that such a node gives its result is its own affair, and a bias of zeros is still a bias.
    """
    function = found[source]
    smaller = [other for other in found.values() if set(other.region) < set(function.region)]
    smaller += [inner for name in node.inputs if (inner := seen.get(name, {}).get(source)) is not None]
    return any(
        _same(function.rays, other.rays) and other.perm == function.perm
        for other in smaller
        if _TELLING.isdisjoint(inner.op for inner in set(function.region) - set(other.region))
    )


def _same(one: Rays, two: Rays) -> bool:
    return one.degree == two.degree and bool(np.all(one.pos == two.pos) and np.all(one.neg == two.neg))


def _site(draft: Draft, node: Node, source: str, function: Function, also: Collection[str]) -> Site | None:
    region, y = function.region, node.outputs[0]
    written = any(inner.op in ACTIVATIONS for inner in function.region)
    dtype = _dtype(draft, source, region)
    try:
        exact = slope(function.rays)
    except Refused:
        return None
    if not exact.size:
        return None  # nothing is computed here
    if draft.dtype(y) != draft.dtype(source) and _known(draft, y) and _known(draft, source):
        return None
    if function.runtime:
        return _spelled_runtime_site(draft, node, source, function, exact)
    value = exact if dtype is None or is_integer(dtype) else round_to(exact, dtype)
    if len(region) > 1 and not _composes(value, exact, dtype):
        return None
    value = value if written else shrink(value)  # zeros of full shape gave it theirs
    if is_special(value) and not (written and len(region) == 1) and not _is_wanted(value, region, also):
        return None
    if not np.all(np.isfinite(value)):
        raise BadInput("the slope is NaN or infinite", where=f"node '{node.label}'", todo="repair the model's weights")
    if len(region) > 1 and not _surely_fits(value.shape, draft.shape(source), written=written):
        return None
    whole = with_own(draft, region, (source,))
    return Site(
        node, source, y, Slope(value), whole, dtype,
        _is_exact(function.rays, dtype) and bool(np.all(function.rays.neg == value)),
        spelling(whole, node, source),
    )  # fmt: skip


def _composes(value: Array, exact: Array, dtype: np.dtype[Any] | None) -> bool:
    """False where a slope that several nodes make together is lost: too large for the type, or too small."""
    if dtype is None or is_integer(dtype) or not np.all(np.isfinite(exact)):
        return True
    return bool(np.all(np.isfinite(value)) and np.all(is_normal(value, dtype) & ((value != 0) | (exact == 0))))


def _surely_fits(slope: tuple[int, ...], x: Shape | None, *, written: bool) -> bool:
    """True if a slope that several nodes make together leaves the shape of x alone.

    Where a PRelu is among them there is a smaller site to fall back to, so nothing is taken on trust.
    """
    if x is None:
        return not written or all(size == 1 for size in slope)
    sure = not written or all(s in (1, d) for s, d in zip(slope[::-1], x[::-1], strict=False))
    return sure and fits(slope, x)


def _is_exact(rays: Rays, dtype: np.dtype[Any] | None) -> bool:
    return correctly_rounded(rays) or (dtype is not None and is_integer(dtype))


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
    region = with_own(draft, function.region, (source, tensor))
    return Site(
        node, source, node.outputs[0], Slope(None, tensor), region, _dtype(draft, source, function.region),
        correctly_rounded(function.rays), spelling(region, node, source),
    )  # fmt: skip


def _lone_prelu(draft: Draft, node: Node) -> Site | None:
    """A PRelu that is not read over rays: its slope is known at run time only, or x is a constant."""
    x, tensor = node.inputs[0], node.inputs[1]
    weight = draft.constants.get(tensor)
    if weight is not None and weight.dtype in NUMBERS:
        values = weight.values()
        if not np.all(np.isfinite(values)):
            what = "the slope is NaN or infinite"
            raise BadInput(what, where=f"node '{node.label}'", todo="repair the model's weights")
        if not values.size or draft.constants.get(x) is not None:
            return None  # nothing is computed here that is not known
    dtype = _dtype(draft, x, (node,))
    return Site(node, x, node.outputs[0], Slope(None, tensor), (node,), dtype, True, spelling((node,), node, x))


def _known(draft: Draft, tensor: str) -> bool:
    return draft.dtype(tensor) != onnx.TensorProto.UNDEFINED


def _dtype(draft: Draft, x: str, region: tuple[Node, ...]) -> np.dtype[Any] | None:
    if _known(draft, x):
        return NUMBER_TYPES.get(draft.dtype(x))
    # What these ops read and make is of one type, so a constant or a result tells it: in functions nothing else does.
    names = [name for node in region for name in (*node.inputs, *node.outputs)]
    known = {weight.dtype for name in names if (weight := draft.constants.get(name)) is not None}
    known |= {NUMBER_TYPES[number] for name in names if (number := draft.dtype(name)) in NUMBER_TYPES}
    return known.pop() if len(known) == 1 and known <= NUMBERS else None


def left_site(draft: Draft, y: str, slope: Slope) -> Site:
    """The site of an activation that was written a moment ago, as one node that makes y."""
    node = draft.index.maker[y]
    dtype = _dtype(draft, node.inputs[0], (node,))
    return Site(node, node.inputs[0], y, slope, (node,), dtype, True, spelling((node,), node, node.inputs[0]))


def working_type(draft: Draft, site: Site) -> np.dtype[Any]:
    """The type in which a site is computed.

    Raises:
        Refused: ``type-unknown``, or ``dtype``: it is not one that rewrites work in.
    """
    if site.dtype is not None:
        return site.dtype
    if not _known(draft, site.x):
        text = f"the type of '{site.x}' is not known; declare it in value_info"
        raise Refused("type-unknown", text, site.node.label)
    raise Refused("dtype", f"'{site.x}' is of a type that no PRelu exists for", site.node.label)


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
        yield from names_of(node)


def names_of(node: Node) -> list[str]:
    """The names by which a user can mean a node: with the path of its body, and its own."""
    return list(dict.fromkeys((node.label, node.name)))
