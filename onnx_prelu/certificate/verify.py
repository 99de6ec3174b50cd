"""Verify a certificate of a rewrite from the two models alone; docs/certificate.md says what it states, and the format.

python verify.py cert.json in.onnx out.onnx      0: it holds; 1: it does not, and why; 2: a file cannot be read
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx.numpy_helper import to_array
from onnx.reference import ReferenceEvaluator
from onnx.shape_inference import InferenceError, infer_shapes

FORMAT, MOST, ONE, OURS = "onnx-prelu certificate 1", 1024, np.array([Fraction(1)]), ("", "ai.onnx")
TYPES = {"float16": (11, -14), "bfloat16": (8, -126), "float32": (24, -126), "float64": (53, -1022)}
FOLDED = {"Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear", "Expand", "Flatten"}
FOLDED |= {"Identity", "Mul", "Neg", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
LINEAR = ("Gemm", "MatMul", "Conv", "ConvTranspose")
MOVING = {"Concat", "Reshape", "MaxPool", *LINEAR}
BENT: dict[str, Any] = {"Abs": np.abs, "Identity": np.positive, "Neg": np.negative, "Relu": lambda v: np.maximum(v, 0)}
BENT |= dict.fromkeys(("PRelu", "LeakyRelu"), lambda v, slope: np.where(v >= 0, v, slope * v))
PAIRED = {"Add": np.add, "Sub": np.subtract, "Max": np.maximum, "Min": np.minimum, "Mul": np.multiply}
BROKEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, InferenceError)
fractions = np.vectorize(lambda v: Fraction(v if isinstance(v, str) else float(v)), otypes=[object])


class Failed(Exception):
    """The certificate does not hold of these models."""


def require(holds: Any, text: str = "it is not what the certificate says") -> None:
    """Fail unless it holds."""
    if not holds:
        raise Failed(text)


class Lanes(NamedTuple):
    """How a tensor of the narrow model stands in the wide one: ``lane = row·unit``, ``unit = Σ out·lane``, or both."""

    wide: dict[str, int]
    axis: int
    units: int
    unit: Any
    row: Any
    out: Any
    table: tuple[int, int, int]
    named: Any

    @classmethod
    def read(cls, told: dict[str, Any], tables: list[dict[str, Any]]) -> Lanes:
        """What a certificate says of a tensor: a table, of units that are blocks of neighbours, all several times."""
        table, (runs, block) = tables[told["lanes"]], told.get("spread", (1, 1))
        units, unit = table["units"], np.array(table["unit"], int)
        row, out = (fractions(np.array(table[key], object)) if key in table else None for key in ("row", "out"))
        given: Any = row if out is None else out
        require(
            unit.shape == given.shape == (unit.size,)
            and np.all((unit >= 0) & (unit < units))
            and (row is None or out is None)
        )
        if np.array_equal(np.sort(unit), np.arange(units)) and np.all(given != 0):  # one lane a unit: both hold
            row, out = (1 / given, given) if row is None else (given, 1 / given)
        named, row, out = (each if each is None else np.tile(each.repeat(block), runs) for each in (unit, row, out))
        unit = ((np.arange(runs)[:, None, None] * units + unit[:, None]) * block + np.arange(block)).reshape(-1)
        require(sum(told["wide"].values()) == len(unit) and min(told["wide"].values()) > 0 > told["axis"])
        table = told["lanes"], runs, block
        return cls(told["wide"], told["axis"], units * runs * block, unit, row, out, table, named)

    def total(self, lanes: Any) -> Any:
        """The sum of out·lane of each unit, of (k, lanes)."""
        made = np.zeros((self.units, len(lanes)), object)
        np.add.at(made, self.unit, (lanes * self.out).T)
        return made.T


class Graph:
    """A model by name: nodes by their first output, constants, shapes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.stored = model, {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = [v for v in model.graph.input if model.ir_version > 3 or v.name not in self.stored]
        self.nodes = {next(filter(None, node.output), ""): node for node in model.graph.node}
        require(all(each.version >= 7 for each in model.opset_import if each.domain in OURS), "its opset is below 7")
        require(all(each.domain not in OURS for each in model.functions), "a function is named like an op")
        known = {"", *(value.name for value in self.inputs), *self.stored}
        self.values = {name: to_array(self.stored[name]) for name in self.stored.keys() - {v.name for v in self.inputs}}
        for name, node in self.nodes.items():
            require(reads(node) <= known and known.isdisjoint(filter(None, node.output)), f"'{name}' is out of order")
            known.update(node.output)
            if kind(node) in FOLDED and all(each in self.values for each in node.input):
                feeds = {each: self.values[each] for each in node.input}
                inputs, outputs = ([onnx.ValueInfoProto(name=each) for each in names] for names in (feeds, [name]))
                alone = onnx.helper.make_graph([node], "constant", inputs, outputs)
                made: Any = ReferenceEvaluator(onnx.helper.make_model(alone, opset_imports=model.opset_import))
                self.values[name] = np.asarray(made.run(None, feeds)[0])

    @cached_property
    def shapes(self) -> dict[str, list[Any]]:
        """The shapes that follow from those of inputs and constants: numbers, names, None."""
        slim = onnx.ModelProto()
        slim.CopyFrom(self.model)
        del slim.graph.value_info[:]  # what a file says of them proves nothing
        for tensor in slim.graph.initializer:  # of a large one, its shape is enough
            tensor.raw_data = tensor.raw_data if math.prod(tensor.dims) < 1024 else b""
        graph = infer_shapes(slim, data_prop=True).graph
        kinds = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info)}
        shapes = {name: kind.shape.dim for name, kind in kinds.items() if kind.HasField("shape")}
        known = {name: [d.dim_value or d.dim_param or None for d in shape] for name, shape in shapes.items()}
        for name, node in self.nodes.items():  # where inference gives up, a layer's weights still tell the rank
            values = [self.values.get(each) for each in node.input]
            if name not in known and kind(node) in ("Conv", "ConvTranspose") and values[1] is not None:
                weights, axis, _ = matrix(node, values, 0)
                known[name] = [None, weights.shape[0] * weights.shape[1], *[None] * (-1 - axis)]
            elif name not in known and kind(node) in ("BatchNormalization", "PRelu") and node.input[0] in known:
                known[name] = known[node.input[0]]
        return known


def digest(model: onnx.ModelProto) -> str:
    """The SHA-256 of the initializers: name, type, shape and bytes of each, in order."""
    made = hashlib.sha256()
    for tensor in model.graph.initializer:
        made.update(f"{tensor.name} {tensor.data_type} {list(tensor.dims)} {list(tensor.string_data)} ".encode())
        made.update(b"" if tensor.string_data else tensor.raw_data or to_array(tensor).tobytes())
    return made.hexdigest()


def reads(node: onnx.NodeProto) -> set[str]:
    """What a node reads, and the bodies in it of what stands around."""
    found = set(node.input)
    for body in (each for a in node.attribute for each in (a.g, *a.graphs)):
        made = {v.name for v in body.input} | {t.name for t in body.initializer}
        made.update(name for each in body.node for name in each.output)
        found |= {v.name for v in body.output}.union(*map(reads, body.node)) - made
    return found


def kind(node: onnx.NodeProto) -> str:
    """A node's op, with its domain where that is not ONNX's own."""
    return node.op_type if node.domain in OURS else f"{node.domain}.{node.op_type}"


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def matrix(node: onnx.NodeProto, values: list[Any], at: int) -> tuple[Any, int, Any]:
    """A layer's weights as (groups, rows, columns, rest), the axis that it sums over, its kernel's size."""
    extra, op = attributes(node), kind(node)
    weight = values[1 - at if op == "MatMul" else 1]
    require((at == 0 or op == "MatMul") and not extra.get("transA") and (op[:4] == "Conv" or weight.ndim == 2))
    if op in ("Gemm", "MatMul"):
        return (weight if at or extra.get("transB") else weight.T)[None, :, :, None], -1 - at, ()
    split = weight.reshape(extra.get("group", 1), -1, weight.shape[1], math.prod(weight.shape[2:]))
    return split if op == "Conv" else split.swapaxes(1, 2), 1 - weight.ndim, weight.shape[2:]


def ulps(stored: Any, weight: Any, rows: Any, outs: Any = ONE) -> tuple[int, int, int]:
    """By how many ulp stored values are off weight·row·out at most, rounded up, and where: both are (m, n, rest)."""
    require(stored.dtype.name in TYPES and stored.dtype == weight.dtype, "a weight is of a type that is not covered")
    (precision, lowest), most = TYPES[stored.dtype.name], (0, 0, 0)
    exact = precision + bits(rows) + bits(outs) <= 53  # so is the product in float64
    r, o = rows.astype(np.float64)[:, None, None], outs.astype(np.float64)[:, None]
    for first in range(0, len(stored), step := max(1, 2**20 // max(1, stored[:1].size))):
        s, w = (np.asarray(each[first : first + step], np.float64) for each in (stored, weight))
        require(np.all(np.isfinite(s)) and np.all(np.isfinite(w)), "a weight is not finite")
        ulp = np.ldexp(1.0, np.maximum(np.frexp(s)[1] - 1, lowest) - precision + 1)
        off = np.abs(s - w * (r[first : first + step] * o)) / ulp
        unsure = ~(np.abs(off - np.rint(off)) > math.ldexp(1, precision - 50)) & ((s != 0) | (w != 0))
        for i, j, k in np.argwhere(unsure) if not exact else ():
            real = Fraction(w[i, j, k]) * rows[first + i] * outs[j]
            off[i, j, k] = math.ceil(abs(Fraction(s[i, j, k]) - real) / Fraction(ulp[i, j, k]))
        if off.max(initial=0) > most[0]:
            row, column, _ = np.unravel_index(off.argmax(), off.shape)
            most = math.ceil(min(off.max(), 2 * MOST)), first + int(row), int(column)
    return most


def bits(factors: Any) -> int:
    """How many bits the longest of some fractions has; 99 where it has no end."""
    pairs = [Fraction(factor).as_integer_ratio() for factor in factors]
    short = all(d.bit_count() == 1 and max(n.bit_length(), d.bit_length()) < 500 for n, d in pairs)
    return max(abs(n // (n & -n or 1)).bit_length() for n, _ in pairs) if short else 99


def line(value: Any, axis: int, size: int) -> Any:
    """A constant that is one value for each index of an axis, or one for all."""
    require(value.size == 1 or (value.size == size and value.ndim >= -axis and value.shape[axis] == size))
    return np.broadcast_to(value.reshape(-1), (size,))


def elements(dims: list[Any], times: int = 1) -> Any:
    """To how many elements dimensions come: a number and names; None where it is not known."""
    names = sorted(d for d in dims if isinstance(d, str))
    return None if None in dims else (times * math.prod(d for d in dims if isinstance(d, int)), names)


# ── sites: both sides are the same function of z, which its values at z = 1 and z = −1 settle ─────────────────────────


class Region(NamedTuple):
    """What a site is of z: over which windows a maximum, each f and g, its lanes, how many a tensor, the worst ulp."""

    windows: str
    steps: Any
    lanes: Any
    sizes: list[int]
    off: int


def region(graph: Graph, part: dict[str, Any], start: dict[str, Any], axis: int) -> Region:
    """What a site makes of z; its lanes are (3, …): the unit of each, and its values at z = 1 and z = −1.

    A tensor on the way is (5, …): the unit, f(1), f(−1), g(1), g(−1), where it is g(z), or g(MaxPool(f(z))).
    """
    known, windows, worst, rank = dict(start), dict.fromkeys(start, ""), 0, next(iter(start.values())).ndim - 1
    for name in part["nodes"]:
        node, extra, op = graph.nodes[name], attributes(graph.nodes[name]), kind(graph.nodes[name])
        read, values = [each for each in node.input if each], []
        at = [number for number, each in enumerate(read) if each in known]
        for each in read:
            if each in known:
                values.append(known[each][3:])
                continue
            stored = graph.values[each]
            require(op == "Reshape" or stored.dtype.name in TYPES, f"'{each}' is of a type that is not covered")
            values.append(np.asarray(fractions(stored.astype(float)), object))
            if each in part.get("real", {}):  # what it is the rounding of
                real = fractions(np.array(part["real"][each], object))
                worst = max(worst, ulps(stored.reshape(-1, 1, 1), np.ones_like(stored).reshape(-1, 1, 1), real)[0])
                values[-1] = real.reshape(stored.shape)
        z, (over,), text = [known[read[n]] for n in at], {windows[read[n]] for n in at}, f"{op} in '{name}' mixes units"
        alone = all(each.size == 5 * each.shape[axis] for each in z)  # nothing changes along other axes than the units'
        require(node.output[0] == name and (over != "halves" or op == "Reshape") and (alone or op not in LINEAR), text)
        if op == "MaxPool":
            require(alone and axis == -1 - len(extra["kernel_shape"]) and not over, text)
            over, known[name] = repr(sorted(extra.items())), np.concatenate([z[0][:1], z[0][3:], z[0][1:3]])
        elif op == "Concat":
            place = extra["axis"] - (len(graph.shapes[part["x"][0]]) if extra["axis"] >= 0 else 0)
            require(alone and len(z) == len(read) and (place == axis or (place == axis + 1 < 0 and not over)), text)
            over, known[name] = over if place == axis else "halves", np.concatenate(z, place)
        elif op == "Reshape":  # halves that were joined along the axis behind the units are counted as lanes
            target, size = list(map(int, graph.values[read[1]])), 2 * z[0].shape[axis]
            fits = len(target) == len(graph.shapes[part["x"][0]]) and target.pop(axis) == size
            require(over == "halves" and fits, text)
            require(not any(np.delete(target, axis + 1)) and not extra.get("allowzero"), text)
            over, known[name] = "", z[0].reshape(5, *(size if n == axis else 1 for n in range(-rank, 0)))
        elif op in LINEAR:
            (weights, along, _), lanes = matrix(node, values, at[0]), z[0].reshape(5, -1)
            groups, rows, columns, rest = weights.shape
            plain = {rest, extra.get("alpha", 1), *extra.get("strides", [1])} == {1} and not any(extra.get("pads", []))
            require(plain and along == axis and lanes.shape[1] == groups * columns and op != "ConvTranspose", text)
            require(len(at) == 1 and not any(np.any(value != 0) for value in values[2:]), text)
            made = np.zeros((5, groups * rows), object)
            for row, each in enumerate(weights.reshape(-1, columns)):  # each adds up lanes of one unit
                here = np.flatnonzero(each) if np.any(each) else np.zeros(1, int)
                mine = lanes[:, row // rows * columns + here]
                require(np.all(mine[:3] == mine[:3, :1]), text)
                made[:, row] = *mine[:3, 0], *(mine[3:] * each[here]).sum(axis=1)
            known[name] = made.reshape(5, *(groups * rows if n == axis else 1 for n in range(-rank, 0)))
        else:
            values += [np.array(Fraction(extra.get("alpha", float(np.float32(0.01)))))] * (op == "LeakyRelu")
            constants = [value for number, value in enumerate(values) if number not in at]
            zeros = not any(np.any(value != 0) for value in constants)
            straight = at == [0] if op in BENT else len(z) == 1 if op == "Mul" else zeros
            require(straight and all(np.all(z[0][:3] == each[:3]) for each in z) and "broadcast" not in extra, text)
            require(len(values) <= 2 and all(value.ndim <= rank for value in constants), text)
            made = np.asarray((BENT | PAIRED)[op](*values))
            known[name] = np.concatenate([np.broadcast_to(z[0][:3], (3, *made.shape[1:])), made])
        windows[name] = over
    (over,), ends = {windows[each] for each in part["y"]}, [known[each] for each in part["y"]]
    unit, *f, up, down = np.concatenate(ends, axis)
    require(not over or (over != "halves" and np.all(up >= 0) and np.all(down <= 0)), "a maximum does not keep order")
    made = np.stack([unit, *(np.where(each >= 0, each * up, -each * down) for each in f)])
    return Region(over, np.stack([*f, up, down]), made, [each.shape[axis] for each in ends], worst)


def ordered(lanes: Lanes, steps: Any) -> bool:
    """Whether the sum of out·g(MaxPool(f(z))) over the lanes of a unit is a maximum too: of one f, in its order."""
    if lanes.out is None:
        return False
    size = np.maximum(*np.abs(steps[:2]))
    up, down = lanes.total(steps[2:] * size)
    ways: dict[int, set[Any]] = {}
    for lane in np.flatnonzero(lanes.out != 0):
        ways.setdefault(int(lanes.unit[lane]), set()).add(tuple(steps[:2, lane] / (size[lane] or 1)))
    return all(len(each) == 1 for each in ways.values()) and bool(np.all(up >= 0) and np.all(down <= 0))


def ray(lanes: Any, axis: int, rank: int) -> Any:
    """What a region starts from: lanes along an axis, each row·z of its unit."""
    (unit, row), one = lanes, np.ones(len(lanes[0]), object)
    return np.array([unit, one, -one, row, -row]).reshape(5, *(len(unit) if n == axis else 1 for n in range(-rank, 0)))


class Proof:
    """A certificate replayed on its models: every node that is not the same in both is of a site, or of a layer.

    Attributes:
        off: By how many ulp the weights of each side are off at most.
    """

    def __init__(self, told: dict[str, Any], before: onnx.ModelProto, after: onnx.ModelProto) -> None:
        require(told["format"] == FORMAT, f"the format is not '{FORMAT}'")
        self.sides, sites, layers = ("in", "out")[:: 1 if told["narrow"] == "in" else -1], told["sites"], told["layers"]
        graphs = {"in": Graph(before), "out": Graph(after)}
        self.narrow, self.wide = (graphs[side] for side in self.sides)
        self.limits, self.off = {side: min(told[side]["k"], MOST) for side in self.sides}, {"in": 0, "out": 0}
        self.lanes = {name: Lanes.read(each, told["lanes"]) for name, each in told["tensors"].items()}
        made = {*(site[self.sides[0]]["y"][0] for site in sites), *(layer["narrow"] for layer in layers)}
        require(self.lanes.keys() <= made, "what nothing makes is called lanes")
        ours, theirs = ({name for site in sites for name in site[side]["nodes"]} for side in self.sides)
        ours.update(layer["narrow"] for layer in layers)
        theirs.update(name for layer in layers for name in layer["wide"])
        self.same = self._same(ours, theirs, made - self.lanes.keys())
        for each in (*sites, *layers):
            rule = self._site if "site" in each else self._layer
            try:
                rule(each)
            except (Failed, *BROKEN) as failed:
                what = f"site '{each['site']}'" if "site" in each else f"node '{each['narrow']}'"
                text = failed if isinstance(failed, Failed) else f"{type(failed).__name__} {failed}"
                raise Failed(f"{what}: {text}") from None

    def _same(self, ours: set[str], theirs: set[str], made: set[str]) -> set[str]:
        """The tensors that are the same in both models. All that no site and no layer names has to be."""
        one, other, text = self.narrow, self.wide, "is not the same in both models, or reads what changed:"
        names = (*(value.name for value in one.inputs), *one.stored)
        same = {"", *(name for name in names if one.stored.get(name) == other.stored.get(name))}
        for name, node in one.nodes.items():
            if name in ours:
                same |= {name} & made
            elif node == other.nodes.get(name) and name not in theirs and reads(node) <= same:
                same.update(node.output)
            else:
                require(name in one.values, f"node '{name}' {text} {sorted(reads(node) - same)}")
        for name, node in other.nodes.items():
            known = name in theirs or name in other.values or (node == one.nodes.get(name) and name not in ours)
            require(known, f"node '{name}' {text} []")
        for field in ("ir_version", "opset_import", "functions"):
            require(
                getattr(one.model, field) == getattr(other.model, field), f"'{field}' is not the same in both models"
            )
        a, b = ((graph.inputs, list(graph.model.graph.output)) for graph in (one, other))
        changed = sorted({value.name for value in one.model.graph.output} - same)
        require(a == b and not changed, f"inputs or outputs are not the same: {changed}")
        return same

    def _read(self, narrow: str, wide: list[str]) -> Any:
        """The lanes that stand in place of what is read; None where it is the same in both."""
        lanes = self.lanes.get(narrow)
        holds = list(lanes.wide) == wide if lanes else wide == [narrow] and narrow in self.same
        require(holds, f"{wide} is read in place of '{narrow}'")
        return lanes

    def _within(self, side: str, k: int, text: str) -> None:
        require(k <= self.limits[side], f"{text} is off by {k} ulp, and the certificate says {self.limits[side]}")
        self.off[side] = max(self.off[side], k)

    def _site(self, site: dict[str, Any]) -> None:
        (narrow, wide), units, axis = (site[side] for side in self.sides), site["units"], site["axis"]
        (x,), (y,), start = narrow["x"], narrow["y"], (np.arange(units), np.ones(units, object))
        before, behind, shape = self._read(x, wide["x"]), self.lanes.get(y), self.narrow.shapes[x]
        require(y in narrow["nodes"] and wide["y"] == (list(behind.wide) if behind else [y]))
        require(all((each.axis, each.units) == (axis, units) for each in (before, behind) if each))
        made = region(self.narrow, narrow, {x: ray(start, axis, len(shape))}, axis)
        lanes, cuts = (before[3:5], [*np.cumsum([*before.wide.values()])[:-1]]) if before else (start, [])
        known = dict(zip(wide["x"], np.split(ray(lanes, axis, len(shape)), cuts, axis), strict=True))
        other = region(self.wide, wide, known, axis)
        for side, each, graph, part in zip(
            self.sides, (made, other), (self.narrow, self.wide), (narrow, wide), strict=True
        ):
            self._within(side, each.off, "a constant")
            moves = MOVING.intersection(kind(graph.nodes[name]) for name in part["nodes"])
            require(units == shape[axis] or (units == 1 and not moves), "its units are not as many as told")
        require(made.windows == other.windows, "the maximum is over other windows")
        real, lane = made.lanes, other.lanes
        if behind:
            of_units = real.size == 3 * units and np.array_equal(lane[0].flat, behind.unit)
            of_units &= other.sizes == list(behind.wide.values())
            require(of_units, "its lanes are of other units than told")
            require(not made.windows or ordered(behind, other.steps.reshape(4, -1)), "a maximum is added up")
            real, lane, sums = real.reshape(3, -1)[1:], lane.reshape(3, -1)[1:], behind.out is not None
            unlike = behind.total(lane) != real if sums else lane != behind.row * real[:, behind.unit]
            apart = np.flatnonzero(np.any(unlike, axis=0))
            apart = apart if sums else behind.unit[apart]
            require(not len(apart), f"the lanes of unit {apart[:1].sum()} do not add up to it")
        else:
            unlike = np.argwhere(np.any(real != lane, axis=0))
            require(not len(unlike), f"the function of unit {unlike[:1, axis].sum()} is another one in both models")
            sizes = zip(real.shape[1:], lane.shape[1:], shape, strict=True)
            require(all(a in (1, b, d) and b in (1, a, d) for a, b, d in sizes), "a constant enlarges it")

    # ── layers, and steps between ──────────────────────────────────────────────────────────────────────────────────

    def _layer(self, layer: dict[str, Any]) -> None:
        one, others = self.narrow.nodes[layer["narrow"]], [self.wide.nodes[name] for name in layer["wide"]]
        op, extra, (y,) = kind(one), attributes(one), one.output
        parts = [node for node in others if kind(node) == op]
        adds = [node for node in others if kind(node) != op]
        for node in parts:
            require(attributes(node) == extra and len(node.output) == 1, f"'{node.output[0]}' has other attributes")
        ends, total = [node.output[0] for node in parts], Counter(name for node in adds for name in node.input)
        sums = all(kind(node) == "Add" and not node.attribute for node in adds)
        sums &= not adds or total == Counter([*ends, *(node.output[0] for node in adds[:-1])])
        ends, made = [adds[-1].output[0]] if adds else ends, self.lanes.get(y)
        require(sums and ends == (list(made.wide) if made else [y]), f"it becomes another op, or makes {ends}")
        if op in LINEAR:
            self._linear(one, parts, made, [0, 1] if adds else [1, 0])
        else:
            (other,) = others
            self._step(one, other, made)

    def _linear(self, one: onnx.NodeProto, parts: list[onnx.NodeProto], made: Any, along: list[int]) -> None:
        """The wide weights are row·weight·out. Rows, or columns, of several wide layers stand one behind the other."""
        (at,) = (number for number, name in enumerate(one.input) if name and name not in self.narrow.values)
        read = self._read(one.input[at], list(dict.fromkeys(node.input[at] for node in parts)))
        ours = [self.narrow.values.get(name) for name in one.input]
        weights, axis, space = matrix(one, ours, at)
        groups, rows, columns, _ = weights.shape
        sizes, sides = np.array([groups * rows, groups * columns]), (made, read)
        require(all((each.axis, each.units) == (axis, n) for each, n in zip(sides, sizes, strict=True) if each))
        unit, source = (each.unit if each else np.arange(n) for each, n in zip(sides, sizes, strict=True))
        row, out = made.row if made else np.ones(sizes[0], object), read.out if read else np.ones(sizes[1], object)
        seen, bias, first = np.zeros(len(unit), int), np.zeros(len(unit), weights.dtype), np.zeros(2, int)
        for node in parts:
            theirs = [self.wide.values.get(name) for name in node.input]
            part, _, kernel = matrix(node, theirs, at)
            require(kernel == space, "its kernel is of another size")
            for group, each in enumerate(part):
                r, c = (n + group * size + np.arange(size) for n, size in zip(first, each.shape, strict=False))
                home = unit[r[0]] // rows
                require(np.all(unit[r] // rows == home) and np.all(source[c] // columns == home), "it mixes its groups")
                real = weights[home][np.ix_(unit[r] - home * rows, source[c] - home * columns)]
                k, m, n = ulps(each, real, row[r], out[c])
                where = made.named[r[m]] if made else read.named[c[n]] if read else m
                self._within(self.sides[1], k, f"a weight of unit {where}")
                seen[r] += len(c)
            r = slice(first[0], first[0] + part.shape[0] * part.shape[1])
            require(len(theirs) < 3 or not np.any(bias[r]), "a bias is added twice")
            bias[r] = line(theirs[2], -1, len(bias[r])) if len(theirs) > 2 else bias[r]
            told = made is None or along[1] or made.wide[node.output[0]] == len(part) * part.shape[1]
            require(told, f"'{node.output[0]}' has other lanes than told")
            first += np.array(part.shape[1:3]) * len(part) * along
        whole = np.array_equal(seen, np.bincount(source // columns, minlength=groups)[unit // rows])
        require(whole, "lanes are left out")
        added = line(ours[2], -1, sizes[0]) if len(ours) > 2 else np.zeros(sizes[0], weights.dtype)
        self._shifted(bias, added, unit, row)

    def _shifted(self, stored: Any, ours: Any, unit: Any, row: Any) -> None:
        k, lane, _ = ulps(stored[:, None, None], ours[unit][:, None, None], row)
        self._within(self.sides[1], k, f"what is added to unit {unit[lane]}")

    def _step(self, one: onnx.NodeProto, other: onnx.NodeProto, made: Any) -> None:
        """Lanes go where units go, and each by itself."""
        op, extra, text = kind(one), attributes(one), f"{kind(one)} does not keep units apart"
        pairs = dict(enumerate(zip(one.input, other.input, strict=True)))
        graphs = self.narrow.values, self.wide.values
        values = {n: (graphs[0][a], graphs[1][b]) for n, (a, b) in pairs.items() if a in graphs[0]}
        x = [pair for n, pair in pairs.items() if n not in values and pair != ("", "")]
        read, *more = (self._read(a, [b]) for a, b in x)
        require(all((each.axis, each.table) == (read.axis, read.table) for each in more) and "broadcast" not in extra)
        rank = len(self.narrow.shapes[x[0][0]])
        at, axis, table = rank + read.axis, read.axis, read.table
        if op in ("Flatten", "Reshape"):
            axis, table, values = made.axis, made.table, {}
            (runs, a), (block, b) = (divmod(made.table[n], read.table[n]) for n in (1, 2))
            require(made.table[0] == read.table[0] and not a + b)
            for graph, name, end in zip((self.narrow, self.wide), x[0], (one.output[0], other.output[0]), strict=True):
                old, new = graph.shapes[name], graph.shapes[end]
                here, there = len(old) + read.axis, len(new) + axis
                outer = elements(old[:here]), elements(new[:there], runs)
                inner = elements(old[here + 1 :]), elements(new[there + 1 :], block)
                require(any(a == b is not None for a, b in (outer, inner)), text)
        elif op == "Transpose":
            axis = list(extra.get("perm", range(rank)[::-1])).index(at) - rank
        elif op in ("Add", "Mul", "BatchNormalization"):
            norm, scales = op == "BatchNormalization", {"Add": (), "Mul": (0, 1)}.get(op, (1, 4))
            inference = at == 1 and extra.get("spatial", 1) and not extra.get("training_mode")
            require((inference or not norm) and (not more or op == "Add"), text)
            for number, (a, b) in values.items():
                require(max(a.ndim, b.ndim) <= rank)
                ours, theirs = (line(v, -1 if norm else axis, n) for v, n in ((a, read.units), (b, len(read.unit))))
                if number in scales:
                    require(np.array_equal(theirs, ours[read.unit]), "lanes of one unit are scaled by several factors")
                elif read.row is not None:
                    self._shifted(theirs, ours, read.unit, read.row)
                else:
                    apart = np.flatnonzero(read.total(fractions(theirs)[None])[0] != fractions(ours))
                    require(not len(apart), f"something else is added to unit {apart[:1].sum()}")
            values = {}
        else:
            pools = op in ("AveragePool", "GlobalAveragePool") and at == 1
            require(pools or op == "Identity" or (op == "Dropout" and not np.any(values.get(2, 0))), text)
        require((made.axis, made.table) == (axis, table) and all(np.array_equal(a, b) for a, b in values.values()))


def verify(certificate: dict[str, Any], before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    """Say "exact" or "within k ulp" where a certificate holds of two models.

    Raises:
        Failed: It does not; the message names the site, the node or the unit.
    """
    try:
        found = [digest(model) for model in (before, after)]
        stated = [certificate[side]["weights"] for side in ("in", "out")]
        require(found[0] == found[1] or found != stated[::-1], "the two models are swapped")
        off = Proof(certificate, before, after).off
        for (side, k), weights, hashed in zip(off.items(), found, stated, strict=True):
            text = f"the worst weight of '{side}' is within {k} ulp, and the certificate says {certificate[side]['k']}"
            require(k == certificate[side]["k"], text)
            require(weights == hashed, f"the weights of '{side}' are not those that the certificate is for")
    except BROKEN as error:
        raise Failed(f"the certificate is not well-formed: {type(error).__name__} {error}") from error
    return f"within {max(off.values())} ulp" if any(off.values()) else "exact"


def main(arguments: list[str]) -> int:
    """Verify the files, and say what was found."""
    try:
        certificate, (before, after) = json.loads(Path(arguments[0]).read_text("utf-8")), map(onnx.load, arguments[1:])
    except (OSError, ValueError, IndexError, DecodeError) as error:
        print(f"unreadable: {error}", file=sys.stderr)
        return 2
    try:
        print(verify(certificate, before, after))
    except Failed as failed:
        print(f"failed: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
