"""One chooser for all requests: a policy says which sites have to change and in which order forms are tried.

What each policy makes fall, so that applying it twice changes nothing: ``relu``, the sites with an op outside
Relu, Neg, Mul, Add, Sub; ``prelu``, the sites spelled otherwise than PRelu or LeakyRelu; a form asked for by name,
the sites that are not written in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from ..errors import BadUsage, Reason, Refused
from ..graph.draft import Draft
from .catalogue import FORM_NAMES, SLOPE_PLACES, planner
from .plan import Plan
from .sites import ACTIVATIONS, Site, Slope

TARGETS: tuple[str, ...] = ("auto", "relu", "prelu")
"""What ``--to`` takes."""

RELU_OPS = frozenset({"Relu", "Neg", "Mul", "Add", "Sub"})
"""The ops that ``--to relu`` leaves a site in."""


@dataclass(frozen=True)
class Policy:
    """Which sites change, and into what.

    Attributes:
        forms: The forms to try, best first.
        slope_in: Where split puts the slope.
        accepted: A site made of these ops only stays as it is; empty where every site changes.
        asked: The form that the user asked for by name, or None.
        folds: True if Relu layers are folded too.
    """

    forms: tuple[str, ...]
    slope_in: str = "consumer"
    accepted: frozenset[str] = frozenset()
    asked: str | None = None
    folds: bool = False


def policy(to: str, form: str | None, slope_in: str, *, has_prelu: bool) -> Policy:
    """The policy for a request; :func:`direction` tells what ``auto`` means.

    Raises:
        BadUsage: A name is unknown, or the form contradicts the direction.
    """
    _known("--to", to, TARGETS)
    _known("--slope-in", slope_in, SLOPE_PLACES)
    if form == "fold":
        raise BadUsage("--form fold is what --to prelu does by itself", todo="take --to prelu")
    if form is not None:
        _known("--form", form, FORM_NAMES)
    to = direction(to, form, has_prelu=has_prelu)
    if to == "prelu":
        if form not in (None, "prelu"):
            raise BadUsage(f"--form {form} is a form of --to relu", todo="leave out --to, or take --form prelu")
        return Policy(("prelu",), accepted=ACTIVATIONS, folds=True)
    if form == "prelu":
        raise BadUsage("--form prelu is the form of --to prelu", todo="take --to prelu")
    if form is not None:
        return Policy(tuple(dict.fromkeys((form, "mirror"))), slope_in, asked=form)
    return Policy(("relu", "identity", "split", "mirror"), slope_in, accepted=RELU_OPS)


def direction(to: str, form: str | None, *, has_prelu: bool) -> str:
    """What ``--to`` comes to: ``auto`` is relu where a PRelu is present or a form of it is asked for, else prelu."""
    if to != "auto":
        return to
    if form is not None:
        return "prelu" if form == "prelu" else "relu"
    return "relu" if has_prelu else "prelu"


def _known(option: str, value: str, names: Sequence[str]) -> None:
    if value not in names:
        raise BadUsage(f"{option} {value} is not known", todo=f"take one of {', '.join(names)}")


@dataclass(frozen=True)
class SlopeSummary:
    """What a reader wants to know of a slope: its shape, its range, its signs.

    Attributes:
        shape: The constant's own shape; None for a slope that is read at run time.
        low: The smallest slope, or None at run time.
        high: The largest slope, or None at run time.
        negative: How many slopes are below 0.
        zero: How many are 0.
        above_one: How many are above 1.
        count: How many there are.
    """

    shape: tuple[int, ...] | None
    low: float | None
    high: float | None
    negative: int
    zero: int
    above_one: int
    count: int

    @classmethod
    def of(cls, slope: Slope) -> SlopeSummary:
        """The summary of a site's slope."""
        value = slope.value
        if value is None or not value.size:
            return cls(None if value is None else value.shape, None, None, 0, 0, 0, 0)
        negative, zero, above_one = (int(np.sum(found)) for found in (value < 0, value == 0, value > 1))
        return cls(value.shape, float(value.min()), float(value.max()), negative, zero, above_one, value.size)


@dataclass(frozen=True)
class Choice:
    """What was decided at one site, with every form's refusal.

    Attributes:
        node: The site's name: its last node's name, or that node's output where it has none.
        form: What was put in, or None where the site was left as it is.
        refused: True where the site stays although it was asked to change.
        reason: Why not the form that was asked for, or why the site stays; None where there is nothing to say.
        refusals: For each form that was considered and does not apply, why.
        spelling: The region that was found, ``Add(Relu(x), Mul(c, Relu(Neg(x))))``.
        slope: A summary of the slope.
        exactness: What is promised of the form that was put in: ``"equal bits"`` or ``"rounding"``; None if none.
        possible: The forms that would apply (filled in by ``inspect``).
    """

    node: str
    form: str | None
    refused: bool
    reason: str | None
    refusals: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}))
    spelling: str = ""
    slope: SlopeSummary | None = None
    exactness: str | None = None
    possible: tuple[str, ...] = ()


def choose(draft: Draft, site: Site, policy: Policy) -> tuple[Plan | None, Choice]:
    """The first form of the policy that applies at a site, with the refusals of those before it.

    Raises:
        BadInput: The slope does not broadcast.
    """
    summary = SlopeSummary.of(site.slope)
    if policy.accepted and site.ops <= policy.accepted:
        reason = f"stays: it is made of {', '.join(sorted(site.ops))} already"
        return None, Choice(site.node.label, None, False, reason, {}, site.spelling, summary)
    refusals: dict[str, Reason] = {}
    for form in policy.forms:
        plan = attempt(form, draft, site, policy.slope_in, refusals)
        if plan is not None:
            return plan, _chosen(site, plan, policy, refusals, summary)
        if refusals[form].code == "same-form":
            return None, Choice(site.node.label, None, False, refusals[form].text, {}, site.spelling, summary)
    first = refusals[policy.forms[0] if policy.asked else policy.forms[-1]]
    return None, Choice(site.node.label, None, True, first.text, refusals, site.spelling, summary)


def attempt(form: str, draft: Draft, site: Site, slope_in: str, refusals: dict[str, Reason]) -> Plan | None:
    """Plan a form at a site; where it is refused, note why. The one place that catches a refusal of a site's form."""
    try:
        return planner(form, slope_in)(draft, site)
    except Refused as refused:
        refusals[form] = refused.at(site.node.label).reason
        return None


def _chosen(site: Site, plan: Plan, policy: Policy, refusals: dict[str, Reason], summary: SlopeSummary) -> Choice:
    reason = plan.note
    if policy.asked and plan.form != policy.asked:
        reason = f"not {policy.asked}: {refusals[policy.asked].text}"
    elif plan.form == "mirror" and "split" in refusals:
        reason = f"not split: {refusals['split'].text}"
    exactness = "equal bits" if plan.equal_bits else "rounding"
    return Choice(site.node.label, plan.form, False, reason, refusals, site.spelling, summary, exactness)
