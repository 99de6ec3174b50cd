"""What the arguments of the API mean."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from .errors import BadUsage
from .graph.model import Model
from .measure.checking.failing import Saving
from .measure.checking.rounds import Effort
from .measure.checking.tolerance import Given
from .measure.checking.watch import Watch
from .measure.inputs.draw import InputOptions
from .measure.inputs.ranges import Asked, asked_ranges
from .passes.patterns import Scope
from .passes.plan import Plan
from .passes.repair import Repaired, repair_slopes

Source: TypeAlias = str | os.PathLike[str] | onnx.ModelProto | gs.Graph | Model
"""A model: a path, a ModelProto, a graphsurgeon graph, or one that is loaded already. It is never changed."""

Progress: TypeAlias = Callable[[str], None]
"""Called with what is being done now."""


def repaired_by(model: Model, scope: Scope, fix_slopes: bool, freeze: bool) -> Repaired:
    """The model with its slopes repaired, where that is wanted."""
    return repair_slopes(model, scope, freeze=freeze) if fix_slopes else Repaired(model)


def input_options(
    inputs: str | os.PathLike[str] | Mapping[str, np.ndarray[Any, Any]] | None,
    input_shape: Mapping[str, Sequence[int]] | None,
    dim: Mapping[str, int] | None,
    seed: int,
    input_range: Mapping[str, Asked] | None = None,
) -> InputOptions:
    """What the user fixes about the inputs.

    Raises:
        BadInput: The file of a range cannot be read.
        BadUsage: The ends of a range are no numbers.
    """
    data = Path(inputs) if isinstance(inputs, str | os.PathLike) else inputs
    shapes = {name: tuple(shape) for name, shape in (input_shape or {}).items()}
    ranges = asked_ranges(input_range or {})
    return InputOptions(input_shape=shapes, dim=dict(dim or {}), inputs=data, seed=seed, input_range=ranges)


def data_files(options: Mapping[str, Any]) -> list[Path]:
    """Every file of data that a command is given, and the folders that hold some of them."""
    given = options.get("inputs"), *options.get("input_range", {}).values()
    paths = [path for path in given if isinstance(path, Path)]
    return [*paths, *(file for path in paths for file in path.rglob("*") if file.is_file())]


def effort(seeds: int | None, check_budget: float | None) -> Effort:
    """How much a check tries: one seed, unless more are asked for or there is time for more."""
    return Effort(1 if seeds is None and check_budget is None else seeds, check_budget)


def saving(folder: str | os.PathLike[str] | None, second: str | None) -> Saving | None:
    """Where failing inputs go.

    Raises:
        BadUsage: There is something else there.
    """
    if folder is None:
        return None
    if Path(folder).exists() and not Path(folder).is_dir():
        raise BadUsage(
            "is a file, and failing inputs go into a folder", where=f"--save-failing {folder}", todo="name one"
        )
    return Saving(Path(folder), second)


def dims(dim: Mapping[str, int | Sequence[int]] | None) -> list[dict[str, int]]:
    """Each set of values that dimensions are to be tuned for; who has fewer keeps the last one."""
    values = {name: (size,) if isinstance(size, int) else tuple(size) for name, size in (dim or {}).items()}
    most = max(map(len, values.values()), default=1)
    return [{name: sizes[min(i, len(sizes) - 1)] for name, sizes in values.items()} for i in range(most)]


def scope_of(only: str | Sequence[str], skip: str | Sequence[str], also: str | Sequence[str]) -> Scope:
    """Which sites are meant; one pattern is as good as a list of one.

    Raises:
        BadUsage: ``also`` names another op than there is.
    """
    return Scope(*((given,) if isinstance(given, str) else tuple(given) for given in (only, skip, also)))


def require_use(goal: str, form: object, purpose: str | None, to: str, **given: bool) -> None:
    """Refuse options that would be passed over in silence.

    Args:
        goal: Where the rewrite goes.
        form: The form that was asked for, or None.
        purpose: What the model is for, or None.
        to: The direction that was asked for.
        given: Options of ``--to fast``, and whether each was given; ``exact`` is one of int8 too.

    Raises:
        BadUsage: One of them has no meaning here.
    """
    if purpose is not None and to != "auto":
        raise BadUsage(f"--for {purpose} chooses the form, and --to {to} asks for one", todo="leave one of them out")
    searched = goal == "fast" and form is None
    idle = [name for name, used in given.items() if used and not searched and not (purpose and name == "exact")]
    if idle:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        why = "--form says the form" if goal == "fast" and form is not None else "it is about --to fast"
        raise BadUsage(f"{names} has no meaning here: {why}", todo="leave it out, or take --to fast alone")


def tolerances(tol: Mapping[str, Mapping[str, float]] | None) -> dict[str, Given]:
    """What the user allows at single outputs.

    Raises:
        BadUsage: It is no tolerance.
    """
    for name, given in (tol or {}).items():
        if not given or given.keys() - {"atol", "rtol"} or not all(0 <= share < math.inf for share in given.values()):
            raise BadUsage(f"{dict(given)} is no tolerance for '{name}'", todo="give atol, rtol or both, from 0 on")
    return {name: Given(**given) for name, given in (tol or {}).items()}


def watch(plan: Plan) -> Watch:
    """What to watch for signs at a site: its pre-activation, by unit where units are known."""
    return Watch(plan.node.label, plan.activation[0], plan.unit_axis)


def known_sizes(
    model: Model, input_shape: Mapping[str, Sequence[int]] | None, dim: Mapping[str, int] | None
) -> dict[str, tuple[int, ...]]:
    """Input shapes where the user fixed every dimension. In IR version 3 weights are inputs too: these nobody sizes."""
    sizes = {name: tuple(shape) for name, shape in (input_shape or {}).items()}
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    for value in model.proto.graph.input:
        if value.name in weights:
            continue
        shape = [d.dim_value or (dim or {}).get(d.dim_param) for d in value.type.tensor_type.shape.dim]
        known = tuple(size for size in shape if size)
        if value.name not in sizes and shape and len(known) == len(shape):
            sizes[value.name] = known
    return sizes
