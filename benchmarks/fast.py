"""PReLU beside ours and the floor, on the reference networks and on real ones.

    python -m benchmarks.fast                                # writes benchmarks/fast.md and fast.svg
    python -m benchmarks.fast --runtimes 1.26.0,1.32.0       # the same under several versions, in one table
    python -m benchmarks.fast --only fsrcnn --duration 5 --out /tmp/fast.md

The real networks are those of ../shared/models, when that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks.contest import Rules, contest
from benchmarks.environments import package_dependencies, under
from benchmarks.machine import processor
from benchmarks.networks.real import Real, real
from benchmarks.networks.reference import REFERENCE
from benchmarks.page import page
from benchmarks.picture import picture
from benchmarks.score import Score
from onnx_prelu.measure.providers.runner import CannotRun

GROUPS = ("Reference networks", "Real networks")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(arguments)
    found = real()
    if unknown := set(options.only) - {*REFERENCE, *found}:
        parser.error(f"no network is called {', '.join(sorted(unknown))}; there are {', '.join([*REFERENCE, *found])}")
    scores = list(_under_each(options) if options.runtimes else _measured(options, found))
    if not scores:
        sys.exit("nothing could be measured")
    if options.json:
        options.json.write_text(json.dumps([asdict(score) for score in scores]), encoding="utf-8")
        return
    text = page(scores, _about(options))
    options.out.write_text(text, encoding="utf-8")
    options.out.with_suffix(".svg").write_text(picture(scores), encoding="utf-8")
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fast", description=__doc__.splitlines()[0])
    parser.add_argument("--no-layout", action="store_true", help="ours leaves the layout around the sites alone")
    parser.add_argument("--no-tune", action="store_true", help="ours decides without measuring")
    parser.add_argument("--exact", action="store_true", help="ours keeps every bit")
    parser.add_argument("--threads", type=int, default=1, help="that a session computes with (default: %(default)s)")
    parser.add_argument("--duration", type=float, default=20, help="seconds for each network (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=60, help="seconds of tuning for each (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="NET", help="this network; can be repeated")
    parser.add_argument(
        "--runtimes", metavar="VERSIONS", help="of ONNX Runtime, between commas; each is installed anew"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_suffix(".md"), help="the page; the picture is put beside it"
    )
    parser.add_argument("--json", type=Path, help="write the times there, and no page")
    return parser


def _measured(options: argparse.Namespace, found: dict[str, Real]) -> Iterator[Score]:
    """Scores under the installed runtime; what it does not take is told and left out."""
    rules = Rules(
        not options.no_layout, not options.no_tune, options.exact, options.threads, options.duration, options.budget
    )
    for group, name, network in _networks(found, options.only):
        try:
            score = contest(name, group, network.model, network.sizes, rules)
        except CannotRun as refusal:
            print(f"{name}: not run: {refusal.reason}", file=sys.stderr)
            continue
        ratios = f"PRelu {score.prelu_over_floor:.2f}, ours {score.ours_over_floor:.2f} times the floor"
        print(f"{name} on {score.runtime}: {ratios} of {score.relu:.3g} ms", file=sys.stderr)
        yield score


def _networks(found: dict[str, Real], only: Sequence[str]) -> Iterator[tuple[str, str, Real]]:
    """Group, name and network, each built when it is its turn."""
    for name, build in REFERENCE.items():
        if not only or name in only:
            yield GROUPS[0], name, Real(build("PRelu"))
    for name, network in found.items():
        if not only or name in only:
            yield GROUPS[1], name, network


def _under_each(options: argparse.Namespace) -> Iterator[Score]:
    """Scores under other versions of the runtime, each in an environment of its own."""
    for version in options.runtimes.split(","):
        results = under(version.strip(), "benchmarks.fast", _passed_on(options), package_dependencies())
        yield from (Score(**result) for result in results)


def _passed_on(options: argparse.Namespace) -> list[str]:
    """The options that say what is measured, as arguments."""
    flags = [flag for flag in ("--no-layout", "--no-tune", "--exact") if getattr(options, flag[2:].replace("-", "_"))]
    only = [argument for name in options.only for argument in ("--only", name)]
    numbers = ["--threads", str(options.threads), "--duration", str(options.duration), "--budget", str(options.budget)]
    return [*flags, *numbers, *only]


def _about(options: argparse.Namespace) -> list[str]:
    asked = [*_passed_on(options), *(["--runtimes", options.runtimes] if options.runtimes else [])]
    machine = f"{processor()}, {os.cpu_count()} cores; {options.threads} thread{'s' * (options.threads != 1)} a session"
    return [
        f"Machine: {machine}. Python {platform.python_version()}. {date.today().isoformat()}.",
        "",
        f"Command: `{shlex.join(['python', '-m', 'benchmarks.fast', *asked])}`",
    ]


if __name__ == "__main__":
    main()
