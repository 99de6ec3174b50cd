"""Targets as predicates: what a runtime, compiler or verifier takes, read from targets.toml, each line with its source.

What nobody knows of a target is no rule.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from ..errors import BadUsage
from .placed import Placed
from .rules import Chain, Constant, Ops, Opset, Rank, Rule, SlopeShape, Type
from .slope_shapes import SLOPE_SHAPES

KINDS: dict[str, type[Any]] = {
    "ops": Ops, "constant": Constant, "opset": Opset, "rank": Rank, "type": Type, "chain": Chain
}  # fmt: skip
"""The kinds of rules, by the name that they have in targets.toml."""

FREE = frozenset({"Constant"})
"""Ops that every parser takes: they hold a constant."""


@dataclass(frozen=True)
class Target:
    """What a runtime, compiler or verifier takes.

    Attributes:
        name: Its name.
        about: What it is.
        rules: Its rules, that of its ops first.
    """

    name: str
    about: str
    rules: tuple[Rule, ...]

    @property
    def takes(self) -> frozenset[str]:
        """The ops that it takes."""
        return frozenset(op for rule in self.rules if isinstance(rule, Ops) for op in rule.takes)

    def check(self, placed: Placed) -> None:
        """Raise Refused by the first rule that what is placed at a site breaks."""
        for rule in self.rules:
            rule.check(placed, self.name)

    def unknown(self, ops: Iterable[str]) -> tuple[str, ...]:
        """Those of these ops that it is not known to take, sorted."""
        return tuple(sorted(set(ops) - self.takes - FREE))


@cache
def targets() -> dict[str, Target]:
    """The targets of targets.toml, by name."""
    path = Path(__file__).with_name("targets.toml")
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _target(name, **entry) for name, entry in found.items()}


def _target(name: str, about: str, rule: list[dict[str, Any]]) -> Target:
    rules = [KINDS[entry["kind"]](**{key: value for key, value in entry.items() if key != "kind"}) for entry in rule]
    return Target(name, about, tuple(rules))


def known_target(name: str) -> Target:
    """The target of this name, in any case and with spaces for hyphens.

    Raises:
        BadUsage: There is none.
    """
    plain = name.lower().replace(" ", "-").replace("_", "-")
    if plain not in targets():
        raise BadUsage(f"--target {name} is not known", todo=f"take one of {', '.join(targets())}, or give --ops")
    return targets()[plain]


def only_ops(ops: Sequence[str]) -> Target:
    """A target that takes these ops, and of which nothing else is known.

    Args:
        ops: Op types; an op of another domain with it in front.

    Raises:
        BadUsage: There are none, or one is no op of ONNX.
    """
    if not ops:
        raise BadUsage("--ops names no op", todo="name some, as in --ops Gemm,Conv,Relu")
    for op in ops:
        if "." not in op and not onnx.defs.has(op):
            raise BadUsage(f"--ops: ONNX has no op {op}", todo="check its name, or put its domain in front, with a dot")
    return Target("--ops", "your own list", (Ops(tuple(dict.fromkeys(ops)), "the command line"),))


def known_slope_shape(kind: str) -> SlopeShape:
    """The rule of ``--slope-shape``.

    Raises:
        BadUsage: There is no such shape.
    """
    if kind not in SLOPE_SHAPES:
        raise BadUsage(f"--slope-shape {kind} is not known", todo=f"take one of {', '.join(SLOPE_SHAPES)}")
    return SlopeShape(kind)
