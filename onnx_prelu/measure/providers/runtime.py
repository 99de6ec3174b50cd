"""Where models run: providers by name, and what opens a model on one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...graph.model import Model
from .names import short
from .reference import ReferenceRunner
from .runner import CannotRun, Runner
from .session import SessionRunner

__all__ = ["CannotRun", "Request", "Runner", "open_runner", "requests"]


_OURS = {"cpu", "cuda", "reference"}


@dataclass(frozen=True)
class Request:
    """A provider to run on.

    Attributes:
        provider: ``"cpu"``, ``"cuda"``, ``"reference"`` (onnx's reference evaluator), or the name of another of
            ONNX Runtime's providers as the user wrote it.
        required: Whether it is an error if it cannot run.
        whole: Whether it has to take every node of the second model.
    """

    provider: str
    required: bool
    whole: bool = False


def requests(providers: Sequence[str] | None, whole: str | None = None) -> tuple[Request, ...]:
    """The providers to run on. Whether they can run, and whether they exist, shows when they are opened.

    Args:
        providers: Names, all required, or one name. None stands for the CPU, and CUDA, which is not required.
        whole: One that is required, among these or beyond them, and has to take every node of the second model.

    >>> requests(["CUDAExecutionProvider", "cuda", "Dml"])
    (Request(provider='cuda', required=True, whole=False), Request(provider='Dml', required=True, whole=False))
    """
    providers = (providers,) if isinstance(providers, str) else providers
    found = {"cpu": Request("cpu", True), "cuda": Request("cuda", False)} if providers is None else {}
    for name in (*(providers or ()), *([whole] if whole else [])):
        known = found.get(short(name))
        provider = known.provider if known else short(name) if short(name) in _OURS else name
        found[short(name)] = Request(provider, True, whole is not None and short(name) == short(whole))
    return tuple(found.values())


def open_runner(
    model: Model,
    provider: str,
    *,
    threads: int | None = None,
    checking: bool = True,
    optimize: bool = True,
    profile: Path | None = None,
) -> Runner:
    """Make a model ready to run on a provider, and make sure that it is this provider that runs it.

    Args:
        model: The model.
        provider: A name as in :class:`Request`.
        threads: Threads for one node on the CPU; None for all that the process may use.
        checking: Compute as precisely and repeatably as the provider can (no TF32, deterministic kernels), rather
            than as fast.
        optimize: Let the runtime fuse and reorder nodes.
        profile: Where ONNX Runtime writes a profile of the runs: the beginning of a file's name; None for nowhere.

    Raises:
        CannotRun: The provider cannot run this model; the reason says what is missing.
    """
    if short(provider) == "reference":
        return ReferenceRunner(model)
    return SessionRunner(model, provider, threads=threads, checking=checking, optimize=optimize, profile=profile)
