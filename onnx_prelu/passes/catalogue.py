"""The catalogue of forms: what the tool can put at a site, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..algebra.forms import FORMS
from ..graph.draft import Draft
from .elementwise import plan_elementwise
from .plan import Plan
from .sites import Site
from .wide import plan_split

Planner = Callable[[Draft, Site], Plan]
"""Plans a form at a site, or raises Refused."""

FORM_NAMES: tuple[str, ...] = ("split", *FORMS)
"""The forms that ``--form`` takes, in the order in which they are listed."""

SLOPE_PLACES: tuple[str, ...] = ("consumer", "producer")
"""Where split can put the slope."""


def planner(form: str, slope_in: str = "consumer") -> Planner:
    """The planner of a form.

    Args:
        form: One of :data:`FORM_NAMES`.
        slope_in: One of :data:`SLOPE_PLACES`; only split looks at it.
    """
    if form == "split":
        return partial(plan_split, slope_in_producer=slope_in == "producer")
    return partial(plan_elementwise, form)
