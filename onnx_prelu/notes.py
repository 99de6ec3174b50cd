"""What the user should know of a command besides the sites: sentences for the report's notes."""

from __future__ import annotations

from .graph.draft import Draft
from .graph.model import Model
from .graph.walk import uses
from .passes.fitting import counted, outside
from .passes.repair import Repaired, denormal_weights, denormals_written
from .passes.targets import Target
from .passes.within import limited_to
from .report.report import Report


def of_rewrite(
    report: Report, draft: Draft, result: Model, to: str, target: Target | None, repaired: Repaired
) -> list[str]:
    """The notes of ``rewrite``.

    Args:
        report: The report so far.
        draft: The draft with its edits.
        result: The model that was made of it.
        to: The direction that was asked for.
        target: The target that was asked for, or None.
        repaired: The model that the rewrite started from.
    """
    notes = [*repaired.notes, *_of_slopes(report), *denormals_written(draft)]
    if to == "auto" and report.to in ("relu", "prelu") and draft.changed and target is None:
        present = "a PRelu is present" if report.to == "relu" else "no PRelu is present"
        back = "" if report.to == "relu" and uses(result.proto, "PRelu") else "; running it again goes back"
        notes.append(f"--to auto came to {report.to}: {present}{back}")
    if result is repaired.model:
        asked = "--for int8" if report.to == "int8" else f"--to {report.to}" if target is None else target.name
        same = "the input with its slopes repaired" if repaired.notes else "the input"
        what = "no site could be rewritten" if any(site.refused for site in report.sites or ()) else "nothing to do"
        notes.append(f"{what} for {asked}: the output is {same}")
    elif repaired.notes:
        notes.append("what is compared with the output is the input with its slopes repaired")
    frozen = repaired.frozen | (draft.frozen if draft.changed else frozenset())
    if frozen:
        notes.append(f"taken as constants, and no longer inputs of the graph: {', '.join(sorted(frozen))}")
    return notes + (outside(draft, target) if target else [])


def of_inspect(report: Report, draft: Draft, target: Target | None, repaired: Repaired) -> list[str]:
    """The notes of ``inspect``; the arguments are those of :func:`of_rewrite`."""
    fit = [*counted(report.sites or (), target), *outside(draft, target)] if target else []
    return [
        *fit,
        *repaired.notes,
        *_of_slopes(report),
        *denormal_weights(draft),
        *_of_sizes(report, draft.model),
        *of_ranges(draft.model),
    ]


def of_ranges(*models: Model) -> list[str]:
    """Which models say that they are right within ranges of their inputs only, as a rewrite within such makes them."""
    told = [(model.name, limited_to(model.proto)) for model in models]
    return [
        f"{name} says that it is right within these ranges of its inputs only: {text}" for name, text in told if text
    ]


def _of_slopes(report: Report) -> list[str]:
    return [note for choice in report.sites or () for note in choice.notes]


def _of_sizes(report: Report, model: Model) -> list[str]:
    """Which options would tell the costs that are not known, where it is the model's inputs that leave them open."""
    if report.before is None or None not in (report.before.macs, report.before.activation_bytes):
        return []
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    dims: dict[str, None] = {}
    shapes: dict[str, None] = {}
    for value in model.proto.graph.input:
        if value.name in weights or value.name in report.before.sizes:
            continue
        sizes = value.type.tensor_type.shape.dim
        dims.update((size.dim_param, None) for size in sizes if size.dim_param)
        if not sizes or not all(size.dim_value or size.dim_param for size in sizes):
            shapes[value.name] = None
    given = [f"--dim {dim}=4" for dim in dims] + [f"--input-shape {name}:4,…" for name in shapes]
    if not given:
        return []
    what = "inputs" if len(model.proto.graph.input) > 1 else "the input"
    return [f"what is unknown depends on the size of {what}; fix it: {' '.join(given)}"]
