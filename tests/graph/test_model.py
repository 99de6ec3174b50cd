import os
from dataclasses import replace
from pathlib import Path

import onnx
import onnx.parser
import pytest

from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.graph import model as room
from onnx_prelu.graph.model import load, save, serialized

MODEL = onnx.parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 17, "d" : 1], producer_name: "p", producer_version: "1", model_version: 3,
     doc_string: "text", metadata_props: ["k" : "v"]>
    g (float[N, 2] x) => (float[N, 2] y)
    <float[1] s = {0.25}, float[2] unused = {1, 2}>
    { [a] h = PRelu(x, s) [b] y = d.F(h) }
    <opset_import: ["" : 17], domain: "d">
    F (a) => (b) { b = Relu(a) }
""")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.onnx").write_bytes(MODEL.SerializeToString())
    return tmp_path / "in.onnx"


def _edited(source: object) -> room.Model:
    """The model as an edit leaves it, with its first node renamed."""
    model = load(source)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.node[0].name = "renamed"
    return replace(model, proto=proto, raw=None)


# Loading


@pytest.mark.parametrize("kind", [str, Path, os.path.relpath])
def test_a_path(path, kind):
    model = load(kind(path))
    assert model.proto == MODEL
    assert model.raw == path.read_bytes()
    assert str(model.path) == str(kind(path))
    assert model.folder == path.parent
    assert (model.fresh, model.data) == (frozenset(), ())
    assert load(model) is model


def test_a_proto_is_copied():
    source = onnx.ModelProto()
    source.CopyFrom(MODEL)
    model = load(source)
    source.graph.node[0].name = "changed later"
    assert model.proto == MODEL
    assert (model.raw, model.path, model.folder) == (None, None, None)


def _fields(*numbers: int) -> bytes:
    """The model with only some of the fields of its ModelProto."""
    copy = onnx.ModelProto()
    copy.CopyFrom(MODEL)
    for field, _ in MODEL.ListFields():
        if field.number not in numbers:
            copy.ClearField(field.name)
    return copy.SerializeToString()


IR, GRAPH, IMPORTS = 1, 7, 8
NO_MODEL = {
    "empty": (b"", "is empty"),
    "a text": (b"name,value\na,1\n", "is a text, not an ONNX model"),
    "a text that is short": (b"\n", "is a text, not an ONNX model"),
    "a text in UTF-8": ("Größe: ψ\n".encode(), "is a text, not an ONNX model"),
    "a text that reads as protobuf": (b"\x0a " + b" " * 32, "is a text, not an ONNX model"),
    "a model's text form": (onnx.printer.to_text(MODEL).encode(), "is a text, not an ONNX model"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "is a Git LFS pointer, not the model; run git lfs pull",
    ),
    "an archive": (b"PK\x03\x04" + bytes(60), "is no ONNX model"),
    "zeros": (bytes(64), "is no ONNX model"),
    "a tensor": (onnx.helper.make_tensor("t", 1, [1], [1.0]).SerializeToString(), "is no ONNX model"),
    "a graph": (MODEL.graph.SerializeToString(), "holds no graph"),
    "a function": (MODEL.functions[0].SerializeToString(), "is no ONNX model"),
    "no graph": (_fields(IR, IMPORTS), "holds no graph"),
    "no IR version": (_fields(GRAPH, IMPORTS), "says no IR version"),
    "no op set": (_fields(IR, GRAPH), "imports no op set"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MODEL)
def test_no_model(path, name):
    content, words = NO_MODEL[name]
    Path("other.onnx").write_bytes(content)
    with pytest.raises(BadInput, match=f"^other.onnx: {words}") as caught:
        load("other.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.todo
    assert caught.value.exit_code == 2


def test_a_model_cut_short_anywhere_is_refused_or_whole(path):
    model = onnx.ModelProto()
    model.CopyFrom(MODEL)
    model.graph.node[1].domain, model.graph.node[1].op_type = "", "Relu"
    raw = model.SerializeToString()
    whole = []
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        try:
            model = load(path)
        except BadInput as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - hundreds of sizes, some of which may load
        else:
            onnx.checker.check_model(model.proto)
            whole.append(size)
    # What follows the first op set can be missing unseen: the other op set, the metadata, the functions.
    assert len(whole) == 3


def test_a_missing_file(path):
    with pytest.raises(BadInput, match=r"^no\.onnx: there is no such file; check the path$"):
        load("no.onnx")


def test_what_is_no_file(path):
    os.mkfifo("pipe")
    for name, words in ((".", "is a folder"), ("pipe", "is a pipe"), (os.devnull, "is a device")):
        with pytest.raises(BadInput, match=f"{words}, not a model file; name a .onnx file$"):
            load(name)


def test_what_cannot_be_read(path):
    with pytest.raises(BadInput, match=r"in.onnx/x: cannot be read \(Not a directory\)"):
        load("in.onnx/x")
    with pytest.raises(BadInput, match="is not a file name"):
        load("in\0.onnx")


def test_a_file_beyond_what_protobuf_can_hold(path, monkeypatch):
    monkeypatch.setattr(room, "LIMIT", 100)
    with pytest.raises(BadInput, match=r"^in.onnx: is larger than 2 GiB"):
        load("in.onnx")


def test_a_proto_that_is_no_model():
    with pytest.raises(BadInput, match=r"^model '': holds no graph"):
        load(onnx.ModelProto())


# Saving


def test_an_untouched_model_is_saved_byte_for_byte(path):
    # Fields in an unusual order, an unknown one among them: parsing and serializing would move both.
    raw = b"\xfa\x07\x03abc" + _fields(IMPORTS, 14, 25) + _fields(GRAPH) + _fields(IR)
    path.write_bytes(raw)
    assert load(path).proto.SerializeToString() != raw
    assert serialized(load(path)) == raw
    assert save(load(path), "out.onnx") == ()
    assert Path("out.onnx").read_bytes() == raw


@pytest.mark.parametrize("file", sorted(SHARED.glob("*.onnx")) or [None], ids=lambda file: file and file.name)
def test_real_models_are_saved_byte_for_byte(tmp_path, file):
    if file is None:
        pytest.skip(f"the folder of real models is not there ({SHARED})")
    save(load(file), tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == file.read_bytes()


def test_an_edit_leaves_the_rest_as_it_was(path):
    unknown = b"\xfa\x07\x03abc"  # field 127, which no onnx knows
    path.write_bytes(MODEL.SerializeToString() + unknown)
    assert save(_edited(path), "out.onnx") == ()
    saved = onnx.load("out.onnx")
    assert saved.graph.node[0].name == "renamed"
    saved.graph.node[0].name = "a"
    assert saved.SerializeToString() == MODEL.SerializeToString() + unknown


def test_a_proto_is_saved(path):
    assert save(load(MODEL), "out.onnx") == ()
    assert onnx.load("out.onnx") == MODEL


def test_a_link_is_followed_and_stays_a_link(path):
    Path("folder").mkdir()
    Path("link.onnx").symlink_to("folder/real.onnx")
    assert save(load(path), "link.onnx") == ()
    assert Path("link.onnx").is_symlink()
    assert Path("folder/real.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("output", ["in.onnx", "link.onnx", "hard.onnx", "folder/../in.onnx"])
def test_the_input_is_never_written(path, output):
    Path("folder").mkdir()
    Path("link.onnx").symlink_to("in.onnx")
    os.link("in.onnx", "hard.onnx")
    with pytest.raises(BadUsage, match=r"is the same file as '.*in.onnx', which is in use; choose another name"):
        save(_edited(path), output)
    assert path.read_bytes() == MODEL.SerializeToString()


def test_what_the_caller_protects_is_not_written(path):
    Path("other.onnx").write_bytes(b"other")
    with pytest.raises(BadUsage, match=r"is the same file as 'other.onnx'"):
        save(load(path), "other.onnx", protect=["other.onnx"])
    assert Path("other.onnx").read_bytes() == b"other"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_leaves_the_older_file(path, monkeypatch, step):
    Path("out.onnx").write_bytes(b"older")

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), failing)
    with pytest.raises(BadUsage, match=r"^out.onnx: could not be written \(Input/output error\)"):
        save(load(path), "out.onnx")
    assert Path("out.onnx").read_bytes() == b"older"
    assert sorted(map(str, Path().iterdir())) == ["in.onnx", "out.onnx"]


def test_a_model_beyond_what_protobuf_can_hold(path, monkeypatch):
    model = _edited(path)
    monkeypatch.setattr(room, "LIMIT", 100)
    with pytest.raises(BadInput, match=r"in.onnx: is larger than 2 GiB, more than protobuf can hold; keep its weights"):
        serialized(model)
    with pytest.raises(BadInput, match="is larger than 2 GiB"):
        save(model, "out.onnx")
    assert list(map(str, Path().iterdir())) == ["in.onnx"]
