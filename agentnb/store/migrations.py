"""The layout of the store, one numbered step after the other; a step that was released is never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import sqlite3

Migration: TypeAlias = "Callable[[sqlite3.Connection], object]"


def _conversations(db: sqlite3.Connection) -> None:
    """Sessions, their turns, the runs that made them, and every message that was said.

    Messages are only added: `parent` is the message that each was said after. `turns` says which runs make up a
    session now; a turn that was taken back is `gone`, and can come again. `partials` holds what is still being said.
    """
    _each(
        db,
        """CREATE TABLE sessions(id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '',
           titled_by TEXT NOT NULL DEFAULT '', notebook TEXT, forked_from TEXT, created REAL NOT NULL,
           updated REAL NOT NULL, seen REAL NOT NULL DEFAULT 0,
           tokens INTEGER NOT NULL DEFAULT 0, deleted REAL)""",
        "CREATE INDEX sessions_updated ON sessions(updated)",
        "CREATE INDEX sessions_notebook ON sessions(notebook, updated)",
        """CREATE TABLE runs(id TEXT PRIMARY KEY, session TEXT, within TEXT, call TEXT, cell TEXT, label TEXT NOT NULL
           DEFAULT '', notebook TEXT, agent TEXT, model TEXT NOT NULL DEFAULT '', prompt TEXT NOT NULL DEFAULT '',
           variables TEXT NOT NULL DEFAULT '{}', options TEXT NOT NULL DEFAULT '{}', calls TEXT NOT NULL DEFAULT '[]',
           usage TEXT NOT NULL DEFAULT '{}', rounds INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL, ended REAL,
           outcome TEXT, error TEXT, owner TEXT NOT NULL DEFAULT '')""",
        "CREATE INDEX runs_session ON runs(session, started)",
        "CREATE INDEX runs_within ON runs(within)",
        "CREATE INDEX runs_open ON runs(owner) WHERE ended IS NULL",
        """CREATE TABLE turns(session TEXT NOT NULL, position INTEGER NOT NULL, run TEXT NOT NULL, cell TEXT, gone REAL,
           PRIMARY KEY(session, position))""",
        "CREATE INDEX turns_run ON turns(run)",
        """CREATE TABLE messages(id INTEGER PRIMARY KEY, run TEXT NOT NULL, position INTEGER NOT NULL, parent INTEGER,
           role TEXT NOT NULL, body TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL, UNIQUE(run, position))""",
        """CREATE TABLE partials(run TEXT PRIMARY KEY, position INTEGER NOT NULL, body TEXT NOT NULL,
           saved REAL NOT NULL)""",
    )


def _words(db: sqlite3.Connection) -> None:
    """Full-text search over what was said, and the blobs and named artifacts that conversations refer to."""
    _each(
        db,
        """CREATE VIRTUAL TABLE words USING fts5(text, content='messages', content_rowid='id',
           tokenize='unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
           INSERT INTO words(rowid, text) VALUES (new.id, new.text); END""",
        """CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages BEGIN
           INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text);
           INSERT INTO words(rowid, text) VALUES (new.id, new.text); END""",
        """CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
           INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text); END""",
        "INSERT INTO words(words) VALUES ('rebuild')",
        "CREATE TABLE blobs(digest TEXT PRIMARY KEY, data BLOB NOT NULL)",
        """CREATE TABLE artifacts(session TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT,
           created REAL NOT NULL, PRIMARY KEY(session, name))""",
    )


def _shelf(db: sqlite3.Connection) -> None:
    """What people keep under a name, with its earlier versions; summaries and memories of sessions."""
    _each(
        db,
        """CREATE TABLE records(kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT,
           created REAL NOT NULL, PRIMARY KEY(kind, name, version)) WITHOUT ROWID""",
        """CREATE TABLE summaries(session TEXT NOT NULL, version INTEGER NOT NULL, upto INTEGER NOT NULL,
           text TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY(session, version)) WITHOUT ROWID""",
        """CREATE TABLE memories(id INTEGER PRIMARY KEY, session TEXT NOT NULL, type TEXT NOT NULL,
           content TEXT NOT NULL, confidence REAL NOT NULL, turn INTEGER NOT NULL, created REAL NOT NULL,
           edited REAL, deleted REAL)""",
        "CREATE INDEX memories_session ON memories(session)",
    )


def _taken_back(db: sqlite3.Connection) -> None:
    """A summary of turns that were taken back is `gone` with them, and comes again with them."""
    _each(db, "ALTER TABLE summaries ADD COLUMN gone REAL")


#: In order; the number of a step is its place, from 1 on.
MIGRATIONS: Sequence[Migration] = (_conversations, _words, _shelf, _taken_back)


def _each(db: sqlite3.Connection, *statements: str) -> None:
    # One by one: `executescript` would commit what the migration has begun.
    for statement in statements:
        db.execute(statement)
