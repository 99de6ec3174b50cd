"""What ``--to fast`` decides: by the heuristic, by a plan that was saved, or by timing whole models.

Nothing is taken that makes the model slower, or its file larger than it may become; where no gain is clear, the input
stays as it is.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ..errors import BadUsage
from ..graph.draft import Draft
from ..graph.model import Model
from ..measure.costs.cost import file_bytes
from ..measure.inputs.draw import InputOptions
from ..measure.latency.race import race
from ..measure.latency.setting import Setting, prepared
from ..measure.latency.timing import CannotTime
from ..measure.providers.installed import onnxruntime, release
from ..measure.providers.names import short
from ..measure.providers.runtime import CannotRun
from ..passes.catalogue import FAST_PLANNERS
from ..passes.choose import SIMPLER, Policy
from ..passes.engine import Inspected, inspect_sites
from ..passes.heuristic import Runtime, likely
from ..passes.layout.apply import LAYOUT_RULES, apply_layout
from ..passes.patterns import Scope
from ..passes.sites import Site
from ..remake import Remade
from .recipe import Recipe, fingerprint, read, write
from .search import Bench, Decisions, Group, Timed, Tuned, tune

CANDIDATES: tuple[str, ...] = ("leakyrelu", *FAST_PLANNERS, "skip", "max", "mirror-min", "mirror", "prelu")
"""The forms that a search chooses from."""

NEWEST: tuple[int, int] = (1, 32)
"""The runtime that the heuristic thinks of where none is installed."""

SMALL_GROWTH = 64 * 1024
"""Bytes that a file may grow by in any case."""

_EVERYWHERE: tuple[str, ...] = ("leakyrelu", "fold2", "gauge", "skip", "max", "mirror-min", "prelu")
"""Forms that a search tries at all sites at once."""

_NOTHING = Policy((), preferred=lambda _draft, _site: ())
"""Leaves every site as it is."""

_KEPT = 8  # models of a search that are kept in memory


@dataclass(frozen=True)
class Wishes:
    """What the user wants of ``--to fast``.

    Attributes:
        tune: Whether to measure, or to believe the heuristic.
        budget: Seconds to measure for.
        layout: Whether layout rules may be taken.
        exact: Whether only forms of equal bits may be taken.
        max_growth: How large the file may become, over what it is; :data:`SMALL_GROWTH` more is always allowed.
        plan: A file to read the decisions from, or to write them to where there is none; or None.
        threads: Threads that the model will run with.
    """

    tune: bool = True
    budget: float = 60.0
    layout: bool = True
    exact: bool = False
    max_growth: float = 1.10
    plan: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.budget > 0:
            raise BadUsage("--budget has to be above 0 seconds", todo="--no-tune takes no time")
        if not self.max_growth >= 1:
            raise BadUsage("--max-growth is over the file's size, and below 1 nothing fits", todo="give 1.0 or more")


@dataclass(frozen=True)
class Tuning:
    """How the forms of ``--to fast`` were decided.

    Attributes:
        by: ``"heuristic"``, ``"measurement"`` or ``"plan"``.
        runtime: The runtime that it was decided for, in words.
        machine: The machine.
        provider: The provider.
        threads: Threads that were measured with.
        layout: The layout rules that were taken.
        places: What they did, and where, in sentences.
        forms: The form of each site that was decided.
        kept_input: True if the input stays, because nothing was clearly faster, or fitted into its size.
        budget_s: Seconds that were allowed; None where nothing was measured.
        seconds: Seconds that it took.
        tried: What was tried against what, with the ratio of times and its interval.
        interrupted: True if the user stopped the search: what was best until then was taken.
        notes: Sentences for the reader.
    """

    by: str
    runtime: str
    machine: str
    provider: str
    threads: int
    layout: tuple[str, ...]
    places: tuple[str, ...]
    forms: dict[str, str]
    kept_input: bool
    budget_s: float | None = None
    seconds: float | None = None
    tried: tuple[dict[str, Any], ...] = ()
    interrupted: bool = False
    notes: tuple[str, ...] = ()

    def of(self, remade: Remade) -> Tuning:
        """The same decisions, as far as they stand in a model that was made again with sites refused."""
        return replace(self, forms=_forms(remade))


class Make(Protocol):
    """Makes a model by a policy and layout rules."""

    def __call__(self, policy: Policy, /, *, layout: Sequence[str]) -> Remade:
        """The model, and how it came about."""


@dataclass
class Fast:
    """One model, and all that ``--to fast`` needs to decide for it.

    Attributes:
        model: The model.
        make: Makes another of it.
        scope: Which sites are meant.
        wishes: What the user wants.
        options: Sizes and values of the inputs; of several, all are tuned for.
        provider: Where it will run.
        progress: Told what is being tried.
    """

    model: Model
    make: Make
    scope: Scope
    wishes: Wishes
    options: Sequence[InputOptions]
    provider: str
    progress: Callable[[str], None]

    def __post_init__(self) -> None:
        self._made: dict[str, Remade] = {}
        self._keys: dict[str, object] = {}
        self.limit = max(self.wishes.max_growth * (size := file_bytes(self.model)), size + SMALL_GROWTH)
        self.release = _release()

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The layout rules that find a place in the model; none where they are not wanted."""
        if not self.wishes.layout or self.wishes.exact or self.provider != "cpu":
            return ()  # a sum over other channels is another sum, and no other provider has this layout
        found = apply_layout(Draft(self.model), tuple(LAYOUT_RULES))
        return tuple(dict.fromkeys(plan.rule for plan in found))

    # ── what is decided ───────────────────────────────────────────────────────────────────────────────────────

    def decided(self) -> tuple[Remade, Tuning]:
        """The model, and how it was decided.

        Raises:
            BadInput: The plan cannot be read, or is that of another model.
            BadUsage: The plan takes what the user forbids.
        """
        plan = self.wishes.plan
        if plan is None or not plan.exists():
            return self._searched() if self.wishes.tune else self._guessed()
        recipe = read(plan, self.model)
        if recipe.decisions.layout and not self.wishes.layout:
            rules = ", ".join(recipe.decisions.layout)
            raise BadUsage(f"{plan} takes the layout rules {rules}, and --no-layout forbids them", todo="leave one out")
        self.release = recipe.release
        return self._told("plan", recipe.decisions, notes=(f"decided by {plan}, on {recipe.runtime}",))

    def save_plan(self, remade: Remade, tuning: Tuning) -> None:
        """Write what was decided to the file that the user named, unless it came from there.

        Raises:
            BadUsage: It cannot be written there.
        """
        if self.wishes.plan is not None and tuning.by != "plan" and not tuning.interrupted:
            forms = {choice.node: choice.form or "prelu" for choice in remade.choices}
            decisions = Decisions(tuning.layout, forms)
            about = (self.release, tuning.runtime, tuning.machine)
            write(Recipe(fingerprint(self.model), decisions, *about, tuning.tried), self.wishes.plan)

    def _guessed(self, *notes: str) -> tuple[Remade, Tuning]:
        """What the heuristic says, the first of what fits into the file's size."""
        for decisions in self.starts().values():
            if self.fits(self.remade(decisions)):
                return self._told("heuristic", decisions, notes=notes)
        return self._told("heuristic", None, notes=(*notes, "the file would grow by more than --max-growth allows"))

    def _searched(self) -> tuple[Remade, Tuning]:
        try:
            timer = self.timer()
        except CannotRun as refusal:
            return self._guessed(f"not tuned, as {self.provider} cannot run it here: {refusal.reason}")
        groups = self.groups()
        everywhere = {f"{form} everywhere": self._all(groups, form) for form in _EVERYWHERE}
        tuned = tune(
            Bench(self.key, timer),
            {**self.starts(), **everywhere},
            groups,
            self.rules,
            self.wishes.budget,
            self.progress,
        )
        return self._told("measurement", tuned.decisions, tuned)

    def starts(self) -> dict[str, Decisions]:
        """What the heuristic says, with the layout rules and without."""
        plain = {"the heuristic": Decisions()}
        return {"the heuristic with layout": Decisions(self.rules), **plain} if self.rules else plain

    def _told(
        self, by: str, decisions: Decisions | None, tuned: Tuned | None = None, notes: tuple[str, ...] = ()
    ) -> tuple[Remade, Tuning]:
        remade = self.remade(decisions) if decisions is not None else self.make(_NOTHING, layout=())
        if tuned is not None and tuned.interrupted:
            notes = (*notes, "tuning was interrupted: this is the best that was found until then, and no plan is kept")
        return remade, Tuning(
            by=by,
            runtime=runtime(),
            machine=_machine(),
            provider=self.provider,
            threads=self.wishes.threads,
            layout=tuple(dict.fromkeys(place.rule for place in remade.layout)),
            places=tuple(place.text for place in remade.layout),
            forms=_forms(remade),
            kept_input=remade.result is self.model,
            budget_s=None if tuned is None else self.wishes.budget,
            seconds=None if tuned is None else tuned.seconds,
            tried=() if tuned is None else tuple(_trial(trial) for trial in tuned.trials),
            interrupted=tuned is not None and tuned.interrupted,
            notes=notes,
        )

    # ── models from decisions ─────────────────────────────────────────────────────────────────────────────────

    def policy(self, decisions: Decisions) -> Policy:
        """The policy of some decisions: what is decided comes first, then what is likely."""
        guess = likely(Runtime(self.release, self.provider, self.options[0].dim))

        def preferred(draft: Draft, site: Site) -> tuple[str, ...]:
            decided = decisions.forms.get(site.node.label)
            return (decided, *guess(draft, site)) if decided is not None else guess(draft, site)

        return Policy(SIMPLER, preferred=preferred, exact=self.wishes.exact)

    def remade(self, decisions: Decisions) -> Remade:
        """The model of some decisions; the last few are kept."""
        key = repr(decisions)
        if key not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            self._made[key] = self.make(self.policy(decisions), layout=decisions.layout)
        return self._made[key]

    def fits(self, remade: Remade) -> bool:
        """True if the model's file is not larger than it may become."""
        return remade.result is self.model or file_bytes(remade.result) <= self.limit

    def key(self, decisions: Decisions) -> object:
        """Equal for decisions of equal outcome; None where that is the input, or is too large."""
        key = repr(decisions)
        if key not in self._keys:
            remade = self.remade(decisions)
            changed = remade.result is not self.model and self.fits(remade)
            outcome = (
                *(place.key for place in remade.layout),
                *((choice.node, choice.form) for choice in remade.choices),
            )
            self._keys[key] = outcome if changed else None
        return self._keys[key]

    # ── what there is to decide ───────────────────────────────────────────────────────────────────────────────

    def groups(self) -> list[Group]:
        """The sites by kind and shape, those with the most data first."""
        draft = self.make(_NOTHING, layout=self.rules).draft
        found: dict[object, list[Inspected]] = {}
        for site in inspect_sites(draft, self.scope, Policy(CANDIDATES, exact=self.wishes.exact)):
            if site.choice.possible != ("fold",) and site.plans:
                found.setdefault(_kind(site), []).append(site)
        ordered = sorted(found.values(), key=lambda sites: -_elements(sites[0]) * len(sites))
        return [Group(tuple(site.choice.node for site in sites), sites[0].choice.possible) for sites in ordered]

    def _all(self, groups: Sequence[Group], form: str) -> Decisions:
        return Decisions(self.rules, {site: form for group in groups for site in group.sites})

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────

    def timer(self) -> Callable[[Sequence[Decisions | None], float], list[Timed]]:
        """Times the models of decisions, at every size that is tuned for.

        Raises:
            CannotRun: The input cannot be run.
        """
        settings = [prepared(self.model, self.provider, options, self.wishes.threads) for options in self.options]

        def time(decisions: Sequence[Decisions | None], seconds: float) -> list[Timed]:
            models = [self.model if each is None else self.remade(each).result for each in decisions]
            return _together([_timed(models, setting, seconds / len(settings)) for setting in settings])

        return time


def _timed(models: Sequence[Model], setting: Setting, seconds: float) -> list[Timed]:
    """All but the first model over the first; infinitely slow where one of them cannot run."""
    never = Timed(math.inf, math.inf, math.inf)
    try:
        standings = race([setting.opener(model) for model in models], setting.inputs, seconds, clock=setting.clock)
    except CannotTime:
        return [never for _ in models[1:]]
    return [
        never if each.ratio is None or each.low is None or each.high is None else Timed(each.ratio, each.low, each.high)
        for each in standings[1:]
    ]


def _together(times: Sequence[Sequence[Timed]]) -> list[Timed]:
    """The geometric means over the sizes."""
    return [
        Timed(*(math.prod(values) ** (1 / len(times)) for values in zip(*map(astuple, each), strict=True)))
        for each in zip(*times, strict=True)
    ]


def _kind(site: Inspected) -> object:
    """What sites have in common that share one measurement."""
    choice, plan = site.choice, site.plans[0]
    slope = choice.slope
    mixed = None if slope is None else (slope.above_one > 0, slope.negative > 0, slope.shape)
    producer = None if choice.producer is None else choice.producer.op
    return (
        site.draft.shape(plan.activation[0]), choice.possible, mixed, producer,
        tuple(sorted(reader.op for reader in choice.consumers)),
    )  # fmt: skip


def _elements(site: Inspected) -> int:
    shape = site.draft.shape(site.plans[0].activation[0]) or ()
    return math.prod(size for size in shape if isinstance(size, int))


def _forms(remade: Remade) -> dict[str, str]:
    return {choice.node: choice.form for choice in remade.choices if choice.form is not None}


def _trial(trial: Any) -> dict[str, Any]:
    return {"what": trial.what, "against": trial.against, **asdict(trial.timed)}


def _release() -> tuple[int, int]:
    try:
        return release()
    except CannotRun:
        return NEWEST


def runtime() -> str:
    """The runtime that is installed, in words."""
    try:
        return f"ONNX Runtime {onnxruntime().__version__}"
    except CannotRun:
        return f"no ONNX Runtime; decided as for {'.'.join(map(str, NEWEST))}"


def _machine() -> str:
    """The processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def provider_of(providers: Sequence[str] | None) -> str:
    """The provider that a model is made fast on: the first that is asked for, or the CPU."""
    return short(providers if isinstance(providers, str) else providers[0]) if providers else "cpu"
