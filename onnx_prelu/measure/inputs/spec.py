"""What a model takes."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True)
class InputSpec:
    """An input that has to be fed: one that has no initializer.

    Attributes:
        name: Its name.
        dtype: A ``TensorProto.DataType``; ``UNDEFINED`` for what is no tensor.
        shape: A number for a fixed dimension, a name for a symbolic one, None for an unknown one; None altogether
            if not even the rank is known.
    """

    name: str
    dtype: int
    shape: tuple[int | str | None, ...] | None


def specs(model: ModelProto) -> tuple[InputSpec, ...]:
    """The inputs that have to be fed, in order: one that has an initializer has a value already."""
    graph = model.graph
    valued = {tensor.name for tensor in graph.initializer} | {sparse.values.name for sparse in graph.sparse_initializer}
    return tuple(spec_of(value) for value in graph.input if value.name not in valued)


def spec_of(value: ValueInfoProto) -> InputSpec:
    """What is declared of an input or output."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return InputSpec(value.name, tensor.elem_type, None)
    dims = (d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim)
    # Some writers say -1 where the size is unknown.
    return InputSpec(value.name, tensor.elem_type, tuple(None if isinstance(d, int) and d < 0 else d for d in dims))


def shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    """A shape for people.

    >>> shape_text(("N", 3, None))
    '[N, 3, ?]'
    """
    return "of any rank" if shape is None else f"[{', '.join('?' if d is None else str(d) for d in shape)}]"
