"""The options that say what is proven, and where the proof goes."""

from __future__ import annotations

import click

from .algebra.bisection import MOST_INPUTS
from .passes.ranges.walk import TIERS
from .wording import CHECK, FILE, REWRITE, option

prove = option(
    REWRITE,
    "--prove",
    type=click.Choice(TIERS),
    help="How to prove units dead or always on, within the input ranges: each way takes longer than the one before. "
    f"bisect cuts the box of up to {MOST_INPUTS} inputs [interval].",
)
slope_tolerance = option(
    REWRITE,
    "--slope-tolerance",
    type=float,
    metavar="SHARE",
    help="Fold pairs too of which up to this share is off, as far as --input-range bounds what that changes. "
    "The bound is told, and the check allows it.",
)
write_certificate = option(
    CHECK,
    "--certificate",
    type=FILE,
    metavar="FILE.json",
    help="Write a certificate that anyone can replay from the two models alone. A form that it lacks is refused.",
)
read_certificate = option(
    CHECK,
    "--certificate",
    type=FILE,
    metavar="FILE.json",
    help="Run nothing: say whether this certificate, of rewrite --certificate, holds of A and B.",
)
