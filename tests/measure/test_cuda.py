"""On a CUDA device, as the CPU can only stand in for it elsewhere. Without one, every test says why it is skipped."""

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx_prelu
from onnx_prelu.graph.model import load
from onnx_prelu.measure.providers.runtime import CannotRun, open_runner
from onnx_prelu.testing import assert_equivalent
from tests.texts import from_text

MODELS = Path(__file__).parents[2] / "models"
GEMM, CNN = MODELS / "digits_prelu_gemm.onnx", MODELS / "digits_prelu_cnn.onnx"
CUDA = "CUDAExecutionProvider"

pytestmark = pytest.mark.gpu


@functools.cache
def lacking():
    try:
        open_runner(load(GEMM), "cuda")
    except CannotRun as refusal:
        return refusal.reason
    return None


@pytest.fixture(autouse=True)
def _device():
    if lacking() is not None:
        pytest.skip(f"no GPU here: {lacking()}")


def halved(path):
    """The model in float16."""
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), tensor.name))
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return proto


@pytest.mark.parametrize("path", [GEMM, CNN])
@pytest.mark.parametrize("form", ["split", "mirror", "skip"])
@pytest.mark.parametrize("made", [onnx.load, halved])
def test_a_rewrite_agrees_and_its_sites_run_there(path, form, made):
    report = onnx_prelu.rewrite(made(path), form=form, providers=["cpu", "cuda"]).report
    on_cuda = report.check[1]
    assert [check.status for check in report.check] == ["passed", "passed"]
    assert on_cuda.deterministic
    for site in on_cuda.site_nodes:
        assert site.ran_on == {CUDA: site.nodes - site.untold}


def test_all_nodes_of_a_plain_network_run_there():
    assert onnx_prelu.rewrite(GEMM, require_all_nodes_on="cuda").report.passed


def test_what_the_runtime_keeps_on_the_cpu_is_named():
    """Shapes are computed on the CPU, by the runtime's own choice."""
    given = from_text("s = Shape(x)  r = Relu(x)  y = Reshape(r, s)", "float[N,M] x", "float[N,M] y", {})
    report = onnx_prelu.check(given, given, providers=["cuda"], require_all_nodes_on="cuda")
    assert report.exit_code == 3
    assert "'n_s' (Shape) by CPUExecutionProvider" in report.failure


def test_half_precision_is_held_to_its_own_tolerance():
    report = assert_equivalent(halved(GEMM), halved(GEMM), providers=["cuda"])
    assert report.check[0].tolerance.atol == 2.5e-3


def test_it_is_timed_on_the_device():
    report = onnx_prelu.bench(GEMM, MODELS / "digits_relu_wide.onnx", providers=["cuda"], duration=0.5)
    assert [(each.provider, each.status) for each in report.latency] == [("cuda", "measured")]
