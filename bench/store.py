"""The store under load, beside raw sqlite3: `python -m bench.store`.

Eight kernels write 1,000 messages each to one store at the same time (every message a commit of its own, as runs make
them); then all 8,000 must be there, in order. In a store of 100,000 messages: opening a session, the list of sessions,
and a search, from a store that was just opened; medians. Bars: 50, 50 and 200 ms. The floors are the same rows by bare
sqlite3: as many commits, and the same queries without making values of what they give.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentnb import events, messages
from agentnb.messages import Message, Text, user
from agentnb.session import RunHead
from agentnb.store import Store
from agentnb.store.finding import _INDEXED
from agentnb.transcript import Folder

KERNELS, EACH = 8, 1_000
SESSIONS, TURNS = 1_000, 50
OPEN_BAR, LIST_BAR, SEARCH_BAR, LOOKS = 50, 50, 200, 15
WORDS = (
    *("penguin", "island", "bill", "flipper", "mass", "year", "species", "sex"),
    *("adelie", "gentoo", "chinstrap", "mean", "plot", "table", "row", "column"),
)


def say(line: str) -> None:
    """Print."""
    print(line, flush=True)  # noqa: T201  # what a bench is for


def write(home: Path, kernel: int) -> None:
    """What a kernel does that talks for 500 turns."""
    store = Store(home)
    for number in range(EACH // 2):
        run = f"k{kernel}-{number}"
        recorder, folder = store.recorder(RunHead(run, f"kernel-{kernel}")), Folder()
        for event in (
            events.RunStarted("m", run_id=run),
            events.MessageAdded(user(f"{kernel} asks {number}"), run_id=run),
            events.TextDelta(f"{number} is answered", run_id=run),
            events.MessageEnd("stop", run_id=run),
            events.RunFinished("done", messages.Usage(1, 1), run_id=run),
        ):
            folder.feed(event)
            if not isinstance(event, events.TextDelta):
                recorder.keep(event, folder)
        # A kernel waits a second for the others; what could not be kept then is kept with the next piece, or told.
        while recorder.problem:
            recorder._save()
    store.close()


def write_raw(file: Path, kernel: int) -> None:
    """As many commits of as many rows by hand."""
    db = sqlite3.connect(file, timeout=30, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    for number in range(EACH // 2):
        for text in (f"{kernel} asks {number}", f"{number} is answered", None):
            db.execute("BEGIN IMMEDIATE")
            if text is None:
                db.execute("UPDATE m SET done = 1 WHERE kernel = ? AND number = ?", (kernel, number))
            else:
                db.execute("INSERT INTO m(kernel, number, text) VALUES (?, ?, ?)", (kernel, number, text))
            db.execute("COMMIT")
    db.close()


def together(target: Callable[[Path, int], None], place: Path) -> float:
    """Seconds until all kernels are done."""
    context = multiprocessing.get_context("spawn")
    kernels = [context.Process(target=target, args=(place, number)) for number in range(KERNELS)]
    began = time.perf_counter()
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join(300)
    assert all(kernel.exitcode == 0 for kernel in kernels), "a kernel failed"
    return time.perf_counter() - began


def check_all(home: Path) -> bool:
    """Whether every message is there, in its order."""
    store, count, right = Store(home), 0, True
    for kernel in range(KERNELS):
        said = [message.text for message in store.session(f"kernel-{kernel}").history()]
        wanted = [text for n in range(EACH // 2) for text in (f"{kernel} asks {n}", f"{n} is answered")]
        count, right = count + len(said), right and said == wanted
    order = "in order" if right else "NOT in order"
    say(f"  {count:,} of {KERNELS * EACH:,} messages there, {order}; {store.database.check()}")
    return right


def fill(home: Path) -> None:
    """A store of 100,000 messages."""
    chance, store = random.Random(7), Store(home)
    # One session has a tenth of all, the others 90 messages each or so.
    names = ["long"] * (SESSIONS * TURNS // 10) + [f"session-{n // TURNS}" for n in range(SESSIONS * TURNS * 9 // 10)]
    with store.database.writing():
        for number, session in enumerate(names):
            asked = " ".join(chance.choices(WORDS, k=12))
            told = " ".join(chance.choices(WORDS, k=80)) + (" needle" if chance.random() < 0.001 else "")
            run, when = f"r{number}", float(number)
            store.runs.begin(RunHead(run, session, prompt=asked), "", when)
            store.runs.add(run, 0, user(asked), when)
            store.runs.add(run, 1, Message("assistant", (Text(told),), finish="stop"), when)
        with store.database.reading() as db:
            db.execute("UPDATE runs SET ended = started, outcome = 'done'")
    store.close()


def median(work: Callable[[], object]) -> float:
    """Milliseconds."""
    seconds = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


class Look:
    """One thing that a person waits for, in a store that was just opened; and the same by bare sqlite3."""

    def __init__(
        self, name: str, bar: float | None, ours: Callable[[Store], object], bare: str, *values: object
    ) -> None:
        self.name, self.bar = name, bar
        self._ours, self._bare, self._values = ours, bare, values

    def measure(self, home: Path) -> bool:
        """Print the figure and its floor; gives whether it is over its bar."""
        self._opened(home)
        ours, floor = median(lambda: self._opened(home)), median(lambda: self._raw(home))
        bar = "" if self.bar is None else f"  (bar {self.bar})"
        say(f"  {self.name:<32} {ours:6.1f}  bare {floor:6.1f}  {ours / floor:5.1f} x{bar}")
        return self.bar is not None and ours > self.bar

    def _opened(self, home: Path) -> None:
        store = Store(home)
        self._ours(store)
        store.close()

    def _raw(self, home: Path) -> None:
        with contextlib.closing(sqlite3.connect(home / "agentnb.db")) as db:
            db.execute(self._bare, self._values).fetchall()


BODIES = """SELECT m.body FROM turns t JOIN messages m ON m.run = t.run WHERE t.session = ?
    ORDER BY t.position, m.position"""
LISTED = "SELECT * FROM sessions WHERE deleted IS NULL ORDER BY updated DESC LIMIT 50"
FOUND = _INDEXED.format(within="")
LOOKED = (
    Look("open a session of 100 messages", OPEN_BAR, lambda s: s.session("session-77").history(), BODIES, "session-77"),
    Look("open one of 10,000 messages", None, lambda s: s.session("long").history(), BODIES, "long"),
    Look("list 50 sessions", LIST_BAR, lambda s: s.sessions.list(50), LISTED),
    Look("search a rare word", SEARCH_BAR, lambda s: s.findings.search("needle"), FOUND, "needle", 20),
    Look("search two common words", SEARCH_BAR, lambda s: s.findings.search("mean mass"), FOUND, "mean mass", 20),
    Look(
        "search a script without spaces",
        SEARCH_BAR,
        lambda s: s.findings.search("数据"),
        "SELECT id FROM messages WHERE instr(text, ?)",
        "数据",
    ),
)


def main() -> None:
    """Write, look, and say how long it took."""
    with tempfile.TemporaryDirectory(prefix="agentnb-store-") as folder:
        home, bare = Path(folder) / "eight", Path(folder) / "bare.db"
        Store(home).sessions.list()
        with contextlib.closing(sqlite3.connect(bare)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE m(id INTEGER PRIMARY KEY, kernel, number, text, done)")
            db.execute("CREATE INDEX m_number ON m(kernel, number)")
        floor, ours = together(write_raw, bare), together(write, home)
        say(f"{KERNELS} kernels, {EACH:,} messages each: {ours:.1f} s, bare {floor:.1f} s, {ours / floor:.1f} x")
        failed = not check_all(home)
        home = Path(folder) / "large"
        fill(home)
        size = (home / "agentnb.db").stat().st_size / 1e6
        say(f"{SESSIONS * TURNS * 2:,} stored messages ({size:.0f} MB), milliseconds from opening the store on")
        failed = any([failed, *(look.measure(home) for look in LOOKED)])
    sys.exit(failed)


if __name__ == "__main__":
    main()
