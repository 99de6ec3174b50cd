"""Bounds hold for what float32 and float16 make of a sum, in whatever order it is added up."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_prelu.algebra.bisection import bisected
from onnx_prelu.algebra.bounds import Box, Rounding, Rows, activated, bounded, gamma
from onnx_prelu.algebra.symbolic import Layer, symbolic
from tests.counts import count, examples

F32 = Rounding.of(np.float32)


def rows(matrix, shift):
    matrix, shift = np.asarray(matrix, float), np.asarray(shift, float)
    return Rows(matrix[..., None], np.ones(len(shift)), shift, np.abs(shift))


def box(low, high):
    return Box(np.asarray(low, float), np.asarray(high, float))


def summed(terms, order, dtype):
    """The terms added up in an order, as one after the other, or as pairs of pairs."""
    terms = [dtype(terms[i]) for i in order]
    if len(order) % 2:
        total = dtype(0)
        for term in terms:
            total = dtype(total + term)
        return total
    while len(terms) > 1:
        terms = [dtype(a + b) for a, b in zip(terms[::2], terms[1::2], strict=True)] + terms[len(terms) & ~1 :]
        if len(terms) % 2 and len(terms) > 1:
            terms = [dtype(terms[0] + terms[1]), *terms[2:]]
    return terms[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@given(data=st.data())
@examples(500)
def test_no_order_of_a_sum_leaves_the_bounds(dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.integers(1, 40))
    scale = data.draw(st.sampled_from([1e-3, 1.0, 30.0]))
    w = (rng.normal(size=n) * scale).astype(dtype)
    x = rng.normal(size=n).astype(dtype)
    b = dtype(-(w.astype(float) @ x.astype(float))) if data.draw(st.booleans()) else dtype(rng.normal())  # cancellation
    low, high = (x, x) if data.draw(st.booleans()) else (x - np.abs(x) / 4, x + np.abs(x) / 4)
    low, high = np.minimum(low, x).astype(float), np.maximum(high, x).astype(float)
    z, allowed = bounded(rows([w], [b]), Box(low, high), Rounding.of(dtype))
    real = sum((Fraction(float(a)) * Fraction(float(c)) for a, c in zip(w, x, strict=True)), Fraction(float(b)))
    products = [dtype(a * c) for a, c in zip(w, x, strict=True)]
    for _ in range(20):
        found = float(summed([*products, b], rng.permutation(n + 1), dtype))
        assert z.low[0] <= found <= z.high[0]
        assert abs(Fraction(found) - real) <= Fraction(float(allowed[0]))
    assert z.low[0] <= real <= z.high[0]


@pytest.mark.parametrize(
    ("matrix", "shift", "low", "high", "expected"),
    [
        ([[1, -2]], [0], [0, 0], [1, 1], (-2, 1)),
        ([[-1, -2]], [0], [0, 0], [np.inf, np.inf], (-np.inf, 0)),
        ([[-1, -2]], [-0.5], [0, 0], [np.inf, np.inf], (-np.inf, 0)),
        ([[1, 2]], [0.5], [0, 0], [np.inf, np.inf], (0, np.inf)),
        ([[1, -2]], [0], [0, 0], [np.inf, np.inf], (-np.inf, np.inf)),
        ([[1, 0]], [0], [0, -np.inf], [1, np.inf], (0, 1)),
        ([[0, 0]], [0], [-np.inf] * 2, [np.inf] * 2, (0, 0)),
        ([[0, 0]], [-3], [-np.inf] * 2, [np.inf] * 2, (-3, -3)),
        ([[3e38, 3e38]], [0], [0, 0], [1, 1], (0, np.inf)),
        ([[3e38, -3e38]], [0], [0, 0], [1, 1], (-np.inf, np.inf)),
    ],
    ids=["mixed", "below", "below-shift", "above", "open", "unread-infinite", "zero", "shift", "overflow", "both"],
)
def test_signs_and_infinite_ends(matrix, shift, low, high, expected):
    z, _ = bounded(rows(matrix, shift), box(low, high), F32)
    for found, end, sign in zip((z.low[0], z.high[0]), expected, (-1, 1), strict=True):
        assert found == end or 0 < sign * (found - end) < 1e-5


def test_below_zero_by_less_than_rounding_is_not_below_zero():
    big, tiny = np.float32(2.0**24), np.float32(-0.25)
    x = box([1, 1], [1, 1])
    for shift, dead in [(tiny, False), (-32.0, True)]:
        z, _ = bounded(rows([[big, -big]], [shift]), x, F32)
        assert (z.high[0] <= 0) == dead
    assert np.float32(np.float32(big + tiny) - big) == 0.0  # in real numbers, it is −0.25


def test_a_long_sum_of_few_bits_has_no_bounds():
    n = 2000
    z, _ = bounded(rows(np.full((1, n), -1.0), [1.0]), box(np.zeros(n), np.ones(n)), Rounding.of(np.float16))
    assert z.high[0] == np.inf
    assert gamma(np.array(1024.0), 2.0**-11) == np.inf


def test_taps_of_a_kernel_read_other_values_of_one_interval():
    kernel = Rows(np.array([[[2.0, -1.0]]]), np.ones(1), np.zeros(1), np.zeros(1))
    z, _ = bounded(kernel, box([-1], [3]), F32)
    assert (z.low[0], z.high[0]) == pytest.approx((-5, 7), rel=1e-5)


def test_a_scale_multiplies_the_sum_and_not_the_shift():
    scaled = Rows(np.array([[[1.0]], [[1.0]]]), np.array([-2.0, 0.0]), np.array([1.0, -1.0]), np.array([1.0, 1.0]))
    z, _ = bounded(scaled, box([1], [3]), F32)
    assert (z.low[0], z.high[0]) == pytest.approx((-5, -1), rel=1e-5)
    assert z.high[1] >= -1 >= z.low[1]


@given(st.floats(-3, 3), st.floats(-5, 5), st.floats(0, 5))
@examples(500)
def test_an_activation_keeps_to_its_box(slope, low, width):
    low, slope = float(np.float32(low)), float(np.float32(slope))
    found = activated(box([low], [low + width]), np.array([slope]), F32)
    for z in np.linspace(low, low + width, 7, dtype=np.float64):
        stored = float(np.float32(z))
        if low <= stored <= low + width:
            value = np.float32(stored) if stored >= 0 else np.float32(slope) * np.float32(stored)
            assert found.low[0] <= value <= found.high[0]
        assert found.low[0] <= (z if z >= 0 else slope * z) <= found.high[0]


# ── chains ────────────────────────────────────────────────────────────────────────────────────────────────────


def chain(rng, widths, slopes):
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        matrix = rng.normal(size=(n_out, n_in)).astype(np.float32)
        shift = rng.normal(size=n_out).astype(np.float32)
        layers.append(Layer(rows(matrix, shift), rng.choice(slopes, n_out)))
    return layers


def computed(layers, x, dtype):
    """z of the last layer, the sums in numpy's own order."""
    value = x.astype(dtype)
    for number, layer in enumerate(layers):
        if number:
            before = layers[number - 1].slope.astype(dtype)
            value = np.where(value >= 0, value, before * value)
        value = value @ layer.rows.matrix.astype(dtype).T + layer.rows.shift.astype(dtype)
    return value


def intervals(layers, x):
    for layer in layers:
        z, _ = bounded(layer.rows, x, F32)
        x = activated(z, layer.slope, F32)
    return z


@given(st.integers(0, 2**32 - 1), st.sampled_from([(0.0,), (0.25, -0.5, 1.7, 0.0, 1.0), (-1.0, 3.0)]))
@examples(300)
def test_each_way_is_sound_and_no_worse_than_the_one_before(seed, slopes):
    rng = np.random.default_rng(seed)
    layers = chain(rng, [int(rng.integers(1, 5)), *rng.integers(2, 6, int(rng.integers(1, 4)))], slopes)
    middle, radius = rng.normal(size=(2, layers[0].rows.inputs))
    x = box(middle - np.abs(radius), middle + np.abs(radius))
    found = [intervals(layers, x), symbolic(layers, x, F32), bisected(layers, x, F32, pieces=32)]
    points = rng.uniform(x.low, x.high, (count(20_000), len(middle)))
    points[::7] = np.where(rng.random(points[::7].shape) < 0.5, x.low, x.high)
    points = np.clip(points.astype(np.float32), x.low, x.high)
    kept = [(points >= x.low) & (points <= x.high)]
    points = points[np.all(kept[0], axis=1)]
    for dtype in (np.float32, np.float64):
        z = computed(layers, points, dtype)
        for bounds in found:
            assert np.all(z >= bounds.low)
            assert np.all(z <= bounds.high)
    for wide, narrow in itertools.pairwise(found):
        assert np.all(narrow.low >= wide.low - 1e-9 * wide.magnitude)
        assert np.all(narrow.high <= wide.high + 1e-9 * wide.magnitude)


def test_what_units_have_in_common_decides_more_than_intervals():
    first = Layer(rows([[1.0], [1.0]], [3.0, 3.0]), np.zeros(2))  # both are always on
    second = Layer(rows([[1.0, -1.0]], [-0.5]), np.zeros(1))  # their difference is 0
    x = box([-1], [1])
    assert intervals([first, second], x).high[0] > 1
    assert symbolic([first, second], x, F32).high[0] <= 0


def test_cutting_the_box_decides_more_than_the_whole():
    first = Layer(rows([[-2.0], [-2.0]], [1.0, 0.0]), np.zeros(2))
    second = Layer(rows([[1.0, -2.0]], [-2.0]), np.zeros(1))  # 2x − 1 up to 0, then −1 − 2x, then −2
    x = box([-1], [2])
    assert symbolic([first, second], x, F32).high[0] > 0
    assert bisected([first, second], x, F32).high[0] <= 0
    assert bisected([first, second], x, F32, pieces=1).high[0] > 0


def test_an_open_range_says_what_intervals_say():
    layers = [Layer(rows([[-1.0, -1.0]], [0.0]), np.zeros(1)), Layer(rows([[1.0]], [0.0]), np.zeros(1))]
    z = symbolic(layers, box([0, 0], [np.inf, np.inf]), F32)
    assert z.low[0] == z.high[0] == 0
