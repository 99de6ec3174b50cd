"""The benchmark of fast: who runs, what the times say, and how they are shown. No time is judged here."""

import json
import xml.etree.ElementTree as ElementTree
from functools import partial

import onnx
import onnxruntime
import pytest

from benchmarks import contest as contest_room
from benchmarks import environments, fast
from benchmarks.contest import Rules, contest, ours
from benchmarks.networks.dense import mlp_gemm
from benchmarks.networks.images import fsrcnn
from benchmarks.networks.real import Real
from benchmarks.page import page
from benchmarks.picture import picture
from benchmarks.score import Score, geometric_mean, summary
from onnx_prelu.measure.latency.timing import own
from onnx_prelu.tuning import fast as tuning

SMALL = partial(mlp_gemm, layers=2, width=16, batch=48, ends=8)
OLD = Score("net", "Some", "1.26.0", prelu=1.2, ours=1.05, relu=1.0)
NEW = Score("net", "Some", "1.32.0", prelu=3.0, ours=1.1, relu=1.0, laid=0.55)
FLAT = Score("flat", "Some", "1.32.0", prelu=1.01, ours=1.0, relu=1.0, laid=1.0)


# ── scores ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prelu", "measured", "removed"),
    [(3.0, 1.0, 1.0), (3.0, 3.0, 0.0), (3.0, 2.0, 0.5), (3.0, 0.0, 1.5), (3.0, 4.0, -0.5), (1.01, 1.0, None)],
)
def test_overhead_removed_is_the_share_of_prelus_cost_that_is_gone(prelu, measured, removed):
    assert Score("net", "", "", prelu=prelu, ours=measured, relu=1.0).removed == removed


def test_ratios_of_a_network():
    assert (NEW.prelu_over_floor, NEW.ours_over_floor, NEW.ours_over_laid) == pytest.approx((3, 1.1, 2))
    assert NEW.speed_up == pytest.approx(3 / 1.1)
    assert OLD.ours_over_laid is None


def test_a_summary_has_geometric_means_and_the_mean_of_the_shares():
    second = Score("b", "Some", "1.32.0", prelu=4.0, ours=2.0, relu=2.0)
    means = summary([NEW, second, FLAT])
    assert means.prelu_over_floor == pytest.approx((3 * 2 * 1.01) ** (1 / 3))
    assert means.ours_over_floor == pytest.approx(1.1 ** (1 / 3))
    assert means.ours_over_laid == pytest.approx(2**0.5)
    assert means.removed == pytest.approx((0.95 + 1) / 2)


def test_means_of_nothing_are_none():
    assert geometric_mean([None]) is None
    assert set(vars(summary([])).values()) == {None}


# ── who runs ──────────────────────────────────────────────────────────────────────────────────────────────────


def ops(model):
    return {node.op_type for node in model.proto.graph.node}


@pytest.fixture(autouse=True)
def newest(monkeypatch):
    """What the heuristic takes the runtime for, whatever is installed."""
    monkeypatch.setattr(tuning, "release", lambda: (1, 32))


@pytest.mark.parametrize("layout", [True, False])
def test_prelu_ours_and_the_floors_run_together(monkeypatch, layout):
    run = []

    def medians(models, sizes, rules):
        run.append([ops(model) for model in models])
        return [float(1 + which) for which in range(len(models))]

    monkeypatch.setattr(contest_room, "medians", medians)
    score = contest("mlp", "Some", SMALL("PRelu"), {}, Rules(layout=layout, tune=False))
    prelu, rewritten, *floors = run[0]
    assert prelu == {"Gemm", "PRelu"}
    assert "PRelu" not in rewritten
    assert floors == [{"Gemm", "Relu"}] * (1 + layout)
    assert (score.network, score.group, score.runtime) == ("mlp", "Some", onnxruntime.__version__)
    assert (score.prelu, score.ours, score.relu, score.laid) == (1, 2, 3, 4 if layout else None)


def test_every_contender_gets_times_of_its_own(monkeypatch):
    seen = []

    def measure(openers, feeds, duration, done, clock):
        assert clock is own
        x = openers[0]().session.get_inputs()[0]
        seen.append((len(feeds), {feed[x.name].shape for feed in feeds}, duration))
        return [[[0.001 * (1 + which)] * 3] for which in range(len(openers))]

    monkeypatch.setattr(contest_room, "measure", measure)
    score = contest("mlp", "Some", SMALL("PRelu"), {}, Rules(duration=7, tune=False))
    assert (score.prelu, score.ours, score.relu, score.laid) == pytest.approx((1, 2, 3, 4))
    ((inputs, shapes, duration),) = seen
    assert (inputs > 1, shapes, duration) == (True, {(48, 8)}, 7)


@pytest.mark.parametrize("exact", [True, False])
def test_what_is_timed_passed_its_check(exact):
    model = fsrcnn("PRelu", size=9)
    now = ours(model, {}, Rules(exact=exact, tune=False)).model
    onnx.checker.check_model(now)
    assert not any(node.op_type == "PRelu" for node in now.graph.node)


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_has_a_table_for_each_group():
    other = Score("face", "Others", "1.32.0", prelu=2.0, ours=1.0, relu=1.0)
    text = page([OLD, NEW, FLAT, other], ["Machine: this one."])
    some, others = text.split("## Some\n\n")[1].split("\n\n## Others\n\n")
    assert some.splitlines()[2:] == [
        "| net | 1.26.0 | 1.200 | 1.050 | 1.000 | 1.20 | 1.05 | – | 1.14 | 75 % |",
        "| net | 1.32.0 | 3.000 | 1.100 | 1.000 | 3.00 | 1.10 | 2.00 | 2.73 | 95 % |",
        "| flat | 1.32.0 | 1.010 | 1.000 | 1.000 | 1.01 | 1.00 | 1.00 | 1.01 | – |",
        "| **mean** | **1.26.0** |  |  |  | **1.20** | **1.05** | **–** | **1.14** | **75 %** |",
        "| **mean** | **1.32.0** |  |  |  | **1.74** | **1.05** | **1.41** | **1.66** | **95 %** |",
    ]
    assert len({line.count("|") for line in some.splitlines()}) == 1
    assert others.splitlines()[2].startswith("| face | 1.32.0 |")
    assert "Machine: this one." in text


def test_the_picture_has_bars_as_long_as_the_ratios():
    drawn = ElementTree.fromstring(picture([OLD, NEW, FLAT]))
    space = "{http://www.w3.org/2000/svg}"
    bars = [rect for rect in drawn.iter(f"{space}rect") if rect.get("x") and rect.get("height") == "8"]
    prelu, rewritten, floor = (float(bar.get("width")) for bar in bars[3:6])
    assert len(bars) == 3 * 3
    assert prelu / floor == pytest.approx(3, rel=0.01)
    assert rewritten / floor == pytest.approx(1.1, rel=0.01)
    texts = [text.text for text in drawn.iter(f"{space}text")]
    assert {"net", "flat", "ONNX Runtime 1.26.0", "ONNX Runtime 1.32.0", "3.00", "1.10"} <= set(texts)


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def quick(monkeypatch):
    """Two small networks, and no times taken; the rules of every contest."""
    held = []

    def contest(name, group, model, sizes, rules):
        held.append((name, sizes, rules))
        return Score(name, group, "1.32.0", prelu=2.0, ours=1.1, relu=1.0)

    monkeypatch.setattr(fast, "contest", contest)
    monkeypatch.setattr(fast, "REFERENCE", {"mlp": SMALL})
    monkeypatch.setattr(fast, "real", lambda: {"photo": Real(SMALL("PRelu"), {"x": (48, 8)})})
    return held


def test_the_command_writes_a_page_and_a_picture(quick, tmp_path, capsys):
    fast.main(["--out", str(tmp_path / "fast.md"), "--no-layout", "--threads", "2"])
    text = (tmp_path / "fast.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert text.index("## Reference networks") < text.index("| mlp |") < text.index("| photo |")
    assert "`python -m benchmarks.fast --no-layout --threads 2 --duration 20 --budget 60`" in text
    assert (tmp_path / "fast.svg").read_text().startswith("<svg")
    rules = Rules(layout=False, threads=2)
    assert quick == [("mlp", {}, rules), ("photo", {"x": (48, 8)}, rules)]


def test_times_go_to_a_file_and_come_back(quick, tmp_path):
    fast.main(["--json", str(tmp_path / "times.json"), "--only", "photo"])
    (times,) = json.loads((tmp_path / "times.json").read_text())
    assert Score(**times) == Score("photo", "Real networks", "1.32.0", prelu=2.0, ours=1.1, relu=1.0)


def test_an_unknown_network_is_told_with_those_there_are(quick, capsys):
    with pytest.raises(SystemExit):
        fast.main(["--only", "resnet"])
    assert "no network is called resnet; there are mlp, photo" in capsys.readouterr().err


def test_each_version_runs_what_was_asked_for_and_lands_in_one_table(quick, monkeypatch, tmp_path):
    asked = []

    def under(version, module, arguments, dependencies):
        asked.append((version, module, arguments))
        return [vars(Score("mlp", "Reference networks", version, prelu=2.0, ours=1.1, relu=1.0))]

    monkeypatch.setattr(fast, "under", under)
    fast.main(["--runtimes", "1.26.0,1.32.0", "--only", "mlp", "--exact", "--out", str(tmp_path / "fast.md")])
    arguments = ["--exact", "--threads", "1", "--duration", "20", "--budget", "60", "--only", "mlp"]
    assert asked == [(version, "benchmarks.fast", arguments) for version in ("1.26.0", "1.32.0")]
    rows = [line for line in (tmp_path / "fast.md").read_text().splitlines() if line.startswith("| mlp |")]
    assert [row.split(" | ")[1] for row in rows] == ["1.26.0", "1.32.0"]


def test_an_environment_gets_the_version_and_hands_its_results_back(monkeypatch):
    commands = []

    def run(command):
        commands.append([str(part) for part in command])
        if "--json" in commands[-1]:
            command[-1].write_text("[1]")

    monkeypatch.setattr(environments, "_run", run)
    assert environments.under("1.26.0", "benchmarks.fast", ["--exact"], ["numpy>=2.0"]) == [1]
    install, measure = commands
    assert install[1:] == ["-m", "pip", "install", "-qq", "onnxruntime==1.26.0", "numpy>=2.0"]
    assert measure[1:5] == ["-m", "benchmarks.fast", "--exact", "--json"]
    assert install[0] == measure[0]
    assert any(name.startswith("onnx") for name in environments.package_dependencies())
