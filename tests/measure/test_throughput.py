"""Batch sizes: which axes are the batch, what is fed there, and what is said where there is none."""

import numpy as np
import pytest
from onnx import parser

from onnx_prelu.graph.model import Model
from onnx_prelu.measure.inputs.draw import Feeds, InputOptions, InputSpec
from onnx_prelu.measure.latency import throughput as room
from onnx_prelu.measure.latency.setting import Setting, prepared
from onnx_prelu.measure.latency.throughput import throughput, with_batch
from onnx_prelu.measure.providers.runner import CannotRun

FLOAT = 1


def model(text: str) -> Model:
    return Model(parser.parse_model(f'<ir_version: 8, opset_import: ["":17]>\n{text}'))


def feeds(drawn: str = "", **arrays: np.ndarray) -> Feeds:
    return Feeds({name: each.shape for name, each in arrays.items()}, (arrays,), (1.0,), frozenset(drawn.split()))


@pytest.mark.parametrize(
    ("shapes", "sizes"),
    [
        ({"x": ("N", 3)}, {"x": (5, 3)}),
        ({"x": (None, 3)}, {"x": (5, 3)}),
        ({"x": ("N", 3), "y": (2, "N")}, {"x": (5, 3), "y": (2, 5)}),
        ({"x": ("N", "T"), "y": ("T", 3)}, {"x": (5, 2), "y": (2, 3)}),  # T is another size than the batch
        ({"x": ("N", 3), "y": (None, 4), "z": (2, None)}, {"x": (5, 3), "y": (5, 4), "z": (2, 2)}),
        ({"x": (2, 3), "y": ("N", 4)}, {"x": (2, 3), "y": (5, 4)}),
        ({"x": ("N", 3), "y": None}, {"x": (5, 3), "y": (2, 2)}),
    ],
)
def test_the_batch_is_the_first_open_first_axis_and_what_has_its_name(shapes, sizes):
    wanted = [InputSpec(name, FLOAT, shape) for name, shape in shapes.items()]
    now = {
        name: np.zeros([2 if not isinstance(d, int) else d for d in (("?", "?") if shape is None else shape)])
        for name, shape in shapes.items()
    }
    assert with_batch(feeds(**now), wanted, 5).sizes == sizes


def test_what_the_user_gave_repeats_itself():
    given = np.arange(6.0).reshape(2, 3)
    batched = with_batch(feeds(x=given), [InputSpec("x", FLOAT, ("N", 3))], 5)
    assert batched.batches[0]["x"].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert with_batch(feeds(x=given), [InputSpec("x", FLOAT, ("N", 3))], 1).batches[0]["x"].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("shape", "array", "said"),
    [
        ((1, 3), np.zeros((1, 3)), "the batch is fixed: no input leaves its first axis open ('x' 1x3)"),
        ((1, "N"), np.zeros((1, 3)), "the batch is fixed: no input leaves its first axis open ('x' 1x3)"),
        (("N", 3), np.zeros((0, 3)), "'x' is empty, so there is nothing to repeat"),
    ],
)
def test_where_there_is_no_batch(shape, array, said):
    with pytest.raises(CannotRun) as refusal:
        with_batch(feeds(x=array), [InputSpec("x", FLOAT, shape)], 5)
    assert refusal.value.reason == said


OPEN = model("g (float[N,16] x) => (float[N,16] y) { y = Relu(x) }")
FIXED = model("g (float[1,16] x) => (float[1,16] y) { y = Relu(x) }")
ONE_OR_TWO = model("""g (float[N,16] x) => (float[M,8] y) <int64[2] shape = {2, 8}> { y = Reshape(x, shape) }""")


def quiet(_: str) -> None:
    """Progress that nobody looks at."""


def test_samples_a_second_follow_from_the_times(monkeypatch):
    """Two milliseconds and one, at every batch size: the drawn inputs have that size."""
    fed: list[tuple[int, ...]] = []

    def measure(openers, inputs, duration, done):
        fed.extend(feed["x"].shape for feed in inputs)
        assert duration == 0.5
        return np.stack([np.full((5, 4), 0.002), np.full((5, 4), 0.001)])

    monkeypatch.setattr(room, "measure", measure)
    setting = prepared(OPEN, "cpu", InputOptions(), 1)
    found = throughput([OPEN, OPEN], setting, (4, 32), duration=0.5, seed=0, progress=quiet)
    assert fed == [(4, 16)] * 8 + [(32, 16)] * 8
    assert [(each.batch, each.per_second, each.ratio) for each in found] == [
        (4, pytest.approx(2000), 1.0),
        (4, pytest.approx(4000), 0.5),
        (32, pytest.approx(16000), 1.0),
        (32, pytest.approx(32000), 0.5),
    ]
    assert all(each.ci_low == each.ratio == each.ci_high and each.reason is None for each in found)


def test_a_size_that_does_not_run_says_why_and_the_others_are_measured():
    setting = prepared(ONE_OR_TWO, "cpu", InputOptions(input_shape={"x": (1, 16)}), 1)
    one, other = throughput([ONE_OR_TWO], setting, (1, 3), duration=0.02, seed=0, progress=quiet)
    assert one.per_second > 0
    assert other.per_second is None
    assert "reshape" in other.reason.lower()


def test_a_fixed_batch_is_told():
    setting = prepared(FIXED, "cpu", InputOptions(), 1)
    assert isinstance(setting, Setting)
    (found,) = throughput([FIXED], setting, (8,), duration=0.02, seed=0, progress=quiet)
    assert found.to_dict() == {
        "provider": "cpu", "model": "g", "batch": 8, "per_second": None, "ratio": None, "ci_low": None,
        "ci_high": None, "reason": "the batch is fixed: no input leaves its first axis open ('x' 1x16)",
    }  # fmt: skip
