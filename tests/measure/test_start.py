"""What a session takes in a process of its own: what comes back from there, and what is said if nothing does."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnx_prelu.graph.model import Model, load
from onnx_prelu.measure.inputs.draw import InputOptions
from onnx_prelu.measure.latency import fresh, start
from onnx_prelu.measure.latency.setting import prepared
from onnx_prelu.measure.latency.start import starts

LINUX = sys.platform == "linux"
HEAVY = 64 * 2**20  # bytes of the weights


def quiet(_: str) -> None:
    """Progress that nobody looks at."""


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["":17]>\n{text}')


def relu() -> Model:
    return Model(model("g (float[N,16] file) => (float[N,16] y) { y = Relu(file) }"))


def heavy(path: Path) -> Model:
    """Weights of 64 MiB in a file beside the model."""
    side = 4096
    proto = model(f"g (float[1,{side}] x) => (float[1,{side}] y) {{ y = MatMul(x, w) }}")
    weights = np.ones((side, side), np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return load(path)


@pytest.mark.skipif(not LINUX, reason="only Linux tells a process's peak of memory")
def test_memory_is_that_of_the_session_and_not_of_python(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "_PROCESSES", 1)
    models = [heavy(tmp_path / "heavy.onnx"), Model(model("g (float[1,4096] x) => (float[1,4096] y) { y = Relu(x) }"))]
    large, small = starts(models, prepared(models[0], "cpu", InputOptions(), 1), quiet)
    assert large.reason is small.reason is None
    assert HEAVY <= large.load_bytes <= large.run_bytes < 4 * HEAVY
    assert 0 < small.run_bytes < HEAVY / 2
    assert large.start_ms > 0
    assert large.processes == 1
    assert json.loads(json.dumps(large.to_dict())) == large.to_dict()


def test_numbers_are_medians_over_processes_in_turn(monkeypatch):
    ran: list[str] = []
    found = iter([(0.3, 5, 7), (0.1, 1, 1), (0.1, 3, 3), (0.1, 1, 1), (0.2, 4, 9), (0.1, 1, None)])

    def in_process(file, inputs, setting):
        ran.append(file.parent.name)
        seconds, load_, run = next(found)
        return {"seconds": seconds, "load": load_, "run": run}

    monkeypatch.setattr(start, "_in_process", in_process)
    setting = prepared(relu(), "cpu", InputOptions(), 1)
    first, second = starts([relu(), relu()], setting, quiet)
    assert ran == ["0", "1"] * 3
    assert (first.start_ms, first.load_bytes, first.run_bytes, first.processes) == (pytest.approx(200), 4, 7, 3)
    assert (second.load_bytes, second.run_bytes) == (1, None)


def test_a_process_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(start, "_PROCESSES", 1)
    broken = Model(model("g (float[N,16] file) => (float[N,16] y) { y = nowhere.Op(file) }"))
    fine, refused = starts([relu(), broken], prepared(relu(), "cpu", InputOptions(), 1), quiet)
    assert fine.reason is None
    assert refused.reason.startswith("the session's own process failed: ")
    assert "nowhere" in refused.reason
    assert refused.start_ms is None


def test_inputs_that_no_file_holds_are_told():
    words = Model(model("g (string[N] x) => (string[N] y) { y = Identity(x) }"))
    (found,) = starts([words], prepared(words, "cpu", InputOptions(), 1), quiet)
    assert found.reason == "'x' is of type object, which a file of inputs does not hold"


def test_the_reference_evaluator_has_no_sessions():
    assert starts([relu()], prepared(relu(), "reference", InputOptions(), 1), quiet) == ()


def test_the_script_imports_nothing_of_ours(tmp_path):
    """What it imports is memory and time that would be told of the session."""
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        ),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(proto, tmp_path / "m.onnx")
    np.savez(tmp_path / "i.npz", np.zeros(2, np.float32))
    request = {
        "model": str(tmp_path / "m.onnx"), "inputs": str(tmp_path / "i.npz"), "names": ["x"],
        "providers": ["CPUExecutionProvider"], "threads": 1, "runs": 1,
    }  # fmt: skip
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({fresh.__file__!r}, run_name='__main__')\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('onnx', 'onnx_prelu', 'scipy')])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    told, _, imported = done.stdout.rpartition("}")
    assert set(json.loads(told + "}")) == {"seconds", "load", "run"}
    assert imported.strip() == "[]"
