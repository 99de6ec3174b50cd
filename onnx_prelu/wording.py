"""How an option of the command line is written: its group in the help, and how its text is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

GROUPS = REWRITE, FAST, CHECK, MEASURE, OUTPUT = (
    "What to rewrite",
    "How to make it fast (--to fast)",
    "How to check",
    "How to measure",
    "Output",
)


class Option(click.Option):
    """An option that is listed in help under ``group``."""

    def __init__(self, *args: Any, group: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.group = group


class Command(click.Command):
    """A command whose help lists its options in groups and ends with an example."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.example = example

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by group; click's own go with the last."""
        for group in GROUPS:
            records = [
                record
                for option in self.get_params(ctx)
                if isinstance(option, click.Option) and getattr(option, "group", OUTPUT) == group
                if (record := option.get_help_record(ctx)) is not None
            ]
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example."""
        with formatter.section("Example"):
            formatter.write_text(self.example)


class Finite(click.FloatRange):
    """A float in a range, and a number: NaN and infinity, which every range lets through, are not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse, or end with a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def named(separator: str, parse: Callable[[str], Any], what: str) -> Callable[..., dict[str, Any]]:
    """A callback that reads ``NAME<separator>VALUE``, repeated, into a dict; names may hold the separator."""

    def callback(ctx: click.Context, param: click.Parameter, values: Iterable[str]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for value in values:
            name, found, text = value.rpartition(separator)
            try:
                parsed = parse(text)
            except ValueError:
                parsed = None
            if not (name and found) or parsed is None:
                raise click.BadParameter(f"'{value}' is not {what}.", ctx, param)
            if name in read:
                raise click.BadParameter(f"'{name}' is given twice.", ctx, param)
            read[name] = parsed
        return read

    return callback


def positive(text: str) -> int:
    """A whole number from 1 on; ValueError otherwise."""
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def sizes(text: str) -> int | tuple[int, ...]:
    """One size, or several that are separated by commas."""
    found = tuple(positive(size) for size in text.split(","))
    return found if len(found) > 1 else found[0]


def dimensions(text: str) -> tuple[int, ...]:
    """Sizes separated by commas; none for a scalar."""
    return tuple(positive(size) for size in text.split(",")) if text else ()


def batches(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, ...]:
    """A callback that reads batch sizes separated by commas; none where the option is not given."""
    try:
        return dimensions(text or "")
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of sizes, like 1,8,32.", ctx, param) from None


def shares(text: str) -> dict[str, float]:
    """Tolerances by their names, like ``atol=0,rtol=1e-4``; ValueError otherwise."""
    read = dict(part.split("=", 1) for part in text.split(","))
    if len(read) < len(text.split(",")) or read.keys() - {"atol", "rtol"}:
        raise ValueError(text)
    given = {name: float(share) for name, share in read.items()}
    if not all(0 <= share < math.inf for share in given.values()):
        raise ValueError(text)
    return given


def option(group: str, *names: str, **settings: Any) -> Callable[[F], F]:
    """An option of a help group."""
    return click.option(*names, cls=Option, group=group, **settings)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed in this order."""

    def decorate(function: F) -> F:
        for each in reversed(options):
            function = each(function)
        return function

    return decorate


FILE = click.Path(path_type=Path)
