"""The check of a rewritten model: the whole of it, each site alone, and what is known of the tensors inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .arguments import watch
from .graph.model import Model
from .measure.checking.check import Inside, Pair, check
from .passes.alone import sites_alone, unseen
from .passes.traces import suspects, twins
from .remake import Remade
from .report.report import Report
from .reporting import keep_second, put_in


def checked(original: Model, report: Report, made: Remade, **settings: Any) -> Report:
    """The report of a rewrite, with how the model that was made compares.

    Args:
        original: The model that it was made from.
        report: What was told of it so far.
        made: The model, and how it came about.
        settings: What :func:`~onnx_prelu.measure.checking.check.check` takes besides.
    """
    draft, plans = made.draft, made.plans
    known = {name for node in original.proto.graph.node for name in node.output} | {
        value.name for value in original.proto.graph.input
    }  # layout rules give tensors other names
    alone = list(sites_alone(draft, plans, made.result))
    checks = check(
        original,
        made.result,
        exact=all(plan.equal_bits for plan in plans),
        pairs=[Pair(*vars(each).values()) for each in alone],
        watch=[watch(plan) for plan in plans if plan.node in draft.replaced and plan.activation[0] in known],
        put_in=put_in(plans, made.result),
        inside=Inside(tuple(twins(draft, plans)), tuple(suspects(draft, plans))),
        **settings,
    )
    keep_second(made.result, checks)
    return replace(report.with_notes(unseen(draft, plans, alone)), check=checks)
