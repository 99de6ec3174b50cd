import importlib
import os
import re
import subprocess
import sys
import types
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.providers.installed import missing, release, told
from onnx_prelu.measure.providers.runtime import CannotRun, Request, open_runner, requests


def model(body, opset=17, ir=8):
    return Model(parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}]> {body}'))


TWO_NODES = "g (float[N,2] x) => (float[N,2] y) { a = Relu(x) y = Neg(a) }"
X = np.array([[1.5, -2.0]], np.float32)


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        (None, [Request("cpu", True), Request("cuda", False)]),
        (["cpu"], [Request("cpu", True)]),
        (["CPUExecutionProvider", "Cuda", "REFERENCE"], [("cpu"), ("cuda"), ("reference")]),
        (["dml", "cpu", "DmlExecutionProvider", "CPU"], ["dml", "cpu"]),
        (["no-such"], ["no-such"]),
    ],
)
def test_requests(providers, expected):
    assert list(requests(providers)) == [Request(e, True) if isinstance(e, str) else e for e in expected]


@pytest.mark.parametrize(
    ("providers", "whole", "expected"),
    [
        (None, "CUDAExecutionProvider", [Request("cpu", True), Request("cuda", True, True)]),
        (None, "Dml", [Request("cpu", True), Request("cuda", False), Request("Dml", True, True)]),
        (["cuda"], "CPU", [Request("cuda", True), Request("cpu", True, True)]),
        (["cuda", "DmlExecutionProvider"], "dml", [Request("cuda", True), Request("DmlExecutionProvider", True, True)]),
    ],
)
def test_a_provider_that_has_to_take_all_nodes_is_required(providers, whole, expected):
    assert list(requests(providers, whole)) == expected


@pytest.mark.parametrize("provider", ["cpu", "CPUExecutionProvider", "reference"])
def test_runs(provider):
    runner = open_runner(model(TWO_NODES), provider)
    (y,) = runner.run({"x": X})
    assert y.tolist() == [[-1.5, -0.0]]
    assert runner.outputs == ("y",)
    assert runner.provider == ("reference" if provider == "reference" else "cpu")
    tells = provider != "reference" and release() >= (1, 24)
    assert runner.nodes == ({"CPUExecutionProvider": 2} if tells else None)
    assert runner.elsewhere == ()
    assert (runner.session is None) == (provider == "reference")


def test_threads():
    session = open_runner(model(TWO_NODES), "cpu", threads=3).session
    assert session.get_session_options().intra_op_num_threads == 3


@pytest.mark.parametrize(
    ("checking", "entries"),
    [
        (True, {"session.intra_op.allow_spinning": "0"}),
        (False, {"session.force_spinning_stop": "1"}),  # as by default within a run, and quiet after it
    ],
)
def test_threads_do_not_spin_while_another_session_runs(checking, entries):
    options = open_runner(model(TWO_NODES), "cpu", threads=2, checking=checking).session.get_session_options()
    assert {key: options.get_session_config_entry(key) for key in entries} == entries


def test_a_profile_is_written_where_it_is_asked_for(tmp_path):
    runner = open_runner(model(TWO_NODES), "cpu", profile=tmp_path / "here")
    assert runner.session.end_profiling().startswith(str(tmp_path / "here"))


# ── a provider that does not take part ────────────────────────────────────────────────────────────────────────


def reason(provider, given=None):
    with pytest.raises(CannotRun) as refusal:
        open_runner(given or model(TWO_NODES), provider)
    assert "\n" not in refusal.value.reason
    return refusal.value.reason


def test_a_name_that_the_runtime_does_not_know():
    said = reason("warp")
    assert "knows no provider 'warp'" in said
    assert "CPUExecutionProvider" in said


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this wheel has CUDA")
def test_a_provider_that_the_runtime_was_built_without():
    said = reason("cuda")
    assert "was built without CUDAExecutionProvider" in said
    assert "onnxruntime-gpu" in said


class FakeSession:
    """What ONNX Runtime shows of a session on CUDA; subclasses say what is wrong with it."""

    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    assigned = (("CUDAExecutionProvider", 2), ("CPUExecutionProvider", 1))
    last = None

    def __init__(self, data, options, providers, enable_fallback):
        assert enable_fallback == 0
        self.options, self.asked = options, providers
        type(self).last = self

    def get_providers(self):
        return list(self.providers)

    def get_provider_graph_assignment_info(self):
        node = SimpleNamespace(name="n", op_type="Relu")
        return [SimpleNamespace(ep_name=name, get_nodes=lambda n=n: [node] * n) for name, n in self.assigned]

    def get_inputs(self):
        return [SimpleNamespace(name="x", type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name="y", type="tensor(float)")]


class NoLibrary(FakeSession):
    providers = ("CPUExecutionProvider",)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        os.write(2, b"\x1b[1;31m[E:] FAIL : Failed to load library /x/libonnxruntime_providers_cuda.so with error: ")
        os.write(2, b"libcublasLt.so.12: cannot open shared object file: No such file or directory\n\x1b[m")
        print("Failed to load libcublasLt.so.12")


class NoDevice(FakeSession):
    def __init__(self, *args, **kwargs):
        place = "/o/cuda_call.cc:123 std::enable_if_t<true> CudaCall(int) "
        raise RuntimeError(place + "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; line=1 ; expr=f()")


class Silent(FakeSession):
    providers = ("CPUExecutionProvider",)


class AllElsewhere(FakeSession):
    assigned = (("CPUExecutionProvider", 3),)


class Old:
    """A session of ONNX Runtime before 1.24, which cannot tell where nodes run."""

    last = None
    __init__ = FakeSession.__init__
    get_inputs, get_outputs, get_providers = FakeSession.get_inputs, FakeSession.get_outputs, FakeSession.get_providers
    providers = FakeSession.providers


@pytest.fixture
def cuda(monkeypatch):
    """Make the runtime one that has CUDA, with sessions of a fake class."""

    def use(session):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(FakeSession.providers))
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("cannot preload"), raising=False)
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)

    return use


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (NoLibrary, "its library libcublasLt.so.12 is missing"),
        (NoDevice, "no CUDA-capable device is detected"),
        (Silent, "without saying why"),
        (AllElsewhere, "no node of the model was placed on CUDAExecutionProvider: all 3 run elsewhere"),
    ],
)
def test_no_silent_fallback(cuda, capfd, session, said):
    cuda(session)
    assert said in reason("cuda")
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_takes_part(cuda):
    cuda(FakeSession)
    runner = open_runner(model(TWO_NODES), "CUDAExecutionProvider")
    assert (runner.provider, runner.nodes) == ("cuda", {"CUDAExecutionProvider": 2, "CPUExecutionProvider": 1})
    assert [str(node) for node in runner.elsewhere] == ["'n' (Relu) by CPUExecutionProvider"]
    (name, settings), other = FakeSession.last.asked
    assert (name, settings["use_tf32"], other) == ("CUDAExecutionProvider", "0", "CPUExecutionProvider")
    assert FakeSession.last.options.use_deterministic_compute
    open_runner(model(TWO_NODES), "cuda", checking=False)
    assert FakeSession.last.asked[0] == ("CUDAExecutionProvider", {})


def test_an_older_runtime_must_place_every_node(cuda):
    cuda(Old)
    assert open_runner(model(TWO_NODES), "cuda").nodes is None
    assert [name for name, _ in Old.last.asked] == ["CUDAExecutionProvider"]
    assert Old.last.options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


# ── a model that does not run ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (model("g (float[1,2] x, float[2] s) => (float[1,2] y) { y = PRelu(x, s) }", opset=6, ir=3), "PRelu(6)"),
        (
            model("g (double[1,1,1,1] x, double[1,1,1,1] w) => (double[1,1,1,1] y) { y = Conv(x, w) }"),
            "Conv(11)",
        ),
        (model("g (bfloat16[2] x) => (bfloat16[2] y) { y = Relu(x) }"), "Relu(14)"),
        (model(TWO_NODES, ir=99), "IR 99, opset 17: this ONNX Runtime reads up to "),
        (model(TWO_NODES, opset=99), "IR 8, opset 99: this ONNX Runtime reads up to "),
        (model("g (float[2] x) => (seq(float[2]) y) { y = SequenceConstruct(x) }"), "'y' is a seq(tensor(float))"),
    ],
)
def test_what_the_cpu_cannot_load(given, said, capfd):
    assert said in reason("cpu", given)
    assert capfd.readouterr().err == ""


def loads(ir, opset):
    try:
        onnxruntime.InferenceSession(model(TWO_NODES, opset, ir).proto.SerializeToString())
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return False
    return True


def test_a_model_that_is_too_new_is_told_in_one_line():
    """One sentence for either limit, and what it names is what loads."""
    one, two = reason("cpu", model(TWO_NODES, ir=99)), reason("cpu", model(TWO_NODES, opset=99))
    ir, opset = (int(number) for number in re.search(r"reads up to (\d+) and (\d+)$", one).groups())
    assert one == f"IR 99, opset 17: this ONNX Runtime reads up to {ir} and {opset}"
    assert two == f"IR 8, opset 99: this ONNX Runtime reads up to {ir} and {opset}"
    assert loads(ir, 17)
    assert not loads(ir + 1, 17)
    assert loads(8, opset)
    assert not loads(8, opset + 1)


@pytest.mark.parametrize("provider", ["cpu", "reference"])
def test_inputs_that_do_not_fit(provider, capfd):
    runner = open_runner(model("g (float[N,2] x, float[2] s) => (float[N,2] y) { y = Add(x, s) }"), provider)
    with pytest.raises(CannotRun) as refusal:
        runner.run({"x": X, "s": np.ones(3, np.float32)})
    assert "\n" not in refusal.value.reason
    assert capfd.readouterr().err == ""


def test_the_reference_evaluator_says_what_it_cannot_do():
    given = model("g (float[2] x) => (seq(float[2]) y) { y = SequenceConstruct(x) }")
    with pytest.raises(CannotRun, match="'y' is a list"):
        open_runner(given, "reference").run({"x": X[0]})


# ── types and data ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("provider", ["cpu", "reference"])
def test_bfloat16_goes_in_and_out(provider):
    given = model("g (bfloat16[N] x) => (bfloat16[N] y, float[N] f) { f = Cast <to = 1> (x) y = Cast <to = 16> (f) }")
    x = np.array([1.0, -3.140625, np.inf], ml_dtypes.bfloat16)
    y, f = open_runner(given, provider).run({"x": x})
    assert (y.dtype, f.dtype) == (x.dtype, np.float32)
    assert y.tolist() == f.tolist() == x.tolist()


@pytest.mark.parametrize("provider", ["cpu", "reference"])
def test_external_data(provider, tmp_path, monkeypatch):
    proto = model("g (float[1,2] x) => (float[1,2] y) <float[2] w = {3.0, -4.0}> { y = Mul(x, w) }").proto
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([3.0, -4.0], np.float32), "w"))
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0, location="m.data")
    assert (tmp_path / "m.data").stat().st_size == 8
    monkeypatch.chdir("/")
    (y,) = open_runner(load(tmp_path / "m.onnx"), provider).run({"x": X})
    assert y.tolist() == [[4.5, 8.0]]


# ── no runtime ────────────────────────────────────────────────────────────────────────────────────────────────


def broken(name):
    raise ImportError("libfoo.so: cannot open shared object file")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, "no ONNX Runtime is installed; pip install onnxruntime, or onnxruntime-gpu for CUDA"),
        (types.ModuleType("onnxruntime"), "only remains of an ONNX Runtime are installed; uninstall onnxruntime"),
    ],
)
def test_no_runtime(monkeypatch, module, said):
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    with pytest.raises(CannotRun) as error:
        open_runner(model(TWO_NODES), "cpu")
    assert str(error.value).startswith(said)
    assert open_runner(model(TWO_NODES), "reference").run({"x": X})


def test_a_broken_runtime(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(CannotRun, match=r"cannot be imported \(libfoo.so"):
        open_runner(model(TWO_NODES), "cpu")


def test_the_package_imports_without_a_runtime():
    code = "import sys; sys.modules['onnxruntime'] = None; import onnx_prelu.api, onnx_prelu.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# ── words ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find Conv(11)", "Could not find Conv(11)"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : /a/m.cc:25 o::M::M(P&&, const S*, (anonymous)::X) No such IR\n",
            "No such IR",
        ),
        ("/a/b.cc:12 virtual int f(const std::map<A, B>&) const x was false. Why", "x was false. Why"),
        ("plain (with brackets)", "plain (with brackets)"),
    ],
)
def test_told(message, words):
    assert told(message) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ["E with error: libcudnn.so.9: cannot open shared object file: No such"],
            "its library libcudnn.so.9 is missing",
        ),
        (["E with error: /x/y.so: undefined symbol: z"], "its library cannot be loaded (/x/y.so: undefined symbol: z)"),
        (["W Failed to create CUDAExecutionProvider. Require cuDNN 9.*"], "Require cuDNN 9.*"),
        (["something else"], None),
    ],
)
def test_missing(lines, words):
    said = missing(lines)
    assert said == words or (words and said.startswith(words))
