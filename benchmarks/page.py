"""The page that shows the scores."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.score import Score, Summary, summary
from benchmarks.tables import number, percent, table

_COLUMNS = (
    *("network", "ONNX Runtime", "PRelu, ms", "ours, ms", "Relu, ms"),
    *("PRelu / Relu", "ours / Relu", "ours / Relu laid out", "speed-up", "overhead removed"),
)


def page(scores: Sequence[Score], about: Sequence[str]) -> str:
    """The page: what was measured, a table for each group of networks.

    Args:
        scores: In the order in which their groups and networks are to stand.
        about: Lines on how it was measured.
    """
    lines = [
        "# PReLU at ReLU speed",
        "",
        "Median processor times of one run, of the one thread that computes. **Relu** is the floor: the same network",
        "with plain Relu. **Relu laid out** is that",
        "network under the layout rules that ours may use. Overhead removed is (PRelu − ours) / (PRelu − Relu), where",
        "PRelu costs more than 2 % of the floor. The last lines are geometric means; of overhead removed, the mean.",
        "",
        "![PRelu, ours and the floor](fast.svg)",
        "",
        *about,
    ]
    for group in dict.fromkeys(score.group for score in scores):
        lines += ["", f"## {group}", "", *_table([score for score in scores if score.group == group])]
    return "\n".join([*lines, ""])


def _table(scores: Sequence[Score]) -> list[str]:
    networks = list(dict.fromkeys(score.network for score in scores))
    rows = [_row(score) for score in sorted(scores, key=lambda score: networks.index(score.network))]
    runtimes = dict.fromkeys(score.runtime for score in scores)
    means = [_means(each, summary(score for score in scores if score.runtime == each)) for each in runtimes]
    return table(_COLUMNS, [*rows, *means])


def _row(score: Score) -> list[str]:
    times = [number(time, 3) for time in (score.prelu, score.ours, score.relu)]
    return [score.network, score.runtime, *times, *_ratios(score)]


def _means(runtime: str, means: Summary) -> list[str]:
    return [f"**{cell}**" if cell else "" for cell in ("mean", runtime, "", "", "", *_ratios(means))]


def _ratios(of: Score | Summary) -> list[str]:
    ratios = (of.prelu_over_floor, of.ours_over_floor, of.ours_over_laid, of.speed_up)
    return [*(number(ratio) for ratio in ratios), percent(of.removed)]
