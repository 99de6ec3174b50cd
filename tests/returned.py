"""What comes back of a form by ``--to relu --form F`` and then ``--to prelu``: one statement for all models."""

from __future__ import annotations

import numpy as np

from onnx_prelu.algebra.forms import FORMS
from onnx_prelu.passes.catalogue import FAST_PLANNERS, FORM_NAMES
from tests.constants import assert_bits, assert_up_to_sums

#: Every bit: the weights are not touched, and the slope stands in the constants of the form.
BIT_FOR_BIT = frozenset(FORMS)
#: Weights bit for bit; a slope where one float only gives the stored columns, which many entries of a column ensure.
WHERE_DETERMINED = frozenset({"split", "split-step", "tied"})
#: Columns and slopes up to the rounding of a·V, (1 − a)·V and their sum; other weights bit for bit.
UP_TO_SUMS = frozenset({"concat"})
#: Forms for speed go one way.
assert set(FORM_NAMES) - set(FAST_PLANNERS) == BIT_FOR_BIT | WHERE_DETERMINED | UP_TO_SUMS


def loose_slopes(choices):
    """How many slopes the way back says are one of several that would do."""
    reasons = [choice.reason or "" for choice in choices]
    return sum(int(reason.split("; ")[-1].split()[0]) for reason in reasons if "several" in reason)


def assert_returned(form, weights, returned, slopes, found, loose=0):
    """That a form gave back what it can.

    Args:
        form: The form that was asked for; where it did not apply, mirror took its place.
        weights: The weights before, of all layers.
        returned: Those after.
        slopes: The slopes before, as flat arrays of the model's type; one value is as good as many equal ones.
        found: Those after.
        loose: How many slopes may be others.
    """
    assert len(found) == len(slopes)
    if form in UP_TO_SUMS:
        largest = max((float(np.max(np.abs(slope))) for slope in slopes), default=0.0)
        assert_up_to_sums(weights, returned, largest)
        assert_up_to_sums(slopes, found, largest)
        return
    assert_bits(weights, returned)
    assert form in WHERE_DETERMINED or loose == 0
    assert sum(int(np.sum(one != two)) for one, two in zip(slopes, found, strict=True)) <= loose
