"""What a long conversation is remembered by, shown and changed: `%session summary`, `%session memory`."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentnb.errors import UsageError, nearest
from agentnb.notebook import session_lists
from agentnb.notebook.errand import wait_for
from agentnb.notebook.tables import Table
from agentnb.render.terminal import clean, one_line
from agentnb.store.memory import ENTRY_TYPES, MemoryEntry
from agentnb.workspace import Workspace


def summarized(workspace: Workspace, line: str, *, now: bool) -> str:
    """The summary, after what `line` asks for; `now` has a model make a new one."""
    memory, session = workspace.store.memory, workspace.session
    verb, _, text = line.partition(" ")
    if now and line:
        raise UsageError("%session summary takes --now, or edit TEXT, not both.")
    if verb == "edit" and text.strip():
        memory.edit_summary(session.id, workspace.mask(text.strip()))
    elif line:
        raise UsageError("It is written so: %session summary [--now | edit TEXT]. See %session --help")
    elif now:
        wait_for(workspace, lambda: workspace.condenser.summarize(session))
    summary = memory.summary(session.id)
    if summary is None:
        return "There is no summary: all of the conversation goes to the model. %session summary --now makes one."
    head = f"Version {summary.version}, of the first {session_lists.turns(summary.upto)}, "
    return f"{head}{session_lists.when(summary.created, time.time())}:\n\n{clean(summary.text)}"


def remembered(workspace: Workspace, kept: Callable[[], str], line: str) -> Table:
    """The memories, after what `line` asks for; `kept` gives the session's id and sees to it that it is kept."""
    memory, this = workspace.store.memory, workspace.session.id
    verb, _, rest = line.partition(" ")
    first, _, text = rest.strip().partition(" ")
    text = workspace.mask(text.strip())
    match verb:
        case "":
            pass
        case "add" if first and text:
            kind = next((each for each in ENTRY_TYPES if each == first), None)
            if kind is None:
                near = nearest(first, ENTRY_TYPES)
                said = one_line(first, 40)
                raise UsageError(
                    f"A memory is a {', '.join(ENTRY_TYPES[:-1])} or {ENTRY_TYPES[-1]}, not {said!r}.{near}"
                )
            turn = max(0, len(workspace.session.turns) - 1)
            memory.add(kept(), MemoryEntry(kind, text, turn=turn))
        case "edit" if first and text:
            memory.edit(this, _number(first), text)
        case "rm" if first and not text:
            memory.remove(this, _number(first))
        case _:
            written = "%session memory [add TYPE TEXT | edit N TEXT | rm N]"
            raise UsageError(f"It is written so: {written}. See %session --help")
    return session_lists.memories(memory.entries(this))


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 15:
        raise UsageError(f"A memory is named by its number, not by {one_line(text, 40)!r}. %session memory shows them.")
    return int(text)
