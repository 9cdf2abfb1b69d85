"""Runs that wait for a person, kept as files: a kernel that is restarted meanwhile loses none of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb import codec
from agentnb.errors import UsageError
from agentnb.messages import JSONObject, Message

#: How many are kept: the oldest make room.
KEPT = 50


@dataclass(frozen=True, slots=True)
class PausedRun:
    """A run whose last calls have no results yet, and what it takes to go on.

    `when` is in seconds since 1970, `cell` the id of the cell that asked. `messages` is the turn of this run, `history`
    what was said before it in the session. `line` is what stood beside `%%agent`, `tools` are the names of what it was
    offered, `asked` those that a person was asked about; `options` says how the model generates.
    """

    id: str
    when: float
    model: str
    messages: tuple[Message, ...]
    history: tuple[Message, ...] = ()
    cell: str | None = None
    notebook: str | None = None
    line: str = ""
    system: str | None = None
    tools: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    options: JSONObject | None = None
    session: str | None = None

    @property
    def prompt(self) -> str:
        """What it was asked."""
        return next((message.text for message in self.messages if message.role == "user"), "")


class PausedRuns:
    """The paused runs of a person, one file each in a folder; only that person can read them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, run: PausedRun) -> None:
        """Keep it, in place of what was kept of the same run. Raises UsageError where it cannot be written."""
        path = self._folder / f"{_checked(run.id)}.{_place(run.notebook, run.cell)}.json"
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(codec.dump_json(run))
            draft.replace(path)
        except OSError as reason:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise UsageError(
                f"The paused run cannot be kept in {self._folder}: {reason.strerror}. Set AGENTNB_HOME to a folder of "
                "yours."
            ) from None
        for old in self._files()[KEPT:]:
            _delete(old)

    def list(self, complain: Callable[[str], object] = lambda sentence: None) -> Sequence[PausedRun]:  # noqa: ARG005
        """Those that are kept, the newest first; `complain` is told of each file that cannot be read."""
        found = []
        for path in self._files():
            try:
                found.append(_read(path))
            except UsageError as error:
                complain(str(error))
        return sorted(found, key=lambda run: -run.when)

    def load(self, run_id: str) -> PausedRun:
        """One of them, by its id or how that begins. Raises UsageError where it is not clear which."""
        found = [path for path in self._files() if path.name.startswith(_checked(run_id))]
        if len(found) != 1:
            which = "Several paused runs begin with" if found else "No paused run"
            raise UsageError(f"{which} {run_id!r}. %agent resume list shows them.")
        return _read(found[0])

    def has(self, run_id: str) -> bool:
        """Whether it is kept."""
        return bool(self._files(f"{_checked(run_id)}.*.json"))

    def remove(self, run_id: str) -> None:
        """Forget it: it was decided. Nothing happens where there is none of this id."""
        for path in self._files(f"{_checked(run_id)}.*.json"):
            _delete(path)

    def remove_of(self, notebook: str | None, cell: str | None) -> None:
        """Forget what a cell left open: it runs anew."""
        if cell is not None:
            for path in self._files(f"*.{_place(notebook, cell)}.json"):
                _delete(path)

    def _files(self, pattern: str = "*.json") -> Sequence[Path]:
        """The newest first."""
        with contextlib.suppress(OSError):
            dated = [(path.stat().st_mtime_ns, path) for path in self._folder.glob(pattern) if path.name[0] != "."]
            return [path for _, path in sorted(dated, reverse=True)]
        return []


def _checked(run_id: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", run_id):
        raise UsageError(f"{run_id[:64]!r} is not the id of a paused run. %agent resume list shows them.")
    return run_id


def _place(notebook: str | None, cell: str | None) -> str:
    """A name for a cell of a notebook that any file system takes."""
    return hashlib.sha256(f"{notebook or ''}\n{cell or ''}".encode("utf-8", "replace")).hexdigest()[:12]


def _read(path: Path) -> PausedRun:
    try:
        run: PausedRun = codec.load_json(PausedRun, path.read_bytes())
    except (OSError, ValueError) as reason:
        why = reason.strerror if isinstance(reason, OSError) else "it is damaged"
        raise UsageError(f"The paused run in {path} cannot be read: {why}. Delete the file.") from None
    return run


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):  # another kernel was faster
        path.unlink(missing_ok=True)
