"""How a number is said: units, changes, ranges. One place, so that terminal and Markdown say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..passes.choice import SlopeSummary

UNKNOWN = "unknown"


def amount(count: int | None) -> str:
    """A count: in full below a million, then in four digits with a unit.

    >>> amount(24690), amount(1_234_567_890), amount(None)
    ('24,690', '1.235 G', 'unknown')
    """
    if count is None:
        return UNKNOWN
    return f"{count:,}" if abs(count) < 1_000_000 else _scaled(count, ("", "k", "M", "G", "T", "P"))


def size(count: int | None) -> str:
    """A number of bytes, in powers of 1000.

    >>> size(512), size(49_380), size(None)
    ('512 B', '49.38 kB', 'unknown')
    """
    return UNKNOWN if count is None else _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"))


def change(before: int | None, after: int | None, *, say: Callable[[int | None], str] = amount) -> str:
    """What became of a count: signed difference, said as `say` says counts, and ratio.

    >>> change(12_345, 24_690), change(2, 0), change(0, 2), change(3, 3), change(None, 3)
    ('+12,345 (2.00x)', '-2', '+2', 'same', 'unknown')
    """
    if before is None or after is None:
        return UNKNOWN
    if before == after:
        return "same"
    text = f"{'-' if after < before else '+'}{say(abs(after - before))}"
    return f"{text} ({after / before:.2f}x)" if before and after else text


def growth(by: int | None, *, say: Callable[[int | None], str] = amount) -> str:
    """By how much something grows.

    >>> growth(1_200), growth(-3), growth(0), growth(None)
    ('+1,200', '-3', 'same', 'unknown')
    """
    if by is None:
        return UNKNOWN
    return f"{'-' if by < 0 else '+'}{say(abs(by))}" if by else "same"


def number(value: float | None) -> str:
    """A measured number, in two significant digits: enough to compare, few enough to read.

    >>> number(3.14159e-07), number(0.0), number(None)
    ('3.1e-07', '0', 'unknown')
    """
    return UNKNOWN if value is None else f"{value:.2g}"


def milliseconds(value: float | None) -> str:
    """A time in milliseconds, in three significant digits.

    >>> milliseconds(0.12345), milliseconds(1234.5)
    ('0.123 ms', '1,230 ms')
    """
    return UNKNOWN if value is None else f"{float(f'{value:.3g}'):,g} ms"


def percent(share: float | None) -> str:
    """A share of one.

    >>> percent(0.0193)
    '1.9 %'
    """
    return UNKNOWN if share is None else f"{float(f'{100 * share:.2g}'):g} %"


def counted(count: int, one: str, many: str = "") -> str:
    """A count and its noun.

    >>> counted(1, "site"), counted(3, "site"), counted(2, "batch", "batches")
    ('1 site', '3 sites', '2 batches')
    """
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def shape(dims: Sequence[int | str | None]) -> str:
    """A shape; one value is a scalar.

    >>> shape((8, 64)), shape((64,)), shape(())
    ('8x64', '64', 'scalar')
    """
    return "x".join("?" if dim is None else str(dim) for dim in dims) or "scalar"


def sizes(inputs: Mapping[str, Sequence[int]]) -> str:
    """The shapes that inputs had.

    >>> sizes({"x": (8, 64), "mask": (8,)})
    'x 8x64, mask 8'
    """
    return ", ".join(f"{name} {shape(dims)}" for name, dims in inputs.items())


def slope(summary: SlopeSummary | None) -> str:
    """A slope's shape, range and signs; an empty string where nothing is known of it."""
    if summary is None:
        return ""
    if summary.shape is None:
        return "read at run time"
    if summary.low is None or summary.high is None:
        return shape(summary.shape)
    if summary.low == summary.high:
        return f"{shape(summary.shape)}: {'all ' if summary.count > 1 else ''}{summary.low:.4g}"
    signs = ((summary.negative, "below 0"), (summary.zero, "at 0"), (summary.above_one, "above 1"))
    told = "".join(f", {count:,} {where}" for count, where in signs if count)
    return f"{shape(summary.shape)}: {summary.low:.4g} to {summary.high:.4g}{told}"


def _scaled(count: int, units: Sequence[str]) -> str:
    power, value = 0, float(count)
    while abs(value) >= 999.95 and power < len(units) - 1:
        power, value = power + 1, value / 1000
    return f"{value:.4g} {units[power]}".rstrip()
