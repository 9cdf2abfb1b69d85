"""What a workspace keeps beyond its kernel: the store, the session it talks in, and every run while it happens."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb import config
from agentnb.errors import StoreError, UsageError
from agentnb.jobs import Keeper
from agentnb.lineup import Lineup
from agentnb.messages import Message
from agentnb.notebook_file import NotebookFile, look_into
from agentnb.prompting.plain import plural
from agentnb.render.terminal import one_line
from agentnb.session import RunHead, Session

if TYPE_CHECKING:
    from agentnb.store import Store
    from agentnb.store.recording import Recorder

#: Under which name the store keeps which session a notebook talks in.
_SESSION_OF = "session of "
#: Seconds that the end of a cell waits for other writers.
_PATIENCE = 0.5


class Keeping(Lineup):
    """A line-up of models with a memory. Where the store cannot be used, runs go on without, and it is said why."""

    def __init__(
        self,
        namespace: MutableMapping[str, object],
        *,
        environ: Mapping[str, str],
        base_dir: Path | None,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(environ=environ, base_dir=base_dir, changed=changed)
        self.namespace = namespace
        self._session: Session | None = None
        self._complaints: set[str] = set()
        #: The id of the session that was chosen or talked in; None before either.
        self.talks_in: str | None = None

    @functools.cached_property
    def store(self) -> Store:
        """What outlives this kernel. Nothing is opened before it is used."""
        from agentnb.store import Store  # a first cell does not wait for it

        return Store(config.data(self.environ), mask=self.mask)

    @property
    def has_store(self) -> bool:
        """Whether anything is kept yet."""
        return os.path.exists(config.data(self.environ) / config.STORE)  # unlike Path's, it never raises

    @property
    def notebook(self) -> str | None:
        """The path of the notebook that this kernel serves, where its front end says so."""
        return config.notebook(self.environ, self.namespace)

    @property
    def session(self) -> Session:
        """The conversation that the next prompt builds on: the one this notebook used last, else a new one."""
        if self._session is None:
            self._session = self._last_session()
        return self._session

    @session.setter
    def session(self, session: Session) -> None:
        self._session, self.talks_in = session, session.id
        self._changed()
        if self.notebook:
            with contextlib.suppress(StoreError):  # whoever keeps something in it is told
                self.store.sessions.place(session.id, self.notebook)
                self.store.records.put("setting", _SESSION_OF + self.notebook, session.id)

    def _last_session(self) -> Session:
        with contextlib.suppress(StoreError):  # as above
            self.store.settle()
            if self.notebook:
                file = look_into(self.notebook)
                return self._chosen(file) or self._of_file(file) or self._of_path(file) or self.store.new_session()
        return self.store.new_session()

    def _chosen(self, file: NotebookFile | None) -> Session | None:
        """The session that was chosen in a notebook of this path, which may have begun only then."""
        kept = self.store.records.find("setting", f"{_SESSION_OF}{self.notebook}")
        if kept is None or not isinstance(kept.body, str):
            return None
        if not self.store.sessions.known(kept.body):
            return self.store.new_session(kept.body)
        return self._same_notebook(kept.body, file)

    def _of_path(self, file: NotebookFile | None) -> Session | None:
        """The session that a notebook of this path talked in last."""
        last = self.store.sessions.latest(self.notebook or "")
        return self._same_notebook(last.id, file) if last else None

    def _same_notebook(self, session_id: str, file: NotebookFile | None) -> Session | None:
        """The session, unless it was removed, or its cells are of another notebook that had this path."""
        cells = {place.cell for place in self.store.sessions.places(session_id) if place.cell}
        if file is not None and not file.has_one_of(cells):
            return None
        with contextlib.suppress(UsageError):
            return self.store.session(session_id)
        return None

    def _of_file(self, file: NotebookFile | None) -> Session | None:
        """The session that the notebook's own file names: one that was renamed goes on, a copy of one begins a fork."""
        if file is None or file.session is None or not self.store.sessions.known(file.session):
            return None
        try:
            found = self.store.sessions.get(file.session)
        except UsageError:  # it was removed
            return None
        if found.notebook not in (None, self.notebook) and os.path.exists(found.notebook):
            # Until the copy is saved, its file names the session of the other.
            return self._of_path(None) or self.store.session(
                self.store.sessions.fork(found.id, notebook=self.notebook).id
            )
        self.store.sessions.place(found.id, self.notebook)
        return self.store.session(found.id)

    def goes_on(self, session: Session, history: Sequence[Message]) -> str:
        """What to say where a kernel's first prompt builds on what was said before it was started; else nothing."""
        if self.talks_in is not None or not history:
            return ""
        try:
            name = self.store.sessions.get(session.id).name
        except UsageError:  # it is in no store
            return ""
        turns = sum(message.role == "user" for message in history)
        return f"Going on with “{one_line(name, 60)}” ({plural(turns, 'turn')}). %session new begins another."

    def usable(self, session: Session) -> Session:
        """The session, if one can still talk in it. Raises UsageError for one that was removed meanwhile."""
        try:
            if self.store.sessions.known(session.id):
                self.store.sessions.get(session.id)
        except StoreError:
            pass  # without the store, it can
        except UsageError as error:
            raise UsageError(f"{error} %session new begins another one.") from None
        return session

    def recorder(self, head: RunHead, run_id: str, model: str) -> Recorder:
        """What keeps a run as it happens; `head` says where it comes from."""
        self.talks_in = head.session or self.talks_in
        return self.store.recorder(replace(head, id=run_id, model=head.model or model, notebook=self.notebook))

    def complaint(self, recorder: Keeper | None) -> str:
        """Why a run is not kept, in one line; each reason is given once."""
        problem = recorder.problem if recorder is not None else ""
        if not problem or problem in self._complaints:
            return ""
        self._complaints.add(problem)
        return f"This conversation is not kept so far: {problem}"

    def seen(self, session: Session) -> None:
        """What is in it was looked at."""
        with contextlib.suppress(StoreError):  # then it counts as unread
            self.store.sessions.read(session.id, patience=_PATIENCE)
