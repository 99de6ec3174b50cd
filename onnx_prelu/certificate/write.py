"""Write the certificate of a rewrite: what became of each site, in a form that verify.py can replay.

It is read off the two models and the plans, not off the arithmetic that made the weights. Every certificate is verified
before it is handed out: what is not covered is refused, so none says less than it seems.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..algebra.lanes import Lanes
from ..algebra.reduction import Reduced
from ..errors import NotMet
from ..graph.draft import Draft
from ..passes.plan import Plan
from .verify import FORMAT, LINEAR, MOST, Failed, Graph, Proof, digest, fractions, matrix, ray, region, ulps

STATEMENT = (
    "There is a network of real weights E, given by this certificate, that computes the same real function in its wide "
    "and in its narrow form; every weight of IN is within k_in ulp of E's one form, every weight of OUT within k_out "
    "ulp of the other (exact: both 0); every other node and tensor is byte-identical, and no other reader sees the "
    "changed tensors. It says nothing of float execution order, NaN, inf or signs of zero."
)

Table = dict[str, Any]

BACK = frozenset({"fold", "prelu", "leakyrelu", "relu", "identity"})
"""What the way back to PReLU writes: then the model that comes out is the narrow one."""

POOLED = frozenset({"pool", "poolsplit", "poolsplit-padded"})
"""Forms that let a MaxPool come before the activation: the site ends behind it."""

CANDIDATES: tuple[Callable[[Any], Any], ...] = (
    lambda a: a,
    lambda a: -a,
    lambda a: 1 - a,
    lambda a: a - 1,
    lambda a: abs(1 - a),
    lambda a: np.where(a > 1, np.array(Fraction(1)), a),
    lambda a: np.where(a > 1, -a, a),
    lambda a: a / np.where(a == 1, np.array(Fraction(1)), 1 - a),
)
"""What a constant of a form can stand for, of which it stores the rounding."""


def write(before: onnx.ModelProto, draft: Draft, plans: Sequence[Plan], result: onnx.ModelProto) -> Table:
    """The certificate of a rewritten model, verified.

    Args:
        before: The model that was rewritten, with all its data.
        draft: The draft in which the plans were committed.
        plans: The plans.
        result: The model that came of it, with all its data.

    Raises:
        NotMet: The form of a site is not covered; the message names both.
    """
    made = _Certificate(draft, plans, before, result)
    for plan in plans:
        try:
            made.add(plan)
        except (Failed, KeyError, ValueError) as failed:
            raise NotMet(
                f"'{plan.node.label}': the certificate does not cover {plan.form} there: {failed}",
                todo="choose another form for it, or leave --certificate out",
            ) from None
    return made.finished()


class _Certificate:
    """A certificate in the making."""

    def __init__(self, draft: Draft, plans: Sequence[Plan], before: onnx.ModelProto, result: onnx.ModelProto) -> None:
        self.draft, self.plans, self.models = draft, plans, (before, result)
        self.graphs = {"in": Graph(before), "out": Graph(result)}
        back = all(plan.form in BACK for plan in plans)
        self.sides = ("out", "in") if back else ("in", "out")
        self.narrow, self.wide = (self.graphs[side] for side in self.sides)
        self.tables: list[Table] = []
        self.tensors: dict[str, Table] = {}
        self.sites: list[Table] = []
        self.several: dict[str, list[str]] = {}  # layers that became several ones, by their results

    # ── what became of a site ─────────────────────────────────────────────────────────────────────────────────────

    def add(self, plan: Plan) -> None:
        """Put a site into the certificate.

        Raises:
            Failed: It is not covered.
        """
        if plan.node not in self.draft.replaced:
            raise Failed("it stands inside of a body or a function")
        if plan.form in ("comp", "ext0"):
            raise Failed("it merges what stands around it into other layers")
        if plan.proven:
            raise Failed("it is right only for values that the inputs can bring about")
        gone = plan.reduced
        if gone is not None and (gone.merged or gone.dropped or len(gone.constant)):
            raise Failed("units were merged, dropped or moved to the bias behind")
        x, y = plan.activation
        if plan.form in POOLED:
            (y,) = (node.outputs[0] for node in plan.before if node.op == "MaxPool")
        after = self.renamed(y)
        if after not in self.graphs["out"].nodes:  # a fold took the layer with it that added up the lanes
            (reader,) = (node for node in self.graphs["in"].nodes.values() if y in node.input)
            y = after = reader.output[0]
        pairs = [(x, self.renamed(x)), (y, after)]
        ours, theirs = ([pair[self.sides.index("in") ^ side] for pair in pairs] for side in (0, 1))
        self._name_lanes(plan, x, y)
        if plan.form in ("poolsplit", "poolsplit-padded"):
            self._two_parts(plan, ours[0], theirs[1])
        if plan.form == "dwcat":
            self._two_ways(plan, *ours)
        self.sites.append(self._site(plan.node.label, plan.form, ours, theirs))

    def renamed(self, name: str) -> str:
        """What a tensor of the model before is called in the result."""
        while name not in self.graphs["out"].nodes and name in self.draft.widened:
            name = self.draft.widened[name].new
        return name

    def _name_lanes(self, plan: Plan, x: str, y: str) -> None:
        """State which tensors are lanes, and those before the activation by which factors."""
        if plan.lanes is None or not plan.edit.widened:
            return
        behind = {y, *(name for node in plan.between for name in node.outputs)}
        if x not in {widened.old for widened in plan.edit.widened}:
            behind |= {widened.old for widened in plan.edit.widened}
        folds, moved = plan.form == "fold", any(node.op in ("Flatten", "Reshape") for node in plan.between)
        units = len(plan.lanes) if folds else int(plan.lanes.unit.max()) + 1
        index, factor = plan.lanes.unit, plan.lanes.row
        if plan.reduced is not None:
            index, factor = _taken(plan.lanes, plan.reduced)
        first = len(self.tables)
        self.tables += [{"units": units, "unit": index.tolist(), "row": factor}, {"units": units}]
        for widened in plan.edit.widened:
            names = [widened.old, self.renamed(widened.old)][:: -1 if folds else 1]
            if names[0] == names[1] or names[0] not in self.narrow.nodes:
                continue
            told: Table = {"axis": widened.axis, "lanes": first + (widened.old in behind)}
            runs, size = widened.repeats, widened.units if folds else widened.lanes
            if moved and widened.old in behind:
                block = self._size(names[0], widened.axis) // units // runs
                told |= {"spread": [runs, block]} if (runs, block) != (1, 1) else {}
                size *= runs * block
            self.tensors[names[0]] = {"wide": {names[1]: size}, **told}

    def _size(self, name: str, axis: int) -> int:
        """How long an axis of a narrow tensor is."""
        size = self.narrow.shapes[name][axis] if name in self.narrow.shapes else None
        if isinstance(size, int):
            return size
        for node in self.narrow.nodes.values():
            if name in node.input and node.op_type in LINEAR:
                weights, *_ = matrix(
                    node, [self.narrow.values.get(each) for each in node.input], list(node.input).index(name)
                )
                return int(weights.shape[0] * weights.shape[2])
        raise Failed(f"the size of '{name}' is not known")

    def _two_parts(self, plan: Plan, x: str, y: str) -> None:
        """What makes x became two layers, whose rows stand one behind the other."""
        assert plan.lanes is not None
        ends = [
            [n for n in _between(self.wide, [plan.x], [end]) if self.wide.nodes[n].op_type in LINEAR]
            for end in self.wide.nodes[y].input
        ]
        names = [name for (name,) in ends]
        sizes = [self.wide.values[self.wide.nodes[name].input[1]].shape[0] for name in names]
        self.tensors[x] = {
            "wide": dict(zip(names, sizes, strict=True)),
            "axis": plan.unit_axis,
            "lanes": len(self.tables) - 2,
        }
        self.several[x] = names
        factors = {each.new: each.factor for each in self.draft.widened.values() if each.factor is not None}
        rows = np.split(plan.lanes.row, np.cumsum(sizes)[:-1])  # and what the form of a part put into its layer
        self.tables[-2]["row"] = np.concatenate(
            [row * factors.get(name, 1) for row, name in zip(rows, names, strict=True)]
        )

    def _two_ways(self, plan: Plan, x: str, y: str) -> None:
        """The layers behind became sums of two, which read x and its Relu."""
        told = self.tensors[y]
        told["wide"] = {x: sum(told["wide"].values()), **told["wide"]}
        for node, protos in plan.edit.nodes.items():
            if len(protos) == 3 and node.op in LINEAR:
                self.several[node.outputs[0]] = [proto.output[0] for proto in protos]

    # ── sites ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _site(self, label: str, form: str, ours: list[str], theirs: list[str]) -> Table:
        """A site with its real constants, its lanes completed."""
        before, behind = (self.tensors.get(name) for name in ours)
        ends = [
            [name] if told is None else list(told["wide"]) for name, told in zip(theirs, (before, behind), strict=True)
        ]
        first, last = ours
        parts: list[Table] = [
            {"x": [first], "y": [last], "nodes": list(_between(self.narrow, [first], [last]))},
            {"x": ends[0], "y": ends[1], "nodes": list(_between(self.wide, *ends))},
        ]
        told = before or behind
        rank = len(self.narrow.shapes[first])
        if told is not None:
            axis, units = told["axis"], self.tables[told["lanes"]]["units"]
        elif {
            node.op_type
            for side, part in zip((self.narrow, self.wide), parts, strict=True)
            for node in map(side.nodes.__getitem__, part["nodes"])
        } & {*LINEAR, "MaxPool"}:
            axis, units = 1 - rank, self.narrow.shapes[first][1]
        else:
            axis, units = -1, 1
        one = np.arange(units), np.array([Fraction(1)]).repeat(units)
        real = region(self.narrow, parts[0], {first: ray(one, axis, rank)}, axis).lanes
        start = one
        if before is not None:
            table = self.tables[before["lanes"]]
            if not isinstance(table.get("row", []), list):
                table["row"] = _numbers(_exactly(fractions(table["row"]), -real[2].reshape(-1)[table["unit"]]))
            row = (
                fractions(np.array(table["row"], object))
                if "row" in table
                else 1 / fractions(np.array(table["out"], object))
            )
            start = np.array(table["unit"]), row
        cuts: Any = np.cumsum(list(before["wide"].values()))[:-1] if before else []
        known = dict(zip(ends[0], np.split(ray(start, axis, rank), cuts, axis), strict=True))
        slopes = (-real[2] * Fraction(1)).reshape(-1)
        several = [slopes, *(slopes[unit] for unit in np.split(start[0], cuts) if len(cuts))]
        for given in _choices(self.wide, parts[1], several, start):
            parts[1]["real"] = {name: _numbers(values) for name, values in given.items()}
            value = region(self.wide, parts[1], known, axis).lanes
            if behind is not None and (outs := _outs(value, real, units)) is not None:
                table = self.tables[behind["lanes"]]
                table |= {"unit": [int(unit) for unit in value[0].flat], "out": _numbers(outs)}
                break
            if behind is None and np.all(np.equal(*np.broadcast_arrays(value, real))):
                break
        else:
            raise Failed("its constants are roundings of real ones that were not found")
        return {"site": label, "form": form, "axis": axis, "units": units, **dict(zip(self.sides, parts, strict=True))}

    # ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────

    def finished(self) -> Table:
        """The whole certificate, verified.

        Raises:
            NotMet: It does not hold.
        """
        forms = ", ".join(sorted({plan.form for plan in self.plans}))
        try:
            layers = list(self._layers())
            used = sorted({told["lanes"] for told in self.tensors.values()})
            for told in self.tensors.values():
                told["lanes"] = used.index(told["lanes"])
            certificate: Table = {
                "format": FORMAT,
                "states": STATEMENT,
                "narrow": self.sides[0],
                **{side: {"weights": digest(graph.model), "k": MOST} for side, graph in self.graphs.items()},
                "lanes": [self.tables[number] for number in used],
                "tensors": self.tensors,
                "sites": self.sites,
                "layers": layers,
            }
            off = Proof(certificate, *self.models).off
        except (Failed, KeyError) as failed:
            raise NotMet(f"no certificate of {forms}: {failed}", todo="choose other forms, or leave it out") from None
        for side, k in off.items():
            certificate[side]["k"] = k
        return certificate

    def _layers(self) -> Iterator[Table]:
        """Every node that changed and is no site's: the layers around, and the steps between."""
        inside = {name for site in self.sites for name in site[self.sides[0]]["nodes"]}
        for name, node in self.narrow.nodes.items():
            if name in inside or name in self.narrow.values:
                continue
            if node != self.wide.nodes.get(name):
                wide = list(self.tensors[name]["wide"]) if name in self.tensors else [name]
                yield {"narrow": name, "wide": self.several.get(name, wide)}
            elif node.input[:1] and node.input[0] in self.tensors:  # signs end before it
                self.sites.append(
                    self._site(node.name or name, node.op_type, [node.input[0], name], [node.input[0], name])
                )


def _between(graph: Graph, start: list[str], ends: list[str]) -> Iterator[str]:
    """The nodes from some tensors to others, less those of constants, in the graph's order, by first output."""
    found, waiting = set(), [*ends]
    while waiting:
        name = waiting.pop()
        if name in start or name in found or name in graph.values or name not in graph.nodes:
            continue
        found.add(name)
        waiting.extend(each for each in graph.nodes[name].input if each)
    yield from (name for name in graph.nodes if name in found)


def _taken(lanes: Lanes, reduced: Reduced) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of which lane each unit of a folded layer is a multiple, and of which one: of itself, or of its pair."""
    stay = {int(unit): lane for lane, unit in enumerate(lanes.unit)}
    pairs = {int(reduced.direction[unit]): lane for lane, unit in enumerate(lanes.unit)}
    index = np.array([stay.get(unit, pairs[int(way)]) for unit, way in enumerate(reduced.direction)])
    return index, _short(reduced.scale / (lanes.row * reduced.scale[lanes.unit])[index])


def _short(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors of 29 bits at most, so that their products with float32 are exact in float64."""
    mantissa, exponent = np.frexp(factor)
    short: NDArray[np.float64] = np.ldexp(np.round(mantissa * 2**29), exponent - 29)
    return short


def _exactly(rows: Any, slopes: Any) -> Any:
    """Rows that float64 rounds, 1−a say, as the fractions that they are meant to be."""
    close = [abs(row - (1 - a)) <= abs(1 - a) / 2**52 for row, a in zip(rows, slopes, strict=True)]
    return np.where(close, 1 - slopes, rows)


def _choices(graph: Graph, part: Table, slopes: list[Any], start: tuple[Any, Any]) -> Iterator[dict[str, Any]]:
    """What the constants of a site can stand for: as they are stored, or what they are the roundings of.

    Args:
        graph: The model.
        part: The site in it.
        slopes: Those of all units, and of each part of them that has constants of its own.
        start: The unit and the row of each lane that the site reads.
    """
    meant: dict[str, list[Any]] = {}
    turned = start[1][np.argsort(start[0])]  # signs of units that a gauge before turned
    ways = [1, turned] if turned.shape == slopes[0].shape and np.any(turned != 1) else [1]
    for name in dict.fromkeys(each for node in part["nodes"] for each in graph.nodes[node].input):
        stored = graph.values.get(name)
        if stored is None or stored.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
            continue
        options: list[Any] = [None]
        fitting = [a for a in slopes if stored.size in (a.size, 1) and stored.size <= 65536]
        for a, candidate, sign in itertools.product(fitting, CANDIDATES, ways):
            if np.size(sign) not in (1, a.size):
                continue
            value = np.asarray(candidate(a) * sign, object).reshape(-1)[: stored.size]
            if np.all(value == fractions(stored.astype(float)).reshape(-1)):
                continue
            flat = stored.reshape(-1, 1, 1)
            if ulps(flat, np.ones_like(flat), value)[0] <= 1:
                options.append(value)
        meant[name] = options
    for choice in itertools.product(*meant.values()):
        yield {name: value for name, value in zip(meant, choice, strict=True) if value is not None}


def _outs(value: Any, real: Any, units: int) -> Any:
    """By what each lane counts, so that those of a unit add up to it; None where they do not."""
    if real.size != 3 * units:
        return None
    unit, up, down = value.reshape(3, -1) * Fraction(1)
    real, outs = real.reshape(3, -1), np.full(len(unit), Fraction(0))
    lanes: list[list[int]] = [[] for _ in range(units)]
    for lane, number in enumerate(unit):
        lanes[int(number)] += [lane] if up[lane] or down[lane] else []
    for number, mine in enumerate(lanes):
        if len(mine) == 1:
            outs[mine] = real[1, number] / up[mine] if up[mine[0]] else real[2, number] / down[mine]
        elif len(mine) == 2:
            (p, q), (s, t) = up[mine], down[mine]
            if p * t == q * s:
                return None
            h, g = real[1:, number]
            outs[mine] = (h * t - g * q) / (p * t - q * s), (g * p - h * s) / (p * t - q * s)
        if np.any(real[1:, number] != [(outs[mine] * each[mine]).sum() for each in (up, down)]):
            return None
    return outs


def _numbers(values: Any) -> list[Any]:
    """Fractions as JSON has them: as numbers where a float64 holds them, else as "p/q"."""
    flat = [Fraction(value) for value in np.asarray(values, object).reshape(-1)]
    return [float(v) if Fraction(float(v)) == v else f"{v.numerator}/{v.denominator}" for v in flat]
