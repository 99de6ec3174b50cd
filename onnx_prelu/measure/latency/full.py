"""All that there is to say about what models take: latency, and for the providers that ran, what goes beyond it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import BadUsage
from ...graph.model import Model
from ..inputs.draw import InputOptions
from ..inputs.dtypes import type_name
from ..inputs.spec import specs
from .bench import Latency, bench, silent
from .by_op import Profile, profiles
from .setting import prepared
from .start import Start, starts
from .throughput import Throughput, throughput


@dataclass(frozen=True)
class Bench:
    """What was measured, by the names that a report has for it; a part that was not asked for is None.

    Attributes:
        latency: One entry a provider and model after the first.
        start: One entry a provider and model.
        throughput: One entry a provider, batch size and model.
        profile: One entry a provider and model.
    """

    latency: tuple[Latency, ...]
    start: tuple[Start, ...]
    throughput: tuple[Throughput, ...] | None = None
    profile: tuple[Profile, ...] | None = None


def bench_in_full(
    models: Sequence[Model],
    *,
    providers: Sequence[str] | None,
    options: InputOptions,
    threads: int,
    duration: float,
    batches: Sequence[int],
    by_op: bool,
    progress: Callable[[str], None] | None,
) -> Bench:
    """Measure models that take the same inputs against the first.

    Args:
        models: The models, two at least.
        providers: As :func:`~.bench.bench` takes them.
        options: Sizes and values of the inputs.
        threads: Threads that a session computes with.
        duration: Seconds of timing for each provider, and again for each batch size.
        batches: Batch sizes to measure the throughput at; none for no throughput.
        by_op: Whether to attribute the time to op types as well.
        progress: Called with what is being done now.

    Raises:
        BadInput: The inputs that were asked for do not fit the first model.
        BadUsage: A model takes other inputs, or a shape or dimension is asked for that the first does not have.
    """
    require_same_inputs(models)
    tell = progress or silent
    latency = bench(*models, providers=providers, options=options, threads=threads, duration=duration, progress=tell)
    ran = dict.fromkeys(each.provider for each in latency if each.status == "measured")
    settings = [prepared(models[0], provider, options, threads) for provider in ran]
    return Bench(
        latency,
        tuple(start for setting in settings for start in starts(models, setting, tell)),
        tuple(
            each
            for setting in settings
            for each in throughput(models, setting, batches, duration=duration, seed=options.seed, progress=tell)
        )
        if batches
        else None,
        tuple(profile for setting in settings for profile in profiles(models, setting, tell)) if by_op else None,
    )


def require_same_inputs(models: Sequence[Model]) -> None:
    """Find out whether one feed fits all models, as far as names and types tell; sizes are the runtime's to judge.

    Raises:
        BadUsage: A model takes other inputs than the first.
    """
    first, *others = [{spec.name: type_name(spec.dtype) for spec in specs(model.proto)} for model in models]
    for model, wanted in zip(models[1:], others, strict=True):
        if wanted != first:
            told = [
                ", ".join(f"{name} ({kind})" for name, kind in each.items()) or "nothing" for each in (wanted, first)
            ]
            text = f"takes {told[0]}, and {models[0].name} takes {told[1]}"
            raise BadUsage(text, where=model.name, todo="compare models that can be fed alike")
