"""Whether two models can stand in for each other: the names, types and shapes that a caller sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import ModelProto

from ...errors import BadUsage
from ..inputs.dtypes import type_name
from ..inputs.spec import InputSpec, shape_text, spec_of, specs


def difference(a: ModelProto, b: ModelProto) -> str | None:
    """The first difference between the interfaces of two models, in words; None if there is none.

    Inputs with an initializer need not be fed, and do not count. Symbolic dimensions may have other names.
    """
    return _first("input", specs(a), specs(b)) or _first(
        "output", [spec_of(value) for value in a.graph.output], [spec_of(value) for value in b.graph.output]
    )


def require_outputs(model: ModelProto, names: Iterable[str]) -> None:
    """Refuse names of outputs that a model does not have.

    Raises:
        BadUsage: One of them is no output; it says which there are.
    """
    outputs = [output.name for output in model.graph.output]
    for name in names:
        if name not in outputs:
            raise BadUsage(f"a tolerance is given for '{name}', which is no output", todo=f"name {', '.join(outputs)}")


def _first(kind: str, a: Sequence[InputSpec], b: Sequence[InputSpec]) -> str | None:
    names_a, names_b = [spec.name for spec in a], [spec.name for spec in b]
    for name in names_a:
        if name not in names_b:
            return f"{kind} '{name}' is missing in the second model, which has {', '.join(names_b) or 'none'}"
    for name in names_b:
        if name not in names_a:
            return f"{kind} '{name}' is only in the second model"
    if names_a != names_b:
        return f"the {kind}s stand in another order: {', '.join(names_a)}, then {', '.join(names_b)}"
    for one, other in zip(a, b, strict=True):
        if one.dtype != other.dtype:
            types = f"{type_name(one.dtype)} in the first model, {type_name(other.dtype)} in the second"
            return f"{kind} '{one.name}' is {types}"
        if not _same_shape(one, other):
            shapes = f"{shape_text(one.shape)} in the first model, {shape_text(other.shape)} in the second"
            return f"{kind} '{one.name}' is {shapes}"
    return None


def _same_shape(a: InputSpec, b: InputSpec) -> bool:
    """Equal up to the names of symbolic dimensions. Where one model does not state a shape, nothing contradicts."""
    if a.shape is None or b.shape is None:
        return True
    return [d if isinstance(d, int) else None for d in a.shape] == [d if isinstance(d, int) else None for d in b.shape]
