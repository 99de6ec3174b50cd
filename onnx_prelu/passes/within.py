"""Ranges that the inputs of a model are said to keep to, and how hard to look for what follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx

from ..algebra.bounds import Box
from ..algebra.floats import Array
from ..errors import BadUsage
from ..graph.draft import Draft
from .plan import Plan
from .ranges.walk import TIERS


@dataclass(frozen=True)
class Within:
    """What proofs may take for granted.

    Attributes:
        given: The range of an input, by name: ends that broadcast to it. Without one, what follows from the ops inside
            is still known: a Relu gives nothing below 0.
        tier: How to look for bounds, one of :data:`~onnx_prelu.passes.ranges.walk.TIERS`.
    """

    given: Mapping[str, Box] = field(default_factory=lambda: MappingProxyType({}))
    tier: str = TIERS[0]


ANY_INPUT = Within()
"""Nothing is given."""


def known_tier(tier: str | None) -> str:
    """The tier that ``--prove`` means.

    Raises:
        BadUsage: There is none of this name.
    """
    if tier is not None and tier not in TIERS:
        raise BadUsage(f"--prove {tier} is not known", todo=f"take one of {', '.join(TIERS)}")
    return tier or TIERS[0]


RANGES_KEY = "onnx_prelu.input_ranges"
"""The key of a model's metadata that says within which ranges of its inputs it is what it was made from: a JSON list
of objects, all of which have to hold: by input ``low`` and ``high``, a number, or an array that broadcasts to it."""

_WRITTEN = 256  # values of an array that are written out; of a longer one, its shape, its ends and its SHA-256


def limited(draft: Draft, plan: Plan, given: Mapping[str, Box]) -> Plan:
    """A plan that takes ranges for granted, and names them in the model's metadata."""
    return replace(plan, edit=replace(plan.edit, metadata=_limits(draft, given)), limited=True)


def _limits(draft: Draft, given: Mapping[str, Box]) -> dict[str, str]:
    """The metadata of a model that is right within ranges only, with those that it named before."""
    present = draft.metadata.get(RANGES_KEY)
    if present is None:
        present = limited_to(draft.model.proto) or "[]"
    entry = {name: {"low": _ends(box.low), "high": _ends(box.high)} for name, box in sorted(given.items())}
    entries = _entries(present)
    return {RANGES_KEY: json.dumps(entries if entry in entries else [*entries, entry])}


def limited_to(model: onnx.ModelProto) -> str | None:
    """The ranges within which alone a model says that it is right, as it says it; None for any other."""
    return next((each.value for each in model.metadata_props if each.key == RANGES_KEY), None)


def _entries(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return [text]
    return found if isinstance(found, list) else [found]


def _ends(values: Array) -> Any:
    low, high = float(np.min(values)), float(np.max(values))
    if low == high:
        return low
    if values.size <= _WRITTEN:
        return values.tolist()
    digest = hashlib.sha256(np.ascontiguousarray(values, "<f8").tobytes()).hexdigest()
    return {"shape": list(values.shape), "least": low, "greatest": high, "sha256": digest}


@dataclass(frozen=True)
class Span:
    """A range of an input, for whoever tells it.

    Attributes:
        low: The lowest end.
        high: The highest end.
        per_element: Whether elements have ranges of their own within it.
    """

    low: float
    high: float
    per_element: bool


def spans(given: Mapping[str, Box]) -> dict[str, Span]:
    """The ranges by input."""
    return {
        name: Span(float(np.min(box.low)), float(np.max(box.high)), _uneven(box)) for name, box in sorted(given.items())
    }


def in_words(given: Mapping[str, Box]) -> str:
    """Ranges for people: ``x in [0, 1]``."""
    return ", ".join(
        f"{name} in [{span.low:g}, {span.high:g}]{', each element in its own' if span.per_element else ''}"
        for name, span in spans(given).items()
    )


def _uneven(box: Box) -> bool:
    return bool(np.any(box.low != np.min(box.low)) or np.any(box.high != np.max(box.high)))
