"""The options that say what a check tries, and how much."""

from __future__ import annotations

from pathlib import Path

import click

from .wording import CHECK, FILE, Finite, named, option, together


def ends(text: str) -> tuple[float, float] | Path:
    """Two numbers separated by a comma, or the path of an npz file; ValueError otherwise."""
    if text.endswith(".npz"):
        return Path(text)
    low, high = map(float, text.split(","))
    return low, high


ranges = option(
    CHECK,
    "--input-range",
    metavar="NAME=LO,HI|FILE.npz",
    multiple=True,
    callback=named("=", ends, "a name and two numbers, like x=0,1, or a file of them, like x=ends.npz"),
    help="Range of the values of an input, or a file with arrays low and high; its corners are tried too. Repeatable.",
)
effort = together(
    option(
        CHECK,
        "--seeds",
        type=click.IntRange(min=1),
        metavar="N",
        help="Check with so many seeds, from --seed on [1, or as many as --check-budget allows].",
    ),
    option(
        CHECK,
        "--check-budget",
        type=Finite(min=0, min_open=True),
        metavar="SECONDS",
        help="Begin no further seed after that, on each provider.",
    ),
    option(
        CHECK,
        "--save-failing",
        type=FILE,
        metavar="DIR",
        help="Save an input on which the check fails, made small, as an ONNX test data set.",
    ),
)
