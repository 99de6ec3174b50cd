"""What the commands put into their reports alike: names, costs, predictions, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from .errors import CheckFailed, ProviderNotRun
from .graph.model import Model, save
from .graph.types import TensorType
from .graph.walk import roots, within
from .measure.checking.check import Check
from .measure.checking.failing import SECOND
from .measure.checking.site_nodes import PutIn
from .measure.costs.cost import cost
from .measure.costs.predicted import predicted
from .passes.choice import Choice
from .passes.engine import Inspected
from .passes.plan import Plan
from .report.report import Report


def with_predictions(site: Inspected, types: dict[str, TensorType]) -> Choice:
    """A site with what the model's costs would grow by, for each form that it can take."""
    changes = {plan.form: asdict(predicted(site.draft, plan.edit, types)) for plan in site.plans}
    return replace(site.choice, predicted=changes)


def with_costs(report: Report, a: Model, b: Model, input_shape: Mapping[str, Sequence[int]] | None) -> Report:
    """The report with what both models cost, at the sizes that were run."""
    ran = [check.sizes for check in report.check or () if check.sizes]
    ran += [latency.sizes for latency in report.latency or () if latency.sizes]
    sizes = ran[0] if ran else {name: tuple(shape) for name, shape in (input_shape or {}).items()}
    return replace(report, before=cost(a, sizes), after=cost(b, sizes))


def put_in(plans: Sequence[Plan], result: Model) -> list[PutIn]:
    """The nodes that each plan put in, or changed, and that stand in the result under their names."""
    standing = {node.name for root in roots(result.proto) for body in within(root) for node in body.node}
    return [
        PutIn(
            plan.node.label,
            tuple(proto.name for protos in plan.edit.nodes.values() for proto in protos if proto.name in standing),
        )
        for plan in plans
    ]


def keep_second(second: Model, checks: Sequence[Check]) -> None:
    """Save a rewritten model that fails beside the inputs on which it does.

    Raises:
        BadUsage: It cannot be written there.
    """
    for each in checks:
        if each.failing is not None:
            save(second, Path(each.failing.folder) / SECOND)


def failed(report: Report) -> bool:
    """True if a check failed."""
    return any(result.status == "failed" for result in report.check or ())


def raise_unless_passed(report: Report, *, keep_failed: bool) -> None:
    """Fail where the report says so.

    Raises:
        CheckFailed: A check failed, and that is not to be kept.
        ProviderNotRun: A required provider could not run.
    """
    if report.passed or report.failure is None:
        return
    if failed(report):
        if not keep_failed:
            raise CheckFailed(report.failure, report=report)
    else:
        raise ProviderNotRun(report.failure, report=report)
