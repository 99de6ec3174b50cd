"""Slopes made right and small: what is odd about them, and the repair of those that fit nowhere.

PRelu(x (N, C, H, W), a (C,))    becomes    PRelu(x, a (C, 1, 1))        as MXNet meant it
PRelu(x (N, C), a (C, 1, 1))     becomes    PRelu(x, a (C,))
PRelu(x, a (C, H, W))            becomes    PRelu(x, a (C, 1, 1))        where it repeats over space
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..algebra.floats import Array, denormal
from ..algebra.slopes import ambiguous, shrink
from ..graph.build import Names
from ..graph.constants import is_float
from ..graph.draft import Draft, NewConstant
from ..graph.edit import Edit, commit, finish, rewired
from ..graph.linear import Change
from ..graph.model import Model
from ..graph.weights import Weight
from .patterns import EVERYWHERE, Scope
from .sites import Site, find_sites, named
from .slope_fit import misfit, shown


@dataclass(frozen=True)
class Repaired:
    """A model with its slopes repaired.

    Attributes:
        model: The model; the very one that was put in where nothing was to repair.
        notes: What was done, a sentence a slope.
        frozen: Initializers that a caller could override and that were taken as constants for it.
    """

    model: Model
    notes: tuple[str, ...] = ()
    frozen: frozenset[str] = frozenset()


def repair_slopes(model: Model, meant: Scope = EVERYWHERE, *, freeze: bool = False) -> Repaired:
    """Give the slopes of PRelu nodes the shape that they were meant to have, and the smallest one.

    What no PRelu node says outright is left alone: a spelled PReLU gets a small slope when it is rewritten. A slope
    (C,) that is legal because the last axis is as long as the channels stays as it is.

    Args:
        model: The model; it is not changed.
        meant: Which sites. A pattern may mean none of them: a Relu layer that is folded later, say.
        freeze: Take slopes that a caller could override as constants.

    Raises:
        BadInput: A slope is NaN or infinite.
    """
    draft = Draft(model, freeze=freeze)
    notes = []
    found = [(scope, site) for scope in draft.scopes() for site in find_sites(scope, meant.also)]
    known = frozenset(name for _, site in found for name in named(site))
    for scope, site in found:
        before = site.slope.value
        if site.node.op != "PRelu" or len(site.region) > 1 or before is None or scope.opset < 7:
            continue
        if meant.means(list(named(site)), known):
            after = _right(scope, site, before)
            if after.shape != before.shape:
                commit(scope, _with_slope(scope, site, after))
                shapes = f"{shown(before.shape)} was repaired to {shown(after.shape)}"
                notes.append(f"'{site.node.label}': its slope of shape {shapes}")
    return Repaired(finish(draft), tuple(notes), draft.frozen if draft.changed else frozenset())


def _right(draft: Draft, site: Site, slope: Array) -> Array:
    """A slope in the shape that it should have: the one that was meant, and no larger than its values need."""
    found = misfit(draft, site)
    if found is not None and found.shape is None:
        return slope
    return shrink(slope if found is None or found.shape is None else slope.reshape(found.shape))


def _with_slope(draft: Draft, site: Site, slope: Array) -> Edit:
    names, old = Names(draft.index), site.node.inputs[1]
    stored = draft.constants.get(old)  # one that comes through a DequantizeLinear, too: the new one is a float
    assert stored is not None
    change = Change(site.node, 1, Weight.of(slope.astype(stored.dtype)))
    name = names.new(old, "repaired")
    node = rewired(site.node, [change], {change: name}, {})
    return Edit({site.node: (node,)}, {name: NewConstant(change.weight, old)})


# ── what is odd ───────────────────────────────────────────────────────────────────────────────────────────────


def odd_slope(draft: Draft, site: Site) -> Iterator[str]:
    """Sentences about a site's slope that its reader should know."""
    value, x, label = site.slope.value, draft.shape(site.x), site.node.label
    if value is None:
        return
    found = misfit(draft, site)
    if found is not None and found.shape:
        yield f"'{label}': {found.text}; it should be {shown(found.shape)}, which --fix-slopes makes of it"
    elif x is not None and ambiguous(value.shape, x) and draft.opset >= 7:
        meant = [value.shape[0], *[1] * (len(x) - 2)]
        yield (
            f"'{label}': the slope of shape {shown(value.shape)} belongs to the last axis of x {shown(x)}, which fits "
            f"only where that is as long as the channels; one slope a channel has shape {meant}"
        )
    if site.dtype is not None and is_float(site.dtype) and (count := _denormals(value, site.dtype)):
        yield f"'{label}': {count:,} of {value.size:,} slopes are denormal, which some runtimes take as 0"


def repeated_slope(site: Site) -> Iterator[str]:
    """A sentence about a slope that is stored larger than it needs to be."""
    value = site.slope.value
    if value is not None and value.size > 1 and (small := shrink(value)).shape != value.shape:
        before, after = shown(value.shape), shown(small.shape)
        yield f"'{site.node.label}': the slope of shape {before} repeats itself; --fix-slopes stores it as {after}"


def denormal_weights(draft: Draft) -> Iterator[str]:
    """A sentence about the model's denormal weights, if there are any."""
    counts = {
        name: count
        for scope in draft.scopes()
        for name in scope.index.initializers
        if (weight := scope.constants.get(name)) is not None
        and is_float(weight.dtype)
        and (count := _denormals(weight.values(), weight.dtype))
    }
    if counts:
        total, most = sum(counts.values()), max(counts, key=lambda name: counts[name])
        yield f"{total:,} stored values are denormal, most of them in '{most}'; some runtimes take them as 0"


def denormals_made(draft: Draft, constants: Iterable[NewConstant]) -> int:
    """How many denormal values new constants hold, beyond those in what they replace."""
    made = 0
    for new in constants:
        if not is_float(new.weight.dtype):
            continue
        old = draft.constants.get(new.like) if new.like else None
        before = _denormals(old.values(), old.dtype) if old is not None and is_float(old.dtype) else 0
        made += max(0, _denormals(new.weight.values(), new.weight.dtype) - before)
    return made


def denormals_written(draft: Draft) -> Iterator[str]:
    """A sentence about the denormal values that the edits of a draft made, if there are any."""
    if made := sum(denormals_made(scope, scope.new.values()) for scope in draft.scopes()):
        yield f"{made:,} values were written that are denormal; some runtimes take them as 0"


def _denormals(values: Array, dtype: np.dtype[np.generic]) -> int:
    return int(np.sum(denormal(values, dtype)))
