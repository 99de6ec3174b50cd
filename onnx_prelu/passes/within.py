"""Ranges that the inputs of a model are said to keep to, and how hard to look for what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..algebra.bounds import Box
from ..errors import BadUsage
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


def known_tier(tier: str | None) -> str:
    """The tier that ``--prove`` means.

    Raises:
        BadUsage: There is none of this name.
    """
    if tier is not None and tier not in TIERS:
        raise BadUsage(f"--prove {tier} is not known", todo=f"take one of {', '.join(TIERS)}")
    return tier or TIERS[0]
