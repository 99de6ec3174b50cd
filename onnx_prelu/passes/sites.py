"""Where PReLU stands: a region of nodes that evaluates to one, however it was written.

Each tensor is evaluated over rays in terms of every tensor behind it that it could be a function of. Where the result
is a PReLU, and nothing outside reads the inside, the region is a site; the largest one wins.

    x ─► Relu ──────────────► Add ─► y        is a site:  PReLU_a(x), region {Relu, Neg, Relu, Mul, Add}
     └─► Neg ─► Relu ─► Mul ──┘
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from ..algebra.floats import Array, is_integer, round_to
from ..algebra.forms import is_special, spelled
from ..algebra.rays import IDENTITY, RULES, Rays, constant, correctly_rounded, slope
from ..errors import BadInput, Refused
from ..graph.constants import FLOAT_TYPES, NUMBER_TYPES, is_float
from ..graph.draft import Draft
from ..graph.index import Node

_LARGEST = 24  # nodes of a region; exporters write PReLU with ten at most
NUMBERS = frozenset(NUMBER_TYPES.values())
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
        dtype: The type of x; None where it is not known, or not one that rewrites work in.
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


@dataclass(frozen=True)
class _Seen:
    rays: Rays
    region: tuple[Node, ...]


def find_sites(draft: Draft) -> list[Site]:
    """All sites of the graph, in the order of their last nodes.

    Raises:
        BadInput: A slope is NaN or infinite, or does not broadcast to x; the node is named.
    """
    seen = _evaluate(draft)
    taken: set[Node] = set()
    sites: list[Site] = []
    for node in reversed(list(draft.index.nodes())):
        site = _largest_site(draft, node, seen, taken)
        if site is not None:
            taken.update(site.region)
            sites.append(site)
    return sites[::-1]


def _evaluate(draft: Draft) -> dict[str, dict[str, _Seen]]:
    """For each tensor made by an op over rays: what it is as a function of each tensor behind it."""
    seen: dict[str, dict[str, _Seen]] = {}
    for node in draft.index.nodes():
        rule = RULES.get(node.op)
        if rule is None or len(node.outputs) != 1 or _has_own_rule(draft, node):
            continue
        options = _options(draft, node, seen)
        if options is None:
            continue
        attributes = {a.name: a.f for a in node.proto.attribute if a.type == onnx.AttributeProto.FLOAT}
        functions: dict[str, _Seen] = {}
        for source in _common_sources(options):
            picked = [option[source] if isinstance(option, dict) else option for option in options]
            region = _union(picked, node)
            if len(region) > _LARGEST:
                continue
            inputs = [entry.rays if isinstance(entry, _Seen) else entry for entry in picked]
            try:
                with np.errstate(invalid="ignore", over="ignore"):  # NaN and inf are reported where they matter
                    functions[source] = _Seen(rule(*inputs, **attributes), region)
            except Refused:
                continue
        if functions:
            seen[node.outputs[0]] = functions
    return seen


_Option = dict[str, _Seen] | Rays | None


def _options(draft: Draft, node: Node, seen: dict[str, dict[str, _Seen]]) -> list[_Option] | None:
    """For each input: its functions by source, or its value if it is constant, or None if it is left out."""
    options: list[_Option] = []
    for position, name in enumerate(node.inputs):
        weight = draft.constants.get(name) if name else None
        if not name:
            options.append(None)
        elif weight is None:
            options.append({name: _Seen(IDENTITY, ())} | seen.get(name, {}))
        elif weight.dtype not in NUMBERS or (is_integer(weight.dtype) and node.op == "Div"):
            return None  # dividing integers drops the fraction
        else:
            values = _finite_bounds(weight.values(), weight.dtype) if _bounds(node, weight.dtype) else weight.values()
            if node.op == "PRelu" and position == 1 and draft.opset < 7:
                aligned = _channel_aligned(values, draft.shape(node.inputs[0]))
                if aligned is None:
                    return None
                values = aligned
            options.append(constant(values, weight.dtype))
    return options


def _common_sources(options: list[_Option]) -> set[str]:
    sources: set[str] | None = None
    for option in options:
        if isinstance(option, dict):
            sources = option.keys() if sources is None else sources & option.keys()  # type: ignore[assignment]
    return set(sources or ())


def _union(picked: list[Any], node: Node) -> tuple[Node, ...]:
    nodes = {inner: None for entry in picked if isinstance(entry, _Seen) for inner in entry.region}
    return (*nodes, node)


def _has_own_rule(draft: Draft, node: Node) -> bool:
    """Attributes with which an op is not what its rule says: broadcasting of opset 6, a Cast to integers."""
    attributes = {a.name: a.i for a in node.proto.attribute}
    return bool(draft.opset < 7 and attributes.get("broadcast")) or attributes.get("to", 1) not in FLOAT_TYPES


def _bounds(node: Node, dtype: np.dtype[Any]) -> bool:
    return node.op == "Clip" and is_float(dtype)


def _finite_bounds(values: Array, dtype: np.dtype[Any]) -> Array:
    """The largest number of a type is no bound: nothing finite lies beyond it."""
    return np.where(np.abs(values) >= float(ml_dtypes.finfo(dtype).max), np.copysign(np.inf, values), values)


def _channel_aligned(values: Array, shape: tuple[int | str | None, ...] | None) -> Array | None:
    """PRelu before opset 7: a slope (C,) belongs to the channel axis, the second one."""
    if values.size == 1:
        return values
    return values.reshape(-1, *[1] * (len(shape) - 2)) if shape is not None and len(shape) >= 2 else None


# ── from functions to sites ───────────────────────────────────────────────────────────────────────────────────


def _largest_site(draft: Draft, node: Node, seen: dict[str, dict[str, _Seen]], taken: set[Node]) -> Site | None:
    functions = seen.get(node.outputs[0], {}) if node.outputs else {}
    for source, function in sorted(functions.items(), key=lambda item: -len(item[1].region)):
        if taken.isdisjoint(function.region) and _closed(draft, function.region, node):
            site = _site(draft, node, source, function)
            if site is not None:
                return site
    if node.op == "PRelu" and node not in taken:
        return _runtime_site(draft, node)
    return None


def _closed(draft: Draft, region: tuple[Node, ...], last: Node) -> bool:
    """Nothing outside reads the inside."""
    inside = set(region)
    for node in region:
        if node is last:
            continue
        for name in node.outputs:
            if name in draft.index.outputs or any(use.node not in inside for use in draft.index.uses(name)):
                return False
    return True


def _site(draft: Draft, node: Node, source: str, function: _Seen) -> Site | None:
    region, activation = function.region, any(inner.op in ACTIVATIONS for inner in function.region)
    try:
        value = slope(function.rays)
    except Refused:
        return None
    dtype = _dtype(draft, source, region)
    value = value if dtype is None or is_integer(dtype) else round_to(value, dtype)
    if not activation and is_special(value):
        return None
    if not np.all(np.isfinite(value)):
        raise BadInput("the slope is NaN or infinite", where=f"node '{node.label}'", todo="repair the model's weights")
    if not activation and not _fits(value, draft.shape(source)):
        return None
    return Site(
        node, source, node.outputs[0], Slope(value), region, dtype,
        _is_exact(function.rays, dtype) and bool(np.all(function.rays.neg == value)),
        spelling(region, node, source),
    )  # fmt: skip


def _is_exact(rays: Rays, dtype: np.dtype[Any] | None) -> bool:
    return correctly_rounded(rays) or (dtype is not None and is_integer(dtype))


def _runtime_site(draft: Draft, node: Node) -> Site:
    """A PRelu whose slope is no constant (or has a type that rewrites do not work in)."""
    x, tensor = node.inputs[0], node.inputs[1]
    slope_ = Slope(None, tensor)
    return Site(node, x, node.outputs[0], slope_, (node,), _dtype(draft, x, (node,)), True, spelling((node,), node, x))


def _dtype(draft: Draft, x: str, region: tuple[Node, ...]) -> np.dtype[Any] | None:
    number = draft.dtype(x)
    if number != onnx.TensorProto.UNDEFINED:
        return NUMBER_TYPES.get(number)
    # The operands of these ops share their type, so the constants tell it: in functions nothing else does.
    names = [name for node in region for name in node.inputs]
    known = {weight.dtype for name in names if (weight := draft.constants.get(name)) is not None}
    known |= {NUMBER_TYPES[number] for name in names if (number := draft.dtype(name)) in NUMBER_TYPES}
    return known.pop() if len(known) == 1 and known <= NUMBERS else None


def working_type(draft: Draft, site: Site) -> np.dtype[Any]:
    """The type in which a site is computed.

    Raises:
        Refused: ``type-unknown``, or ``dtype``: it is not one that rewrites work in.
    """
    if site.dtype is not None:
        return site.dtype
    if draft.dtype(site.x) == onnx.TensorProto.UNDEFINED:
        text = f"the type of '{site.x}' is not known; declare it in value_info"
        raise Refused("type-unknown", text, site.node.label)
    text = f"'{site.x}' is of a type that no PRelu exists for"
    raise Refused("dtype", text, site.node.label)


def _fits(value: Array, shape: tuple[int | str | None, ...] | None) -> bool:
    """True if a slope broadcasts to x without changing its shape, as far as that is known."""
    if shape is None:
        return True
    pairs = zip(value.shape[::-1], shape[::-1], strict=False)
    return len(value.shape) <= len(shape) and all(s == 1 or d == s or not isinstance(d, int) for s, d in pairs)


def check_shape(draft: Draft, site: Site) -> None:
    """A slope has to leave the shape of x alone.

    Raises:
        Refused: ``slope-enlarges``: the result would be larger than x, though checkers take it.
        BadInput: The slope does not broadcast to x at all.
    """
    value, shape = site.slope.value, draft.shape(site.x)
    if value is None:
        known = draft.shape(site.slope.tensor)
        if known is None or not all(isinstance(size, int) for size in known):
            return
        value = np.zeros([size for size in known if isinstance(size, int)])
        if draft.opset < 7:
            value = _channel_aligned(value, shape)
    if value is None or shape is None or _fits(value, shape):
        return
    text = f"the slope has shape {list(value.shape)} and x has {_shown(shape)}"
    try:
        np.broadcast_shapes(value.shape, tuple(d if isinstance(d, int) else 1 for d in shape))
    except ValueError:
        raise BadInput(
            f"{text}: it does not broadcast",
            where=f"node '{site.node.label}'",
            todo="reshape the slope, (C, 1, 1) say",
        ) from None
    raise Refused("slope-enlarges", f"{text}: the result would be larger than x", site.node.label)


def _shown(shape: tuple[int | str | None, ...]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def spelling(region: tuple[Node, ...], last: Node, x: str) -> str:
    """How a region is written, with x for the tensor and c for a constant."""
    maker = {node.outputs[0]: node for node in region}

    def text(name: str) -> str:
        if name == x:
            return "x"
        return read(maker[name]) if name in maker else "c"

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
