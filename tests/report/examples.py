"""Reports with fixed values, for the tests of their renderings."""

from dataclasses import replace

from onnx_prelu.errors import Reason
from onnx_prelu.measure.checking.check import (
    Check,
    Expected,
    Failing,
    NonFinite,
    Output,
    PairResult,
    Spread,
    Tolerance,
)
from onnx_prelu.measure.checking.compare import Difference
from onnx_prelu.measure.costs.cost import Cost
from onnx_prelu.measure.latency.bench import Latency
from onnx_prelu.measure.latency.by_op import OpTime, Profile
from onnx_prelu.measure.latency.start import Start
from onnx_prelu.measure.latency.throughput import Throughput
from onnx_prelu.passes.choice import Choice, SlopeSummary
from onnx_prelu.passes.distance import Distance, Extent, Saving
from onnx_prelu.passes.drawing import Drawing, Drawn
from onnx_prelu.passes.neighbours import Neighbour
from onnx_prelu.passes.stable import Proven, Units
from onnx_prelu.passes.within import Span
from onnx_prelu.report.budgets import Judged
from onnx_prelu.report.report import Report
from onnx_prelu.tuning.fast import Tuning
from onnx_prelu.tuning.int8 import Candidate, Int8

SHARED = Reason("shared-producer", "its producer 'fc1' is also read by 'add1'; mirror applies", "fc1")
ENLARGED = Reason("slope-enlarges", "the slope (3,) makes (1, 3, 1, 1) larger; give it the shape (3, 1, 1)", "act2")

SAME = Reason("same-form", "the site is written as prelu already", "act0")
OTHER = Reason("other-slope", "identity has slope 1, and the slope here is -0.3123…1.7", "act0")
WIDER = {"nodes": 0, "parameters": 4_752, "weight_bytes": 19_008, "file_bytes": 19_100, "macs": None}
MORE_NODES = {"nodes": 4, "parameters": -1, "weight_bytes": -4, "file_bytes": 296, "macs": 0}

DRAWING = Drawing(
    before=(
        Drawn("fc0", "Gemm", ("x",), ("fc0.y",), ((64, 32), (64,)), "layer"),
        Drawn("act0", "PRelu", ("fc0.y",), ("act0.y",), ((64,),), "site"),
        Drawn("fc1", "Gemm", ("act0.y",), ("fc1.y",), ((8, 64),), "layer"),
        Drawn("x", "input", (), ("x",)),
        Drawn("fc1.y", "output", ("fc1.y",), ()),
    ),
    after=(
        Drawn("fc0", "Gemm", ("x",), ("fc0.y/split",), ((128, 32), (128,)), "layer"),
        Drawn("act0/relu", "Relu", ("fc0.y/split",), ("act0.y/split",), (), "site"),
        Drawn("fc1", "Gemm", ("act0.y/split",), ("fc1.y",), ((8, 128),), "layer"),
        Drawn("x", "input", (), ("x",)),
        Drawn("fc1.y", "output", ("fc1.y",), ()),
    ),
)
MOSTLY_PAIRS = Distance(
    "wide0", 96, 12_384, 96,
    Extent(0.0, 2.4512e-08, 0.0034), Extent(0.0, 0.2856, 51_240.5),
    (
        Saving(0.0, 40, 5_104),
        Saving(1e-6, 40, 5_104),
        Saving(1e-4, 44, 5_624),
        Saving(1e-2, 48, 6_144),
        Saving(1e-1, 48, 6_144),
    ),
)  # fmt: skip
NO_PAIRS = Distance("act3", 48, 5_424, 0, None, None, tuple(Saving(t, 0, 0) for t in (0.0, 1e-6, 1e-4, 1e-2, 1e-1)))
SPLIT = Choice(
    "act0",
    "split",
    refused=False,
    reason=None,
    spelling="PRelu(x, c)",
    slope=SlopeSummary((64,), -0.3123, 1.7, 12, 1, 3, 64, (12, 0, 1, 40, 8, 3)),
    exactness="rounding",
    drawing=DRAWING,
)
MIRROR = Choice(
    "act1",
    "mirror",
    refused=False,
    reason=f"not split: {SHARED.text}",
    refusals={"split": SHARED},
    spelling="Sub(Relu(x), Mul(c, Relu(Neg(x))))",
    slope=SlopeSummary((), 0.25, 0.25, 0, 0, 0, 1),
    exactness="equal bits",
)
REFUSED = Choice(
    "act2",
    None,
    refused=True,
    reason=ENLARGED.text,
    refusals={"split": SHARED, "mirror": ENLARGED},
    spelling="PRelu(x, c)",
    slope=SlopeSummary((3,), 0.1, 0.9, 0, 0, 0, 3),
)
BEFORE = Cost(
    nodes=6,
    ops={"Gemm": 3, "PRelu": 2, "Add": 1},
    parameters=24_690,
    weight_bytes=98_760,
    file_bytes=99_411,
    macs=1_572_864,
    activation_bytes=4_096,
    sizes={"x": (8, 64)},
)
AFTER = Cost(
    nodes=10,
    ops={"Gemm": 3, "Relu": 3, "Add": 1, "Sub": 1, "Mul": 1, "Neg": 1},
    parameters=49_380,
    weight_bytes=197_520,
    file_bytes=198_402,
    macs=3_145_728,
    activation_bytes=None,
    sizes={"x": (8, 64)},
)
FASTER = Latency(
    "cpu",
    "measured",
    required=True,
    threads=1,
    duration=3.0,
    before_ms=0.2345,
    after_ms=0.1449,
    ratio=0.6173,
    ci_low=0.6024,
    ci_high=0.6329,
    noise=0.0123,
    verdict="faster",
    detectable=0.0189,
    against="b.onnx",
    rounds=8,
    pairs=1_200,
    outliers=7,
    times_before_ms=(0.2345, 0.2346),
    times_after_ms=(0.1449, 0.1448),
    times_again_ms=(0.2341, 0.2344),
)
UNTIMED = Latency("cuda", "not_run", required=False, threads=1, duration=3.0, reason="no CUDA device was found")
TINY = OpTime("Flatten", 1, 0.0001, 0.004)
STARTS = (
    Start("cpu", "a.onnx", start_ms=28.3, load_bytes=10_305_536, run_bytes=10_817_536, processes=3),
    Start("cpu", "b.onnx", start_ms=31.7, load_bytes=11_305_536, run_bytes=12_817_536, processes=3),
    Start("cpu", "c.onnx", start_ms=30.9, processes=3),
)
FIXED = "the batch is fixed: no input leaves its first axis open ('x' 1x3x96x96)"
THROUGHPUT = (
    Throughput("cpu", "a.onnx", 8, per_second=51_870.3, ratio=1.0, ci_low=1.0, ci_high=1.0),
    Throughput("cpu", "b.onnx", 8, per_second=136_900.0, ratio=0.379, ci_low=0.377, ci_high=0.382),
    Throughput("cpu", "a.onnx", 4096, reason="it does not run at this size"),
    Throughput("cpu", "b.onnx", 4096, reason="it does not run at this size"),
)
PROFILES = (
    Profile("cpu", "a.onnx", 50, (OpTime("PRelu", 2, 0.016, 0.64), OpTime("Conv", 2, 0.0089, 0.356), TINY)),
    Profile("cpu", "b.onnx", 50, (OpTime("Conv", 6, 0.0144, 0.993), TINY)),
)
TOLERANCE = Tolerance(1e-5, 1e-4)
NEAR = Output(
    "logits",
    "float32",
    (8, 10),
    TOLERANCE,
    Difference(
        compared=720,
        unequal=311,
        max_abs=3.14e-07,
        max_rel=2.2e-07,
        max_ulp=80.0,
        excess=0.0213,
        where=(3, 1),
        spots=((0.0, 0.0213), (0.004, 0.0)),
    ),
)
NEARER = replace(NEAR, name="features", difference=replace(NEAR.difference, excess=0.001, max_abs=1e-8))
FAR = replace(
    NEAR,
    difference=replace(
        NEAR.difference, max_abs=0.3, max_rel=0.79, excess=4.2e4, spots=((0.0, 4.2e4), (float("inf"), 0.3))
    ),
    failure="differs by up to 0.3, 4.2e+04 times what is allowed at [0, 4]",
)
PASSED = Check(
    "cpu",
    "passed",
    required=True,
    max_abs=3.14e-07,
    max_rel=2.2e-07,
    max_ulp=80.0,
    tolerance=TOLERANCE,
    outputs=(NEARER, NEAR),
    sizes={"x": (8, 64)},
    batches=9,
    deterministic=True,
    zero_signs=39,
    pairs=(
        PairResult("act0", "passed", exact=False, max_abs=1e-3, max_rel=1e-7, max_ulp=3.0),
        PairResult("act1", "passed", exact=True, max_abs=0.0, max_rel=0.0, max_ulp=0.0, zero_signs=39),
    ),
    spread=(Spread("act0", 64, 64), Spread("act1", 32, 30)),
    nodes={"CPUExecutionProvider": 10},
)
EQUAL = replace(
    PASSED,
    tolerance=None,
    outputs=(replace(NEAR, tolerance=None, difference=Difference(compared=720)),),
    max_abs=0.0,
    max_rel=0.0,
    max_ulp=0.0,
    zero_signs=0,
    pairs=(),
    spread=(Spread("act0", 64, 64),),
)
MIXED = replace(
    PASSED,
    provider="cuda",
    nodes={"CUDAExecutionProvider": 8, "CPUExecutionProvider": 2},
    notes=("the original is not deterministic: run twice on the same inputs, its bits differ",),
)
FAILED = replace(
    PASSED,
    status="failed",
    reason=f"output 'logits' {FAR.failure}",
    outputs=(replace(FAR, name="features"), FAR),
    pairs=(
        replace(PASSED.pairs[0], status="failed", reason="alone, on values of its own, 'y' differs by up to 5"),
        PASSED.pairs[1],
    ),
)
MADE_SMALL = replace(
    FAILED,
    kinds={"random": 6, "near kinks": 3},
    seeds=2,
    expected=(Expected("test_data_set_0", None, "output 'logits' differs by up to 0.3"), Expected("set_1", None, None)),
    failing=Failing(
        "bad/test_data_set_0",
        "near kinks",
        {"x": (1, 64)},
        64,
        1,
        "onnx-prelu check a.onnx b.onnx --inputs bad/test_data_set_0",
    ),
    nonfinite=NonFinite(batches=2, void=1, differ=7, by_runtime=None),
)
UNRUN = Check("cuda", "not_run", required=False, reason="no CUDA device was found")

HELD = Judged("nodes>1", "held", baseline=10, now=10, ratio=1.0)
BROKEN = Judged(
    "file_bytes>1.1",
    "broken",
    baseline=165_335,
    now=198_402,
    ratio=1.2,
    reason="file_bytes is 1.200 times the baseline's: 198.4 kB against 165.3 kB; 1.1 is allowed",
)
UNJUDGED = Judged("latency>1.05", "not_run", reason="the check failed, so nothing was timed")
IN_TIME = Judged("latency>1.05", "held", "cpu", baseline=0.14, now=0.1449, ratio=1.035, noise=0.02)

TUNING = Tuning(
    by="measurement",
    runtime="ONNX Runtime 1.32.0",
    machine="a processor",
    provider="cpu",
    threads=1,
    layout=("fill-channels",),
    places=("conv0: 30 channels became 32",),
    forms={"act0": "split", "act1": "mirror"},
    kept_input=False,
    budget_s=60.0,
    seconds=12.3,
    tried=({"what": "split at 2 sites", "against": "the input", "ratio": 0.8, "low": 0.79, "high": 0.82},),
    notes=("skip did not fit into the size that is allowed",),
)
INT8 = Int8(
    candidates=(
        Candidate("as it is", 31.2, 0.5, 1.0, 1.0, 1.0),
        Candidate("split", 33.9, 0.41, 0.82, 0.8, 0.85, chosen=True),
        Candidate("gauge", reason="it does not apply at 'act0'"),
    ),
    calibrated=32,
    judged=16,
    by_channel=True,
    min_sqnr=None,
    runtime="ONNX Runtime 1.32.0",
    provider="cpu",
    threads=1,
)

REPORTS = {
    "rewrite": Report(
        "rewrite",
        "models/net.onnx",
        to="relu",
        sites=(SPLIT, MIRROR, REFUSED),
        before=BEFORE,
        after=AFTER,
        check=(PASSED, UNRUN),
        latency=(FASTER, UNTIMED),
        notes=("--to auto came to relu: a PRelu is present; running it again goes back",),
    ),
    "many": Report(
        "rewrite",
        "net.onnx",
        to="relu",
        sites=(
            *(replace(SPLIT, node=f"act{i}") for i in range(1_200)),
            *(replace(MIRROR, node=f"head/act{i}") for i in range(8)),
            REFUSED,
        ),
    ),
    "within": Report(
        "rewrite",
        "net.onnx",
        to="prelu",
        sites=(),
        notes=("right only for inputs with x in [-1, 1], as the model's metadata say: act0",),
        within={"x": Span(-1.0, 1.0, per_element=False)},
    ),
    "nothing": Report(
        "rewrite",
        "net.onnx",
        to="relu",
        sites=(),
        notes=("nothing to do for --to relu: the output is the input, and nothing was checked",),
    ),
    "inspect": Report(
        "inspect",
        "net.onnx",
        sites=(
            replace(
                SPLIT,
                form=None,
                exactness=None,
                possible=("split", "mirror", "skip"),
                refusals={"prelu": SAME, "relu": OTHER, "identity": OTHER},
                producer=Neighbour("fc0", "Gemm"),
                consumers=(Neighbour("fc1", "Gemm"), Neighbour("act0.y", "output")),
                predicted={"split": WIDER, "mirror": MORE_NODES, "skip": MORE_NODES},
            ),
            replace(
                MIRROR,
                form=None,
                exactness=None,
                reason=None,
                possible=("mirror",),
                producer=Neighbour("x", "input"),
                consumers=(Neighbour("add1", "Add"),),
                predicted={"mirror": MORE_NODES},
            ),
            replace(
                REFUSED,
                refused=False,
                reason=None,
                refusals={"split": ENLARGED, "mirror": ENLARGED, "max": SHARED},
            ),
        ),
        distances=(MOSTLY_PAIRS, NO_PAIRS),
        before=BEFORE,
        units=(
            Units("act0", "Relu", 96, (Proven("interval", 3, 1, 0), Proven("symbolic", 4, 1, 0)), 7),
            Units("act1", "PRelu", 64, (Proven("interval", 0, 0, 0), Proven("symbolic", 0, 0, 2)), 0),
        ),
    ),
    "check": Report("check", "a.onnx", against="b.onnx", check=(MADE_SMALL, MIXED)),
    "equal": Report("check", "a.onnx", against="b.onnx", check=(EQUAL, UNRUN), latency=(UNTIMED,)),
    "bench": Report(
        "bench",
        "a.onnx",
        against="b.onnx",
        latency=(
            replace(FASTER, verdict="no difference", ratio=0.998, ci_low=0.99, ci_high=1.01, outliers=0),
            replace(FASTER, provider="cuda", verdict="slower", ratio=1.5, ci_low=1.4, ci_high=1.6, outliers=1),
        ),
    ),
    "full": Report(
        "bench",
        "a.onnx",
        against="b.onnx",
        latency=(FASTER, UNTIMED),
        start=STARTS[:2],
        throughput=THROUGHPUT,
        profile=PROFILES,
    ),
    "budgets": Report(
        "check",
        "a.onnx",
        against="b.onnx",
        before=BEFORE,
        after=AFTER,
        check=(PASSED,),
        latency=(FASTER,),
        budgets=(IN_TIME, BROKEN, HELD),
    ),
    "fast": Report("rewrite", "net.onnx", to="fast", sites=(SPLIT, MIRROR), tuning=TUNING),
    "int8": Report("rewrite", "net.onnx", to="int8", sites=(SPLIT,), int8=INT8),
    "several": Report(
        "bench",
        "a.onnx",
        against="b.onnx, c.onnx",
        latency=(
            FASTER,
            replace(FASTER, against="c.onnx", verdict="no difference", ratio=0.998, ci_low=0.99, ci_high=1.01),
            UNTIMED,
            replace(UNTIMED, against="c.onnx"),
        ),
        start=STARTS,
        throughput=tuple(replace(each, reason=FIXED) for each in THROUGHPUT),
        profile=(*PROFILES, replace(PROFILES[1], model="folder/c.onnx")),
    ),
}
