"""What the user asks for, made into a policy: a direction, forms by site, a target, a slope's shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..errors import BadUsage
from .catalogue import FAST_PLANNERS, FORM_NAMES
from .choose import SIMPLER, Policy, direction, known_form, nodes_put_in, policy
from .placed import Placed
from .plan import Plan
from .rules import SlopeShape
from .sites import ACTIVATIONS
from .slope_shapes import SLOPE_SHAPES
from .targets import Target, known_slope_shape, known_target, only_ops

Forms: TypeAlias = str | Sequence[str] | Mapping[str, str] | None
"""A form; or forms by site, ``["head/*=split", "mirror"]`` or ``{"head/*": "split", "*": "mirror"}``."""

TIES: tuple[str, ...] = ("identity", "relu", "leakyrelu", "prelu", "split", "max", "mirror-min", "mirror", "mirror-mul")
"""For a target, of forms that put in as many nodes the first of these; those of equal bits stand before the others."""

LAST_RESORT: tuple[str, ...] = ("split-step", "concat", "tied")
"""For a target, forms that are taken only where no other fits: their nodes are few, but layers around them double."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        to: ``"auto"``, ``"relu"`` or ``"prelu"``.
        form: The form to prefer, or forms by site.
        slope_in: Where split puts the slope.
        target: The target that has to be met, or None.
        slope_shape: The shape to write the slopes of PRelus in, or None.
        simplify: Whether slopes that are all 0 or all 1 become Relu and Identity, whatever form is asked for.
    """

    to: str = "auto"
    form: Forms = None
    slope_in: str = "consumer"
    target: Target | None = None
    slope_shape: str | None = None
    simplify: bool = True


def asked_target(target: str | None, ops: Sequence[str] | None) -> Target | None:
    """The target that ``--target`` or ``--ops`` means, or None.

    Raises:
        BadUsage: It is not known, or both are given.
    """
    if target is not None and ops is not None:
        raise BadUsage("--target and --ops both say what is taken", todo="give one of them")
    if ops is not None:
        return only_ops(ops)
    return known_target(target) if target is not None else None


def decide(request: Request, *, has_prelu: bool) -> tuple[Policy, str]:
    """The policy for a request, and the name of where it goes: relu, prelu, or a target.

    Raises:
        BadUsage: A name is unknown, or the request contradicts itself.
    """
    preferred, by_site = forms(request.form)
    named = [form for form in (preferred, *by_site.values()) if form is not None]
    shape = None if request.slope_shape is None else known_slope_shape(request.slope_shape)
    if request.target is None:
        telling = sorted(named, key=lambda form: form == "prelu")  # any other form means relu
        to = direction(request.to, telling[0] if telling else None, has_prelu=has_prelu)
        if shape is not None and to != "prelu":
            raise BadUsage("--slope-shape is about PRelu nodes, and --to relu leaves none", todo="take --to prelu")

        def made(form: str | None) -> Policy:
            found = policy(to, form, request.slope_in, has_prelu=has_prelu, simplify=request.simplify)
            return _shaped(found, shape)
    else:
        target, to = request.target, request.target.name
        _require_possible(request, target, named)

        def made(form: str | None) -> Policy:
            return for_target(target, request.to, form, request.slope_in, shape, simplify=request.simplify)

    return replace(made(preferred), exceptions=tuple((pattern, made(form)) for pattern, form in by_site.items())), to


def forms(form: Forms) -> tuple[str | None, dict[str, str]]:
    """The form for all sites, and the forms by pattern.

    Raises:
        BadUsage: A form is unknown, or two are given for one pattern or for all sites.
    """
    if form is None or isinstance(form, Mapping):
        entries = list((form or {}).items())
    else:
        given = [form] if isinstance(form, str) else form
        entries = [(pattern, name) for pattern, _, name in (entry.rpartition("=") for entry in given)]
    by_site: dict[str, str] = {}
    for pattern, name in entries:
        if pattern in by_site:
            where = f"for '{pattern}'" if pattern else "for all sites"
            raise BadUsage(f"--form is given twice {where}", todo="leave one out")
        by_site[pattern] = known_form(name)
    return by_site.pop("", None), by_site


def for_target(
    target: Target,
    to: str = "auto",
    form: str | None = None,
    slope_in: str = "consumer",
    shape: SlopeShape | None = None,
    *,
    simplify: bool = True,
) -> Policy:
    """The policy for a target: a site that fits stays; else the form that fits and puts in the fewest nodes.

    A form that is asked for comes first where it fits, after what is simpler unless ``simplify`` forbids that. ``to``
    narrows the forms down, to those without PRelu and LeakyRelu or to PRelu.
    """
    candidates = (*TIES, *(name for name in FORM_NAMES if name not in TIES and name not in FAST_PLANNERS))
    accepted = target.takes
    if to == "prelu":
        candidates, accepted = ("prelu",), accepted & ACTIVATIONS
    elif to == "relu":
        candidates = tuple(name for name in candidates if name not in ("prelu", "leakyrelu"))
        accepted -= ACTIVATIONS
    if not simplify:
        candidates = tuple(name for name in candidates if name not in SIMPLER)
    first = (*(name for name in SIMPLER if name in candidates), *((form,) if form else ()))

    def cost(plan: Plan) -> float:
        if plan.form in first:
            return 0.0
        return math.inf if plan.form in LAST_RESORT else nodes_put_in(plan)

    found = Policy(
        tuple(dict.fromkeys((*first, *candidates))),
        slope_in=slope_in,
        accepted=accepted,
        asked=form,
        folds=to == "prelu",
        slope_shapes=("", *SLOPE_SHAPES),
        allows=target.check,
        cost=cost,
        taker=target.name,
    )
    return _shaped(found, shape)


def _shaped(made: Policy, shape: SlopeShape | None) -> Policy:
    """A policy under which the slopes of PRelus have one shape."""
    if shape is None:
        return made

    def allows(placed: Placed) -> None:
        made.allows(placed)
        shape.check(placed)

    return replace(made, slope_shapes=(shape.kind,), allows=allows)


def _require_possible(request: Request, target: Target, named: Sequence[str]) -> None:
    """Refuse what contradicts a target.

    Raises:
        BadUsage: The direction or a form needs PRelu, and the target does not take it; or a name is unknown.
    """
    policy(request.to, None, request.slope_in, has_prelu=True)  # the names
    if request.to == "fast":
        raise BadUsage("--to fast chooses by time, and a target by what it takes", todo="leave one of them out")
    needs = "--to prelu" if request.to == "prelu" else "--form prelu" if "prelu" in named else None
    if request.slope_shape is not None:
        needs = needs or "--slope-shape"
    if needs and "PRelu" not in target.takes:
        raise BadUsage(f"{needs} is about PRelu, which {target.name} is not known to take", todo=f"leave out {needs}")
    contrary = next((form for form in named if request.to == "prelu" and form != "prelu"), None)
    if contrary:
        raise BadUsage(f"--form {contrary} is a form of --to relu", todo="leave out --to, or take --form prelu")
    if request.to == "relu" and "prelu" in named:
        raise BadUsage("--form prelu is the form of --to prelu", todo="take --to prelu")
