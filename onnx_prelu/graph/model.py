"""Load and save: with its neighbours atomic, external and data_files, the only room that knows files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError, EncodeError

from ..errors import BadInput, BadUsage
from . import data_files
from .atomic import kind, replacing, target, write_text, writing
from .exported import exported
from .external import Place, files, is_external
from .opsets import require_known_ops
from .values import array
from .walk import initializers, tensors

__all__ = ["Model", "array", "load", "parsed", "save", "serialized", "target", "tensors", "write_text"]

#: What protobuf can hold, in bytes.
LIMIT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. The proto is the truth and is never mutated; an edit makes a new one. Two are never equal.

    Attributes:
        proto: The model. External tensors keep their ``external_data`` entries; nothing is read into it.
        folder: Where the locations of external tensors are resolved, or None.
        path: The file that it was read from, or None.
        raw: The file as read, or None after an edit. An untouched model is saved as exactly these bytes.
        fresh: Names of the initializers that an edit made: where the model keeps its data outside, they go
            into a new data file.
        data: The data files of the model as loaded, also when an edit has replaced all that was in them.
    """

    proto: onnx.ModelProto
    folder: Path | None = None
    path: Path | None = None
    raw: bytes | None = None
    fresh: frozenset[str] = field(default=frozenset())
    data: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: its path, or its graph's name where it came from memory."""
        return str(self.path) if self.path is not None else self.proto.graph.name

    @property
    def read(self) -> tuple[Path, ...]:
        """Every file that the model was read from."""
        return (*([] if self.path is None else [self.path]), *self.data)

    def copies(self, folder: Path) -> tuple[Path, ...]:
        """Where the data files go when the model is saved into a folder, as far as they are still used."""
        return tuple(folder / file.relative_to(self.folder) for file in self.data) if self.folder else ()


def load(source: str | os.PathLike[str] | onnx.ModelProto | gs.Graph | Model) -> Model:
    """A model from a file, a ModelProto or a gs.Graph; a Model is returned as it is.

    A ModelProto and a gs.Graph are copied and never changed. External data are not read, but must be there.

    Raises:
        BadInput: There is no such file, it is no model, it uses a standard op that onnx does not know, or its
            external data are missing, cut short, or where runtimes refuse them.
    """
    if isinstance(source, Model):
        return source
    if isinstance(source, gs.Graph):
        return _vetted(Model(exported(source)), f"graph '{source.name}'")
    if isinstance(source, onnx.ModelProto):
        proto = onnx.ModelProto()
        proto.CopyFrom(source)
        return _vetted(Model(proto), f"model '{source.graph.name}'")
    if not isinstance(source, str | os.PathLike):
        raise BadUsage(
            f"a {type(source).__name__} is no model", todo="give a path, a ModelProto or a graphsurgeon graph"
        )
    path = Path(source)
    raw = _read(path)
    return _vetted(Model(_proto(raw, str(path)), path.absolute().parent, path, raw), str(path))


def parsed(raw: bytes, where: str) -> Model:
    """A model from the bytes of a file that has no name, such as a pipe. It cannot have external data.

    Args:
        raw: The bytes. An untouched model is written as exactly these.
        where: What to call it in errors.

    Raises:
        BadInput: As :func:`load`.
    """
    _require_size(raw, where)
    return _vetted(Model(_proto(raw, where), raw=raw), where)


def _proto(raw: bytes, where: str) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(raw)
    except DecodeError:
        raise _no_model(raw, "is no ONNX model, or only the beginning of one", where) from None
    return proto


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise BadInput(f"is {kind(mode)}, not a model file", where=str(path), todo="name a .onnx file")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInput("there is no such file", where=str(path), todo="check the path") from None
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=str(path), todo="check the path") from None
    except ValueError:
        raise BadInput("is not a file name", where=repr(str(path)), todo="check the path") from None
    _require_size(raw, str(path))
    return raw


def _require_size(raw: bytes, where: str) -> None:
    if not raw:
        raise BadInput("is empty", where=where, todo="export or copy the model again")
    if len(raw) > LIMIT:
        raise BadInput(
            "is larger than 2 GiB, which protobuf cannot read", where=where, todo="keep its weights as external data"
        )


def _no_model(raw: bytes | None, what: str, where: str) -> BadInput:
    """The error for what is no model, with a better word where it is a text."""
    head = (raw or b"")[:1024]
    if head.startswith(b"version https://git-lfs"):
        return BadInput("is a Git LFS pointer, not the model", where=where, todo="run git lfs pull")
    if head and all(byte >= 32 or byte in b"\t\n\f\r" for byte in head):
        return BadInput("is a text, not an ONNX model", where=where, todo="name a .onnx file")
    return BadInput(what, where=where, todo="export or copy the model again")


def _vetted(model: Model, where: str) -> Model:
    """The model, if it is one as far as can be told without running it."""
    proto = model.proto
    if not proto.HasField("graph"):
        raise _no_model(model.raw, "holds no graph: it is no ONNX model, or only the beginning of one", where)
    if proto.ir_version < 1:
        raise _no_model(model.raw, "says no IR version, so it is no ONNX model", where)
    if proto.ir_version >= 3 and not proto.opset_import:
        raise _no_model(model.raw, "imports no op set: it is no ONNX model, or only the beginning of one", where)
    require_known_ops(proto, where)
    try:
        data = tuple(files(proto, model.folder).values())
    except BadInput as error:
        raise BadInput(f"{error.where} {error.what}", where=where, todo=error.todo) from None
    return replace(model, data=data)


def serialized(model: Model) -> bytes:
    """The model as bytes: as read if it is untouched. External data stay where they are, in ``model.folder``.

    Raises:
        BadInput: It has passed 2 GiB, more than protobuf can hold.
    """
    if model.raw is not None:
        return model.raw
    data = _within_limit(model.proto)
    if data is None:
        raise BadInput(
            "is larger than 2 GiB, more than protobuf can hold",
            where=str(model.path or f"model '{model.proto.graph.name}'"),
            todo="keep its weights as external data",
        )
    return data


def _within_limit(proto: onnx.ModelProto) -> bytes | None:
    try:
        data = proto.SerializeToString()
    except (EncodeError, ValueError):  # upb says the first, the Python implementation the second
        return None
    return data if len(data) <= LIMIT else None


def save(
    model: Model, path: str | os.PathLike[str], *, protect: Iterable[str | os.PathLike[str]] = ()
) -> tuple[str, ...]:
    """Write a model: its data files first, then the model itself, each by a temporary file and a rename.

    An untouched model is written as it was read. External data that a model keeps are copied beside the
    output, unless it goes to the folder that it came from. Where the model keeps data outside, or would pass
    2 GiB, its new initializers above 1 KiB go into a new file there. No file that exists is written over but
    the output's own.

    Args:
        model: The model.
        path: Where to; a link is followed.
        protect: Files that must not be written, besides the model's own.

    Returns:
        What the user should know: files made beside the output, locations that changed.

    Raises:
        BadUsage: It cannot be written there; what was there is as it was.
        BadInput: The external data are gone, or the model has passed 2 GiB.
    """
    present = files(model.proto, model.folder)
    real = target(path, protect=[*protect, *model.read])
    with writing(path), ExitStack() as undo:
        output = data_files.Output(real, undo)
        elsewhere = model.folder is not None and not model.folder.samefile(real.parent)
        moved = data_files.copy(present, output) if elsewhere else {}
        places = data_files.write(_leaving(model), output)
        saved = _relocated(model, moved, places)
        with replacing(real) as file:
            file.write(serialized(saved))
        undo.pop_all()
    notes = _notes(moved, places)
    linked = Path(path).absolute().parent.resolve() != real.parent
    if linked and notes:
        notes.append(f"'{os.fspath(path)}' is a link: the data lie beside the file itself, so open it as '{real}'")
    return tuple(notes)


def _leaving(model: Model) -> list[onnx.TensorProto]:
    """The new initializers that go into a data file."""
    if not model.fresh or not (model.data or _within_limit(model.proto) is None):
        return []
    return [
        tensor
        for tensor in initializers(model.proto)
        if tensor.name in model.fresh and len(tensor.raw_data) > data_files.SMALL
    ]


def _relocated(model: Model, moved: Mapping[str, str], places: Mapping[str, Place]) -> Model:
    """The model with its data where they lie now; the same one if that is where they lay."""
    changed = {old: new for old, new in moved.items() if old != new}
    if not changed and not places:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in tensors(proto):
        if is_external(tensor):
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = changed.get(entry.value, entry.value)
    for tensor in initializers(proto):
        if tensor.name in places:
            _point(tensor, places[tensor.name])
    return replace(model, proto=proto, raw=None)


def _point(tensor: onnx.TensorProto, place: Place) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", place.location), ("offset", place.offset), ("length", place.length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def _notes(moved: Mapping[str, str], places: Mapping[str, Place]) -> list[str]:
    notes = [
        f"'{old}' was copied beside the output"
        if old == new
        else f"'{old}' beside the output is another file: the data are in '{new}', and the model says so"
        for old, new in moved.items()
    ]
    names = dict.fromkeys(place.location for place in places.values())
    return notes + [f"new weights are in '{name}', beside the output" for name in names]
