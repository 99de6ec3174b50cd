"""Units that give nothing but 0 on data: of a Relu, those that never fire; of a PRelu, hardly any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import BadInput
from ...graph.extract import exposing
from ...graph.model import Model
from ..inputs.draw import Feed
from ..providers.runtime import CannotRun, open_runner
from .watch import Watch


def silent_units(model: Model, watch: Sequence[Watch], feeds: Iterable[Feed]) -> dict[str, int]:
    """How many units of each activation give nothing but 0, whatever is fed.

    Args:
        model: The model; it runs on the CPU.
        watch: The activations, each by the tensor that it makes.
        feeds: What to run it on.

    Returns:
        The number by the activation's name; nothing where there is nothing to watch.

    Raises:
        BadInput: The model does not run on the data.
    """
    if not watch:
        return {}
    heard: dict[str, NDArray[np.bool_]] = {}
    try:
        runner = open_runner(exposing(model, [each.tensor for each in watch]), "cpu")
        at = {name: index for index, name in enumerate(runner.outputs)}
        for feed in feeds:
            results = runner.run(feed)
            for each in watch:
                found = _heard(results[at[each.tensor]] != 0, each.axis)
                heard[each.node] = heard[each.node] | found if each.node in heard else found
    except CannotRun as refusal:
        raise BadInput(refusal.reason, where=model.name, todo="give data that the model runs on") from None
    return {node: int(np.sum(~found)) for node, found in heard.items()}


def _heard(found: NDArray[np.bool_], axis: int | None) -> NDArray[np.bool_]:
    assert axis is not None
    return np.asarray(np.moveaxis(found, axis, 0).reshape(found.shape[axis], -1).any(axis=1))
