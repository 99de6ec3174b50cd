"""Networks that others trained, from a folder that need not be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx

FOLDER = Path(__file__).parents[3] / "shared" / "models"
"""Beside the repository."""

_SIZES = {
    "mtcnn_pnet": {"input_1": (1, 96, 96, 3)},
    "mtcnn_rnet": {"input_2": (1, 24, 24, 3)},
    "mtcnn_onet": {"input_3": (1, 48, 48, 3)},
}


@dataclass(frozen=True)
class Real:
    """A network and what its inputs are to be.

    Attributes:
        model: The network.
        sizes: Shapes of the inputs whose dimensions it leaves open.
    """

    model: onnx.ModelProto
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def real(folder: Path = FOLDER) -> dict[str, Real]:
    """The networks of a folder that have a PRelu, by file name; none where there is no folder.

    A file that is a PRelu and nothing else is no network, and left out.
    """
    models = {path.stem: onnx.load(path) for path in sorted(folder.glob("*.onnx"))}
    ops = {name: {node.op_type for node in model.graph.node} for name, model in models.items()}
    return {name: Real(models[name], _SIZES.get(name, {})) for name in models if {"PRelu"} < ops[name]}
