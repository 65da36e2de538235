"""Files that appear whole or not at all, and errors of them that come early, in one line."""

import json
import os

import numpy as np
import pytest

from nst_tf import files
from nst_tf.errors import FileError, NSTError, PictureError
from nst_tf.recipe import presets
from nst_tf.run.record import Result


def refused(action, *arguments, words):
    """It fails with one line, which is about no picture."""
    with pytest.raises(FileError) as caught:
        action(*arguments)
    text = str(caught.value)
    assert "\n" not in text and not isinstance(caught.value, PictureError)
    for word in words:
        assert word in text, text


def test_errors_of_pictures_are_errors_of_files():
    assert issubclass(PictureError, FileError) and issubclass(FileError, NSTError)


@pytest.mark.parametrize("data", [b"bytes\r\n\0", "text β\n"])
def test_what_is_written(tmp_path, data):
    path = tmp_path / "a.txt"
    for content in (data, data * 2):
        files.write(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a.txt"
    files.write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(step, full)
        refused(files.write, path, "new", words=["cannot write", "a.txt: No space left on device"])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_and_its_own_error(tmp_path):
    path = tmp_path / "a.txt"
    files.write(path, "old")
    with pytest.raises(KeyError), files.replacing(path) as part:
        part.write_text("half")
        assert path.read_text() == "old"
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_halves_of_files_are_swept_away(tmp_path):
    """Of processes that are no more: what somebody writes to meanwhile is left alone, and what
    others have named."""
    names = [f".{number:032x}.part" for number in (1, 2)] + [".notes.part", ".2.part", "a.part"]
    for name in names:
        (tmp_path / name).write_text("half")
    folder, kept = files.part_beside(tmp_path / "made"), tmp_path / "kept"
    for below in (folder, kept):
        below.mkdir()
        (below / "half").touch()
    link = files.part_beside(folder)
    link.symlink_to(kept)
    with pytest.raises(KeyError), files.swept(tmp_path):
        raise KeyError
    assert len(list(tmp_path.iterdir())) == len(names) + 3
    with files.swept(tmp_path):
        os.utime(tmp_path / names[1], ns=(0, 0))
        with files.replacing(tmp_path / "b") as part:
            part.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], "b", "kept"}
    assert (kept / "half").exists()


def test_a_link_stays_a_link(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    files.write(link, "text")
    assert link.is_symlink() and target.read_text() == "text"


def test_what_is_away_is_back_where_the_block_fails(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    target.write_text("text")
    for path in (link, target):
        with pytest.raises(KeyError), files.away(path):
            assert not target.exists()
            raise KeyError
        assert target.read_text() == "text"
    for _ in range(2):
        with files.away(link):
            assert not target.exists()
        assert list(tmp_path.iterdir()) == [link] and link.is_symlink()


def test_where_no_file_can_be(tmp_path, monkeypatch):
    check = files.check_writable
    check(tmp_path / "new")
    (tmp_path / "file").touch()
    check(tmp_path / "file")
    refused(check, tmp_path, words=["it is a directory"])
    refused(check, tmp_path / "missing" / "a", words=["there is no directory", "missing"])
    os.mkfifo(tmp_path / "pipe")
    refused(check, tmp_path / "pipe", words=["not an ordinary file"])
    refused(check, tmp_path / ("a" * 256), words=["too long"])
    refused(check, tmp_path / "a\0b", words=["cannot write"])
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(check, tmp_path / "loop" / "a", words=["cannot write"])
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for whoever is not root
    refused(check, tmp_path / "new", words=["no permission in", str(tmp_path)])


def test_a_folder_is_made_with_those_above_it(tmp_path):
    folder = tmp_path / "a" / "b"
    files.check_folder(folder)
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        files.make_folder(folder)
        assert folder.is_dir()


@pytest.mark.parametrize("action", [files.check_folder, files.make_folder])
def test_where_no_folder_can_be(tmp_path, monkeypatch, action):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "file/below/it"):
        refused(action, tmp_path / name, words=["folder", f"{tmp_path / 'file'} is no folder"])
    for name in ("loop/a", "a\0b"):
        refused(action, tmp_path / name, words=["folder"])
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(action, tmp_path / "new", words=["no permission in", str(tmp_path)])
    assert not (tmp_path / "new").exists()


def test_the_record_beside_a_picture_is_no_picture(tmp_path):
    array = np.zeros((4, 4, 3), np.float32)
    result = Result(array, [], presets.settings(), "finished", {}, {"total": 0.5})
    result.save(tmp_path / "out.png")
    assert json.loads((tmp_path / "out.json").read_text()) == {"total": 0.5}
    (tmp_path / "other.json").mkdir()
    refused(result.save, tmp_path / "other.png", words=["cannot write", "other.json"])
