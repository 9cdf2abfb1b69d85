"""Folders as pages, as trees, and the folders below."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.files.listing import FileEntry, children, list_folder, tree
from tests.files.conftest import OUTSIDE, Place

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + struct.pack(">II", 1, 1)
WAV = b"RIFF\x24\0\0\0WAVEfmt "


def _names(place: Place, **options: object) -> list[str]:
    return [each.name for each in list_folder(place.folder, **options).files]  # type: ignore[arg-type]


def test_folders_come_first_and_then_names_without_regard_to_case(place: Place) -> None:
    (place.ws / "Zebra").mkdir()
    (place.ws / "B.txt").touch()
    assert _names(place) == ["sub", "Zebra", "B.txt", "in.txt", "link"]


def test_an_entry_says_what_it_is(place: Place) -> None:
    os.utime(place.ws / "in.txt", ns=(0, 1_700_000_000_123_456_789))
    for name, data in {"p.dat": PNG, "s.dat": WAV, "b.bin": b"\0\1", "e.txt": b"", "v.svg": b"<svg></svg>"}.items():
        (place.ws / name).write_bytes(data)
    found = {each.name: each for each in list_folder(place.folder).files}
    assert found["in.txt"] == FileEntry("in.txt", "in.txt", False, 14, 1_700_000_000_123, is_text=True)
    assert found["p.dat"].is_image
    assert not found["p.dat"].is_text
    assert found["s.dat"].is_audio
    assert (found["v.svg"].is_image, found["v.svg"].is_text) == (True, True)
    assert found["e.txt"].is_text
    assert not found["b.bin"].is_text
    assert (found["sub"].is_dir, found["sub"].size) == (True, 0)
    assert list_folder(place.folder, "sub").files[0].path == "sub/data.csv"


def test_pages_are_counted_from_one(place: Place) -> None:
    for number in range(60):
        (place.ws / "sub" / f"{number:02}.txt").touch()
    first, second = (list_folder(place.folder, "sub", page=page) for page in (1, 2))
    assert (len(first.files), first.has_more, first.total) == (50, True, 61)
    assert (len(second.files), second.has_more) == (11, False)
    assert list_folder(place.folder, "sub", page=9).files == ()


def test_names_are_filtered_by_a_glob_or_a_part_of_them(place: Place) -> None:
    (place.ws / "Data.CSV").touch()
    assert _names(place, name_filter="*.csv") == ["Data.CSV"]
    assert _names(place, name_filter="IN") == ["in.txt", "link"]


def test_sizes_and_times_are_sorted_the_largest_first(place: Place) -> None:
    for name, count in {"s": 1, "l": 100, "m": 10}.items():
        (place.ws / "sub" / name).write_bytes(b"x" * count)
    assert _names(place, path="sub", sort="size") == ["l", "m", "data.csv", "s"]
    assert _names(place, path="sub", sort="-size")[0] == "s"
    assert _names(place, path="sub", sort="-name")[0] == "s"


@pytest.mark.parametrize("options", [{"page": 0}, {"page_size": 0}, {"sort": "colour"}, {"path": "in.txt"}])
def test_what_cannot_be_listed_is_told(place: Place, options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        _names(place, **options)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_names_the_nearest(place: Place) -> None:
    with pytest.raises(UsageError, match="Did you mean 'sub'"):
        list_folder(place.folder, "subb")


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_is_listed(place: Place, path: str) -> None:
    with pytest.raises(UsageError):
        list_folder(place.folder, path)
    with pytest.raises(UsageError):
        tree(place.folder, path)


def test_a_link_that_leads_out_or_nowhere_and_a_pipe_are_told_without_being_opened(place: Place) -> None:
    os.symlink(place.secret, place.ws / "out.txt")
    os.symlink("nowhere", place.ws / "gone.txt")
    os.mkfifo(place.ws / "pipe")
    found = {each.name: each for each in list_folder(place.folder).files}
    assert not found["out.txt"].is_text
    assert not found["link"].is_dir
    assert not found["gone.txt"].is_text
    assert not found["pipe"].is_text


def test_what_agentnb_keeps_for_itself_is_not_listed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.home = place.ws / "own"
    place.home.mkdir()
    assert "own" not in _names(place)
    with pytest.raises(UsageError):
        list_folder(place.folder, "own")


def test_a_tree_is_as_deep_as_asked(place: Place) -> None:
    (place.ws / "sub" / "deep" / "er").mkdir(parents=True)
    (place.ws / ".git" / "objects").mkdir(parents=True)
    whole = tree(place.folder)
    assert (whole.is_root, whole.path, whole.name) == (True, "", "ws")
    assert [each.name for each in whole.children] == [".git", "sub", "in.txt", "link"]
    assert whole.children[0].children == ()
    sub = whole.children[1]
    assert [(each.path, each.is_dir) for each in sub.children] == [("sub/deep", True), ("sub/data.csv", False)]
    assert tree(place.folder, depth=1).children[1].more
    assert [each.name for each in tree(place.folder, files=False).children] == [".git", "sub"]


def test_children_are_the_folders_of_any_folder(place: Place) -> None:
    (place.around / ".hidden").mkdir()
    assert [each.name for each in children(str(place.around))] == ["home", "ws", "ws-evil"]
    assert [each.is_root for each in children("")] == [True]
    for path in (str(place.around / "gone"), "a\0b"):
        with pytest.raises(UsageError):
            children(path)
