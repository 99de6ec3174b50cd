import pytest

from onnx_prelu.passes.choice import SlopeSummary
from onnx_prelu.report import words


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "unknown"),
        (0, "0"),
        (999, "999"),
        (24_690, "24,690"),
        (999_999, "999,999"),
        (1_000_000, "1 M"),
        (1_234_567_890, "1.235 G"),
        (999_999_999, "1 G"),
        (10**21, "1e+06 P"),
    ],
)
def test_amount(count, said):
    assert words.amount(count) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (49_380, "49.38 kB"),
        (999_960, "1 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_size(count, said):
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (12_345, 24_690, "+12,345 (2.00x)"),
        (2, 0, "-2"),
        (0, 2, "+2"),
        (3, 3, "same"),
        (0, 0, "same"),
        (None, 3, "unknown"),
        (3, None, "unknown"),
        (200, 199, "-1 (0.99x)"),
    ],
)
def test_change(before, after, said):
    assert words.change(before, after) == said


def test_a_change_of_bytes_is_said_in_bytes():
    assert words.change(1_000, 3_500, say=words.size) == "+2.5 kB (3.50x)"


@pytest.mark.parametrize(
    ("value", "said"), [(3.14159e-07, "3.1e-07"), (0.0, "0"), (0.0213, "0.021"), (None, "unknown")]
)
def test_number(value, said):
    assert words.number(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.12345, "0.123 ms"), (12.0, "12 ms"), (1234.5, "1,230 ms"), (None, "unknown")],
)
def test_milliseconds(value, said):
    assert words.milliseconds(value) == said


@pytest.mark.parametrize(("dims", "said"), [((8, 64), "8x64"), ((64,), "64"), ((), "scalar")])
def test_shape(dims, said):
    assert words.shape(dims) == said


def test_sizes_name_every_input():
    assert words.sizes({"x": (8, 64), "mask": (8,)}) == "x 8x64, mask 8"


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (None, ""),
        (SlopeSummary(None, None, None, 0, 0, 0, 0), "read at run time"),
        (SlopeSummary((0,), None, None, 0, 0, 0, 0), "0"),
        (SlopeSummary((1,), 0.25, 0.25, 0, 0, 0, 1), "1: 0.25"),
        (SlopeSummary((64,), 0.25, 0.25, 0, 0, 0, 64), "64: all 0.25"),
        (
            SlopeSummary((64, 1, 1), -0.3123, 1.7, 12, 1, 3, 64),
            "64x1x1: -0.3123 to 1.7, 12 below 0, 1 at 0, 3 above 1",
        ),
        (SlopeSummary((3,), 0.1, 0.9, 0, 0, 0, 3), "3: 0.1 to 0.9"),
    ],
)
def test_slope(summary, said):
    assert words.slope(summary) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0.0193, "1.9 %"), (0.5, "50 %"), (1.234, "120 %"), (0.0, "0 %"), (None, "unknown")]
)
def test_percent(share, said):
    assert words.percent(share) == said


@pytest.mark.parametrize(("count", "said"), [(1, "1 site"), (0, "0 sites"), (2_000, "2,000 sites")])
def test_counted(count, said):
    assert words.counted(count, "site") == said
