"""A manifest: pairs of models to check, one TOML table each.

providers = ["cpu"]         # what stands before the first table holds for all

[detector]
a = "detector.onnx"         # paths are relative to the manifest
b = "detector_relu.onnx"
dim = { N = 4 }
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import data_files
from .errors import BadInput, BadUsage


@dataclass(frozen=True)
class Pair:
    """Two models to check.

    Attributes:
        name: The name of its table.
        a: The original.
        b: The model that has to compute the same.
        options: Of the check, by the names that :func:`onnx_prelu.check` has for them.
    """

    name: str
    a: Path
    b: Path
    options: Mapping[str, Any]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it names."""
        return (self.a, self.b, *data_files(self.options))


def pairs(path: Path) -> list[Pair]:
    """The pairs of a manifest, in order.

    Raises:
        BadInput: It cannot be read, or is no TOML.
        BadUsage: It names no pair, or says something that is not known or makes no sense; the error names the table.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=str(path), todo="check the path") from None
    except ValueError as error:  # no UTF-8, or no TOML: the error says where
        raise BadInput(f"is no TOML ({error})", where=str(path), todo="write one table a pair") from None
    tables = {name: value for name, value in content.items() if isinstance(value, dict) and name not in OPTIONS}
    plain = {name: value for name, value in content.items() if name not in tables}
    if not tables:
        raise BadUsage("names no pair", where=str(path), todo='write a table a pair: [name], a = "…", b = "…"')
    for_all = _options(plain, path.parent, str(path))
    return [_pair(name, table, for_all, path) for name, table in tables.items()]


def _pair(name: str, table: Mapping[str, Any], for_all: Mapping[str, Any], path: Path) -> Pair:
    where = f"{path} [{name}]"
    a, b = (path.parent / _model(table, key, where) for key in ("a", "b"))
    own = _options({key: value for key, value in table.items() if key not in ("a", "b")}, path.parent, where)
    return Pair(name, a, b, {**for_all, **own})


def _model(table: Mapping[str, Any], key: str, where: str) -> str:
    model = table.get(key)
    if isinstance(model, str) and model:
        return model
    what = f"{key} is missing" if model is None else f"{key} is no path"
    raise BadUsage(what, where=where, todo='name two models, a = "…" and b = "…"')


def _options(given: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, value in given.items():
        if key not in OPTIONS:
            raise BadUsage(f"'{key}' is not known", where=where, todo=f"use a, b, {', '.join(OPTIONS)}")
        fits, what = OPTIONS[key]
        if not fits(value):
            raise BadUsage(f"{key} is {value!r}, not {what}", where=where, todo="correct it")
        options[key] = _found(value, folder) if key in _PATHS else value
    return options


def _found(value: Any, folder: Path) -> Any:
    """A path in the manifest's folder, or each one in a table."""
    if isinstance(value, dict):
        return {name: _found(each, folder) for name, each in value.items()}
    return folder / value if isinstance(value, str) else value


def _size(value: object, least: int = 1) -> bool:
    return type(value) is int and value >= least  # True is an int as well, and no size


def _share(value: object) -> bool:
    return _number(value) and value >= 0  # type: ignore[operator]


def _number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _ends(value: object) -> bool:
    return _text(value) or (isinstance(value, list) and len(value) == 2 and all(map(_number, value)))


def _tolerance(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {"atol", "rtol"}
        and all(map(_share, value.values()))
    )


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(map(_size, value))


def _listed(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(fits, value))


def _named(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


_PATHS = frozenset({"inputs", "input_range", "save_failing"})

OPTIONS: dict[str, tuple[Callable[[object], bool], str]] = {
    "providers": (_listed(_text), 'a list of providers, like ["cpu"]'),
    "require_all_nodes_on": (_text, 'a provider, like "cuda"'),
    "inputs": (_text, "a path"),
    "input_shape": (_named(_sizes), "sizes by input, like { x = [1, 16] }"),
    "dim": (_named(_size), "sizes by name, like { N = 8 }"),
    "input_range": (_named(_ends), 'ends by input, like { x = [0, 1] }, or a file, like { x = "ends.npz" }'),
    "seed": (lambda value: _size(value, 0), "a whole number from 0 on"),
    "seeds": (_size, "a whole number from 1 on"),
    "check_budget": (lambda value: _share(value) and value != 0, "a number of seconds"),
    "save_failing": (_text, "a path"),
    "atol": (_share, "a number from 0 on"),
    "rtol": (_share, "a number from 0 on"),
    "tol": (_named(_tolerance), "tolerances by output, like { y = { rtol = 1e-4 } }"),
    "signed_zeros": (lambda value: isinstance(value, bool), "true or false"),
}
"""What a pair, or all of them, may say besides the models: whether a value fits, and what would."""
