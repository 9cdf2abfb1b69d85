"""Keeps a run as it happens: what is complete before anybody sees it, what is still being said twice a second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from agentnb import events
from agentnb.errors import StoreError
from agentnb.session import RunHead
from agentnb.store.database import Database
from agentnb.store.owners import Owners
from agentnb.store.runs import Runs
from agentnb.transcript import Folder

#: Seconds between two times that what is being said is kept.
_GAP = 0.4
#: Seconds that the loop of all runs waits for other kernels; what could not be kept then is kept with the next piece,
#: or by itself: after a second, two, four, and so on, for which it waits for nobody.
_PATIENCE, _AGAIN, _SELDOM = 1.0, 1.0, 30.0


@dataclass(slots=True)
class _Kept:
    """How far a run is kept."""

    head: RunHead
    started: float
    begun: bool = False
    messages: int = 0
    ended: bool = False


class Recorder:
    """Keeps one run, and the runs within it. Where the store fails, the run goes on, and `problem` says why."""

    def __init__(self, database: Database, runs: Runs, owners: Owners, head: RunHead) -> None:
        self.head = head
        #: Why the run is not kept, in one line; empty where it is.
        self.problem = ""
        self._database = database
        self._runs = runs
        self._owners = owners
        self._kept: dict[str, _Kept] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._again = _AGAIN
        self._so_far: Folder | None = None
        #: What the last request of the run and its answer took.
        self._tokens = 0

    def keep(self, event: events.Event, so_far: Folder) -> None:
        """Take note of an event (see jobs.Keeper)."""
        self._so_far = so_far
        match event:
            case events.Usage(usage=usage) if event.run_id == so_far.head.run_id:
                self._tokens = usage.total
            case events.MessageChanged():
                kept = self._kept.get(event.run_id)
                if kept is not None:
                    kept.messages = max(0, kept.messages - 1)
                self._save()
            case (
                events.MessageAdded()
                | events.MessageEnd()
                | events.ToolResult()
                | events.RunFinished()
                | events.RunError()
            ):
                self._save()
            case events.TextDelta() | events.ThinkingDelta() | events.ToolCallArgs() | events.BlockAdded():
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(_GAP, self._save)

    def _save(self, patience: float = _PATIENCE) -> None:
        """Keep all there is; where that fails, it is all kept the next time."""
        for timer in filter(None, (self._timer, self._retry)):
            timer.cancel()
        self._timer = self._retry = None
        if self._so_far is None:
            return
        done: list[_Kept] = []
        try:
            # While another program keeps the file, a run that waited for each of its pieces would hardly go on.
            with self._database.writing(0.0 if self.problem else patience):
                self._save_run(self._so_far, None, None, done)
        except StoreError as error:
            self._failed(str(error))
            return
        except OSError as error:
            self._failed(f"{self._database.path.parent} cannot be used: {error.strerror}.")
            return
        self.problem, self._again = "", _AGAIN
        for kept in done:
            self._kept[kept.head.id] = kept

    def _failed(self, problem: str) -> None:
        """Say why, and try again: what ended while the disk was full has no next piece."""
        self.problem = problem
        self._retry = asyncio.get_running_loop().call_later(self._again, self._save, 0.0)
        self._again = min(2 * self._again, _SELDOM)

    def _save_run(self, folder: Folder, parent: RunHead | None, call: str | None, done: list[_Kept]) -> None:
        """Keep what is new in a run and in those within it; `done` gets how far each is kept then."""
        run_id = folder.head.run_id
        before = self._kept.get(run_id) or _Kept(self._head(folder, parent, call), time.time())
        kept = replace(before)
        if not kept.begun and (folder.settled or folder.head.outcome):
            self._runs.begin(kept.head, self._owners.appear(), kept.started)
            kept.begun = True
        if kept.begun and not kept.ended:
            self._save_messages(folder, kept)
        done.append(kept)
        for answers, within in folder.within:
            self._save_run(within, kept.head, answers, done)
        if folder.head.outcome is not None and kept.begun and not kept.ended:
            self._runs.end(folder.transcript(), time.time(), tokens=0 if parent else self._tokens)
            kept.ended = True

    def _save_messages(self, folder: Folder, kept: _Kept) -> None:
        now = time.time()
        for position in range(kept.messages, len(folder.settled)):
            self._runs.add(kept.head.id, position, folder.settled[position], now)
        kept.messages = len(folder.settled)
        growing = folder.growing
        if growing is not None:
            self._runs.save_partial(kept.head.id, kept.messages, growing)

    def _head(self, folder: Folder, parent: RunHead | None, call: str | None) -> RunHead:
        known = folder.head
        if parent is None:
            return self.head
        prompt = next((message.text for message in folder.settled if message.role == "user"), "")
        return RunHead(
            known.run_id,
            self.head.session,
            within=parent.id,
            call=call,
            notebook=self.head.notebook,
            agent=known.agent,
            model=known.model,
            prompt=prompt,
        )
