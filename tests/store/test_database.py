"""A file that cannot be used says so in one line, and is left as it is."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from agentnb.config import STORE as FILE
from agentnb.errors import StoreError
from agentnb.store import Store
from agentnb.store.database import Database
from agentnb.store.migrations import MIGRATIONS


def test_only_its_owner_can_read_it(store: Store) -> None:
    store.sessions.list()
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"file.* cannot be used: .*Set AGENTNB_HOME"):
        Store(tmp_path / "file" / "home").sessions.list()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_is_read_only_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Set AGENTNB_HOME"):
        Store(tmp_path / "home").sessions.list()


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"agentnb\.db is no database, or is damaged"):
        Store(tmp_path).sessions.list()
    assert (tmp_path / FILE).read_bytes() == b"not a database at all" * 100


def test_a_truncated_file_stays_as_it_is(store: Store) -> None:
    for number in range(200):
        store.records.put("setting", f"s{number}", "x" * 500)
    store.close()
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"agentnb\.db is damaged"):
        Store(store.path.parent).records.all("setting")
    assert store.path.stat().st_size == len(whole) // 2


def test_a_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TABLE theirs(x)")
    with pytest.raises(StoreError, match="is a database of another program"):
        Store(tmp_path).sessions.list()


def test_a_file_of_a_newer_agentnb_says_to_upgrade(store: Store) -> None:
    store.sessions.list()
    store.close()
    with sqlite3.connect(store.path) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer agentnb \(layout 99.*Upgrade agentnb"):
        Store(store.path.parent).sessions.list()


def test_a_file_that_another_program_locks_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path, patience=0.05)
    store.sessions.list()
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="has been locked by another program"):
            store.records.put("setting", "a", 1)
        other.rollback()
    store.records.put("setting", "a", 1)
    store.close()


def test_a_person_can_interrupt_the_wait_for_another_program(tmp_path: Path) -> None:
    store = Store(tmp_path, patience=60)
    store.sessions.list()
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN EXCLUSIVE")
        person = threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,))
        person.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            store.records.put("setting", "a", 1)
        assert time.monotonic() - started < 20
        person.join()
        other.rollback()
    store.records.put("setting", "a", 1)
    store.close()


def test_a_full_disk_is_named_and_what_was_there_is_kept(store: Store) -> None:
    store.records.put("setting", "a", 1)
    with store.database.reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full"):
        store.records.put("setting", "b", "x" * 1_000_000)
    assert list(store.records.names("setting")) == ["a"]


@pytest.mark.parametrize("layout", range(1, len(MIGRATIONS)))
def test_a_file_of_an_older_layout_is_brought_up_to_date(tmp_path: Path, layout: int) -> None:
    path = tmp_path / FILE
    old = Database(path, migrations=MIGRATIONS[:layout])
    with old.writing() as db:
        db.execute("INSERT INTO sessions(id, created, updated) VALUES ('s1', 1, 1)")
        db.execute(
            "INSERT INTO runs(id, session, prompt, started, ended, outcome) VALUES ('r1', 's1', 'p', 1, 2, 'done')"
        )
        db.execute("INSERT INTO turns(session, position, run) VALUES ('s1', 0, 'r1')")
        body = '{"role":"user","content":[{"text":"old words","type":"text"}],"type":"message"}'
        db.execute("INSERT INTO messages VALUES (1, 'r1', 0, NULL, 'user', ?, 'old words', 1)", (body,))
    old.close()
    store = Store(tmp_path)
    assert [message.text for message in store.session("s1").turns[0].messages] == ["old words"]
    assert store.findings.search("old")
    store.records.put("setting", "a", 1)
    assert store.database.check() == "ok"
    assert (tmp_path / f"{FILE}.layout-{layout}").exists()
    store.close()


def test_threads_share_a_store(store: Store) -> None:
    def write(name: str) -> None:
        for number in range(50):
            store.records.put("setting", f"{name}{number}", number)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.records.all("setting")) == 200


def test_a_file_that_was_moved_away_is_not_written_to_any_more(store: Store) -> None:
    store.sessions.create("before")
    store.path.rename(store.path.with_name("away.db"))
    store.sessions.create("after")
    assert [each.id for each in Store(store.path.parent).sessions.list()] == ["after"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_writes_by_connections_of_its_own(store: Store) -> None:
    store.sessions.create("parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.sessions.create("child")
            gc.collect()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    store.sessions.create("parent-2")
    assert {each.id for each in store.sessions.list()} == {"parent", "child", "parent-2"}
    assert store.database.check() == "ok"


def test_what_no_database_holds_is_said_in_one_line(store: Store) -> None:
    with pytest.raises(StoreError, match=r"cannot hold this") as caught:
        store.records.put("template", "a\udcff", {})
    assert "\n" not in str(caught.value)
