"""How long the trash keeps things, and what it makes of notes that are broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentnb.files.trash import Trash
from tests.files.conftest import Place

DAY = 86_400.0


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _put(trash: Trash, place: Place, name: str, count: int = 10) -> None:
    (place.ws / name).write_bytes(b"x" * count)
    trash.put(place.ws / name, place.ws)


def _names(trash: Trash) -> list[str]:
    return [Path(each.path).name for each in trash.list()]


def test_things_go_after_thirty_days(place: Place, clock: Clock) -> None:
    trash = Trash(lambda: place.home / "trash", clock=clock)
    for day, name in enumerate(("a", "b", "c")):
        _put(trash, place, name)
        clock.now += 16 * DAY * bool(day < 2)
    assert _names(trash) == ["c", "b"]
    clock.now += 16 * DAY
    trash.prune()
    assert _names(trash) == ["c"]


def test_the_oldest_go_where_it_is_too_much_and_the_newest_stays(place: Place, clock: Clock) -> None:
    trash = Trash(lambda: place.home / "trash", most=25, clock=clock)
    for name, count in (("a", 10), ("b", 10), ("c", 10), ("huge", 100)):
        _put(trash, place, name, count)
        clock.now += 1
        if name == "c":
            assert _names(trash) == ["c", "b"]
    assert _names(trash) == ["huge"]


def test_a_broken_note_hides_nothing_else_and_goes_after_a_day(place: Place, clock: Clock) -> None:
    trash = Trash(lambda: place.home / "trash", clock=clock)
    _put(trash, place, "a")
    for name, note in {"1": "{", "2": '{"x": 1}', "3": "[]", "4": json.dumps({"id": "../../x"})}.items():
        (trash.folder / name).mkdir()
        (trash.folder / name / "note.json").write_text(note)
        os.utime(trash.folder / name, (clock.now, clock.now))
    trash.prune()
    assert len(os.listdir(trash.folder)) == 5
    assert _names(trash) == ["a"]
    clock.now += 2 * DAY
    trash.prune()
    assert len(os.listdir(trash.folder)) == 1


def test_only_the_person_may_look_into_it(place: Place) -> None:
    place.changes.remove("in.txt")
    (thing,) = place.trash.list()
    assert (place.trash.folder / thing.id).stat().st_mode & 0o777 == 0o700


def test_each_workspace_has_its_own_things(place: Place) -> None:
    place.changes.remove("in.txt")
    assert len(place.trash.list(place.ws)) == 1
    assert place.trash.list(place.around) == []
