"""What is done and what is decided, told to the logger ``onnx_prelu``.

Nothing is printed unless the program that uses the package asks for it, ``logging.basicConfig(level="INFO")``. INFO is
what is being done, what became of each site and the verdict; DEBUG adds why each form was refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from .passes.choice import Choice
from .report.report import Report

LOG = logging.getLogger("onnx_prelu")
LOG.addHandler(logging.NullHandler())


def telling(progress: Callable[[str], None] | None) -> Callable[[str], None]:
    """A progress that tells the logger too, and the caller's own where there is one."""

    def tell(doing: str) -> None:
        LOG.info("%s", doing)
        if progress is not None:
            progress(doing)

    return tell


def decided(choices: Iterable[Choice]) -> None:
    """Tell what became of each site, and why not something else."""
    if not LOG.isEnabledFor(logging.INFO):
        return
    for choice in choices:
        LOG.info("site '%s': %s", choice.node, _outcome(choice))
        for form, reason in choice.refusals.items():
            LOG.debug("site '%s': not %s [%s]: %s", choice.node, form, reason.code, reason.text)


def judged(report: Report) -> Report:
    """Tell the verdict.

    Returns:
        The report itself.
    """
    against = f" against {report.against}" if report.against else ""
    LOG.info("%s %s%s: %s", report.command, report.model, against, report.failure or "passed")
    return report


def _outcome(choice: Choice) -> str:
    if choice.form is None and choice.possible:
        return f"can be {', '.join(choice.possible)}"
    became = f"{choice.form} ({choice.exactness})" if choice.form else "stays"
    return f"{became}: {choice.reason}" if choice.reason else became
