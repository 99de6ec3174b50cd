"""Ranges of inputs: what is drawn stays within them, and what makes no sense is told."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from onnx import parser

from onnx_prelu import check
from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.graph.model import Model
from onnx_prelu.measure.checking.watch import Coverage
from onnx_prelu.measure.inputs.draw import InputOptions, draw
from onnx_prelu.measure.inputs.harder import harder
from onnx_prelu.measure.inputs.ranges import Range, asked_ranges
from onnx_prelu.measure.latency.rotation import rotation
from onnx_prelu.measure.providers.runtime import open_runner


def model(body):
    return Model(parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {body}'))


def feeds_of(given, **options):
    asked = InputOptions(**options)
    runner = open_runner(given, "cpu")
    found = harder(given, asked, draw(given, asked, runner), Coverage(given, "cpu", ()).probe)
    return found, {
        kind: [b for b, k in zip(found.batches, found.kinds, strict=True) if k == kind] for kind in found.kinds
    }


RELU = model("g (float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
IMAGE = model("g (float[N,2,H,3] x) => (float[N,2,H,3] y) { y = Relu(x) }")
INDEX = model("g (int64[N] i) => (float[N,1] y) <float[5,1] t = {1,2,3,4,5}> { y = Gather <axis = 0> (t, i) }")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.1, 0.3), (2, 3), (-255, 0), (0.3, 0.3)])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_every_value_is_within_its_range(dtype, low, high):
    name = {"float64": "double", "float32": "float"}.get(np.dtype(dtype).name, np.dtype(dtype).name)
    given = model(f"g ({name}[N,8] x) => ({name}[N,8] y) {{ y = Identity(x) }}")
    if low == high and np.dtype(dtype).itemsize < 8:
        low, high = 0.25, 0.25  # of 0.3 itself, no narrow float is in the range
    feeds, kinds = feeds_of(given, input_range={"x": Range.between(low, high)})
    values = np.concatenate([batch["x"].astype(np.float64).ravel() for batch in feeds.batches])
    assert np.all((values >= low) & (values <= high))
    least, most = (kinds[kind][0]["x"].astype(np.float64) for kind in ("all low", "all high"))
    assert len(np.unique(least)) == len(np.unique(most)) == 1
    assert least.max() - low <= 0.01 * max(1, abs(low))
    assert high - most.min() <= 0.01 * max(1, abs(high))
    if low < high:
        assert len(np.unique(values)) > 10


def test_a_range_of_integers_makes_every_one_of_them():
    feeds, _ = feeds_of(INDEX, input_range={"i": Range.between(0, 4)}, dim={"N": 64})
    assert set(np.concatenate([batch["i"] for batch in feeds.batches]).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (
            RELU,
            {"input_range": {"q": Range.between(0, 1)}},
            "--input-range q: the model has no such input to feed; it takes x",
        ),
        (RELU, {"input_range": {"x": Range.between(1, 0)}}, "--input-range x: 1,0 is no range"),
        (RELU, {"input_range": {"x": Range.between(0, np.nan)}}, "--input-range x: 0,nan is no range"),
        (RELU, {"input_range": {"x": Range.between(0, 1e39)}}, "--input-range x: 0,1e+39 is not within float"),
        (INDEX, {"input_range": {"i": Range.between(0.2, 0.8)}}, "--input-range i: 0.2,0.8 is not within int64"),
        (
            RELU,
            {"input_range": {"x": Range.between(0, 1)}, "inputs": {"x": np.zeros((1, 4), np.float32)}},
            "--input-range x: --inputs gives its values; drop one of them",
        ),
        (
            model("g (bool[N] x) => (bool[N] y) { y = Not(x) }"),
            {"input_range": {"x": Range.between(0, 1)}},
            "--input-range x: the input is bool, which has no range",
        ),
    ],
)
def test_ranges_that_make_no_sense(given, options, said):
    with pytest.raises(BadUsage) as error:
        feeds_of(given, **options)
    assert str(error.value).startswith(said)


LOW, HIGH = np.array([-3.0, 0.1, 5.0, -1.0]), np.array([-2.0, 0.1000001, 5.0, 7.0])


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_each_element_has_ends_of_its_own(shape):
    ends = Range.between(LOW.reshape(shape), HIGH.reshape(shape))
    feeds, kinds = feeds_of(RELU, input_range={"x": ends}, input_shape={"x": (64, 4)})
    assert set(kinds) >= {"random", "near kinks", "all low", "all high"}
    values = np.concatenate([batch["x"].astype(np.float64) for batch in feeds.batches])
    assert np.all((values >= LOW) & (values <= HIGH))
    assert np.all(values.max(0) - values.min(0) >= 0.9 * (HIGH - LOW))
    assert np.allclose(kinds["all low"][0]["x"], LOW)
    assert np.allclose(kinds["all high"][0]["x"], HIGH)
    assert all(np.all((feed["x"] >= LOW) & (feed["x"] <= HIGH)) for feed in rotation(feeds, 0))


def test_ends_of_channels_hold_at_every_size():
    low = np.array([0.0, 100.0]).reshape(2, 1, 1)
    feeds, kinds = feeds_of(IMAGE, input_range={"x": Range.between(low, low + 1)})
    assert len({batch["x"].shape for batch in kinds["other sizes"]}) > 1
    assert all(np.all((batch["x"] >= low) & (batch["x"] <= low + 1)) for batch in feeds.batches)


def test_integers_have_ends_of_their_own_up_to_the_last():
    given = model("g (int64[N,2] i) => (int64[N,2] y) { y = Identity(i) }")
    limits = np.iinfo(np.int64)
    feeds, _ = feeds_of(given, input_range={"i": Range.between([0.5, 2.0**62], [3.5, 2.0**63])}, dim={"N": 256})
    values = np.concatenate([batch["i"] for batch in feeds.batches])
    assert set(values[:, 0].tolist()) == {1, 2, 3}
    assert (values[:, 1].min(), values[:, 1].max()) == (2**62, limits.max)


def test_a_range_as_wide_as_its_type():
    given = model("g (double[N,4] x) => (double[N,4] y) { y = Identity(x) }")
    most = float(np.finfo(np.float64).max)
    _, kinds = feeds_of(given, input_range={"x": Range.between(-most, most)})
    assert all(np.isfinite(batch["x"]).all() for batches in kinds.values() for batch in batches)
    assert np.abs(kinds["random"][0]["x"]).max() > most / 4


@pytest.mark.parametrize(
    ("given", "low", "high", "said"),
    [
        (RELU, [0, 1, 2, 3], [1, 0, 3, 4], "1,0 at [1] is no range; give the lower end first"),
        (RELU, 0, np.inf, "0,inf is no range; give ends that are numbers"),
        (RELU, [0, 1, 2, 3], 4e38, "0,4e+38 at [0] is not within float"),
        (RELU, np.zeros((2, 4)), 1, "its ends are [2, 4], but the input is [?, 4]; give ends that broadcast to it"),
        (RELU, [0, 0], [1, 1], "its ends are [2], but the input is [?, 4]"),
        (RELU, np.zeros((1, 1, 4)), 1, "its ends are [1, 1, 4], but the input is [?, 4]"),
        (IMAGE, np.zeros((5, 1)), 1, "its ends are [5, 1], but the input is [?, 2, ?, 3]"),
    ],
)
def test_ends_that_do_not_fit(given, low, high, said):
    with pytest.raises(BadUsage) as error:
        feeds_of(given, input_range={"x": Range.between(low, high)})
    assert str(error.value).startswith(f"--input-range x: {said}")


def test_ends_fit_a_size_that_the_user_fixes():
    low = np.arange(5.0).reshape(5, 1)
    feeds, _ = feeds_of(IMAGE, input_range={"x": Range.between(low, low)}, dim={"H": 5})
    assert all(np.array_equal(batch["x"], np.broadcast_to(low, batch["x"].shape)) for batch in feeds.batches)


@pytest.mark.parametrize("ends", [(0, "one"), (None, {}), ([0, 1], [1, 2, 3])])
def test_what_is_no_pair_of_ends(ends):
    with pytest.raises(BadUsage) as error:
        asked_ranges({"x": ends})
    assert str(error.value).startswith("--input-range x: its ends are no numbers, or no arrays of one shape")


def test_ends_in_a_file(tmp_path):
    file = tmp_path / "ends.npz"
    np.savez(file, low=LOW, high=HIGH)
    (found,) = asked_ranges({"x": file}).values()
    assert np.array_equal(found.low, LOW)
    assert np.array_equal(found.high, HIGH)
    assert check(RELU, RELU, providers=["cpu"], input_range={"x": str(file)}).passed


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"low": LOW}, "holds 'low'; give it two arrays, 'low' and 'high'"),
        ({"low": LOW, "high": HIGH, "x": LOW}, "holds 'low', 'high', 'x'"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_files_that_hold_no_range(arrays, said, tmp_path):
    file = tmp_path / "ends.npz"
    if arrays is not None:
        np.savez(file, **arrays)
    with pytest.raises(BadInput) as error:
        asked_ranges({"x": Path(file)})
    assert str(error.value).startswith(f"--input-range x={file}: {said}")
