"""What a check says of two models on one provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ..providers.placement import Placed
from .blame import Blame
from .expected import Expected
from .failing import Failing
from .judge import Output, Rounding
from .nonfinite import NonFinite
from .pairs import PairResult
from .site_nodes import SiteNodes
from .tolerance import Tolerance
from .watch import Spread

Status = Literal["passed", "failed", "not_run"]


@dataclass(frozen=True)
class Check:
    """How two models compare on one provider.

    Attributes:
        provider: Where both ran.
        status: ``"passed"``, ``"failed"``, or ``"not_run"`` where nothing can be said.
        required: Whether this provider was asked for by name, or is the CPU.
        reason: Why it is not ``"passed"``, in words.
        max_abs: The largest difference in any output; None if none was compared. So are the next two.
        max_rel: The same, relative to the output's largest magnitude among inputs of one scale.
        max_ulp: The most floats of its type that a value is away.
        tolerance: What is allowed, at the output that comes nearest to it or passes it most; None where values have
            to be equal, or rounding decides.
        rounding: How near the outputs come to what rounding explains, at the one that comes nearest or passes it
            most; None where no output is judged by that.
        outputs: Each output.
        sizes: The shapes of the inputs, on most batches.
        batches: How many batches ran.
        kinds: How many of them are of which kind: ``"random"``, ``"zeros"``, ``"near kinks"``, ``"other sizes"`` ...
        seeds: How many seeds they were drawn by.
        deterministic: Whether the original, run twice on the same inputs, gives the same bits; None if it did not run.
        zero_signs: Zeros of which only the sign differs, in all outputs.
        pairs: Each rewritten site alone.
        spread: How many units of each site saw both sides of zero.
        expected: Both models against the outputs of the data sets that have some.
        failing: The input that was saved; None if none was, or nobody asked for that.
        nodes: How many nodes of the second model each of ONNX Runtime's providers took; None if it cannot tell.
        elsewhere: Nodes of the second model that another provider took.
        site_nodes: Where the nodes that were put in at each rewritten site ran.
        blame: Where the difference begins, if the check failed and that could be found.
        nonfinite: What was found where data or outputs are not finite.
        notes: What else the reader should know.
    """

    provider: str
    status: Status
    required: bool
    reason: str | None = None
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    tolerance: Tolerance | None = None
    rounding: Rounding | None = None
    outputs: tuple[Output, ...] = ()
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    batches: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    seeds: int = 1
    deterministic: bool | None = None
    zero_signs: int = 0
    pairs: tuple[PairResult, ...] = ()
    spread: tuple[Spread, ...] = ()
    expected: tuple[Expected, ...] = ()
    failing: Failing | None = None
    nodes: dict[str, int] | None = None
    elsewhere: tuple[Placed, ...] = ()
    site_nodes: tuple[SiteNodes, ...] = ()
    blame: Blame | None = None
    nonfinite: NonFinite = field(default_factory=NonFinite)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dict of plain values; numbers may be infinite."""
        return asdict(self)


def verdict(
    rows: Sequence[Output], alone: Sequence[PairResult], expected: Sequence[Expected], void: str | None
) -> tuple[Status, str | None]:
    """Whether a check passed, and if not, why.

    Args:
        rows: Each output.
        alone: Each site alone.
        expected: Both models against the outputs of data sets.
        void: An input in whose data nothing is finite; None if there is none.
    """
    random = next((row for row in rows if row.random), None)
    failed = next((row for row in rows if row.failure and not row.random), None)
    if failed is not None:
        return "failed", f"output '{failed.name}' {failed.failure}"
    site = next((each for each in alone if each.status == "failed"), None)
    if site is not None:
        return "failed", f"site '{site.node}' {site.reason}"
    otherwise = next((each.failure for each in expected if each.failure), None)
    if otherwise is not None:
        return "failed", otherwise
    if random is not None:
        return "not_run", f"the original is random: run twice, it gives output '{random.name}' in two ways"
    if void is not None:
        return "not_run", f"input '{void}' is NaN or infinite throughout the given data, so nothing was compared on it"
    empty = next((row for row in rows if not row.difference.compared), None)
    if empty is not None:
        what = "is empty" if 0 in empty.shape else "of the original is NaN or infinite"
        return "not_run", f"output '{empty.name}' {what} on all inputs that were tried, so nothing was compared"
    return "passed", None


def notes(rows: Sequence[Output], alone: Sequence[PairResult], deterministic: bool) -> Iterator[str]:
    """What the reader should know of the outputs and of the sites alone."""
    if not deterministic:
        yield "the original is not deterministic: run twice on the same inputs, its bits differ"
    blind = [f"'{row.name}'" for row in rows if not row.shows]
    if blind:
        which = "no output" if len(blind) == len(rows) else ", ".join(blind)
        shows = "can show" if len(blind) == len(rows) else "can hardly show"
        why = "saturated, the same whatever comes in, no float, or moved by a percent by rounding alone"
        yield f"{which} {shows} a difference: {why}"
    left_out = [each for each in alone if each.status == "not_run"]
    if left_out:
        yield f"site '{left_out[0].node}' was not compared alone{_and(len(left_out) - 1)}: {left_out[0].reason}"


def _and(more: int) -> str:
    return f" (nor {more} more)" if more else ""


def with_numbers(found: Check, rows: tuple[Output, ...]) -> Check:
    """The check with what is largest over its outputs."""
    compared = [row.difference for row in rows if row.difference.compared]
    rels = [each.max_rel for each in compared if each.max_rel is not None]
    worst = max((row for row in rows if not row.equal), key=lambda row: row.difference.excess, default=None)
    return replace(
        found,
        outputs=rows,
        max_abs=max((each.max_abs for each in compared), default=None),
        max_rel=max(rels, default=None),
        max_ulp=max((each.max_ulp for each in compared), default=None),
        tolerance=worst.tolerance if worst is not None else None,
        rounding=worst.rounding if worst is not None else None,
        zero_signs=sum(each.zero_signs for each in compared),
    )
