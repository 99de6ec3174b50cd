"""What a report says: a headline, then sections of rows or lines. Terminal and Markdown only lay them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import words
from .around import sites_around
from .changed import changes, changes_in_words
from .distant import distance_table
from .entries import verdicts
from .proven import units_table
from .quantized import int8_table
from .tables import Column, Lines, Section, Table
from .timings import beyond_latency, latencies
from .tuned import tuning_lines
from .verdicts import Line, Mood, check_lines

if TYPE_CHECKING:
    from ..measure.costs.cost import Cost
    from ..passes.choice import Choice
    from .budgets import Judged
    from .report import Report

FULL_LIST = 20
"""Up to here sites are listed one by one; beyond, they are counted by form and the refused ones listed."""

_NAMED = 5
"""So many sites are named where a reason holds for many."""


def headline(report: Report) -> str:
    """One sentence: which command, which model, what came of it."""
    models = f"{report.model} against {report.against}" if report.against else report.model
    direction = f" to {report.to}" if report.to else ""
    return f"{report.command} {models}{direction}: {_outcome(report)}"


def sections(report: Report) -> Iterator[Section]:
    """The parts that the report has, in reading order."""
    if report.sites:
        inspected = report.command == "inspect"
        head, tell = ("possible", _inspected) if inspected else ("put in", _decided)
        yield from _sites(report.sites, head, tell)
        if inspected and len(report.sites) <= FULL_LIST:
            yield from sites_around(report.sites)
    if report.units:
        yield units_table(report.units)
    if report.distances:
        yield distance_table(report.distances)
    if report.entries is not None:
        yield verdicts(report.entries)
    if report.tuning is not None:
        yield Lines("Tuning", tuple(tuning_lines(report.tuning)))
    if report.int8 is not None:
        yield int8_table(report.int8)
    if report.diff is not None:
        yield from changes(report.diff)
    if report.before is not None:
        yield _costs(report.before, report.after)
    if report.check:
        yield Lines("Check", tuple(line for check in report.check for line in check_lines(check)))
    yield from latencies(report)
    yield from beyond_latency(report)
    if report.budgets:
        yield _budgets(report.budgets)
    if report.notes:
        yield Lines("Notes", tuple(Line(note) for note in report.notes))


def _budgets(budgets: Sequence[Judged]) -> Lines:
    moods: dict[str, Mood] = {"held": "good", "broken": "bad", "not_run": "open"}
    said = {"held": "held", "broken": "broken", "not_run": "not judged"}
    lines = []
    for each in budgets:
        ratio = "" if each.reason or each.ratio is None else f"{each.ratio:.3f} of the baseline"
        lines.append(Line(f"{each.budget} {said[each.status]}: {each.reason or ratio}", mood=moods[each.status]))
    return Lines("Budgets", tuple(lines))


def _outcome(report: Report) -> str:
    if report.unmet and report.command == "rewrite":
        return "not met, nothing was written"
    if report.entries is not None:
        passed = sum(entry.exit_code == 0 for entry in report.entries)
        return f"{passed:,} of {words.counted(len(report.entries), 'pair')} passed"
    if report.exit_code:
        return "not run" if report.exit_code == 3 else "failed"
    if report.diff is not None:
        return changes_in_words(report.diff)
    if report.command == "inspect":
        return words.counted(len(report.sites or ()), "site")
    if report.command == "rewrite":
        return _rewritten(report.sites or ())
    if report.command == "check" and report.check is None:
        return "the certificate holds"
    return "passed" if report.check else "measured"


def _rewritten(sites: Sequence[Choice]) -> str:
    changed = sum(site.form is not None for site in sites)
    stays = "stays" if len(sites) - changed == 1 else "stay"
    if not sites:
        return "nothing to rewrite, no site was found"
    if not changed:
        return f"nothing rewritten, {words.counted(len(sites), 'site')} {stays}"
    rest = f", {len(sites) - changed:,} {stays}" if changed < len(sites) else ""
    return f"{words.counted(changed, 'site')} rewritten{rest}"


@dataclass(frozen=True)
class _Told:
    """What is said of a site: what became of it, or could, and why not something else."""

    outcome: str
    why: tuple[str, ...]
    refused: bool


def _decided(site: Choice) -> _Told:
    promise = f" ({site.exactness})" if site.form and site.exactness else ""
    return _Told(f"{site.form or 'stays'}{promise}", (site.reason,) if site.reason else (), site.refused)


_PLAIN = frozenset({"same-form", "other-slope", "slope-not-uniform"})
"""Codes of refusals that follow from what is listed of a site: how it is written, and its slope."""


def _inspected(site: Choice) -> _Told:
    forms: dict[str, list[str]] = {}
    for form, reason in site.refusals.items():
        forms.setdefault("" if reason.code in _PLAIN else reason.text, []).append(form)
    plain = forms.pop("", None)
    why = [f"not {', '.join(names)}: {text}" for text, names in forms.items()]
    if plain:
        why.append(f"not {', '.join(plain)}: what is written here already, or a PReLU of another slope")
    if site.reason and site.fits is not None:
        why.insert(0, site.reason)
    return _Told(", ".join(site.possible) or "none", tuple(why), not site.possible)


def _sites(sites: Sequence[Choice], head: str, tell: Callable[[Choice], _Told]) -> Iterator[Table]:
    told = [(site, tell(site)) for site in sites]
    if len(told) <= FULL_LIST:
        yield _listed(head, told)
        yield from _reasons(told)
    else:
        yield _counted(head, told)
        yield from _reasons((site, what) for site, what in told if what.refused)


def _listed(head: str, told: Iterable[tuple[Choice, _Told]]) -> Table:
    columns = (Column("site", "name"), Column("found", "name"), Column("slope"), Column(head))
    rows = tuple((site.node, site.spelling, words.slope(site.slope), what.outcome) for site, what in told)
    return Table("Sites", columns, rows)


def _counted(head: str, told: Iterable[tuple[Choice, _Told]]) -> Table:
    counts = Counter(what.outcome for _, what in told)
    rows = tuple((outcome, f"{count:,}") for outcome, count in counts.most_common())
    foot = "site by site with --json, with what stands around each and what each form would change"
    return Table("Sites", (Column(head), Column("sites", "number")), rows, foot if head == "possible" else "")


def _reasons(told: Iterable[tuple[Choice, _Told]]) -> Iterator[Table]:
    """Why, each reason once with the sites that it holds for."""
    sites: dict[str, list[str]] = {}
    for site, what in told:
        for why in what.why:
            sites.setdefault(why, []).append(site.node)
    rows = tuple((_together(names), why) for why, names in sites.items())
    if rows:
        yield Table("Reasons", (Column("site", "name"), Column("why")), rows)


def _together(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _costs(before: Cost, after: Cost | None) -> Table:
    known = after or before
    foot = f"MACs and activation bytes at {words.sizes(known.sizes)}" if known.sizes else ""
    if after is None:
        rows = tuple((name, say(take(before))) for name, say, take in _rows_of(sorted(before.ops)))
        return Table("Cost", (Column(""), Column("model", "number")), rows, foot)
    changed = sorted(op for op in {*before.ops, *after.ops} if before.ops.get(op, 0) != after.ops.get(op, 0))
    compared = tuple(
        (name, say(take(before)), say(take(after)), words.change(take(before), take(after), say=say))
        for name, say, take in _rows_of(changed)
    )
    columns = (
        Column(""),
        Column("before", "number"),
        Column("after", "number"),
        Column("change", "number"),
    )
    return Table("Cost", columns, compared, foot)


def _rows_of(
    ops: Iterable[str],
) -> Iterator[tuple[str, Callable[[int | None], str], Callable[[Cost], int | None]]]:
    """Name of a cost, how it is said, where it is found."""
    yield "nodes", words.amount, lambda cost: cost.nodes
    for op in ops:
        yield f"{op} nodes", words.amount, lambda cost, op=op: cost.ops.get(op, 0)  # type: ignore[misc]
    yield "parameters", words.amount, lambda cost: cost.parameters
    yield "weight bytes", words.size, lambda cost: cost.weight_bytes
    yield "file bytes", words.size, lambda cost: cost.file_bytes
    yield "MACs", words.amount, lambda cost: cost.macs
    yield "peak activation bytes", words.size, lambda cost: cost.activation_bytes
