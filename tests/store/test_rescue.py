"""Of a damaged file all that can be read comes over; the damaged one stays."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agentnb.errors import StoreError
from agentnb.messages import user
from agentnb.session import RunHead
from agentnb.store import Store
from agentnb.store.moved import MovedRun, MovedSession, MovedTurn, Said
from agentnb.store.rescue import count_rows, rescue
from agentnb.store.runs import StoredRun

PAGE = 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with some hundred messages that is closed."""
    store = Store(tmp_path / "home")
    for n in range(12):
        runs = tuple(
            MovedRun(
                StoredRun(RunHead(f"r{n}-{k}", f"s{n}"), 1.0, 2.0, "done"),
                tuple(Said(user(f"{at} of {n} " * 40), 1.0) for at in range(8)),
            )
            for k in range(4)
        )
        turns = tuple(MovedTurn(each.run.head.id) for each in runs)
        store.moving.put(MovedSession(f"s{n}", turns=turns, runs=runs))
        store.records.put("template", f"t{n}", {"content": "x" * 300})
    store.close()
    with contextlib.closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store.path


def torn(data: bytes) -> bytes:
    at = len(data) // 2 // PAGE * PAGE
    return data[:at] + b"\xaa" * PAGE + data[at + PAGE :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[: len(data) * 2 // 3 + 17],
    "a page lost": torn,
    "the beginning lost": lambda data: bytes(PAGE) + data[PAGE:],
    "the header lost": lambda data: b"\xff" * 100 + data[100:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_can_be_read_comes_over_and_the_rest_stays(file: Path, damage: str) -> None:
    data = DAMAGES[damage](file.read_bytes())
    file.write_bytes(data)
    saved = rescue(file)
    assert saved.damaged is not None
    assert saved.damaged.name.startswith("agentnb.db.damaged-20")
    assert saved.damaged.read_bytes() == data
    store = Store(file.parent)
    assert store.database.check() == "ok"
    assert count_rows(store.database) == saved.came
    assert saved.came["sessions"] == 12
    assert saved.came["messages"] > 100
    for info in store.sessions.list():
        store.session(info.id).history()
    assert store.findings.search("of")
    assert [each for each in file.parent.iterdir() if each.name.startswith(".rescue")] == []
    store.close()
    assert rescue(file).damaged is None


def test_a_sound_file_is_left_alone(file: Path) -> None:
    before = file.read_bytes()
    assert rescue(file).damaged is None
    assert file.read_bytes() == before


@pytest.mark.parametrize("data", [os.urandom(3 * PAGE), b"hello" * 9])
def test_where_nothing_can_be_read_nothing_is_touched(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(StoreError, match="can be read"):
        rescue(file)
    assert file.read_bytes() == data
    assert [each.name for each in file.parent.iterdir() if "damaged" in each.name] == []


def test_a_file_that_is_in_use_another_ones_or_not_there_is_refused(file: Path, tmp_path: Path) -> None:
    store = Store(file.parent)
    store.owners.appear()
    with pytest.raises(StoreError, match="A kernel still uses"):
        rescue(file)
    store.close()
    with pytest.raises(StoreError, match="There is no"):
        rescue(tmp_path / "none.db")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer agentnb"):
        rescue(file)
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA application_id = 5")
    with pytest.raises(StoreError, match="another program"):
        rescue(file)
