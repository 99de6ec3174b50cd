import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from onnx_prelu.errors import BadInput, BadUsage
from onnx_prelu.graph import data_files, external
from onnx_prelu.graph import model as room
from onnx_prelu.graph.model import Model, array, load, save, tensors

W = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
V = np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
DATA = b"\xee" * 8 + W.tobytes() + V.tobytes()


def _model(*, w: dict[str, object], v: dict[str, object], shape: tuple[int, ...] = (32, 32)) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 32] x) => (float[N, 32] y)'
        "{ h = MatMul(x, w) p = PRelu(h, s) y = MatMul(p, v) }"
    )
    for name, entries in (("w", w), ("v", v)):
        tensor = proto.graph.initializer.add(name=name, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
    proto.graph.initializer.append(numpy_helper.from_array(np.float32([0.25]), "s"))
    return proto


def _entries(location: str = "net.data", **changed: object) -> tuple[dict[str, object], dict[str, object]]:
    w = {"location": location, "offset": 8, "length": W.nbytes}
    return w | changed, w | {"offset": 8 + W.nbytes}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the input model and its data in `in`, an empty `out`, and `in` as the current folder."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "in")
    _write(*_entries())
    return tmp_path


def _write(w: dict[str, object], v: dict[str, object], data: bytes = DATA) -> None:
    location = Path(str(w["location"]))
    location.parent.mkdir(exist_ok=True)
    location.write_bytes(data)
    Path("net.onnx").write_bytes(_model(w=w, v=v).SerializeToString())


def _result(path: Path) -> np.ndarray:
    """What the model computes, by ONNX Runtime; the checker of onnx looks at it, too."""
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).normal(size=(3, 32)).astype(np.float32)
    return np.asarray(session.run(None, {"x": x})[0])


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# Loading


def test_data_are_found_but_not_read(here, monkeypatch):
    opened = []
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: opened.append(self.name) or io_open(self, *a, **k))
    model = load("net.onnx")
    assert opened == ["net.onnx"]
    assert model.data
    assert model.proto == onnx.load("net.onnx", load_external_data=False)
    before = model.proto.SerializeToString()
    values = {tensor.name: array(tensor, model.folder) for tensor in tensors(model.proto)}
    np.testing.assert_array_equal(values["w"], W)
    np.testing.assert_array_equal(values["v"], V)
    assert model.proto.SerializeToString() == before


io_open = Path.open


def test_the_folder_is_the_models_wherever_the_caller_stands(here, monkeypatch):
    model = load("net.onnx")
    monkeypatch.chdir(here)
    np.testing.assert_array_equal(array(model.proto.graph.initializer[0], model.folder), W)
    np.testing.assert_array_equal(array(load("in/net.onnx").proto.graph.initializer[1], here / "in"), V)


def test_sub_folders_and_offsets_left_out(here):
    _write(
        {"location": "a/b.data"}, {"location": "./a/b.data", "offset": W.nbytes}, W.tobytes() + V.tobytes() + b"more"
    )
    w, v, _ = load("net.onnx").proto.graph.initializer
    np.testing.assert_array_equal(array(w, here / "in"), W)
    np.testing.assert_array_equal(array(v, here / "in"), V)


def test_behind_a_linked_folder_is_fine_when_it_is_the_models_own(here):
    Path(here / "link").symlink_to("in")
    assert load(here / "link/net.onnx").data


def _cut(size: int) -> Callable[[], None]:
    return lambda: os.truncate("net.data", size)


def _moved_behind_a_link() -> None:
    Path("net.data").rename("real.data")
    Path("net.data").symlink_to("real.data")


def _sub_folder_is_a_link() -> None:
    Path("real").mkdir()
    Path("net.data").rename("real/net.data")
    Path("sub").symlink_to("real")


def _replaced_by(make: Callable[[str], object]) -> Callable[[], None]:
    def prepare() -> None:
        Path("net.data").unlink()
        make("net.data")

    return prepare


LONG = "0" * 5000
BAD = {
    "missing": ({}, lambda: Path("net.data").unlink(), "keeps its data in 'net.data', which is not in '.*/in'; put"),
    "in a missing folder": ({"location": "no/net.data"}, None, "'no/net.data', which is not in '.*/in'"),
    "below a file": ({"location": "net.onnx/x"}, None, "'net.onnx/x', which is not in"),
    "cut short": ({}, _cut(len(DATA) // 4), "needs bytes 8 to 4104 of '.*net.data', which has 2050; copy the file"),
    "cut short by one": ({"offset": len(DATA) - W.nbytes + 1}, None, "needs bytes 4105 to 8201 of .*, which has 8200"),
    "empty": ({}, _cut(0), "which has 0"),
    "beyond the end": ({"offset": 10**12}, None, "which has 8200"),
    "absolute": ({"location": "/etc/passwd"}, None, "'/etc/passwd', which is not a relative path"),
    "absolute on Windows": ({"location": "C:\\net.data"}, None, "which is not a relative path"),
    "out of the folder": ({"location": "../in/net.data"}, None, "leaves the model's folder by '..'"),
    "out and in again": ({"location": "sub/../net.data"}, None, "leaves the model's folder by '..'"),
    "out on Windows": ({"location": "..\\net.data"}, None, "leaves the model's folder by '..'"),
    "no location": ({"location": ""}, None, "which is not a relative path"),
    "the folder itself": ({"location": "."}, None, "which is not a relative path"),
    "a link": ({}, _moved_behind_a_link, "'.*net.data' is a link, which runtimes refuse; put the file itself"),
    "through a link": ({"location": "sub/net.data"}, _sub_folder_is_a_link, "'.*sub' is a link"),
    "a dangling link": ({}, _replaced_by(lambda name: Path(name).symlink_to("no")), "'.*net.data' is a link"),
    "a folder": ({}, _replaced_by(os.mkdir), "which is a folder, not a file"),
    "a pipe": ({}, _replaced_by(os.mkfifo), "which is a pipe, not a file"),
    "negative offset": ({"offset": -1}, None, "has '-1' as the offset"),
    "no number": ({"length": "all"}, None, "has 'all' as the length"),
    "a number beyond all files": ({"offset": LONG}, None, "as the offset of its external data"),
    "too few bytes for the shape": ({"length": 12}, None, "has 12 bytes in 'net.data', but .* need 4096"),
    "too many bytes for the shape": ({"length": 4100}, None, "has 4100 bytes in 'net.data', but .* need 4096"),
    "no file name": ({"location": "a\0b"}, None, "which is not in"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_name_model_tensor_and_file(here, name):
    changed, prepare, words = BAD[name]
    Path("net.onnx").write_bytes(_model(w=_entries(**changed)[0], v=_entries()[1]).SerializeToString())
    if prepare:
        prepare()
    with pytest.raises(BadInput, match=f"^net.onnx: tensor 'w' .*{words}") as caught:
        load("net.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.todo


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data_type": TensorProto.STRING}, "holds strings"),
        ({"data_type": 12345}, "has type 12345, which onnx .* does not know"),
        ({"data_type": TensorProto.UNDEFINED}, "has type 0"),
        ({"dims": [-1, 32]}, r"has the shape \[-1, 32\]"),
    ],
)
def test_tensors_that_cannot_be_external(here, changed, words):
    entries = [onnx.StringStringEntryProto(key="location", value="net.data")]
    fields = {"name": "w", "data_type": 1, "dims": [2], "data_location": TensorProto.EXTERNAL, "external_data": entries}
    with pytest.raises(BadInput, match=f"^tensor 'w' {words}|^tensor 'w': {words}"):
        external.place(TensorProto(**(fields | changed)))


@pytest.mark.parametrize(("kind", "bits"), [("INT4", 4), ("UINT4", 4), ("BOOL", 8), ("BFLOAT16", 16), ("DOUBLE", 64)])
def test_sizes_of_packed_and_plain_types(kind, bits):
    tensor = TensorProto(
        name="w", data_type=getattr(TensorProto, kind), dims=[3, 5], data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="w.data")
    assert external.place(tensor) == external.Place("w.data", 0, -(-15 * bits // 8))


def test_a_model_in_memory_has_no_folder(here):
    with pytest.raises(BadInput, match=r"^model 'g': tensor 'w' keeps its data in 'net.data', and a model in memory"):
        load(onnx.load("net.onnx", load_external_data=False))


def test_data_in_every_place_are_looked_at(here):
    proto = onnx.load("net.onnx", load_external_data=False)
    missing = TensorProto(name="", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    missing.external_data.add(key="location", value="no.data")
    proto.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=missing))
    Path("net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(BadInput, match=r"'no.data', which is not in"):
        load("net.onnx")


# Saving what was not touched


def test_into_the_same_folder_nothing_is_copied(here):
    before = _tree(here)
    assert save(load("net.onnx"), "out.onnx") == ()
    assert _tree(here) == before | {"in/out.onnx": before["in/net.onnx"]}
    np.testing.assert_array_equal(_result(Path("out.onnx")), _result(Path("net.onnx")))


@pytest.mark.parametrize("location", ["net.data", "sub/deep/net.data"])
def test_into_another_folder_the_data_go_along_under_their_name(here, location):
    Path("sub").mkdir()
    _write(*_entries(location))
    raw = Path("net.onnx").read_bytes()
    notes = save(load("net.onnx"), "../out/new.onnx")
    assert _tree(here / "out") == {"new.onnx": raw, location: DATA}
    assert notes == (f"'{location}' was copied beside the output",)
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _result(Path("net.onnx")))


def test_data_that_lie_there_already_are_not_written(here):
    (here / "out/net.data").write_bytes(DATA)
    status = (here / "out/net.data").stat()
    raw = Path("net.onnx").read_bytes()
    save(load("net.onnx"), here / "out/new.onnx")
    assert (here / "out/net.data").stat() == status
    assert _tree(here / "out") == {"new.onnx": raw, "net.data": DATA}


def _a_file(out: Path) -> None:
    (out / "net.data").write_bytes(b"another model's")


def _a_file_of_that_size(out: Path) -> None:
    (out / "net.data").write_bytes(DATA[:-1] + b"\0")


def _a_folder(out: Path) -> None:
    (out / "net.data").mkdir()


def _a_link_to_the_same(out: Path) -> None:
    (out / "net.data").symlink_to("../in/net.data")


def _a_hard_link_to_the_same(out: Path) -> None:
    (out / "other.data").write_bytes(DATA)
    os.link(out / "other.data", out / "net.data")


@pytest.mark.parametrize(
    "taken", [_a_file, _a_file_of_that_size, _a_folder, _a_link_to_the_same, _a_hard_link_to_the_same]
)
def test_where_the_name_is_taken_the_locations_change_and_it_is_said(here, taken):
    taken(here / "out")
    before = _tree(here / "out")
    model = load("net.onnx")
    proto = model.proto.SerializeToString()
    notes = save(model, here / "out/new.onnx")
    name = f"net.{_hash(DATA)}.data"
    assert notes == (f"'net.data' beside the output is another file: the data are in '{name}', and the model says so",)
    assert {key: value for key, value in _tree(here / "out").items() if key != "new.onnx"} == before | {name: DATA}
    assert model.proto.SerializeToString() == proto
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _result(Path("net.onnx")))
    saved = onnx.load(here / "out/new.onnx", load_external_data=False)
    expected = onnx.load("net.onnx", load_external_data=False)
    for tensor in expected.graph.initializer[:2]:
        tensor.external_data[0].value = name
    assert saved == expected
    save(model, here / "out/new.onnx")  # once more: the data lie there already
    assert sorted(_tree(here / "out")) == sorted([*before, name, "new.onnx"])


def test_a_sub_folder_that_is_a_link_is_not_written_through(here):
    _write(*_entries("sub/net.data"))
    (here / "elsewhere").mkdir()
    (here / "out/sub").symlink_to("../elsewhere")
    save(load("net.onnx"), here / "out/new.onnx")
    assert _tree(here / "elsewhere") == {}
    assert sorted(_tree(here / "out")) == [f"net.{_hash(DATA)}.data", "new.onnx"]
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _result(Path("net.onnx")))


def test_a_sub_folder_that_is_a_file_stays(here):
    _write(*_entries("sub/net.data"))
    (here / "out/sub").write_bytes(b"a file")
    save(load("net.onnx"), here / "out/new.onnx")
    assert sorted(_tree(here / "out")) == [f"net.{_hash(DATA)}.data", "new.onnx", "sub"]


def test_an_output_of_the_datas_name_does_not_lose_them(here):
    save(load("net.onnx"), here / "out/net.data")
    assert sorted(_tree(here / "out")) == [f"net.{_hash(DATA)}.data", "net.data"]
    np.testing.assert_array_equal(_result(here / "out/net.data"), _result(Path("net.onnx")))


def test_two_files_of_one_name_in_different_folders(here):
    _write({"location": "a/w", "length": W.nbytes}, {"location": "b/w", "length": W.nbytes}, W.tobytes())
    Path("b").mkdir()
    Path("b/w").write_bytes(V.tobytes())
    (here / "out/a").write_bytes(b"taken")
    (here / "out/b").write_bytes(b"taken")
    save(load("net.onnx"), here / "out/new.onnx")
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _result(Path("net.onnx")))


def test_only_files_that_are_still_used_are_copied(here):
    _write({"location": "w.data"}, {"location": "v.data"}, W.tobytes())
    Path("v.data").write_bytes(V.tobytes())
    model = load("net.onnx")
    save(_with_new_weights(model, {"w": W}, fresh=()), here / "out/new.onnx")
    assert sorted(_tree(here / "out")) == ["new.onnx", "v.data"]


def test_through_a_link_the_data_lie_beside_the_file_itself(here):
    Path("link.onnx").symlink_to("../out/new.onnx")
    notes = save(load("net.onnx"), "link.onnx")
    assert sorted(_tree(here / "out")) == ["net.data", "new.onnx"]
    assert (
        notes[1] == f"'link.onnx' is a link: the data lie beside the file itself, so open it as '{here}/out/new.onnx'"
    )


@pytest.mark.parametrize("output", ["net.data", "link", "hard"])
def test_the_inputs_data_are_never_written(here, output):
    Path("link").symlink_to("net.data")
    os.link("net.data", "hard")
    before = _tree(here)
    with pytest.raises(BadUsage, match=r"is the same file as '.*net.data', which is in use"):
        save(load("net.onnx"), output)
    assert _tree(here) == before


def test_data_that_vanish_between_load_and_save(here):
    model = load("net.onnx")
    Path("net.data").unlink()
    with pytest.raises(BadInput, match=r"^tensor 'w': keeps its data in 'net.data', which is not in"):
        save(model, here / "out/new.onnx")
    assert _tree(here / "out") == {}


# Saving what an edit made


def _with_new_weights(model: Model, weights: dict[str, np.ndarray], fresh: object = None) -> Model:
    """The model with initializers replaced by new ones in memory, as an edit does it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in proto.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return replace(model, proto=proto, raw=None, fresh=frozenset(weights if fresh is None else fresh))


def _reference(model: Model, folder: Path) -> np.ndarray:
    """What the model computes with all data in it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    onnx.load_external_data_for_model(proto, str(folder))
    onnx.save(proto, folder / "reference.onnx")
    return _result(folder / "reference.onnx")


@pytest.mark.parametrize("output", ["new.onnx", "../out/new.onnx"])
def test_new_weights_go_into_a_new_file_named_for_its_content(here, output):
    before = _tree(here / "in")
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W, "s": np.float32([0.5])})
    proto = edited.proto.SerializeToString()
    notes = save(edited, output)
    folder = (here / "in" / output).resolve().parent
    name = f"new.{_hash((2 * W).tobytes())}.data"
    assert (folder / name).read_bytes() == (2 * W).tobytes()
    assert notes[-1] == f"new weights are in '{name}', beside the output"
    assert edited.proto.SerializeToString() == proto
    assert before.items() <= _tree(here / "in").items()
    saved = {tensor.name: tensor for tensor in onnx.load(output, load_external_data=False).graph.initializer}
    assert [(entry.key, entry.value) for entry in saved["w"].external_data] == [
        ("location", name), ("offset", "0"), ("length", "4096")
    ]  # fmt: skip
    assert not saved["w"].HasField("raw_data")
    assert saved["s"].HasField("raw_data")  # small
    assert saved["v"] == onnx.load("net.onnx", load_external_data=False).graph.initializer[1]
    np.testing.assert_array_equal(_result(Path(output)), _reference(edited, here / "in"))


def test_new_weights_that_replace_all_that_was_outside(here):
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W, "v": 3 * V})
    save(edited, here / "out/new.onnx")
    (data,) = (here / "out").glob("*.data")
    assert (here / "out/new.onnx").stat().st_size < 1000
    assert data.name == f"new.{_hash(data.read_bytes())}.data"
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _reference(edited, here / "in"))
    reloaded = load(here / "out/new.onnx")
    np.testing.assert_array_equal(array(reloaded.proto.graph.initializer[1], reloaded.folder), 3 * V)


def test_new_weights_lie_at_aligned_offsets(here):
    (here / "out/new.onnx").touch()
    sizes = {"a": 1025, "b": 70_000, "c": 2000, "d": 80_000}
    raw = [TensorProto(name=name, raw_data=name.encode() * size) for name, size in sizes.items()]
    with room.ExitStack() as undo:
        places = data_files.write(raw, data_files.Output(here / "out/new.onnx", undo))
        undo.pop_all()
    assert {name: (place.offset, place.length) for name, place in places.items()} == {
        "a": (0, 1025), "b": (4096, 70_000), "c": (74_112, 2000), "d": (77_824, 80_000)
    }  # fmt: skip
    data = (here / "out" / places["a"].location).read_bytes()
    assert [data[at.offset : at.offset + at.length] for at in places.values()] == [t.raw_data for t in raw]
    assert set(data) == set(b"\0abcd")


def test_the_same_weights_give_the_same_file_and_other_weights_another(here):
    model = load("net.onnx")
    save(_with_new_weights(model, {"w": 2 * W}), here / "out/new.onnx")
    first = _tree(here / "out")
    save(_with_new_weights(model, {"w": 2 * W}), here / "out/new.onnx")
    assert _tree(here / "out") == first
    save(_with_new_weights(model, {"w": 3 * W}), here / "out/new.onnx")
    assert {name: data for name, data in first.items() if name != "new.onnx"}.items() <= _tree(here / "out").items()
    assert len(_tree(here / "out")) == len(first) + 1


def test_a_taken_hash_takes_more_of_the_hash_and_then_gives_up(here):
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W, "v": V})
    digest = hashlib.sha256((2 * W).tobytes() + V.tobytes()).hexdigest()
    (here / f"out/new.{digest[:16]}.data").write_bytes(b"taken")
    save(edited, here / "out/new.onnx")
    assert (here / f"out/new.{digest}.data").read_bytes() == (2 * W).tobytes() + V.tobytes()
    (here / "out/new.onnx").write_bytes(b"older")
    (here / f"out/new.{digest}.data").write_bytes(b"taken, too")
    before = _tree(here / "out")
    with pytest.raises(
        BadUsage, match=r"its folder has other files where its data would go, .*; choose another folder"
    ):
        save(edited, here / "out/new.onnx")
    assert _tree(here / "out") == before


def test_a_model_that_keeps_its_data_inside_goes_on_doing_so(here):
    edited = _with_new_weights(load(onnx.load("net.onnx")), {"w": 2 * W})
    assert save(edited, here / "out/new.onnx") == ()
    assert sorted(_tree(here / "out")) == ["new.onnx"]


def test_a_model_that_would_pass_the_limit_of_protobuf_spills_its_new_weights(here, monkeypatch):
    edited = _with_new_weights(load(onnx.load("net.onnx")), {"w": 2 * W})
    monkeypatch.setattr(room, "LIMIT", 6000)
    notes = save(edited, here / "out/new.onnx")
    assert notes == (f"new weights are in 'new.{_hash((2 * W).tobytes())}.data', beside the output",)
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _reference(edited, here / "in"))


def test_weights_of_nested_graphs_and_tensors_of_a_fresh_name_elsewhere(here):
    """A nested initializer goes out; a Constant's tensor may bear any name, and stays."""
    proto = onnx.load("net.onnx", load_external_data=False)
    inner = onnx.parser.parse_graph("t () => (float[32, 32] u) { u = Identity(k) }")
    inner.initializer.append(numpy_helper.from_array(W, "k"))
    other = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["z"], value=numpy_helper.from_array(V, "k"))],
        "e", [], [onnx.helper.make_tensor_value_info("z", 1, [32, 32])],
    )  # fmt: skip
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    proto.graph.node.append(onnx.helper.make_node("If", ["c"], ["q"], then_branch=inner, else_branch=other))
    Path("net.onnx").write_bytes(proto.SerializeToString())
    model = replace(load("net.onnx"), raw=None, fresh=frozenset({"k"}))
    save(model, here / "out/new.onnx")
    saved = onnx.load(here / "out/new.onnx", load_external_data=False)
    branch, constant = (attribute.g for attribute in saved.graph.node[-1].attribute)
    if branch.name != "t":
        branch, constant = constant, branch
    assert branch.initializer[0].data_location == TensorProto.EXTERNAL
    assert constant.node[0].attribute[0].t.raw_data == V.tobytes()
    np.testing.assert_array_equal(_result(here / "out/new.onnx"), _result(Path("net.onnx")))


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_whatever_fails_takes_back_what_was_made(here, monkeypatch, fails_at):
    _write(*_entries("sub/net.data"))
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W})
    (here / "out/new.onnx").write_bytes(b"older")
    calls = []

    def failing(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(BadUsage, match=r"new.onnx: could not be written \(No space left on device\), what was there"):
        save(edited, here / "out/new.onnx")
    assert len(calls) == fails_at
    assert [str(path.relative_to(here / "out")) for path in (here / "out").rglob("*")] == ["new.onnx"]
    assert (here / "out/new.onnx").read_bytes() == b"older"


def test_the_model_is_written_last(here, monkeypatch):
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W})
    order = []
    rename = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: order.append(target.name) or rename(self, target))
    save(edited, here / "out/new.onnx")
    assert order == ["net.data", f"new.{_hash((2 * W).tobytes())}.data", "new.onnx"]


def test_a_file_name_that_is_no_text(here):
    edited = _with_new_weights(load("net.onnx"), {"w": 2 * W})
    output = here / os.fsdecode(b"out/n\xff.onnx")
    save(edited, output)
    (data,) = (here / "out").glob("*.*.data")
    assert data.name == f"n_udcff.{_hash((2 * W).tobytes())}.data"
    np.testing.assert_array_equal(array(load(output).proto.graph.initializer[0], here / "out"), 2 * W)
