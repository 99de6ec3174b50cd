"""What a request demands of a report: the one line that says what is not met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..passes.choose import SIMPLER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..passes.choice import Choice
    from .report import Report


def strict(report: Report) -> str | None:
    """What ``--strict`` finds: a site that is refused, or that has another form than the one asked for."""
    odd = [choice for choice in report.sites or () if choice.refused or _takes_another(choice)]
    if not odd:
        return None
    first = odd[0]
    what = "is refused" if first.refused else f"would take {first.form} instead of {first.asked}"
    return f"--strict: site '{first.node}' {what}: {first.reason}{_more(odd)}"


def fitting(report: Report) -> str | None:
    """What a target finds: a site that does not fit, and that no form makes fit."""
    unfit = [choice for choice in report.sites or () if choice.fits is False]
    return f"site '{unfit[0].node}': {unfit[0].reason}{_more(unfit)}" if unfit else None


def _takes_another(choice: Choice) -> bool:
    """True for another form than the one asked for; what is simpler, where that is the same, is as good."""
    return choice.asked is not None and choice.form not in (None, choice.asked, *SIMPLER)


def _more(odd: Sequence[Choice]) -> str:
    return f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
