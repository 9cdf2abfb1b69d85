"""The one file behind the store: opened, brought up to date, read and written by several kernels at once.

SQLite in WAL mode: readers wait for nobody, writers for each other. A commit is with the operating system when it
returns, so that a killed kernel loses none; when the power fails, the last ones may go, and the file stays sound.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import StoreError
from agentnb.store.migrations import MIGRATIONS, Migration

if TYPE_CHECKING:
    import sqlite3

#: "agnb", in the header of the file.
APPLICATION_ID = 0x61676E62
#: Seconds that a write waits for those of other kernels.
PATIENCE = 10.0
#: Seconds of it that are waited at a stretch.
_SLICE = 0.2


@dataclass(frozen=True, slots=True)
class _Opened:
    """Which file (by its device and number) a process has open."""

    process: int
    file: tuple[int, int] | None


class Database:
    """One SQLite file. Each thread has a connection of its own; so has a process that was forked."""

    def __init__(self, path: Path, *, patience: float = PATIENCE, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._patience = patience
        self._migrations = migrations
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        #: Those that a parent process opened: SQLite wants none of them closed here.
        self._inherited: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._ready: _Opened | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with. Raises StoreError for whatever is wrong with the file."""
        with self._told():
            yield self._connection()

    @contextlib.contextmanager
    def writing(self, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """A connection within a transaction: all of it is kept, or nothing. Raises StoreError.

        `patience` is how many seconds it waits for other writers, where not as long as usual. A transaction within
        another one is part of that.
        """
        with self._told():
            db = self._connection()
            if db.in_transaction:
                yield db
                return
            self._begin(db, self._patience if patience is None else patience)
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def _begin(self, db: sqlite3.Connection, patience: float) -> None:
        """Begin a transaction. A person can interrupt the wait for another writer, which SQLite does not allow."""
        import sqlite3

        until = time.monotonic() + patience
        db.execute(f"PRAGMA busy_timeout = {int(min(patience, _SLICE) * 1000)}")
        try:
            while True:
                try:
                    db.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as reason:
                    if reason.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() >= until:
                        raise
        finally:
            db.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def check(self) -> str:
        """What SQLite finds wrong with the file; "ok" where it is sound."""
        with self.reading() as db:
            return "; ".join(str(row[0]) for row in db.execute("PRAGMA integrity_check"))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            connections, self._all, self._local = self._all, [], threading.local()
        if (
            self._ready is not None and self._ready.process == os.getpid()
        ):  # those of a parent process are the parent's to close
            for connection in connections:
                connection.close()

    def _connection(self) -> sqlite3.Connection:
        mine: tuple[_Opened, sqlite3.Connection] | None = getattr(self._local, "mine", None)
        here = self._found()
        # What is written to a file that was moved away or deleted, nobody finds again.
        if mine is not None and (mine[0] == here or (mine[0].process == here.process and mine[1].in_transaction)):
            return mine[1]
        with self._lock:
            if here.file is None:
                self._create()
                here = self._found()
            db = self._connected()
            with contextlib.ExitStack() as unless_good:
                unless_good.callback(db.close)
                if self._ready != here:
                    self._prepare(db)
                    if self._ready is None or self._ready.process != here.process:
                        self._inherited, self._all = [*self._inherited, *self._all], []
                    self._ready = here
                unless_good.pop_all()
            self._all.append(db)
        self._local.mine = here, db
        return db

    def _found(self) -> _Opened:
        """This process, and the file that is there now."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return _Opened(os.getpid(), None)
        return _Opened(os.getpid(), (found.st_dev, found.st_ino))

    def _create(self) -> None:
        """An empty file that only its owner can read, in a folder that is made if need be."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def _connected(self) -> sqlite3.Connection:
        import sqlite3

        # Closed by whichever thread closes the store.
        db = sqlite3.connect(self.path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        newest = len(self._migrations)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and owner != APPLICATION_ID:
            raise StoreError(
                f"{self.path} is a database of another program. Move it away, or set AGENTNB_HOME to another folder."
            )
        if version > newest:
            raise StoreError(
                f"{self.path} was written by a newer agentnb (layout {version}, this one knows {newest}). "
                "Upgrade agentnb, or set AGENTNB_HOME to another folder. The file was not touched."
            )
        db.execute("PRAGMA journal_mode = WAL")
        if version == newest:
            return
        if version:
            self._keep_a_copy(db, version)
        # Two kernels may come at once: whoever is second finds it done.
        db.execute("BEGIN IMMEDIATE")
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            for number, migrate in enumerate(self._migrations[version:], version + 1):
                migrate(db)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _keep_a_copy(self, db: sqlite3.Connection, version: int) -> None:
        """What there was before a migration stays, beside the file."""
        import sqlite3

        copy = self.path.with_name(f"{self.path.name}.layout-{version}")
        if copy.exists():
            return
        part = copy.with_name(f"{copy.name}.{os.getpid()}")  # a kernel may be killed while it writes
        os.close(os.open(part, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as target:
            db.backup(target)
        os.replace(part, copy)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the system and SQLite refuse, in words."""
        import sqlite3

        try:
            yield
        except sqlite3.Error as reason:
            raise StoreError(self._words(reason)) from None
        except (UnicodeEncodeError, OverflowError) as reason:  # half a character; a number beyond 64 bits
            raise StoreError(f"{self.path} cannot hold this: {reason}.") from None
        except OSError as reason:
            raise StoreError(
                f"{self.path.parent} cannot be used: {reason.strerror or reason}. Set AGENTNB_HOME to a folder that "
                "you can write to."
            ) from None

    def _words(self, reason: sqlite3.Error) -> str:
        code = (getattr(reason, "sqlite_errorname", "") or "").removeprefix("SQLITE_")
        what = next((words for name, words in _FAILURES.items() if code.startswith(name)), None)
        if what is None:
            return f"{self.path} cannot be used: {reason}. Set AGENTNB_HOME to another folder, or move the file away."
        return f"{self.path} {what}"


_FAILURES = {
    "BUSY": "has been locked by another program for too long. End that, and try again.",
    "LOCKED": "is locked by another program. End that, and try again.",
    "FULL": "cannot grow: the disk is full. Make room, and try again; what was there is kept.",
    "IOERR": "cannot be read or written: the disk fails, or is full. Make room, or set AGENTNB_HOME to another folder.",
    "READONLY": "cannot be written. Make it writable, or set AGENTNB_HOME to another folder; what was there is kept.",
    "CANTOPEN": "cannot be opened. Make it a file that you may read and write, or set AGENTNB_HOME to another folder.",
    "NOTADB": "is no database, or is damaged. `agentnb store rescue` saves what can be read; nothing was changed.",
    "CORRUPT": "is damaged. `agentnb store rescue` saves what can be read of it; nothing was changed.",
}
