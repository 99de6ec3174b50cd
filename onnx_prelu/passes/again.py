"""Two plans that were committed at one site, one after the other, told as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..algebra.reduction import Reduced
from ..graph.weights import Take
from .narrowing import Narrowing
from .plan import Plan, Seam


def both(first: Plan, later: Plan) -> Plan:
    """What two plans did together: of the activation that the first one left, the later one made something else."""
    made = {widened.new: widened for widened in first.edit.widened}
    widened = [made.pop(each.old).then(each) if each.old in made else each for each in later.edit.widened]
    forms = [plan.form for plan in (first, later) if plan.form != "reduce"]
    if later.lanes is None:
        forms = [later.form]
    reduced = later.reduced if first.reduced is None or later.reduced is None else first.reduced.then(later.reduced)
    return replace(
        later,
        node=first.node,
        form=forms[0] if forms else "reduce",
        edit=replace(
            later.edit,
            nodes={**first.edit.nodes, **later.edit.nodes},
            constants={**first.edit.constants, **later.edit.constants},
            widened=(*made.values(), *widened),
        ),
        equal_bits=first.equal_bits and later.equal_bits,
        region=first.region,
        activation=first.activation,
        before=tuple(dict.fromkeys((*first.before, *later.before))),
        lanes=later.lanes if reduced is None else reduced.lanes,
        reduced=reduced,
        seam=later.seam if first.seam is None or later.seam is None else _joined(first.seam, later.seam),
        note=_note(first, later, reduced),
    )


def _note(first: Plan, later: Plan, reduced: Reduced | None) -> str | None:
    if first.reduced is not None and reduced is not None and not later.proven:
        return Narrowing.of(reduced).sentence()
    return "; ".join(note for note in (first.note, later.note) if note) or None


def _joined(first: Seam, later: Seam) -> Seam | None:
    """Units before of the first seam as multiples of what the later one has, by way of a lane of each direction.

    None where of a direction one lane stays and another went for what it always is: they take no other values.
    """
    lane, size = np.zeros(first.units, np.intp), np.ones(first.units)
    known = np.flatnonzero(first.into_after.factor)[::-1]
    stays, direction = later.into_before.factor[known] != 0, first.into_after.index[known]
    if np.intersect1d(direction[stays], direction[~stays]).size:
        return None
    lane[first.into_after.index[known]], size[first.into_after.index[known]] = known, first.into_after.factor[known]
    through = lane[first.into_before.index]
    factor = first.into_before.factor / size[first.into_before.index]
    shift = np.zeros(len(through)) if first.shift is None else first.shift
    if later.shift is not None:
        shift = shift + factor * later.shift[through]
    both_have = np.isin(later.from_before, first.from_after)
    own = np.searchsorted(first.from_after, later.from_before[both_have])
    return Seam(
        units=later.units,
        into_before=Take(later.into_before.index[through], factor * later.into_before.factor[through]),
        into_after=later.into_after,
        from_before=first.from_before[own],
        from_after=later.from_after[both_have],
        shift=shift if np.any(shift) else None,
    )
