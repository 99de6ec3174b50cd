"""Bounds of what an op makes, from those of what it reads: one function and one row an op.

Linear layers, and what adds to their units or scales them, are not here but in walk.py: their roundings depend on what
a runtime puts together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from ...algebra.bounds import Box, Rounding, activated
from ...algebra.floats import Array
from ...graph.between import pad_mode, padded_with
from ...graph.constants import FLOAT_TYPES, NUMBER_TYPES
from ...graph.draft import Draft
from ...graph.index import Node
from .layers import attributes
from .shaped import collapsed, each, everywhere, ranked, reshaped


@dataclass(frozen=True)
class Read:
    """A node, and what is known of what it reads.

    Attributes:
        draft: The body that it stands in.
        node: The node.
        boxes: The box of each input, a constant's values included; None where nothing is known.
        rounding: How the type of its output rounds; None for a type that is not floating-point, or not known.
    """

    draft: Draft
    node: Node
    boxes: tuple[Box | None, ...]
    rounding: Rounding | None

    @property
    def attributes(self) -> dict[str, Any]:
        """The node's attributes."""
        return attributes(self.node)

    def box(self, position: int) -> Box | None:
        """The box of an input; None for one that is left out, or of which nothing is known."""
        return self.boxes[position] if position < len(self.boxes) else None

    def all(self) -> list[Box] | None:
        """The boxes of all inputs, if all are known."""
        known = [box for box in self.boxes if box is not None]
        return known if len(known) == len(self.boxes) else None

    def constant(self, position: int) -> Array | None:
        """The values of an input that is constant, as float64."""
        names = self.node.inputs
        weight = self.draft.constants.get(names[position]) if position < len(names) and names[position] else None
        return None if weight is None or weight.dtype not in NUMBER_TYPES.values() else weight.values()

    @property
    def rank(self) -> int | None:
        """The rank of the first input."""
        shape = self.draft.shape(self.node.inputs[0])
        return None if shape is None else len(shape)


Rule = Callable[[Read], Box | None]


def _same(read: Read) -> Box | None:
    return read.box(0)


def _dropout(read: Read) -> Box | None:
    legacy = read.draft.opset < 7 and not read.attributes.get("is_test")
    training = read.constant(2) if len(read.node.inputs) > 2 and read.node.inputs[2] else np.zeros(())
    return None if legacy or training is None or np.any(training) else read.box(0)


def _known_range(low: float, high: float) -> Rule:
    """What an op can make whatever it reads, by a few roundings more than in real numbers."""

    def rule(read: Read) -> Box | None:
        if read.rounding is None:
            return None
        more = 16 * read.rounding.unit
        return everywhere(low - more * abs(low), high + more * abs(high))

    return rule


def _sigmoid(read: Read) -> Box | None:
    """Between 0 and 1, but that a runtime's approximation may come out below 0 by a rounding of 1."""
    return None if read.rounding is None else everywhere(-16 * read.rounding.unit, 1 + 16 * read.rounding.unit)


def _relu(read: Read) -> Box | None:
    x = read.box(0)
    return everywhere(0.0, np.inf) if x is None else each(x, lambda end: np.maximum(end, 0))


def _sloped(read: Read) -> Box | None:
    """PRelu and LeakyRelu of a constant slope."""
    x = read.box(0)
    slope = sloped_by(read)
    if x is None or slope is None or read.rounding is None:
        return None
    low, high, slopes = np.broadcast_arrays(x.low, x.high, slope)
    return activated(Box(low, high), slopes, read.rounding)


def sloped_by(read: Read) -> Array | None:
    """The constant slope of a PRelu or a LeakyRelu, as it broadcasts to x; None where it is none."""
    if read.node.op == "LeakyRelu":
        return np.asarray(np.float32(read.attributes.get("alpha", 0.01)), np.float64)
    return read.constant(1) if read.node.op == "PRelu" and read.draft.opset >= 7 else None


def _abs(read: Read) -> Box | None:
    """Of floats: the least signed integer is its own negation."""
    if read.rounding is None:
        return None
    x = read.box(0)
    if x is None:
        return everywhere(0.0, np.inf)
    least = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
    return Box(least, x.magnitude)


def _clip(read: Read) -> Box | None:
    if read.draft.opset < 11:
        given = read.attributes
        ends = [np.asarray(float(given.get("min", -np.inf))), np.asarray(float(given.get("max", np.inf)))]
    else:
        unset = [len(read.node.inputs) <= position or not read.node.inputs[position] for position in (1, 2)]
        found = [
            np.asarray(end) if out else read.constant(position)
            for out, end, position in zip(unset, (-np.inf, np.inf), (1, 2), strict=True)
        ]
        ends = [value for value in found if value is not None]
        if len(ends) < 2:
            return None
    x = read.box(0) or everywhere(-np.inf, np.inf)
    low, high = (np.clip(end, ends[0].reshape(()), ends[1].reshape(())) for end in (x.low, x.high))
    return Box(np.asarray(low), np.asarray(high))


def _neg(read: Read) -> Box | None:
    """Of floats, as for Abs."""
    x = read.box(0)
    return None if x is None or read.rounding is None else Box(-x.high, -x.low)


def _sum(read: Read) -> Box | None:
    """Add of two, Sum of two at most: of more, the order is not known."""
    boxes = read.all()
    if boxes is None or len(boxes) > 2:
        return None
    return _once(read, sum((box.low for box in boxes), np.zeros(())), sum((box.high for box in boxes), np.zeros(())))


def _sub(read: Read) -> Box | None:
    boxes = read.all()
    return None if boxes is None else _once(read, boxes[0].low - boxes[1].high, boxes[0].high - boxes[1].low)


def _mul(read: Read) -> Box | None:
    boxes = read.all()
    return None if boxes is None else _products(read, boxes[0], boxes[1])


def _div(read: Read) -> Box | None:
    """By a constant without zeros; rounded twice, as where a runtime multiplies by the inverse."""
    x, divisor = read.box(0), read.constant(1)
    if x is None or divisor is None or np.any(divisor == 0):
        return None
    found = _products(read, x, Box(1 / divisor, 1 / divisor))
    return found and _once(read, found.low, found.high)


def _products(read: Read, a: Box, b: Box) -> Box | None:
    if not (a.finite and b.finite):
        return everywhere(0.0, np.inf) if np.all(a.low >= 0) and np.all(b.low >= 0) else None
    with np.errstate(over="ignore"):
        ends = [one * other for one in (a.low, a.high) for other in (b.low, b.high)]
    return _once(read, np.minimum.reduce(ends), np.maximum.reduce(ends))


def _once(read: Read, low: Array, high: Array) -> Box | None:
    """What one operation makes of exact results between two ends."""
    if read.rounding is None or np.any(np.isnan(low)) or np.any(np.isnan(high)):
        return None
    return read.rounding.once(Box(*np.broadcast_arrays(low, high)))


def _max(read: Read) -> Box | None:
    boxes = read.all()
    if boxes is None:
        return None
    return Box(_reduced(np.maximum, [box.low for box in boxes]), _reduced(np.maximum, [box.high for box in boxes]))


def _min(read: Read) -> Box | None:
    boxes = read.all()
    if boxes is None:
        return None
    return Box(_reduced(np.minimum, [box.low for box in boxes]), _reduced(np.minimum, [box.high for box in boxes]))


def _reduced(take: np.ufunc, ends: list[Array]) -> Array:
    return np.asarray(take.reduce(np.broadcast_arrays(*ends)))


def _cast(read: Read) -> Box | None:
    """To a floating-point type: the same values, rounded; of an integer of few bits, what these can hold."""
    source = read.draft.dtype(read.node.inputs[0])
    x = read.box(0)
    if x is None and source in _SMALL:
        x = everywhere(*_SMALL[source])
    return None if x is None else _once(read, x.low, x.high)


_SMALL: dict[int, tuple[float, float]] = {
    onnx.TensorProto.BOOL: (0, 1),
    onnx.TensorProto.UINT8: (0, 255),
    onnx.TensorProto.INT8: (-128, 127),
    onnx.TensorProto.UINT16: (0, 65535),
    onnx.TensorProto.INT16: (-32768, 32767),
}


def _transpose(read: Read) -> Box | None:
    x, rank = read.box(0), read.rank
    perm = read.attributes.get("perm") or (None if rank is None else list(range(rank))[::-1])
    return None if x is None or perm is None else each(ranked(x, len(perm)), lambda end: end.transpose(perm))


def _reshape(read: Read) -> Box | None:
    """Flatten, Reshape, Squeeze, Unsqueeze: read row by row."""
    x, shape = read.box(0), read.draft.shape
    return None if x is None else reshaped(x, shape(read.node.inputs[0]), shape(read.node.outputs[0]))


def _max_pool(read: Read) -> Box | None:
    """Where a window can lie in the padding as a whole, its maximum is that of nothing."""
    given, x = read.attributes, _over_space(read)
    empty = given.get("ceil_mode") or (any(given.get("pads", ())) and set(given.get("dilations", (1,))) != {1})
    return None if x is None or empty else x


def _over_space(read: Read) -> Box | None:
    """The range of each channel, wherever in space."""
    x, rank = read.box(0), read.rank
    return None if x is None or rank is None else collapsed(x, rank - 2)


def _average_pool(read: Read) -> Box | None:
    given = read.attributes
    size = math.prod(given.get("kernel_shape", ()))
    found = _over_space(read)
    padded = (
        any(given.get("pads", ()))
        or given.get("ceil_mode")
        or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    )
    return _averaged(read, found.hull(0.0) if found is not None and padded else found, size)


def _global_average(read: Read) -> Box | None:
    shape = read.draft.shape(read.node.inputs[0]) or ()
    sizes = [size for size in shape[2:] if isinstance(size, int)]
    return _averaged(read, _over_space(read), math.prod(sizes)) if len(sizes) == len(shape) - 2 else None


def _averaged(read: Read, box: Box | None, size: int) -> Box | None:
    """The mean of so many values of a box: their sum is rounded so often, and a few times more."""
    if box is None or read.rounding is None:
        return None
    share = read.rounding.gamma(np.array(size + 4.0))
    by = np.where(box.magnitude > 0, share * box.magnitude + size * read.rounding.tiny, 0.0)
    signs = Box(np.where(box.low >= 0, 0.0, -np.inf), np.where(box.high <= 0, 0.0, np.inf))
    return box.outward(by).within(signs)


def _concat(read: Read) -> Box | None:
    """Along an axis, counted from the end, of known sizes; the other axes as they are."""
    boxes, shapes = read.all(), [read.draft.shape(name) for name in read.node.inputs]
    known = [shape for shape in shapes if shape is not None]
    if boxes is None or len(known) < len(shapes):
        return None
    rank = len(known[0])
    axis = read.attributes["axis"] % rank
    sizes = [shape[axis] for shape in known]
    if not all(isinstance(size, int) for size in sizes):
        return None
    whole = [ranked(box, rank) for box in boxes]
    around = np.broadcast_shapes(*([size for at, size in enumerate(box.low.shape) if at != axis] for box in whole))

    def joined(ends: list[Array]) -> Array:
        parts = [
            np.broadcast_to(end, (*around[:axis], size, *around[axis:])) for end, size in zip(ends, sizes, strict=True)
        ]
        return np.concatenate(parts, axis=axis)

    return Box(joined([box.low for box in whole]), joined([box.high for box in whole]))


def _some(read: Read) -> Box | None:
    """Some of the elements, in any order: whatever holds for all of them."""
    x = read.box(0)
    return None if x is None else everywhere(float(np.min(x.low)), float(np.max(x.high)))


def _pad(read: Read) -> Box | None:
    found = _some(read)
    if found is None or pad_mode(read.node) != "constant":
        return found
    filling = read.constant(2) if len(read.node.inputs) > 2 and read.node.inputs[2] else np.zeros(())
    if filling is None:
        return None
    return found.hull(padded_with(read.draft, read.node))


RULES: Mapping[str, Rule] = {
    "Abs": _abs,
    "Add": _sum,
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Cos": _known_range(-1.0, 1.0),
    "Div": _div,
    "Dropout": _dropout,
    "Erf": _known_range(-1.0, 1.0),
    "Flatten": _reshape,
    "Gather": _some,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _over_space,
    "HardSigmoid": _known_range(0.0, 1.0),
    "Identity": _same,
    "LeakyRelu": _sloped,
    "Max": _max,
    "MaxPool": _max_pool,
    "Min": _min,
    "Mul": _mul,
    "Neg": _neg,
    "PRelu": _sloped,
    "Pad": _pad,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Sin": _known_range(-1.0, 1.0),
    "Slice": _some,
    "Softmax": _known_range(0.0, 1.0),
    "Softsign": _known_range(-1.0, 1.0),
    "Squeeze": _reshape,
    "Sub": _sub,
    "Sum": _sum,
    "Tanh": _known_range(-1.0, 1.0),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""The rules, by op. They are told of the first output."""


def read_node(draft: Draft, node: Node, known: Callable[[str], Box | None]) -> Read:
    """A node with what is known of its inputs."""
    dtype = FLOAT_TYPES.get(draft.dtype(node.outputs[0]))
    read = Read(draft, node, (), None if dtype is None else Rounding.of(dtype))

    def box(position: int, name: str) -> Box | None:
        values = read.constant(position)
        return known(name) if values is None else Box(values, values)

    return replace(read, boxes=tuple(box(position, name) for position, name in enumerate(node.inputs)))
