"""What changed from one model to another: by name, in every body, values read only where they have to be."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import onnx

from ...graph.index import named_bodies
from ...graph.model import Model
from ...graph.walk import Body
from .change import Diff, Kind, Ledger
from .match import matched
from .moved import Moved, moved
from .spoken import attribute_text, fields, node_text, op_text, short, tensor_text, type_text

_OWN_KINDS = frozenset({"graph", "opset_import", "metadata_props", "functions"})
_IN_BODIES = frozenset({"node", "initializer", "sparse_initializer", "input", "output", "value_info"})
_OF_NODES = frozenset({"name", "op_type", "domain", "input", "output", "attribute"})
_OF_TENSORS = frozenset({"name", "doc_string", "metadata_props"})
T = TypeVar("T")
_STORED = frozenset(field.name for field in onnx.TensorProto.DESCRIPTOR.fields) - _OF_TENSORS


def diff(a: Model, b: Model) -> Diff:
    """Compare two models, thing by thing; nothing is run.

    Nodes go by name, and where they have none by the names of what they make. How a file stores the values of a tensor,
    inside or outside, is no change of it.

    Raises:
        BadInput: External data cannot be read, or the data of a tensor do not fit its type and shape.
    """
    return _Comparison(a, b).diff()


class _Comparison:
    """Two models, and what was found so far."""

    def __init__(self, a: Model, b: Model) -> None:
        self._a, self._b = a, b
        self._found = Ledger()

    def diff(self) -> Diff:
        a, b = self._a.proto, self._b.proto
        self._fields("model", "", fields(a, b, _OWN_KINDS))
        self._texts("opset", "", _versions(a.opset_import), _versions(b.opset_import))
        self._texts("metadata", "", *({each.key: each.value for each in model.metadata_props} for model in (a, b)))
        self._body(a.graph, b.graph, "")
        self._functions(_functions(a), _functions(b))
        return self._found.diff()

    def _fields(self, kind: Kind, path: str, found: Iterable[tuple[str, str]]) -> None:
        for name, change in found:
            self._found.both(kind, f"{path}{name}", [change])

    def _texts(self, kind: Kind, path: str, a: Mapping[str, str], b: Mapping[str, str]) -> None:
        """Compare what is told in full by a text for each name."""
        for name, one in a.items():
            if name not in b:
                self._found.one(kind, f"{path}{name}", "removed", short(one))
            else:
                self._found.both(kind, f"{path}{name}", _change(one, b[name]))
        for name, two in b.items():
            if name not in a:
                self._found.one(kind, f"{path}{name}", "added", short(two))

    def _functions(self, a: Mapping[str, onnx.FunctionProto], b: Mapping[str, onnx.FunctionProto]) -> None:
        for name, one in a.items():
            if name not in b:
                self._found.one("function", name, "removed")
                continue
            told = fields(one, b[name], _IN_BODIES - {"input", "output"})
            self._found.both("function", name, [f"{field}: {change}" for field, change in told])
            self._body(one, b[name], f"{name}/")
        for name in b:
            if name not in a:
                self._found.one("function", name, "added")

    def _body(self, a: Body, b: Body, path: str) -> None:
        """Compare two graphs, or the nodes of two functions."""
        if isinstance(a, onnx.GraphProto) and isinstance(b, onnx.GraphProto):
            self._fields("model", path, ((f"graph {name}", change) for name, change in fields(a, b, _IN_BODIES)))
            self._ends("input", path, a.input, b.input)
            self._ends("output", path, a.output, b.output)
            self._initializers(a, b, path)
        self._nodes(a.node, b.node, path)
        self._texts("type", path, *({value.name: type_text(value) for value in body.value_info} for body in (a, b)))

    def _ends(self, kind: Kind, path: str, a: Sequence[onnx.ValueInfoProto], b: Sequence[onnx.ValueInfoProto]) -> None:
        one, two = ({value.name: type_text(value) for value in values} for values in (a, b))
        self._texts(kind, path, one, two)
        common = [[name for name in names if name in one and name in two] for names in (one, two)]
        if common[0] != common[1]:
            self._found.both("model", f"{path}order of {kind}s", _change(*(", ".join(names) for names in common)))

    def _initializers(self, a: onnx.GraphProto, b: onnx.GraphProto, path: str) -> None:
        for name, one, two in _by_name(_tensors(a), _tensors(b)):
            if one is not None and two is not None:
                self._found.both("initializer", f"{path}{name}", *self._tensor(one, two))
            elif one is not None:
                self._found.one("initializer", f"{path}{name}", "removed", tensor_text(one))
            elif two is not None:
                self._found.one("initializer", f"{path}{name}", "added", tensor_text(two))

    def _tensor(self, one: onnx.TensorProto, two: onnx.TensorProto) -> tuple[list[str], Moved | None]:
        """What changed of a tensor, and how far its values moved, if they are as many."""
        details = _change(tensor_text(one), tensor_text(two))
        details += [f"{name}: {change}" for name, change in fields(one, two, _STORED | {"name"})]
        if list(one.dims) != list(two.dims):
            return details, None
        return details, moved(one, self._a.folder, two, self._b.folder)

    def _nodes(self, a: Sequence[onnx.NodeProto], b: Sequence[onnx.NodeProto], path: str) -> None:
        pairs = matched(a, b)
        for at, one in enumerate(a):
            if at in pairs:
                self._node(one, b[pairs[at]], path)
            else:
                self._found.one("node", _label(one, path), "removed", node_text(one))
        kept = set(pairs.values())
        for at, two in enumerate(b):
            if at not in kept:
                self._found.one("node", _label(two, path), "added", node_text(two))
        behind = sum(one > two for one, two in itertools.pairwise(pairs.values()))
        if behind:
            self._found.both(
                "model",
                f"{path}order of nodes",
                [f"places where a node stands before one that it stood behind: {behind:,}"],
            )

    def _node(self, one: onnx.NodeProto, two: onnx.NodeProto, path: str) -> None:
        label = _label(one, path)
        details = [f"name: {change}" for change in _change(one.name, two.name)]
        details += [f"op: {change}" for change in _change(op_text(one), op_text(two))]
        details += [f"input {change}" for change in _positions(one.input, two.input)]
        details += [f"output {change}" for change in _positions(one.output, two.output)]
        details += [f"{name}: {change}" for name, change in fields(one, two, _OF_NODES)]
        details += self._attributes(one, two)
        self._found.both("node", label, details)
        bodies = dict(named_bodies(two))
        for name, body in named_bodies(one):
            if name in bodies:
                self._body(body, bodies[name], f"{label}/{name}/")

    def _attributes(self, one: onnx.NodeProto, two: onnx.NodeProto) -> Iterator[str]:
        """What changed of a node's attributes; what stands in graphs among them is told apart from it."""
        a, b = ({attribute.name: attribute for attribute in node.attribute} for node in (one, two))
        for name, before, after in _by_name(a, b):
            if before is None:
                yield f"attribute {name}: added, {attribute_text(b[name])}"
            elif after is None:
                yield f"attribute {name}: removed, {attribute_text(a[name])}"
            elif before.HasField("t") and after.HasField("t"):
                details, values = self._tensor(before.t, after.t)
                details += [] if values is None else [values.sentence()]
                yield from (f"attribute {name}: {detail}" for detail in details)
            elif before.graphs and len(before.graphs) != len(after.graphs):
                yield f"attribute {name}: {len(before.graphs)} graphs → {len(after.graphs)} graphs"
            elif before != after and not (_is_body(before) and _is_body(after)):
                yield f"attribute {name}: {attribute_text(before)} → {attribute_text(after)}"


def _change(one: str, two: str) -> list[str]:
    return [] if one == two else [f"{short(one) or 'nothing'} → {short(two) or 'nothing'}"]


def _positions(one: Sequence[str], two: Sequence[str]) -> Iterator[str]:
    """Which inputs or outputs of a node are others."""
    for at, (before, after) in enumerate(itertools.zip_longest(one, two, fillvalue="")):
        yield from (f"{at}: {change}" for change in _change(before, after))


def _by_name(a: Mapping[str, T], b: Mapping[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    for name in dict.fromkeys([*a, *b]):
        yield name, a.get(name), b.get(name)


def _versions(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, str]:
    return {each.domain or "ai.onnx": str(each.version) for each in imports}


def _functions(proto: onnx.ModelProto) -> dict[str, onnx.FunctionProto]:
    return {".".join(filter(None, (each.domain, each.name, each.overload))): each for each in proto.functions}


def _tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The initializers, and both halves of the sparse ones."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        found |= {sparse.values.name: sparse.values, f"{sparse.values.name}/indices": sparse.indices}
    return found


def _label(node: onnx.NodeProto, path: str) -> str:
    return f"{path}{node.name or next(filter(None, node.output), op_text(node))}"


def _is_body(attribute: onnx.AttributeProto) -> bool:
    return attribute.HasField("g") or bool(attribute.graphs)
