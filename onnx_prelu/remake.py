"""From a loaded model to the edited one, in one step: what rewrite does before it checks, and tuning for each try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .graph.draft import Draft
from .graph.edit import finish
from .graph.model import Model
from .graph.versions import with_versions
from .passes.choice import Choice
from .passes.choose import Policy
from .passes.engine import NONE_REFUSED, Refusals, rewrite_sites
from .passes.layout.apply import apply_layout
from .passes.layout.plan import LayoutPlan
from .passes.patterns import Scope
from .passes.plan import Plan


@dataclass(frozen=True)
class Remade:
    """An edited model, and how it came about.

    Attributes:
        draft: The draft in which the plans were committed.
        result: The model; the very model that was put in where nothing changed.
        decided: What was decided at each site, in graph order, with the plan that was committed.
        again: Makes it again with sites refused: see ``refused`` of :func:`remake`.
        layout: The layout rules' changes, which came before.
    """

    draft: Draft
    result: Model
    decided: Sequence[tuple[Plan | None, Choice]]
    again: Callable[..., Remade]
    layout: tuple[LayoutPlan, ...] = ()

    @property
    def plans(self) -> list[Plan]:
        """The plans that were committed."""
        return [plan for plan, _ in self.decided if plan is not None]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What was decided at each site, in graph order."""
        return tuple(choice for _, choice in self.decided)


def remake(
    model: Model,
    policy: Policy,
    scope: Scope,
    *,
    layout: Sequence[str] = (),
    opset: int | None = None,
    ir_version: int | None = None,
    freeze: bool = False,
    refused: Refusals = NONE_REFUSED,
) -> Remade:
    """Rewrite the sites of a model.

    Args:
        model: The model; it is never changed.
        policy: What may stand at a site.
        scope: Which sites are meant.
        layout: Layout rules to apply first.
        opset: The opset to write, or None.
        ir_version: The IR version to write, or None.
        freeze: Take initializers that a caller could override as constants.
        refused: Sites that stay, by name: why they may not take the forms that they would.

    Raises:
        BadInput: A slope is NaN, infinite or does not broadcast.
        BadUsage: A pattern matches nothing.
        NotMet: A version is not possible.
    """
    versioned = with_versions(model, opset, ir_version)
    around = Draft(versioned, freeze=freeze)
    laid = tuple(apply_layout(around, layout))
    draft = Draft(finish(around), freeze=freeze) if laid else around
    decided = rewrite_sites(draft, policy, scope, refused)
    again = partial(remake, model, policy, scope, layout=layout, opset=opset, ir_version=ir_version, freeze=freeze)
    return Remade(draft, finish(draft), decided, again, laid)
