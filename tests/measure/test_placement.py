"""Where nodes ran: what the runtime tells, and what becomes of a check where all had to run in one place.

Stand-ins are true sessions on the CPU that tell of some nodes that another provider took them.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest
from click.testing import CliRunner

import onnx_prelu
from onnx_prelu.cli import main
from onnx_prelu.graph.model import load
from onnx_prelu.measure.checking.site_nodes import PutIn, SiteNodes, site_nodes
from onnx_prelu.measure.providers.installed import release
from onnx_prelu.measure.providers.placement import Placed, listed
from onnx_prelu.measure.providers.runtime import open_runner
from tests.texts import from_text

MODELS = Path(__file__).parents[2] / "models"
GEMM, WIDE, RELU = MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_relu_wide.onnx", MODELS / "digits_relu.onnx"
CPU, OTHER = "CPUExecutionProvider", "OtherExecutionProvider"

pytestmark = pytest.mark.skipif(release() < (1, 24), reason="this ONNX Runtime cannot tell where nodes run")


@pytest.fixture
def taken(monkeypatch):
    """Make sessions say that another provider took these nodes."""

    def take(*names):
        real = onnxruntime.InferenceSession

        class Session(real):
            def get_provider_graph_assignment_info(self):
                nodes = [node for part in super().get_provider_graph_assignment_info() for node in part.get_nodes()]
                return [
                    SimpleNamespace(ep_name=OTHER if node.name in names else CPU, get_nodes=lambda node=node: [node])
                    for node in nodes
                ]

        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)

    return take


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


# ── what the runtime tells ────────────────────────────────────────────────────────────────────────────────────────


def test_nodes_go_by_their_names():
    placed = open_runner(load(GEMM), "cpu").placed
    assert [(node.node, node.op, node.provider) for node in placed] == [
        (node.name, node.op_type, CPU) for node in load(GEMM).proto.graph.node
    ]


def test_what_is_folded_away_is_not_told_of():
    """The runtime tells of the graph after its basic optimizations: a constant product and an Identity are gone."""
    given = from_text("c = Mul(w, w)  i = Identity(x)  y = Add(i, c)", "float[N,4] x", "float[N,4] y", {"w": (4,)})
    assert {node.node for node in open_runner(load(given), "cpu").placed} == {"n_y"}


def test_nodes_inside_bodies_are_told_of():
    given = from_text(
        "y = If (c) <then_branch = t () => (float[4] p) { [deep] p = Relu(x) }, "
        "else_branch = e () => (float[4] q) { q = Neg(x) }>",
        "float[4] x, bool c",
        "float[4] y",
        {},
    )
    told = {(node.node, node.op) for node in open_runner(load(given), "cpu").placed}
    assert told == {("deep", "Relu"), ("", "Neg"), ("n_y", "If")}


@pytest.mark.parametrize(
    ("names", "ran_on", "untold"),
    [
        (("a", "b"), {CPU: 1, OTHER: 1}, 0),
        (("a", "gone", ""), {CPU: 1}, 2),
        (("twice", "split"), {OTHER: 1}, 1),
        ((), {}, 0),
    ],
)
def test_nodes_of_a_site(names, ran_on, untold):
    placed = [
        *(Placed("a", "Relu", CPU), Placed("b", "Mul", OTHER), Placed("", "Add", CPU)),
        *(Placed("twice", "Add", OTHER), Placed("twice", "Add", OTHER)),
        *(Placed("split", "Add", CPU), Placed("split", "Add", OTHER)),
    ]
    assert site_nodes([PutIn("act", names)], placed) == (SiteNodes("act", len(names), ran_on, untold),)
    assert site_nodes([PutIn("act", names)], None) == ()


def test_many_nodes_are_counted():
    nodes = [Placed(f"n{at}", "Relu", CPU) for at in range(1_012)]
    assert listed(nodes).endswith(f"'n9' (Relu) by {CPU} and 1,002 more")


# ── a check where one provider has to take all nodes ──────────────────────────────────────────────────────────────


def test_the_cpu_takes_them_all():
    report = onnx_prelu.check(GEMM, WIDE, require_all_nodes_on="cpu")
    assert report.passed
    assert report.check[0].elsewhere == ()


@pytest.mark.parametrize("providers", [None, ["cpu"]])
def test_nodes_that_went_elsewhere_are_named(taken, providers):
    second = [node.name for node in load(WIDE).proto.graph.node]
    taken(second[1])
    report = onnx_prelu.check(GEMM, WIDE, providers=providers, require_all_nodes_on="CPUExecutionProvider")
    assert report.exit_code == 3
    assert report.failure == (
        f"cpu could not run: of {len(second)} nodes of the second model others took 1: '{second[1]}' (Gemm) by {OTHER}"
    )
    (found,) = [check for check in report.check if check.provider == "cpu"]
    assert (found.status, found.max_ulp is not None) == ("not_run", True)
    assert found.nodes == {CPU: len(second) - 1, OTHER: 1}


def test_only_where_it_is_asked_for(taken):
    second = [node.name for node in load(WIDE).proto.graph.node]
    taken(second[1])
    report = onnx_prelu.check(GEMM, WIDE, providers=["cpu"])
    assert report.passed
    assert [node.node for node in report.check[0].elsewhere] == [second[1]]


def test_the_first_model_may_run_where_it_likes(taken):
    """As a model that was rewritten because the provider does not take its PRelu."""
    mirror = onnx_prelu.rewrite(GEMM, form="mirror", providers=["cpu"]).model
    taken("act0", "act1")
    assert onnx_prelu.check(GEMM, mirror, providers=["cpu"], require_all_nodes_on="cpu").passed
    assert not onnx_prelu.check(mirror, GEMM, providers=["cpu"], require_all_nodes_on="cpu").passed


def test_a_difference_is_worse(taken):
    taken(load(RELU).proto.graph.node[1].name)
    report = onnx_prelu.check(GEMM, RELU, providers=["cpu"], require_all_nodes_on="cpu")
    assert (report.exit_code, report.check[0].status) == (1, "failed")


def test_a_provider_that_is_not_there():
    report = onnx_prelu.check(GEMM, WIDE, require_all_nodes_on="no-such")
    assert report.exit_code == 3
    assert report.failure.startswith("no-such could not run: ")
    assert "knows no provider 'no-such'" in report.failure


def test_a_rewrite_tells_where_its_sites_ran(taken):
    taken("act0/relu", "fc1")
    result = onnx_prelu.rewrite(GEMM, form="mirror", providers=["cpu"])
    (check,) = result.report.check
    assert check.site_nodes == (
        SiteNodes("act0", 5, {CPU: 4, OTHER: 1}, 0),
        SiteNodes("act1", 5, {CPU: 5}, 0),
    )
    assert result.report.to_dict()["check"][0]["site_nodes"][0] == {
        "node": "act0", "nodes": 5, "ran_on": {CPU: 4, OTHER: 1}, "untold": 0
    }  # fmt: skip
    assert result.report.to_dict()["check"][0]["elsewhere"] == [
        {"node": "act0/relu", "op": "Relu", "provider": OTHER},
        {"node": "fc1", "op": "Gemm", "provider": OTHER},
    ]


@pytest.mark.parametrize(("form", "names"), [("split", {"act0", "fc0", "fc1"}), ("mirror", {"act0"})])
def test_the_nodes_of_a_site_are_those_that_the_rewrite_put_in_or_changed(form, names):
    result = onnx_prelu.rewrite(GEMM, form=form, only=["act0"], providers=["cpu"])
    before = {node.name: node for node in load(GEMM).proto.graph.node}
    changed = [node for node in result.model.graph.node if before.get(node.name) != node]
    (site,) = result.report.check[0].site_nodes
    assert (site.nodes, site.ran_on, site.untold) == (len(changed), {CPU: len(changed)}, 0)


def test_the_command_line(taken, tmp_path):
    out = tmp_path / "out.onnx"
    flags = ("--form", "mirror", "--no-bench", "--provider", "cpu", "--require-all-nodes-on", "cpu")
    assert run("rewrite", GEMM, out, *flags).exit_code == 0
    out.unlink()
    taken("act0/neg")
    result = run("rewrite", GEMM, out, *flags, "--json")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: cpu could not run: of ")
    assert f"'act0/neg' (Neg) by {OTHER}; {out} was not written" in result.stderr
    assert json.loads(result.stdout)["exit_code"] == 3
    assert not out.exists()
    page = run("rewrite", GEMM, out, *flags).stdout
    assert f"nodes put in or changed at the sites: 9 by {CPU}, 1 by {OTHER}" in " ".join(page.split())


def test_unchecked_nothing_runs(tmp_path):
    result = run("rewrite", GEMM, tmp_path / "out.onnx", "--no-check", "--require-all-nodes-on", "cpu")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: require_all_nodes_on: nothing runs unchecked; leave the check on\n",
    )
