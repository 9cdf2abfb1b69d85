"""What can still be read of a damaged store, row by row, in a new file; the damaged one stays beside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import StoreError
from agentnb.store.database import APPLICATION_ID, Database
from agentnb.store.migrations import MIGRATIONS
from agentnb.store.owners import Owners

if TYPE_CHECKING:
    import sqlite3

#: What is brought over, in this order; the index of words is made anew.
TABLES = (
    "sessions",
    "turns",
    "runs",
    "messages",
    "partials",
    "blobs",
    "artifacts",
    "records",
    "summaries",
    "memories",
)
#: Their keys, of those that SQLite numbers no rows of.
_KEYS = {"records": "kind, name, version", "summaries": "session, version"}
#: Rows that are looked for one by one where a table is torn, and how many in a row may be missing at its end.
_PROBES, _PATIENCE = 500_000, 20_000
_PAGE = 4096


@dataclass(slots=True)
class Rescued:
    """How many rows came over, and how many did not as far as that is known, by table. `damaged` is where the damaged
    file is now; None where the file was sound, and nothing was done."""

    damaged: Path | None = None
    came: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)


def count_rows(database: Database) -> Mapping[str, int]:
    """How many rows each table has. Raises StoreError."""
    with database.reading() as db:
        return {table: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TABLES}


def rescue(path: Path) -> Rescued:
    """Put a sound file in the place of a damaged one, with what can be read of it; that one is kept, by a dated name.

    Raises StoreError where there is no file, it is another program's or a newer agentnb's, or a kernel still uses it.
    """
    import sqlite3

    if not path.is_file():
        raise StoreError(f"There is no {path}: nothing has been kept yet, or AGENTNB_HOME is another folder.")
    _refuse_living(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".rescue-", dir=path.parent) as folder:
            copy, made = Path(folder, "old.db"), Path(folder, "new.db")
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
            if _is_sound(copy, path):
                return Rescued()
            rescued = _copied(copy, made, path)
            rescued.damaged = _swap(path, made)
            return rescued
    except OSError as error:
        raise StoreError(
            f"{path.parent} cannot be written: {error.strerror or error}. Make room, and try again; "
            f"{path.name} was not touched."
        ) from None
    except sqlite3.Error as error:
        raise StoreError(f"Nothing of {path} can be read ({error}). It was not touched.") from None


def _refuse_living(path: Path) -> None:
    owners = Owners(path.parent / "live")
    with contextlib.suppress(FileNotFoundError):
        if any(owners.alive(name) for name in os.listdir(path.parent / "live")):
            raise StoreError(f"A kernel still uses {path}. Shut all notebooks down, and try again.")


def _is_sound(copy: Path, path: Path) -> bool:
    import sqlite3

    with contextlib.closing(sqlite3.connect(copy)) as db:
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and owner != APPLICATION_ID:
                raise StoreError(f"{path} is a database of another program. Nothing was done.")
            if version > len(MIGRATIONS):
                raise StoreError(f"{path} was written by a newer agentnb. Upgrade agentnb. Nothing was done.")
            return [tuple(row) for row in db.execute("PRAGMA integrity_check")] == [("ok",)]
        except sqlite3.DatabaseError:
            return False


def _copied(copy: Path, made: Path, path: Path) -> Rescued:
    import sqlite3

    new = Database(made)
    rescued = Rescued()
    try:
        with new.writing() as target:
            if not _has_schema(copy):
                _graft(copy, made)
            with contextlib.closing(sqlite3.connect(copy)) as db:
                # Else a file that is shorter than it says is refused as a whole.
                db.execute("PRAGMA writable_schema = ON")
                db.text_factory = lambda data: data.decode("utf-8", "replace")
                for table in TABLES:
                    _copy_table(db, target, table, rescued)
    finally:
        new.close()
    if not any(rescued.came.values()):
        raise StoreError(f"Nothing of {path} can be read. It was not touched.")
    # What is still in the log goes into the file: only that is moved.
    with contextlib.closing(sqlite3.connect(made)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rescued


def _has_schema(copy: Path) -> bool:
    import sqlite3

    with contextlib.closing(sqlite3.connect(copy)) as db:
        try:
            db.execute("PRAGMA writable_schema = ON")
            names = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        except sqlite3.DatabaseError:
            return False
    return names.issuperset(TABLES)


def _graft(copy: Path, made: Path) -> None:
    """Give a file whose beginning is damaged that of a new one: every store lays out its tables in the same order."""
    import sqlite3

    with tempfile.TemporaryDirectory(dir=copy.parent) as folder:
        fresh = Path(folder, made.name)
        database = Database(fresh)
        with database.writing():
            pass
        database.close()
        with contextlib.closing(sqlite3.connect(fresh)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
        data = bytearray(fresh.read_bytes()[:_PAGE])
    pages = copy.stat().st_size // _PAGE
    # The number of pages, and no free ones: those that there were are not known any more.
    data[28:32], data[32:40] = pages.to_bytes(4, "big"), bytes(8)
    Path(f"{copy}-wal").unlink(missing_ok=True)
    with copy.open("r+b") as file:
        file.write(data)


def _copy_table(db: sqlite3.Connection, target: sqlite3.Connection, table: str, rescued: Rescued) -> None:
    import sqlite3

    columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    with contextlib.suppress(sqlite3.DatabaseError):
        here = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        columns = [each for each in columns if each in here]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    rescued.came[table] = rescued.lost[table] = 0
    for row in _rows(db, table, names):
        if row is None or not _is_good(table, dict(zip(columns, row, strict=True))):
            rescued.lost[table] += 1
            continue
        try:
            made = target.execute(f"INSERT OR IGNORE INTO {table}({names}) VALUES ({marks})", row)
            rescued.came[table] += made.rowcount
        except sqlite3.IntegrityError:
            rescued.lost[table] += 1


def _is_good(table: str, row: Mapping[str, object]) -> bool:
    """Whether a row can be what it says: text that should be JSON is."""
    checked = {"messages": ("body",), "runs": ("usage", "options", "variables", "calls"), "records": ("body",)}
    try:
        for name in checked.get(table, ()):
            if (text := row.get(name)) is not None:
                json.loads(str(text))
    except ValueError:
        return False
    return True


def _rows(db: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[object, ...] | None]:
    """The rows of a table: from the front, from the back, and one by one between; None for each that is torn."""
    key = _KEYS.get(table)
    order = key or "rowid"
    backwards = ", ".join(f"{each} DESC" for each in order.split(", "))
    number = "0" if key else "rowid"
    last = 0
    torn = False
    for row in _until_torn(db, f"SELECT {number}, {names} FROM {table} ORDER BY {order}"):
        if row is None:
            torn = True
            break
        last = max(last, int(str(row[0])))
        yield row[1:]
    if not torn:
        return
    first: int | None = None
    for row in _until_torn(db, f"SELECT {number}, {names} FROM {table} ORDER BY {backwards}"):
        if row is None or (not key and int(str(row[0])) <= last):
            break
        first = int(str(row[0]))
        yield row[1:]
    yield from [None] if key else _between(db, f"SELECT {names} FROM {table} WHERE rowid = ?", last, first)


def _until_torn(db: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...] | None]:
    import sqlite3

    try:
        yield from db.execute(query)
    except sqlite3.DatabaseError:
        yield None


def _between(db: sqlite3.Connection, query: str, last: int, first: int | None) -> Iterator[tuple[object, ...] | None]:
    """The rows between two numbers; where it is not known how far they go, until there are none for long."""
    import sqlite3

    missed = 0
    for number in range(last + 1, min(first or last + _PROBES, last + _PROBES)):
        try:
            row = db.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            missed += 1
            if first is not None:
                yield None
        else:
            missed = 0 if row is not None else missed + 1
            if row is not None:
                yield row
        if first is None and missed > _PATIENCE:
            break
    if first is None:
        yield None


def _swap(path: Path, made: Path) -> Path:
    """The new file in the place of the old one, and that under a dated name, with what belongs to it."""
    damaged = path.with_name(f"{path.name}.damaged-{time.strftime('%Y-%m-%d_%H-%M-%S')}")
    while damaged.exists():
        damaged = damaged.with_name(f"{damaged.name}_")
    os.chmod(made, 0o600)
    os.replace(path, damaged)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{damaged}{suffix}")
    os.replace(made, path)
    return damaged
