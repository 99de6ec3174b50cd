"""The file of ``--plan``: what was decided for a model, so that the same build can be made again without measuring."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadInput
from ..graph.model import Model, serialized, write_text
from .search import Decisions

VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """What was decided for a model, and where.

    Attributes:
        model: The SHA-256 of the model that it was decided for, external data not counted.
        decisions: What was decided.
        release: The runtime's release that the heuristic thought of where nothing was decided.
        runtime: On which runtime, in words.
        machine: On which machine.
        tried: What was tried, as in the report.
    """

    model: str
    decisions: Decisions
    release: tuple[int, int]
    runtime: str = ""
    machine: str = ""
    tried: tuple[Mapping[str, Any], ...] = field(default=())


def fingerprint(model: Model) -> str:
    """The SHA-256 of a model's file, or of what its file would be."""
    return hashlib.sha256(serialized(model) if model.raw is None else model.raw).hexdigest()


def write(recipe: Recipe, path: Path) -> None:
    """Write a recipe as JSON, all or nothing.

    Raises:
        BadUsage: It cannot be written there.
    """
    write_text(path, json.dumps({"plan_version": VERSION, **asdict(recipe)}, indent=2) + "\n")


def read(path: Path, model: Model) -> Recipe:
    """Read a recipe that was made for a model.

    Raises:
        BadInput: It cannot be read, is none, or was made for another model.
    """
    where, again = str(path), "make it again: remove the file and run --to fast"
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"is no plan that can be read ({error})", where=where, todo=again) from None
    recipe = _parsed(text)
    if recipe is None:
        raise BadInput(f"is no plan of version {VERSION}", where=where, todo=again)
    if recipe.model != fingerprint(model):
        raise BadInput(
            "was made for another model", where=where, todo="name the plan of this model, or remove the file"
        )
    return recipe


def _parsed(text: object) -> Recipe | None:
    match text:
        case {
            "plan_version": 1,
            "model": str(model),
            "decisions": {"layout": list(layout), "forms": dict(forms)},
            "release": [int(major), int(minor)],
            "runtime": str(runtime),
            "machine": str(machine),
            "tried": list(tried),
        } if all(isinstance(name, str) for name in (*layout, *forms, *forms.values())):
            return Recipe(model, Decisions(tuple(layout), forms), (major, minor), runtime, machine, tuple(tried))
    return None
