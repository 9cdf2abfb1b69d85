"""Everything that outlives a kernel: one SQLite file in the person's data folder (see `config.data`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agentnb import config
from agentnb.session import RunHead, checked_id
from agentnb.store.database import PATIENCE, Database
from agentnb.store.finding import Findings
from agentnb.store.memory import Memory
from agentnb.store.moving import Moving
from agentnb.store.owners import Owners
from agentnb.store.recording import Recorder
from agentnb.store.records import Records
from agentnb.store.runs import Runs
from agentnb.store.sessions import Sessions
from agentnb.store.stored import StoredSession

__all__ = ["Store"]


class Store:
    """What is kept in one folder; nothing is opened before it is needed. Threads and kernels may share it.

    `mask` takes secrets out of what is written. Everything raises StoreError where the file cannot be used.
    """

    def __init__(
        self, folder: Path, *, mask: Callable[[str], str] = lambda text: text, patience: float = PATIENCE
    ) -> None:
        self.path = folder / config.STORE
        self.database = Database(self.path, patience=patience)
        self.owners = Owners(folder / "live")
        self.sessions = Sessions(self.database, self.owners.alive, mask)
        self.runs = Runs(self.database, mask)
        self.records = Records(self.database)
        self.memory = Memory(self.database, mask)
        self.findings = Findings(self.database, self.sessions)
        self.moving = Moving(self.database, self.runs, mask)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def session(self, session_id: str) -> StoredSession:
        """A session to talk in, by its id or how that begins. Raises UsageError for one there is not."""
        return StoredSession(self.sessions, self.runs, self.sessions.get(session_id).id)

    def new_session(self, session_id: str | None = None) -> StoredSession:
        """One that is there from its first turn on."""
        return StoredSession(self.sessions, self.runs, session_id and checked_id(session_id))

    def recorder(self, head: RunHead) -> Recorder:
        """What keeps a run as it happens."""
        return Recorder(self.database, self.runs, self.owners, head)

    def settle(self) -> int:
        """End the runs that killed kernels have left; gives how many there were."""
        return self.runs.settle(self.owners.alive)

    def close(self) -> None:
        """Let go of the file."""
        self.owners.leave()
        self.database.close()
