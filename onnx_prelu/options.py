"""The options of the command line: what each means."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .passes.catalogue import FORM_NAMES, SLOPE_PLACES
from .passes.choose import TARGETS
from .passes.patterns import ALSO
from .passes.slope_shapes import SLOPE_SHAPES
from .passes.targets import targets
from .report.budgets import KEYS as BUDGETS
from .report.output import Output
from .report.write import FORMATS
from .retry import ON_FAIL
from .wording import (
    CHECK,
    FAST,
    FILE,
    MEASURE,
    OUTPUT,
    REWRITE,
    Finite,
    batches,
    dimensions,
    named,
    option,
    positive,
    shares,
    sizes,
    together,
)

direction = together(
    option(
        REWRITE,
        "--to",
        type=click.Choice(TARGETS),
        default="auto",
        help="auto, the default: to relu where the model holds a PRelu, else to prelu. fast: whatever runs fastest.",
    ),
    option(
        REWRITE,
        "--form",
        metavar="[PATTERN=]NAME",
        multiple=True,
        callback=lambda _ctx, _param, entries: entries or None,
        help=f"Preferred form: {', '.join(FORM_NAMES)}. With a pattern, of the sites that it names. Repeatable.",
    ),
    option(
        REWRITE,
        "--slope-in",
        type=click.Choice(SLOPE_PLACES),
        default="consumer",
        help="Where split and split-step put the slope [consumer].",
    ),
    option(
        REWRITE,
        "--no-simplify",
        "simplify",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Keep the form asked for where all slopes are 0 (a Relu) or 1 (nothing).",
    ),
)
for_whom = together(
    option(
        REWRITE,
        "--target",
        metavar="NAME",
        help=f"Who has to take the sites: {', '.join(targets())}. Each gets the form of fewest nodes that fits.",
    ),
    option(
        REWRITE,
        "--ops",
        metavar="OP,OP",
        callback=lambda _ctx, _param, text: (
            None if text is None else [op.strip() for op in text.split(",") if op.strip()]
        ),
        help="The same with your own list of ops, as in Gemm,Conv,Relu.",
    ),
)
as_written = together(
    option(
        REWRITE,
        "--slope-shape",
        type=click.Choice(SLOPE_SHAPES),
        help="Write the slopes of PRelu in this shape: one value, [W], [C,1,1] or [C,H,W], where nothing is lost.",
    ),
    option(
        REWRITE,
        "--opset",
        type=click.IntRange(min=1),
        metavar="N",
        help="Write this opset, where every op of the model is the same in both.",
    ),
    option(
        REWRITE,
        "--ir-version",
        type=click.IntRange(min=1),
        metavar="N",
        help="Write this IR version, where it can hold what the model holds.",
    ),
)
which_sites = together(
    option(
        REWRITE,
        "--only",
        metavar="PATTERN",
        multiple=True,
        help="Only sites of this exact name, or else matching this glob. Repeatable.",
    ),
    option(REWRITE, "--skip", metavar="PATTERN", multiple=True, help="Not these sites. Repeatable."),
    option(
        REWRITE,
        "--also",
        type=click.Choice(ALSO),
        multiple=True,
        help="An op that counts as a PReLU too: Abs has slope -1. Repeatable.",
    ),
    option(
        REWRITE,
        "--fix-slopes",
        is_flag=True,
        help="Repair slopes (C,) meant for the channels to (C, 1, 1); store slopes in their smallest shape.",
    ),
    option(REWRITE, "--freeze", is_flag=True, help="Take weights that a caller could override as constants."),
)
input_shape = option(
    CHECK,
    "--input-shape",
    metavar="NAME:1,16",
    multiple=True,
    callback=named(":", dimensions, "a name and sizes, like x:1,16"),
    help="Shape of an input. Repeatable.",
)
input_sizes = together(
    input_shape,
    option(
        CHECK,
        "--dim",
        metavar="N=8",
        multiple=True,
        callback=named("=", positive, "a dimension and its size, like N=8"),
        help="Size of a named dimension. Repeatable.",
    ),
)
tuned_sizes = together(
    input_shape,
    option(
        CHECK,
        "--dim",
        metavar="N=8",
        multiple=True,
        callback=named("=", sizes, "a dimension and its size, like N=8, or sizes to tune for, like N=1,8"),
        help="Size of a named dimension; of several, N=1,8 say, all are tuned for, the first is checked. Repeatable.",
    ),
)
data = option(
    CHECK,
    "--inputs",
    type=FILE,
    metavar="FILE.npz",
    help="Many samples: count the units that give nothing but 0 on them.",
)
provider = together(
    option(
        CHECK,
        "--provider",
        "providers",
        metavar="NAME",
        multiple=True,
        callback=lambda _ctx, _param, names: names or None,
        help="A provider that must run: cpu, cuda, reference, or ONNX Runtime's own name. Repeatable. "
        "Default: cpu, and cuda where it truly runs.",
    ),
    option(
        CHECK,
        "--inputs",
        type=FILE,
        metavar="FILE.npz|DIR",
        help="Inputs by name, or a folder of npz, npy or test_data_set_N, in place of drawn ones.",
    ),
)
seed = option(CHECK, "--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Of the drawn inputs [0].")
running = together(provider, input_sizes, seed)
running_tuned = together(provider, tuned_sizes, seed)
tolerance = together(
    option(
        CHECK,
        "--atol",
        type=Finite(min=0),
        metavar="SHARE",
        help="Allowed difference, as a share of the output's largest value. Default: what rounding explains.",
    ),
    option(
        CHECK,
        "--rtol",
        type=Finite(min=0),
        metavar="SHARE",
        help="Allowed difference, as a share of each value, added to that. Default: what rounding explains.",
    ),
    option(
        CHECK,
        "--tol",
        metavar="OUT:rtol=X",
        multiple=True,
        callback=named(":", shares, "an output and what is allowed there, like out:rtol=1e-4 or out:atol=0,rtol=1e-3"),
        help="Both for one output, like out:rtol=1e-4. Repeatable.",
    ),
    option(CHECK, "--signed-zeros", is_flag=True, help="Fail where only the sign of a zero differs."),
)
all_nodes = option(
    CHECK,
    "--require-all-nodes-on",
    metavar="NAME",
    help="A provider that must run too, and take every node of the new model; exit code 3 says which it did not.",
)
timing = together(
    option(
        MEASURE,
        "--threads",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="Threads on the CPU [1].",
    ),
    option(
        MEASURE,
        "--duration",
        type=Finite(min=0, min_open=True),
        default=3.0,
        metavar="SECONDS",
        help="Time to spend on each provider [3].",
    ),
)
budgets = together(
    option(
        CHECK,
        "--baseline",
        type=FILE,
        metavar="FILE.json",
        help="An earlier report, whose costs the budgets of --fail-on are measured by.",
    ),
    option(
        CHECK,
        "--fail-on",
        metavar="KEY>RATIO",
        help=f"Fail where the second model costs more than so many times what it did, as in latency>1.05,nodes>1: "
        f"{', '.join(BUDGETS)}.",
    ),
)
beyond_latency = together(
    option(
        MEASURE,
        "--batch",
        metavar="1,8,32",
        callback=batches,
        help="Measure the throughput at these batch sizes, each for --duration.",
    ),
    option(MEASURE, "--profile", is_flag=True, help="Say which ops take the time, after the runtime's own fusion."),
)


strict = option(
    REWRITE,
    "--strict",
    is_flag=True,
    help="Write nothing unless every site takes the form that was asked for.",
)
no_check = together(
    option(CHECK, "--no-check", is_flag=True, help="Write the model without running it."),
    option(
        CHECK,
        "--keep-failed",
        is_flag=True,
        help="Write the model even if its check fails; the exit code stays 1.",
    ),
    option(
        CHECK,
        "--on-fail",
        type=click.Choice(ON_FAIL),
        default="fail",
        help="refuse-site: where the check fails, leave the site to blame as it is and try again [fail].",
    ),
)
fastest = together(
    option(
        FAST,
        "--no-tune",
        "tune",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Believe the heuristic, measure nothing: the same result everywhere.",
    ),
    option(
        FAST,
        "--budget",
        type=Finite(min=0, min_open=True),
        default=60.0,
        metavar="SECONDS",
        help="Time to measure for [60].",
    ),
    option(
        FAST,
        "--no-layout",
        "layout",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Change nothing around the sites but the layers beside them.",
    ),
    option(FAST, "--exact", is_flag=True, help="Only forms that give the same bits."),
    option(
        FAST,
        "--max-growth",
        type=Finite(min=1),
        default=1.10,
        metavar="RATIO",
        help="How large the file may become, over what it is [1.10]; 64 KiB more are always allowed.",
    ),
    option(
        FAST,
        "--plan",
        type=FILE,
        metavar="FILE.json",
        help="Make the decisions in this file again; where there is none, save them there.",
    ),
)
for_int8 = together(
    option(
        FAST,
        "--for",
        "purpose",
        type=click.Choice(["int8"]),
        help="Choose the form to quantize, by noise and time; needs --inputs with many samples.",
    ),
    option(
        FAST,
        "--min-sqnr",
        type=Finite(),
        metavar="DB",
        help="For int8, the fastest of at least this SQNR. Default: the best within 5 % of the fastest.",
    ),
    option(FAST, "--quantized-out", type=FILE, metavar="FILE.onnx", help="For int8, write the quantized model there."),
)
no_bench = option(MEASURE, "--no-bench", is_flag=True, help="Do not measure latency.")
also_bench = option(MEASURE, "--bench", is_flag=True, help="Measure latency too.")


def shown(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where results go, handed to the command as one ``output``."""

    @functools.wraps(command)
    def packed(*args: Any, as_json: bool, quiet: bool, files: tuple[Path, ...], **request: Any) -> None:
        command(*args, output=Output(as_json, quiet, files), **request)

    return together(
        option(
            OUTPUT,
            "--json",
            "as_json",
            is_flag=True,
            help="Print the report as JSON, alone on standard output.",
        ),
        option(
            OUTPUT,
            "--report",
            "files",
            type=FILE,
            metavar="FILE",
            multiple=True,
            help=f"Write the report, as its ending says: {', '.join(FORMATS)}. Repeatable.",
        ),
        option(OUTPUT, "--quiet", is_flag=True, help="No report on the terminal and no progress."),
    )(packed)
