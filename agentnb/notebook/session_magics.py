"""`%session`: the conversations of a person, listed, taken up again, cut back, searched, and taken elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from agentnb.errors import StoreError, UsageError
from agentnb.notebook import export_file, session_lists, show, which_session
from agentnb.notebook.errand import wait_for
from agentnb.notebook.session_memory import remembered, summarized
from agentnb.notebook.session_orders import FLAGS, HELP, VERBS, SessionOrder, number, read
from agentnb.render.terminal import one_line
from agentnb.store.infos import SessionInfo
from agentnb.store.sessions import KEPT_DAYS
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: Sessions that are listed at once, and of which `--all` is said.
_MOST, _ALL = 50, 1_000_000


@magics_class
class SessionMagics(Magics):
    """`%session` over one workspace; `inspected` says what would go to the model."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace, inspected: Callable[[], str]) -> None:
        super().__init__(shell)
        self.workspace = workspace
        self._inspected = inspected

    @no_var_expand
    @line_magic
    @show.documented(HELP)
    def session(self, line: str) -> None:
        """The conversations there are, and which one the next prompt goes on with."""
        order = read(line)
        match order.verb, order.words:
            case "--help", _:
                show.text(HELP)
            case "list", _:
                self._list(order.rest, order.flags)
            case "search", _:
                self._search(order.rest, here=bool(order.flags))
            case "memory", _:
                show.table(remembered(self.workspace, self._kept, order.rest), self.workspace.mask)
            case "artifacts", []:
                found = self.workspace.store.findings.artifacts(self.workspace.session.id)
                show.table(session_lists.artifacts(found), self.workspace.mask)
            case "inspect", []:
                show.text(self._inspected())
            case _:
                show.text(self.workspace.mask(self._done(order)))

    def _done(self, order: SessionOrder) -> str:
        """Do what is asked for, and say what came of it."""
        match order.verb, order.words:
            case "", []:
                return self._here()
            case "new", _:
                return self._new(order.rest)
            case "use", [_, *_] as words:
                return self._use(" ".join(words))
            case "title", _:
                return self._title(order.rest)
            case "summary", _:
                return summarized(self.workspace, order.rest, now=bool(order.flags))
            case ("rm" | "restore") as verb, [_, *_] as words:
                return "\n".join(map(self._remove if verb == "rm" else self._restore, dict.fromkeys(words)))
            case "export", words:
                return self._export(words, replace=bool(order.flags))
            case "read", words:
                return self._read(words, every=bool(order.flags))
        return self._cut(order)

    def _cut(self, order: SessionOrder) -> str:
        """What changes which turns there are."""
        match order.verb, order.words:
            case "fork", [] | [_] as words:
                return self._fork(*words)
            case "revoke", [] | [_] as words:
                return self._revoke(*words)
            case "unrevoke", []:
                return self._unrevoke()
        raise order.misread

    # Which one this is

    def _info(self) -> SessionInfo | None:
        """What is kept of this session; None before its first turn."""
        sessions, this = self.workspace.store.sessions, self.workspace.session.id
        return sessions.get(this) if sessions.known(this) else None

    def _kept(self) -> str:
        """The id of this session, which is kept from now on."""
        return self.workspace.store.sessions.create(self.workspace.session.id, notebook=self.workspace.notebook).id

    def _here(self) -> str:
        here = f"{self.workspace.session.id} · {session_lists.turns(len(self.workspace.session.turns))}"
        try:
            info = self._info()
        except StoreError as error:  # one can still talk in it
            return f"{here}\nIt is not kept so far: {error}"
        if info is None:
            return here
        where = session_lists.of_notebook(info.notebook, self.workspace.notebook)
        parts = [
            f"“{info.title}”" if info.title else "",
            info.id,
            f"in {where}" if where and where != "this one" else "",
            session_lists.STATUS[info.status],
            session_lists.when(info.updated, time.time()),
            session_lists.turns(info.turns),
        ]
        return " · ".join(one_line(part, 200) for part in parts if part)

    def _new(self, title: str) -> str:
        self.workspace.session = self.workspace.store.new_session()
        if title:
            self.workspace.store.sessions.title(self._kept(), self.workspace.mask(title))
        return self._here()

    def _use(self, words: str) -> str:
        session = which_session.session_meant(self.workspace, words)
        sessions, said = self.workspace.store.sessions, []
        if sessions.known(session.id):
            before = sessions.get(session.id)
            if before.notebook and before.notebook != self.workspace.notebook:
                name = one_line(session_lists.of_notebook(before.notebook, None), 100)
                said = [f"It was last used in {name}; from now on it is this notebook's."]
            sessions.read(session.id)
        self.workspace.session = session
        return "\n".join([self._here(), *said])

    def _title(self, text: str) -> str:
        if not text:
            session = self.workspace.session
            made = wait_for(self.workspace, lambda: self.workspace.condenser.title(session))
            return f"“{one_line(made, 100)}” (made by the model; %session title TEXT gives another)"
        kept = one_line(self.workspace.mask(text), 100)
        return f"“{self.workspace.store.sessions.title(self._kept(), kept)}”"

    def _read(self, words: Sequence[str], *, every: bool) -> str:
        sessions = self.workspace.store.sessions
        if every:
            ids = [each.id for each in sessions.list(_ALL) if each.status.endswith("unread")]
        else:
            ids = [which_session.meant(self.workspace, word) for word in words or [self.workspace.session.id]]
        for each in ids:
            sessions.read(each)
        return f"Marked as read: {len(ids):,}."

    # Turns

    def _fork(self, count: str = "") -> str:
        sessions, origin = self.workspace.store.sessions, self._info()
        if origin is None or not origin.turns:
            raise UsageError("There is nothing to fork: this conversation has no turns yet.")
        turns = number(count, "fork", origin.turns) if count else origin.turns
        made = sessions.fork(origin.id, turns, notebook=self.workspace.notebook)
        self.workspace.session = self.workspace.store.session(made.id)
        return f"{self._here()}\nIt begins as {origin.id}, which stays as it is."

    def _revoke(self, count: str = "1") -> str:
        sessions, store = self.workspace.store.sessions, self.workspace.store
        this = self.workspace.session.id
        places = sessions.places(this)
        if not places:
            raise UsageError("There is nothing to take back: this conversation has no turns.")
        taken = number(count, "revoke", len(places))
        runs = [store.runs.get(place.run) for place in places[-taken:]]
        sessions.revoke(this, len(places) - taken)
        prompts = [one_line(run.head.prompt, 60) for run in runs if run is not None]
        few = ", ".join(f"“{prompt}”" for prompt in prompts[:5]) + (", …" if len(prompts) > 5 else "")
        return f"Took back {session_lists.turns(taken)}: {few}. %session unrevoke brings back what went."

    def _unrevoke(self) -> str:
        count = self.workspace.store.sessions.unrevoke(self.workspace.session.id)
        if not count:
            raise UsageError("Nothing was taken back from this conversation that could be brought again.")
        return f"Brought back {session_lists.turns(count)}.\n{self._here()}"

    # All of them

    def _list(self, words: str, flags: frozenset[str]) -> None:
        if flags >= {"--here", "--all"}:
            raise UsageError("--here and --all contradict each other. Leave one out.")
        sessions, notebook = self.workspace.store.sessions, self.workspace.notebook
        removed, wanted = "--removed" in flags, words.lower().split()
        if "--here" in flags and notebook is None:
            raise UsageError("This front end does not say which notebook this is. Leave --here out.")
        most = _ALL if "--all" in flags or wanted else _MOST
        own = list(sessions.list(most, notebook=notebook, deleted=removed)) if notebook else []
        others = [] if "--here" in flags else [
            each for each in sessions.list(most, deleted=removed) if each.notebook != notebook or notebook is None
        ]  # fmt: skip
        found = [each for each in (*own, *others) if all(word in _searched(each) for word in wanted)][:most]
        this = self.workspace.session.id
        notes = [
            "" if found else _none(removed=removed, wanted=bool(wanted)),
            "" if removed or sessions.known(this) else f"This one, {this}, is kept from its first turn on.",
            f"These are the last {_MOST}; --all shows the others." if len(found) == most == _MOST else "",
            f"%session restore ID brings one back, for {KEPT_DAYS} days." if removed and found else "",
        ]
        show.table(session_lists.sessions(found, this, notebook, "\n".join(notes)), self.workspace.mask)

    def _search(self, words: str, *, here: bool) -> None:
        store = self.workspace.store
        found = store.findings.search(words, session=self.workspace.session.id if here else None)
        within = {each.session for each in found}
        names = {each: store.sessions.get(each).name for each in within}
        turn_of = {(each, place.run): at for each in within for at, place in enumerate(store.sessions.places(each))}
        show.table(session_lists.findings(found, one_line(words, 60), names, turn_of), self.workspace.mask)

    def _remove(self, word: str) -> str:
        this = self.workspace.session.id
        gone = which_session.meant(self.workspace, word)
        info = self.workspace.store.sessions.get(gone)
        if info.status == "streaming":
            raise UsageError(f"Session {gone} is answering just now. Stop its run or wait for it, then remove it.")
        self.workspace.store.sessions.remove(gone)
        said = f"{one_line(info.name, 60)!r} is put away. %session restore {gone} brings it back, for {KEPT_DAYS} days."
        if gone != this:
            return said
        self.workspace.session = self.workspace.store.new_session()
        return f"{said} A new conversation begins."

    def _restore(self, word: str) -> str:
        info = self.workspace.store.sessions.restore(which_session.removed_meant(self.workspace, word))
        return f"{one_line(info.name, 60)!r} is back. %session use {info.id} goes on with it."

    def _export(self, words: Sequence[str], *, replace: bool) -> str:
        file = words[-1] if words and export_file.is_file(words[-1]) else None
        named = " ".join(words if file is None else words[:-1])
        session_id = which_session.meant(self.workspace, named) if named else self.workspace.session.id
        path, count = export_file.exported(self.workspace, session_id, file, replace=replace)
        return f"{session_lists.turns(count)} in {str(path)!r}."


def suggest(workspace: Workspace, earlier: Sequence[str], word: str) -> Sequence[str]:
    """What may stand at the cursor."""
    if not earlier:
        return VERBS
    if word.startswith("--"):
        return FLAGS.get(earlier[0], ())
    match earlier[0], len(earlier):
        case (("use" | "rm" | "read" | "export"), _):
            return which_session.names(workspace)
        case "restore", _:
            return [each.id for each in workspace.store.sessions.list(deleted=True)]
        case "memory", 1:
            return ("add", "edit", "rm")
        case "summary", 1:
            return ("edit",)
    return ()


def _none(*, removed: bool, wanted: bool) -> str:
    if wanted:
        return "No session is like that."
    return "No session was removed." if removed else "No sessions yet."


def _searched(info: SessionInfo) -> str:
    """Where the words of `list` are looked for."""
    return f"{info.title} {info.preview} {info.notebook or ''} {info.id}".lower()
