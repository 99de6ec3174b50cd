"""A clock for the tests of timing: time passes only where a session is opened or runs."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np

from onnx_prelu.measure.providers.runner import Runner


class Clock:
    """A clock that only moves when a session is opened or runs, and a record of what ran on which input.

    Attributes:
        now: Seconds since its beginning.
        ran: Name of the session and number of the input, run by run.
        opened: Names of the sessions that were opened.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[tuple[str, int]] = []
        self.opened: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)

    def opener(self, name: str, seconds: float, *, opening: float = 0.0) -> Callable[[], Runner]:
        """Opens sessions that take so many seconds a run."""

        def run(feed: Mapping[str, np.ndarray]) -> None:
            self.ran.append((name, int(feed["x"])))
            self.now += seconds

        def opened() -> Runner:
            self.opened.append(name)
            self.now += opening
            return SimpleNamespace(run=run, provider="cpu", session=None)

        return opened

    def openers(self, **seconds: float) -> list[Callable[[], Runner]]:
        """One opener a name."""
        return [self.opener(name, each) for name, each in seconds.items()]


FEEDS = [{"x": np.array(number)} for number in range(8)]
