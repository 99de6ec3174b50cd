"""Where models are timed, and on what: the same for all that are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ...graph.model import Model
from ..inputs.draw import Feeds, InputOptions, draw
from ..providers.runtime import open_runner
from .rotation import rotation
from .timing import Clock, Feed, Open, clock_for


@dataclass(frozen=True)
class Setting:
    """What a timing has in common for all models.

    Attributes:
        provider: Where they run, as :func:`~..providers.runtime.open_runner` takes it.
        threads: Threads that a session computes with.
        feeds: The sizes, and which values were drawn.
        inputs: Inputs to take in turn.
    """

    provider: str
    threads: int
    feeds: Feeds
    inputs: Sequence[Feed]

    @property
    def clock(self) -> Clock:
        """What a race of models is timed by."""
        return clock_for(self.provider, self.threads)

    def opener(self, model: Model) -> Open:
        """Opens a session of a model, as fast as the provider can be."""
        return partial(open_runner, model, self.provider, threads=self.threads, checking=False)


def prepared(model: Model, provider: str, options: InputOptions, threads: int) -> Setting:
    """The setting for a model and those that take the same inputs.

    Raises:
        CannotRun: The provider cannot run the model.
        BadInput: The inputs that were asked for do not fit the model.
        BadUsage: A shape or dimension is asked for that the model does not have.
    """
    feeds = draw(model, options, open_runner(model, provider, threads=threads, checking=False))
    return Setting(provider, threads, feeds, rotation(feeds, options.seed))


def shares(progress: Callable[[str], None], what: str) -> Callable[[float], None]:
    """Tells, of a share of the work, what is being done and how much of it is behind."""
    return lambda share: progress(f"{what} {100 * share:.0f} %")
