"""Tensors that keep their bytes in a file beside the model: where that is, and reading it."""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import onnx
from onnx.helper import tensor_dtype_to_np_dtype

from ..errors import BadInput
from .atomic import kind
from .walk import tensors

# Types that numpy has no size for, or that onnx took for others before it had ml_dtypes. By name: onnx adds them
# over the years.
_BITS = {
    number: bits
    for name, bits in {
        "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6,
        "BFLOAT16": 16, "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8,
    }.items()
    if (number := getattr(onnx.TensorProto, name, None)) is not None
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a tensor's bytes lie.

    Attributes:
        location: The file, relative to the model's folder, with forward slashes.
        offset: The first byte.
        length: How many bytes.
    """

    location: str
    offset: int
    length: int


def is_external(tensor: onnx.TensorProto) -> bool:
    """True if the tensor's bytes lie in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def place(tensor: onnx.TensorProto) -> Place:
    """Where an external tensor says its bytes lie; no file is looked at.

    Raises:
        BadInput: The location leaves the model's folder, or offset and length make no sense for the tensor.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = str(entries.get("location", ""))  # protobuf gives bytes where it is no UTF-8
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
    if absolute or not PurePosixPath(location).parts:
        raise _bad(tensor, f"names its data file '{location}', which is not a relative path")
    if ".." in (*PurePosixPath(location).parts, *PureWindowsPath(location).parts):
        raise _bad(tensor, f"names its data file '{location}', which leaves the model's folder by '..'")
    needed = _size(tensor)
    offset, length = (_natural(tensor, entries, key, default) for key, default in (("offset", 0), ("length", needed)))
    if length != needed:
        raise _bad(tensor, f"has {length} bytes in '{location}', but its type and shape need {needed}")
    return Place(location, offset, length)


def _bad(tensor: onnx.TensorProto, what: str, todo: str = "export the model again") -> BadInput:
    return BadInput(what, where=f"tensor '{tensor.name}'", todo=todo)


def _natural(tensor: onnx.TensorProto, entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _bad(tensor, f"has '{text}' as the {key} of its external data")
    return int(text)


def _size(tensor: onnx.TensorProto) -> int:
    """How many bytes the tensor's type and shape need."""
    bits = _BITS.get(tensor.data_type)
    if bits is None:
        try:
            bits = 8 * int(tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
        except KeyError:
            what = f"has type {tensor.data_type}, which onnx {onnx.__version__} does not know"
            raise _bad(tensor, what) from None
    if tensor.data_type == onnx.TensorProto.STRING:
        raise _bad(tensor, "holds strings, which cannot be external data")
    if any(dim < 0 for dim in tensor.dims):
        raise _bad(tensor, f"has the shape {list(tensor.dims)}")
    count: int = math.prod(tensor.dims)
    return -(-count * bits // 8)


def locate(tensor: onnx.TensorProto, folder: Path | None) -> Path:
    """The file that holds an external tensor's bytes, looked at but not read.

    Raises:
        BadInput: It is missing, too short, no regular file, or behind a link: the onnx checker and ONNX
            Runtime refuse these, too.
    """
    where = place(tensor)
    if folder is None:
        raise _bad(
            tensor,
            f"keeps its data in '{where.location}', and a model in memory has no folder to look for it in",
            "give the model's path, or load the data into it",
        )
    path = folder
    for part in PurePath(where.location).parts:
        path /= part
        try:
            mode = path.lstat().st_mode
        except (OSError, ValueError):
            raise _bad(
                tensor,
                f"keeps its data in '{where.location}', which is not in '{folder}'",
                "put the file there: it belongs to the model",
            ) from None
        if stat.S_ISLNK(mode):
            raise _bad(
                tensor,
                f"keeps its data in '{where.location}', where '{path}' is a link, which runtimes refuse",
                "put the file itself there",
            )
    if not stat.S_ISREG(mode):
        raise _bad(tensor, f"keeps its data in '{path}', which is {kind(mode)}, not a file")
    size = path.stat().st_size
    if size < where.offset + where.length:
        raise _bad(
            tensor,
            f"needs bytes {where.offset} to {where.offset + where.length} of '{path}', which has {size}",
            "copy the file again: it was cut short",
        )
    return path


def files(proto: onnx.ModelProto, folder: Path | None) -> dict[str, Path]:
    """Every external file that a model refers to, by its location; each is there and long enough.

    Raises:
        BadInput: See :func:`locate`.
    """
    return {place(tensor).location: locate(tensor, folder) for tensor in tensors(proto) if is_external(tensor)}


def read(tensor: onnx.TensorProto, folder: Path | None) -> bytes:
    """The bytes of an external tensor.

    Raises:
        BadInput: See :func:`locate`; or the file cannot be read.
    """
    where, path = place(tensor), locate(tensor, folder)
    try:
        with path.open("rb") as file:
            file.seek(where.offset)
            data = file.read(where.length)
    except OSError as error:
        raise _bad(tensor, f"keeps its data in '{path}', which cannot be read ({error.strerror})") from None
    if len(data) != where.length:
        raise _bad(tensor, f"keeps its data in '{path}', which was cut short while it was read")
    return data


def inlined(proto: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """A model that holds all its data itself: itself where it does, else a copy.

    Raises:
        BadInput: See :func:`read`.
    """
    if not any(is_external(tensor) for tensor in tensors(proto)):
        return proto
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    for tensor in tensors(whole):
        if is_external(tensor):
            tensor.raw_data = read(tensor, folder)
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return whole
