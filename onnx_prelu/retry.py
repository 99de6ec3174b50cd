"""``--on-fail``: what becomes of a rewrite whose check fails because of one odd site."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .errors import BadUsage, Reason, Refused
from .remake import Remade
from .report.report import Report
from .reporting import failed

ON_FAIL: tuple[str, ...] = ("fail", "refuse-site")
"""What ``--on-fail`` takes."""


def require_on_fail(on_fail: str, goal: str, *, check: bool) -> None:
    """Refuse what is not known to do where a check fails, or does not go with what is asked for.

    Args:
        on_fail: What the user says.
        goal: Where the rewrite goes.
        check: Whether the result is checked.

    Raises:
        BadUsage: It is not known, a model is to be quantized, or no check can fail.
    """
    if on_fail not in ON_FAIL:
        raise BadUsage(f"--on-fail {on_fail} is not known", todo=f"take one of {', '.join(ON_FAIL)}")
    if on_fail == "refuse-site" and goal == "int8":
        raise BadUsage("--on-fail refuse-site would change a model after it is quantized", todo="leave out one of them")
    if on_fail == "refuse-site" and not check:
        raise BadUsage("--on-fail refuse-site has no check to fail", todo="leave out --no-check, or --on-fail")


def without_blamed(made: Remade, report: Report, verified: Callable[[Remade], Report]) -> tuple[Remade, Report]:
    """Make a model again without the site that is to blame, until its check passes or no site is to blame.

    Two sites beside each other share a layer, and the first suspect may be the wrong one: so each further one is
    refused alone first, then with the others.

    Args:
        made: The model.
        report: What was told of it, with its check.
        verified: Tells the same of another.

    Returns:
        The last model that was made, and what was told of it, with a note of what was refused.
    """
    refused: dict[str, Mapping[str, Reason]] = {}
    while (found := _to_blame(made, report)) is not None and not found.keys() <= refused.keys():
        known, refused = refused, {**refused, **found}
        for attempt in (found, refused) if known else (found,):
            made = made.again(refused=attempt)
            report = verified(made)
            if not failed(report):
                refused = dict(attempt)
                break
    if refused:
        which = ", ".join(refused)
        report = report.with_notes([f"refused, since the check failed with what they would become: {which}"])
    return made, report


def _to_blame(made: Remade, report: Report) -> dict[str, Mapping[str, Reason]] | None:
    """The site that the first failed check blames, with what is told of it then; None where it blames none."""
    for check in report.check or ():
        if check.status == "failed" and check.blame is not None and check.blame.site is not None:
            site = check.blame.site
            form = next((choice.form for choice in made.choices if choice.node == site), None)
            why = check.blame.sentence() or check.reason
            refusal = Refused("failed-check", f"its check failed: {why}", check.blame.node or site)
            return {site: {form or "prelu": refusal.reason}}
    return None
