"""Renamed, copied, moved, made, deleted; and each taken back."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.files.changes import FileChanges
from agentnb.files.trash import Trash
from tests.files.conftest import OUTSIDE, Place


def _fails(change: Callable[[], object], words: str | None = None) -> str:
    with pytest.raises(UsageError, match=words) as caught:
        change()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in folder.rglob("*")}


CHANGES: dict[str, Callable[[FileChanges], object]] = {
    "rename": lambda changes: changes.rename("in.txt", "out.txt"),
    "rename a folder": lambda changes: changes.rename("sub/", "other"),
    "duplicate": lambda changes: changes.duplicate("in.txt"),
    "duplicate a folder": lambda changes: changes.duplicate("sub"),
    "mkdir": lambda changes: changes.make_folder("x/y/z"),
    "move": lambda changes: changes.move("in.txt", "sub"),
    "move a folder": lambda changes: (changes.make_folder("x"), changes.move("sub", "x"), changes.undo),
    "rm": lambda changes: changes.remove("in.txt"),
    "rm a folder": lambda changes: changes.remove("sub"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_can_be_taken_back(place: Place, name: str) -> None:
    before = _snapshot(place.ws)
    CHANGES[name](place.changes)
    assert _snapshot(place.ws) != before
    place.changes.undo()
    if name == "move a folder":
        place.changes.undo()
    assert _snapshot(place.ws) == before


def test_the_newest_change_is_taken_back_first(place: Place) -> None:
    place.changes.rename("in.txt", "a.txt")
    place.changes.move("a.txt", "sub")
    place.changes.remove("sub/a.txt")
    assert place.changes.undo() == "'sub/a.txt' is back."
    assert place.changes.undo() == "'sub/a.txt' is 'a.txt' again."
    assert place.changes.undo() == "'a.txt' is 'in.txt' again."
    _fails(place.changes.undo, "nothing to undo")


def test_a_copy_that_was_undone_does_not_come_back_by_undoing_more(place: Place) -> None:
    place.changes.duplicate("in.txt")
    place.changes.undo()
    _fails(place.changes.undo, "nothing to undo")
    assert len(place.trash.list()) == 1


def test_a_copy_gets_the_next_free_number(place: Place) -> None:
    assert place.changes.duplicate("in.txt") == "in (1).txt"
    assert place.changes.duplicate("in.txt") == "in (2).txt"
    assert place.changes.duplicate("sub") == "sub (1)"
    assert (place.ws / "sub (1)" / "data.csv").exists()


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", "", " ", ".", "..", "a\0", "a\nb", "\x1b[31m", "x" * 300])
def test_a_name_that_cannot_be_is_refused(place: Place, name: str) -> None:
    _fails(lambda: place.changes.rename("in.txt", name))
    assert "in.txt" in place.names()


def test_nothing_is_written_over(place: Place) -> None:
    (place.ws / "sub" / "in.txt").write_text("other")
    assert "Give another name" in _fails(lambda: place.changes.rename("in.txt", "sub"), "is there already")
    _fails(lambda: place.changes.rename("in.txt", "in.txt"), "is there already")
    _fails(lambda: place.changes.move("in.txt", "sub"), "is there already")
    _fails(lambda: place.changes.make_folder("sub"), "is there already")
    assert (place.ws / "sub" / "in.txt").read_text() == "other"


def test_a_hard_link_of_the_same_file_is_not_written_over(place: Place) -> None:
    os.link(place.ws / "in.txt", place.ws / "same.txt")
    _fails(lambda: place.changes.rename("in.txt", "same.txt"), "is there already")


def test_a_folder_does_not_go_into_itself(place: Place) -> None:
    _fails(lambda: place.changes.move("sub", "sub"), "into itself")


@pytest.mark.parametrize("path", [*OUTSIDE, ".", "", "/", "sub/.."])
def test_neither_the_folder_itself_nor_what_is_outside_is_changed(place: Place, path: str) -> None:
    before = _snapshot(place.around)
    for change in (
        lambda: place.changes.rename(path, "new"),
        lambda: place.changes.duplicate(path),
        lambda: place.changes.move(path, "sub"),
        lambda: place.changes.remove(path),
        lambda: place.changes.make_folder(path),
    ):
        _fails(change)
    if path not in (".", "", "sub/.."):
        _fails(lambda: place.changes.move("in.txt", path))
    assert _snapshot(place.around) == before


def test_a_link_is_changed_itself_and_not_what_it_leads_to(place: Place) -> None:
    place.changes.rename("link", "way")
    assert place.changes.duplicate("way") == "way (1)"
    assert (place.ws / "way (1)").is_symlink()
    place.changes.remove("way")
    assert place.secret.read_text() == "secret\n"
    place.changes.undo()
    assert os.readlink(place.ws / "way") == str(place.secret.parent)


def test_what_agentnb_keeps_stays_also_as_a_part_of_a_folder(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.home = place.ws / "a" / "own"
    place.home.mkdir(parents=True)
    for path in ("a", "a/own"):
        _fails(lambda path=path: place.changes.remove(path))  # type: ignore[misc]
        _fails(lambda path=path: place.changes.rename(path, "b"))  # type: ignore[misc]


def test_the_trash_is_not_put_into_itself(place: Place) -> None:
    place.changes.trash = Trash(lambda: place.ws / "sub" / "trash")
    place.changes.remove("in.txt")
    for path in ("sub", "sub/trash"):
        _fails(lambda path=path: place.changes.remove(path), "has the trash in it")  # type: ignore[misc]


def test_a_missing_file_names_the_nearest(place: Place) -> None:
    _fails(lambda: place.changes.remove("ni.txt"), "Did you mean 'in.txt'")


def test_a_place_that_is_taken_again_keeps_both_until_it_is_free(place: Place) -> None:
    place.changes.remove("in.txt")
    (place.ws / "in.txt").write_text("new")
    _fails(place.changes.undo, "is there again")
    assert (place.ws / "in.txt").read_text() == "new"
    (place.ws / "in.txt").unlink()
    place.changes.undo()
    assert (place.ws / "in.txt").read_text() == "one\ntwo\nthree\n"


def test_a_way_that_leads_elsewhere_by_now_is_not_taken(place: Place) -> None:
    place.changes.remove("sub/data.csv")
    shutil.rmtree(place.ws / "sub")
    os.symlink(place.secret.parent, place.ws / "sub")
    _fails(place.changes.undo)
    assert os.listdir(place.secret.parent) == ["secret.txt"]


def test_another_kernel_brings_back_what_was_deleted_here(place: Place) -> None:
    first = place.changes.remove("in.txt")
    second = place.changes.remove("sub")
    later = FileChanges(place.folder, place.trash)
    assert later.undo(first.id[-6:]) == "'in.txt' is back."
    assert later.undo() == "'sub' is back."
    assert [place.trash.list(), second.is_dir] == [[], True]
    _fails(lambda: later.undo("zzz"), "The trash has no 'zzz'")
    _fails(lambda: later.undo(""))


def test_what_was_brought_back_by_its_id_is_no_step_any_more(place: Place) -> None:
    place.changes.rename("in.txt", "a.txt")
    thing = place.changes.remove("a.txt")
    place.changes.undo(thing.id)
    assert place.changes.undo() == "'a.txt' is 'in.txt' again."


def test_another_disk_is_reached_by_copying(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = _snapshot(place.ws), os.rename

    def across(source: Path, target: Path) -> None:
        inside = [str(each).startswith(str(place.ws)) for each in (source, target)]
        if inside[0] != inside[1]:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "rename", across)
    os.symlink("in.txt", place.ws / "sub" / "inner")
    for path in ("in.txt", "sub", "link"):
        place.changes.remove(path)
    assert place.names() == set()
    for _ in range(3):
        place.changes.undo()
    (place.ws / "sub" / "inner").unlink()
    assert _snapshot(place.ws) == before
    assert place.trash.list() == []


def test_what_cannot_all_be_removed_is_whole_in_the_trash(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("agentnb.files.trash.transfer", lambda one, other: (shutil.copytree(one, other), refused()))
    _fails(lambda: place.changes.remove("sub"), "whole in the trash")
    (thing,) = place.trash.list()
    assert (place.trash.folder / thing.id / "content" / "data.csv").read_text() == "a,b\n1,2\n"


def test_a_full_disk_loses_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = _snapshot(place.ws)
    monkeypatch.setattr(shutil, "copyfile", full)
    monkeypatch.setattr(shutil, "copy2", full)
    assert "the disk is full" in _fails(lambda: place.changes.duplicate("in.txt"))
    monkeypatch.setattr(Path, "write_text", full)
    assert "the disk is full" in _fails(lambda: place.changes.remove("in.txt"))
    assert _snapshot(place.ws) == before
    assert not any((place.home / "trash").iterdir())


def test_a_home_that_cannot_be_written_is_named(place: Place) -> None:
    place.home.rmdir()
    place.home.write_text("a file")
    said = _fails(lambda: place.changes.remove("in.txt"))
    assert str(place.home) in said
    assert "$AGENTNB_HOME" in said
    assert "in.txt" in place.names()
