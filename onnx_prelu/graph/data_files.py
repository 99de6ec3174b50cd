"""The data files of a model that is being saved: copied, or made new, and never written over.

A data file may belong to any number of models. So an existing one is only ever used as it is, where it holds
the very bytes that are wanted; otherwise the bytes go under another name, which is made of their hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO

import onnx

from ..errors import BadUsage
from .atomic import replacing
from .external import Place

#: An initializer above this many bytes is worth a place in a data file.
SMALL = 1024
#: A page, so that a runtime can map a large tensor; a cache line, so that small ones waste little.
_PAGE, _LINE = 4096, 64


@dataclass(frozen=True)
class Output:
    """A model file about to be written.

    Attributes:
        real: The model's file, which no data file may take.
        undo: Takes back the files made so far if the model is not written after all.
    """

    real: Path
    undo: ExitStack


def copy(files: Mapping[str, Path], output: Output) -> dict[str, str]:
    """Copy data files to an output's folder, each under its own location where that is to be had.

    Args:
        files: The files by location.
        output: The model that will refer to them.

    Returns:
        The location of each in the output's folder, by its location in the input's.
    """
    return {location: _copy_one(location, path, output) for location, path in files.items()}


def _copy_one(location: str, source: Path, output: Output) -> str:
    own = PurePosixPath(location)

    @cache
    def digest() -> str:  # read the file for it only where its own name is taken
        return _digest(source)

    def names() -> Iterator[str]:
        yield location
        for digits in (16, 64):
            yield f"{own.stem}.{digest()[:digits]}{own.suffix}"

    def fill(target: IO[bytes]) -> None:
        with source.open("rb") as file:
            shutil.copyfileobj(file, target, 1 << 20)

    return _put(names(), digest, fill, output)


def write(tensors: Sequence[onnx.TensorProto], output: Output) -> dict[str, Place]:
    """Write raw tensors to one new data file, named for the output and its content; none for no tensors.

    Args:
        tensors: Tensors of different names that hold their bytes as ``raw_data``.
        output: The model that will refer to them.

    Returns:
        Where each lies, by name.
    """
    if not tensors:
        return {}
    offsets, end = [], 0
    for tensor in tensors:
        size = len(tensor.raw_data)
        alignment = _PAGE if size >= 16 * _PAGE else _LINE
        offsets.append((-(-end // alignment) * alignment, size))
        end = sum(offsets[-1])

    def chunks() -> Iterator[bytes]:
        position = 0
        for tensor, (offset, size) in zip(tensors, offsets, strict=True):
            yield bytes(offset - position)
            yield tensor.raw_data
            position = offset + size

    def fill(target: IO[bytes]) -> None:
        target.writelines(chunks())

    hashed = hashlib.sha256()
    for chunk in chunks():
        hashed.update(chunk)
    digest = hashed.hexdigest
    # A location is text: a file name that is none (it can be any bytes) shows as its escapes.
    stem = output.real.stem.encode("utf-8", "backslashreplace").decode().replace("\\", "_")
    location = _put([f"{stem}.{digest()[:digits]}.data" for digits in (16, 64)], digest, fill, output)
    return {tensor.name: Place(location, offset, size) for tensor, (offset, size) in zip(tensors, offsets, strict=True)}


def _put(names: Iterable[str], digest: Callable[[], str], fill: Callable[[IO[bytes]], None], output: Output) -> str:
    """Have bytes under the first name that is free, or that holds them already; returns that name."""
    folder = output.real.parent
    for name in names:
        path = folder / name
        if not _reachable(path, folder) or output.real in (path, *path.parents):
            continue
        if not os.path.lexists(path):
            _make_folders(path.parent, output)
            with replacing(path) as file:
                fill(file)
            output.undo.callback(path.unlink, missing_ok=True)
            return name
        if _holds(path, digest()):
            return name
    raise BadUsage(
        f"its folder has other files where its data would go, '{name}' the last",
        where=str(output.real),
        todo="choose another folder",
    )


def _reachable(path: Path, folder: Path) -> bool:
    """Whether every folder on the way is real or still to be made: runtimes refuse what is behind a link."""
    between = [part for part in path.parents if folder in part.parents]
    return not any(part.is_symlink() or (part.exists() and not part.is_dir()) for part in between)


def _holds(path: Path, digest: str) -> bool:
    """Whether a file can be used as it is: these bytes, and not linked, which the onnx checker refuses."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return _digest(path) == digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_folders(folder: Path, output: Output) -> None:
    if not folder.exists():
        _make_folders(folder.parent, output)
        folder.mkdir()
        output.undo.callback(folder.rmdir)
