import os
import socket
from pathlib import Path

import pytest

from onnx_prelu.errors import BadUsage
from onnx_prelu.graph.atomic import replacing, target, write_text


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file(here):
    assert target("out.onnx", protect=()) == here / "out.onnx"
    assert target(here / "out.onnx", protect=["missing.onnx"]) == here / "out.onnx"
    assert _names(here) == []


def test_links_are_followed_to_the_real_file(here):
    (here / "folder").mkdir()
    (here / "folder/real").write_text("old")
    (here / "link").symlink_to("folder/real")
    (here / "chain").symlink_to("link")
    (here / "dangling").symlink_to("folder/new")
    (here / "linked-folder").symlink_to("folder")
    assert target("chain", protect=()) == here / "folder/real"
    assert target("dangling", protect=()) == here / "folder/new"
    assert target("linked-folder/new", protect=()) == here / "folder/new"


def _pipe(here: Path) -> None:
    os.mkfifo(here / "out")


def _socket(here: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("out")


REFUSED = {
    "a pipe": (_pipe, "out", "is a pipe"),
    "a pipe through a link": (lambda here: (_pipe(here), (here / "l").symlink_to("out")), "l", "is a pipe"),
    "a socket": (_socket, "out", "is a socket"),
    "a device": (lambda here: None, os.devnull, "is a device"),
    "a folder": (lambda here: (here / "out").mkdir(), "out", "is a folder"),
    "a folder to be": (lambda here: None, "out/", "is the name of a folder"),
    "the current folder": (lambda here: None, "", "is a folder"),
    "no parent folder": (lambda here: None, "no/out", "the folder '.*no' does not exist"),
    "below a file": (lambda here: (here / "f").write_text(""), "f/out", "lies below a file"),
    "below a file, deeper": (lambda here: (here / "f").write_text(""), "f/g/out", "lies below a file"),
    "behind a link to nowhere": (
        lambda here: (here / "l").symlink_to("no/out"), "l", "the folder '.*no' does not exist"
    ),
    "a loop of links": (lambda here: (here / "l").symlink_to("l"), "l", "cannot be written"),
    "a name too long": (lambda here: None, "o" * 300, "cannot be written"),
    "no name at all": (lambda here: None, "o\0ut", "is not a file name"),
    "a folder that takes no files": (lambda here: None, "/proc/out", "the folder '/proc' cannot be written"),
    "the input": (lambda here: (here / "in").write_text("old"), "in", "is the same file as 'in'"),
    "the input by a link": (
        lambda here: ((here / "in").write_text("old"), (here / "l").symlink_to("in")), "l", "is the same file as 'in'"
    ),
    "the input by a hard link": (
        lambda here: ((here / "in").write_text("old"), os.link("in", "h")), "h", "is the same file as 'in'"
    ),
    "the input by another path": (
        lambda here: ((here / "d").mkdir(), (here / "in").write_text("old")), "d/../in", "is the same file as 'in'"
    ),
    "another output that is not there yet": (
        lambda here: (here / "l").symlink_to("in"), "l", "is the same file as 'in'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(here, name):
    prepare, path, words = REFUSED[name]
    prepare(here)
    before = _names(here)
    with pytest.raises(BadUsage, match=words) as caught:
        target(path, protect=["in"])
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)
    assert _names(here) == before


def test_write_protected(here, monkeypatch):
    (here / "out").write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everything
    with pytest.raises(BadUsage, match="is write-protected"):
        target("out", protect=())


def test_a_new_file_gets_the_mode_that_the_umask_gives(here):
    before = os.umask(0o027)
    try:
        with replacing(here / "out") as file:
            file.write(b"new")
    finally:
        os.umask(before)
    assert (here / "out").stat().st_mode & 0o7777 == 0o640
    assert (here / "out").read_bytes() == b"new"


def test_an_existing_file_keeps_its_mode(here):
    (here / "out").write_text("old")
    (here / "out").chmod(0o604)
    with replacing(here / "out") as file:
        file.write(b"new")
    assert (here / "out").stat().st_mode & 0o7777 == 0o604
    assert (here / "out").read_bytes() == b"new"


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(here):
    (here / "out").write_text("old")

    def interrupted() -> None:
        with replacing(here / "out") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (here / "out").read_text() == "old"
    assert _names(here) == ["out"]


def test_other_names_of_an_overwritten_file_keep_the_old_content(here):
    (here / "out").write_text("old")
    os.link("out", "other")
    write_text("out", "new")
    assert ((here / "out").read_text(), (here / "other").read_text()) == ("new", "old")


def test_a_text_is_utf8_and_goes_through_links(here):
    (here / "real").write_text("old")
    (here / "link.md").symlink_to("real")
    write_text("link.md", "ψ · \udcff\n")
    assert (here / "link.md").is_symlink()
    assert (here / "real").read_bytes() == "ψ · \\udcff\n".encode()
    assert _names(here) == ["link.md", "real"]


def test_a_full_disk_is_said(here, monkeypatch):
    (here / "report.md").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadUsage, match=r"^report.md: could not be written \(No space left on device\), what was there"):
        write_text("report.md", "new")
    assert (here / "report.md").read_text() == "old"
    assert _names(here) == ["report.md"]
