"""One chooser for all requests: a policy says which sites have to change, what may stand there, and what it costs.

What each policy makes fall, so that applying it twice changes nothing: ``relu``, the sites with an op outside
Relu, Neg, Mul, Add, Sub; ``prelu``, the sites spelled otherwise than PRelu or LeakyRelu; ``fast`` and a form asked for
by name, the sites that are not written in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import BadUsage, Reason, Refused
from ..graph.draft import Draft
from .catalogue import FAST_PLANNERS, FORM_NAMES, SLOPE_PLACES, planners
from .choice import Choice, SlopeSummary
from .patterns import matches, require_match
from .placed import Placed
from .plan import Plan
from .sites import ACTIVATIONS, Site
from .within import ANY_INPUT, Within

TARGETS: tuple[str, ...] = ("auto", "relu", "prelu", "fast")
"""What ``--to`` takes."""

RELU_OPS = frozenset({"Relu", "Neg", "Mul", "Add", "Sub"})
"""The ops that ``--to relu`` leaves a site in."""

SIMPLER: tuple[str, ...] = ("relu", "identity")
"""What a PReLU is whose slopes are all 0, or all 1: tried before any other form."""


def anything(_placed: Placed) -> None:
    """Allows everything."""


def free(_plan: Plan) -> float:
    """Nothing costs anything, so the first form that applies is taken."""
    return 0.0


def nodes_put_in(plan: Plan) -> float:
    """How many nodes a plan puts at the site; layers around it that are only changed do not count."""
    kept = sum(node not in plan.region for node in plan.edit.nodes)
    return float(sum(len(protos) for protos in plan.edit.nodes.values()) - kept)


@dataclass(frozen=True)
class Policy:
    """Which sites change, and into what: the cheapest form that is allowed, the first one among equals.

    Attributes:
        forms: The forms to try, in the order in which ties are decided.
        slope_in: Where split puts the slope.
        accepted: A site made of these ops only stays as it is, if that is allowed; empty where every site changes.
        asked: The form that the user asked for by name, or None.
        folds: True if Relu layers are folded too.
        slope_shapes: The shapes to try for the slope of a PRelu, best first; "" is its own.
        allows: Raises Refused where a site may not be what is placed there, now or by a plan.
        cost: What a plan costs, from 0 on: a plan that costs nothing ends the search.
        taker: For whom the site has to fit, a target's name; None where nobody is named.
        preferred: Forms to try at a site after those, from what stands around it. Where none of them applies the site
            stays, and nothing is refused.
        stays: Why a site stays then.
        exact: True if only forms of equal bits may be taken.
        exceptions: Policies for the sites that a pattern names, in place of this one.
        within: The ranges of inputs that proofs of folded layers may take for granted.
        slope_tolerance: By which share pairs of a layer that is folded may be off; None for their roundings only.
    """

    forms: tuple[str, ...]
    slope_in: str = "consumer"
    accepted: frozenset[str] = frozenset()
    asked: str | None = None
    folds: bool = False
    slope_shapes: tuple[str, ...] = ("",)
    allows: Callable[[Placed], None] = anything
    cost: Callable[[Plan], float] = free
    taker: str | None = None
    preferred: Callable[[Draft, Site], tuple[str, ...]] | None = None
    stays: str = "no form that applies is likely to be faster"
    exact: bool = False
    exceptions: tuple[tuple[str, Policy], ...] = ()
    within: Within = ANY_INPUT
    slope_tolerance: float | None = None

    def taking(self, known: Within, slope_tolerance: float | None = None) -> Policy:
        """The policy under which proofs may take something for granted, and pairs may be off."""
        exceptions = tuple((pattern, other.taking(known, slope_tolerance)) for pattern, other in self.exceptions)
        return replace(self, within=known, slope_tolerance=slope_tolerance, exceptions=exceptions)

    def among(self, names: Sequence[str]) -> Callable[[Sequence[str]], Policy]:
        """The policy of each site, by its names: exact names are looked up first, then globs in order.

        Args:
            names: All names that sites have.

        Raises:
            BadUsage: The pattern of an exception matches none of them.
        """
        known = frozenset(names)
        for pattern, _ in self.exceptions:
            require_match("--form", pattern, names, known)
        ordered = sorted(self.exceptions, key=lambda exception: exception[0] not in known)
        return lambda site: next((other for pattern, other in ordered if matches((pattern,), site, known)), self)


def nothing_asked() -> Policy:
    """Every form, and everything is allowed: for looking only."""
    return Policy(FORM_NAMES)


def policy(to: str, form: str | None, slope_in: str, *, has_prelu: bool, simplify: bool = True) -> Policy:
    """The policy for a request; :func:`direction` tells what ``auto`` means.

    Args:
        to: One of :data:`TARGETS`.
        form: The form asked for by name, or None.
        slope_in: Where split puts the slope.
        has_prelu: Whether the model holds a PRelu.
        simplify: Whether slopes that are all 0 or all 1 become Relu and Identity, whatever form is asked for.

    Raises:
        BadUsage: A name is unknown, or the form contradicts the direction.
    """
    _known("--to", to, TARGETS)
    _known("--slope-in", slope_in, SLOPE_PLACES)
    if form is not None:
        known_form(form)
    to = direction(to, form, has_prelu=has_prelu)
    if to == "prelu":
        if form not in (None, "prelu"):
            raise BadUsage(f"--form {form} is a form of --to relu", todo="leave out --to, or take --form prelu")
        return Policy(("prelu",), accepted=ACTIVATIONS, folds=True)
    if form == "prelu":
        raise BadUsage("--form prelu is the form of --to prelu", todo="take --to prelu")
    simpler = SIMPLER if simplify else ()
    if to == "fast":
        asked = (form,) if form is not None else ()
        return Policy((*simpler, *asked), asked=form)
    if form is not None:
        return Policy(tuple(dict.fromkeys((*simpler, form, "mirror"))), slope_in, asked=form)
    return Policy((*simpler, "split", "mirror"), slope_in, accepted=RELU_OPS)


def direction(to: str, form: str | None, *, has_prelu: bool) -> str:
    """What ``--to`` comes to.

    ``auto`` is the direction of the form; without one it is relu where a PRelu is present, else prelu.
    """
    if to != "auto":
        return to
    if form is not None:
        return "prelu" if form == "prelu" else "fast" if form in FAST_PLANNERS else "relu"
    return "relu" if has_prelu else "prelu"


def known_form(form: str) -> str:
    """The form, if it can be asked for by name; ``fold`` is what the way to PReLU does to layers, so it means that.

    Raises:
        BadUsage: It cannot.
    """
    if form == "fold":
        return "prelu"
    _known("--form", form, FORM_NAMES)
    return form


def _known(option: str, value: str, names: Sequence[str]) -> None:
    if value not in names:
        raise BadUsage(f"{option} {value} is not known", todo=f"take one of {', '.join(names)}")


def choose(draft: Draft, site: Site, policy: Policy) -> tuple[Plan | None, Choice]:
    """The cheapest form of the policy that applies at a site and is allowed, with the refusals of the others.

    Raises:
        BadInput: The slope does not broadcast.
    """
    summary, unfit = SlopeSummary.of(site.slope), misfit(draft, site, policy)
    if unfit is None and policy.accepted and site.ops <= policy.accepted:
        made = f"it is made of {', '.join(sorted(site.ops))} already"
        return None, _stays(site, f"stays: {f'it fits {policy.taker}' if policy.taker else made}", summary, policy)
    refusals: dict[str, Reason] = {}
    best: Plan | None = None
    preferred = () if policy.preferred is None else policy.preferred(draft, site)
    for form in dict.fromkeys((*policy.forms, *preferred)):
        plan = attempt(form, draft, site, policy, refusals)
        if plan is None:
            if refusals[form].code == "same-form" and unfit is None:
                return None, _stays(site, refusals[form].text, summary, policy)
            continue
        if best is None or policy.cost(plan) < policy.cost(best):
            best = plan
        if not policy.cost(best):
            break
    if best is not None:
        return best, _chosen(site, best, policy, refusals, summary)
    if policy.preferred is not None:
        choice = _stays(site, f"stays: {policy.stays}", summary, policy)
        return None, replace(choice, refusals=refusals)
    reason = refusals[policy.asked or policy.forms[-1]].text
    if policy.taker is not None and unfit is not None:
        reason = _no_form(policy.taker, unfit, refusals)
    choice = Choice(site.node.label, None, True, reason, refusals, site.spelling, summary, asked=policy.asked)
    return None, replace(choice, fits=None if policy.taker is None else unfit is None)


def refusal(draft: Draft, site: Site, policy: Policy, reasons: Mapping[str, Reason]) -> Choice:
    """What is told of a site that stays because the caller refuses it: why, by form."""
    fits = None if policy.taker is None else misfit(draft, site, policy) is None
    text = next(iter(reasons.values())).text
    summary = SlopeSummary.of(site.slope)
    return Choice(site.node.label, None, True, text, reasons, site.spelling, summary, asked=policy.asked, fits=fits)


def misfit(draft: Draft, site: Site, policy: Policy) -> Reason | None:
    """Why a site may not stay as it is, or None."""
    try:
        policy.allows(Placed.now(draft, site))
    except Refused as refused:
        return refused.at(site.node.label).reason
    return None


def attempt(form: str, draft: Draft, site: Site, policy: Policy, refusals: dict[str, Reason]) -> Plan | None:
    """Plan a form at a site, as the policy allows it; where it is refused, note why: of several ways, of the first."""
    for plan_form in planners(form, policy.slope_in, policy.slope_shapes):
        try:
            plan = plan_form(draft, site)
            if policy.exact and not plan.equal_bits:
                raise Refused("rounding", f"{form} rounds differently, and --exact takes equal bits only")
            policy.allows(Placed.after(draft, plan))
        except Refused as refused:
            refusals.setdefault(form, refused.at(site.node.label).reason)
        else:
            refusals.pop(form, None)
            return plan
    return None


_OF_THE_SLOPE = frozenset({"other-slope", "positive-side", "slope-not-uniform", "same-form"})
"""Refusals that say no more than that a form is another function; they are told in full by ``inspect``."""


def _no_form(taker: str, unfit: Reason, refusals: Mapping[str, Reason]) -> str:
    """Why no form fits, the forms of one reason together."""
    forms: dict[str, list[str]] = {}
    for form, reason in refusals.items():
        if reason.code not in _OF_THE_SLOPE:
            forms.setdefault(reason.text, []).append(form)
    others = "; ".join(f"{', '.join(names)}: {text}" for text, names in forms.items() if text != unfit.text)
    return f"no form fits {taker}: as it is, {unfit.text}" + (f"; {others}" if others else "")


def _stays(site: Site, reason: str, summary: SlopeSummary, policy: Policy) -> Choice:
    choice = Choice(site.node.label, None, False, reason, {}, site.spelling, summary, asked=policy.asked)
    return replace(choice, fits=None if policy.taker is None else True)


def _chosen(site: Site, plan: Plan, policy: Policy, refusals: dict[str, Reason], summary: SlopeSummary) -> Choice:
    reason = plan.note
    if policy.asked and plan.form in SIMPLER and plan.form != policy.asked:
        reason = f"not {policy.asked}: every slope is {plan.form == 'identity':d}"
    elif policy.asked and plan.form != policy.asked:
        reason = f"not {policy.asked}: {refusals[policy.asked].text}"
    elif plan.form == "mirror" and "split" in refusals:
        reason = f"not split: {refusals['split'].text}"
    exactness = "equal bits" if plan.equal_bits else "rounding"
    fits = None if policy.taker is None else True
    return Choice(
        site.node.label, plan.form, False, reason, refusals, site.spelling, summary, exactness, (), policy.asked, fits
    )
