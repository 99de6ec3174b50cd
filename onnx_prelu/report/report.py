"""What a command found out, as one value: every rendering and every exit code is computed from it."""

from __future__ import annotations

import importlib.metadata
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .entries import failure, worst

if TYPE_CHECKING:
    from ..measure.changes.change import Diff
    from ..measure.checking.check import Check
    from ..measure.costs.cost import Cost
    from ..measure.latency.bench import Latency
    from ..measure.latency.by_op import Profile
    from ..measure.latency.start import Start
    from ..measure.latency.throughput import Throughput
    from ..passes.choice import Choice
    from ..passes.distance import Distance
    from ..passes.stable import Units
    from ..passes.within import Span
    from ..tuning.fast import Tuning
    from ..tuning.int8 import Int8
    from .budgets import Judged
    from .entries import Entry

SCHEMA_VERSION = "1"


@dataclass(frozen=True)
class Report:
    """The parts that a command has; a part that it does not have is None.

    Attributes:
        command: ``"inspect"``, ``"rewrite"``, ``"check"``, ``"bench"``, ``"diff"`` or ``"check-all"``.
        model: The model's path, or its graph's name where it came from memory; of ``check-all`` the manifest's path.
        against: The second model of ``check``, ``bench`` and ``diff``; where ``bench`` has more, all of them.
        to: Where it went: ``"relu"`` or ``"prelu"`` (what ``auto`` came to), ``"fast"``, or a target's name.
        sites: What was decided at each site, in graph order.
        distances: How far each Relu layer is from a PReLU layer, in graph order (``inspect``).
        before: What the first model costs.
        after: What the second, or the rewritten, model costs.
        check: The comparison, one entry a provider.
        latency: The timing, one entry a provider and model after the first.
        start: What a session takes, one entry a provider and model.
        throughput: One entry a provider, batch size and model.
        profile: Where the time goes, one entry a provider and model.
        notes: Sentences for the reader that belong nowhere else.
        tuning: How the forms of ``--to fast`` were decided.
        int8: How the form to quantize was chosen.
        diff: What changed from the first model to the second.
        entries: What came of each pair of ``check-all``.
        unmet: Why the request could not be met (``--strict``, a target), or None.
        within: The ranges of inputs within which alone the rewritten model is right, where it is limited to some.
        units: What is proven of the units of each activation, and counted on data.
        budgets: What became of each budget (``--fail-on``), one entry a budget and, of a latency, provider.
    """

    command: str
    model: str
    to: str | None = None
    sites: tuple[Choice, ...] | None = None
    before: Cost | None = None
    after: Cost | None = None
    check: tuple[Check, ...] | None = None
    latency: tuple[Latency, ...] | None = None
    start: tuple[Start, ...] | None = None
    throughput: tuple[Throughput, ...] | None = None
    profile: tuple[Profile, ...] | None = None
    notes: tuple[str, ...] = ()
    against: str | None = None
    unmet: str | None = None
    tuning: Tuning | None = None
    int8: Int8 | None = None
    diff: Diff | None = None
    budgets: tuple[Judged, ...] | None = None
    units: tuple[Units, ...] | None = None
    within: Mapping[str, Span] | None = None
    entries: tuple[Entry, ...] | None = None
    distances: tuple[Distance, ...] | None = None

    @property
    def passed(self) -> bool:
        """True where no check failed, every required provider ran, the request was met, and so were the budgets."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """1 where a check failed, a budget or the request was not met, else 3 where a required provider did not run.

        0 otherwise. A request that makes no sense is exit code 2 and has no report. Of many pairs it is the worst.
        """
        if self.entries is not None:
            return worst(self.entries)
        if self._failed() or self.unmet or self._broken():
            return 1
        return 3 if self._not_run() else 0

    @property
    def failure(self) -> str | None:
        """The one line that says why :attr:`exit_code` is not 0; None where it is."""
        if self.entries is not None:
            return failure(self.entries)
        if failed := self._failed():
            first = failed[0]
            begins = first.blame.sentence() if first.blame is not None else None
            reason = f"{first.reason}; {begins}" if begins else first.reason
            line = _and_more(f"the check failed on {first.provider}: {reason}", failed)
            saved = next((check.failing.again for check in failed if check.failing is not None), None)
            return line if saved is None else f"{line}; once more: {saved}"
        if self.unmet:
            return self.unmet
        if broken := self._broken():
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            return f"budget {broken[0].budget} is broken: {broken[0].reason}{more}"
        if not_run := self._not_run():
            line = _and_more(self._why_not(not_run[0]), not_run)
            return f"{line}; --no-check writes the model unchecked" if self._can_go_unchecked() else line
        return None

    def with_notes(self, notes: Sequence[str]) -> Report:
        """The same report with these notes after its own; what it has said already is not said twice."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON-able dict: plain numbers, strings, lists and dicts.

        Keys of parts that the command does not have are absent. A number that is not finite is None.
        """
        parts: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "onnx-prelu", "version": version()},
            "command": self.command,
            "model": self.model,
            "against": self.against,
            "to": self.to,
            "sites": None if self.sites is None else [_site(choice) for choice in self.sites],
            "units": None if self.units is None else [asdict(each) for each in self.units],
            "within": None if self.within is None else {name: asdict(each) for name, each in self.within.items()},
            "distances": None if self.distances is None else [asdict(distance) for distance in self.distances],
            "tuning": None if self.tuning is None else asdict(self.tuning),
            "int8": None if self.int8 is None else asdict(self.int8),
            "diff": None if self.diff is None else self.diff.to_dict(),
            "before": None if self.before is None else self.before.to_dict(),
            "after": None if self.after is None else self.after.to_dict(),
        }
        for name in ("check", "latency", "start", "throughput", "profile", "budgets", "entries"):
            results = getattr(self, name)
            parts[name] = None if results is None else [result.to_dict() for result in results]
        present = {key: part for key, part in parts.items() if part is not None}
        verdict = {"notes": self.notes, "exit_code": self.exit_code, "failure": self.failure}
        plain: dict[str, Any] = _plain({**present, **verdict})
        return plain

    def _failed(self) -> list[Check]:
        return [check for check in self.check or () if check.status == "failed"]

    def _broken(self) -> list[Judged]:
        return [each for each in self.budgets or () if each.status == "broken"]

    def _not_run(self) -> list[Check | Latency]:
        results: list[Check | Latency] = [*(self.check or ()), *(self.latency or ())]
        return [result for result in results if result.required and result.status == "not_run"]

    def _why_not(self, result: Check | Latency) -> str:
        """Why a provider has no verdict: it did not run, or what ran there says nothing."""
        ran = [check for check in self.check or () if check.batches and not check.elsewhere]
        if any(result is check for check in ran):
            return f"the check on {result.provider} says nothing: {result.reason}"
        return f"{result.provider} could not run: {result.reason}"

    def _can_go_unchecked(self) -> bool:
        """Whether leaving the check out would help: not where a provider ran, and took too few nodes."""
        ran = any(check.elsewhere for check in self.check or ())
        return self.command == "rewrite" and bool(self.check) and not ran


def version() -> str:
    """The package's version: of the installed package, or of the source tree that it runs from."""
    try:
        return importlib.metadata.version("onnx-prelu")
    except importlib.metadata.PackageNotFoundError:
        pyproject = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])


def _and_more(line: str, results: Sequence[Check | Latency]) -> str:
    others = list(dict.fromkeys(r.provider for r in results if r.provider != results[0].provider))
    return f"{line} (also {', '.join(others)})" if others else line


def _site(choice: Choice) -> dict[str, Any]:
    return {
        "node": choice.node,
        "form": choice.form,
        "refused": choice.refused,
        "reason": choice.reason,
        "refusals": {form: reason.text for form, reason in choice.refusals.items()},
        "refusal_codes": {form: reason.code for form, reason in choice.refusals.items()},
        "spelling": choice.spelling,
        "slope": None if choice.slope is None else asdict(choice.slope),
        "exactness": choice.exactness,
        "possible": choice.possible,
        "fits": choice.fits,
        "producer": None if choice.producer is None else asdict(choice.producer),
        "consumers": [asdict(consumer) for consumer in choice.consumers],
        "predicted": choice.predicted,
        "narrowing": None if choice.narrowing is None else asdict(choice.narrowing),
        "drawing": None if choice.drawing is None else asdict(choice.drawing),
    }


def _plain(value: Any) -> Any:
    """``value`` in JSON's own types: numpy's unwrapped, numbers that are not finite as None."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case None | str() | bool() | int():
            return value
    raise TypeError(f"a report cannot hold a {type(value).__name__}")
