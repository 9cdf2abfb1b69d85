"""Which session a person means: by its id, how that begins, or words of its title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentnb.errors import StoreError, UsageError, nearest
from agentnb.render.terminal import one_line
from agentnb.session import Session
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from agentnb.store.infos import SessionInfo

#: So many sessions, those used last, are known by their titles.
_BY_TITLE = 2000


def meant(workspace: Workspace, words: str) -> str:
    """The id of a session. Raises UsageError for one there is not, that was removed, or for words that fit several."""
    if words == workspace.session.id:
        return words
    sessions = workspace.store.sessions
    try:
        return sessions.get(words).id
    except StoreError:
        raise
    except UsageError as error:
        unknown = error
    listed = sessions.list(_BY_TITLE)
    removed = sessions.list(_BY_TITLE, deleted=True)
    if any(each.id.startswith(words) for each in (*listed, *removed)):
        raise unknown
    if found := _called(words, listed):
        return found
    near = nearest(words, [name for each in listed for name in (each.id, each.name)])
    raise UsageError(f"There is no session {one_line(words, 60)!r}.{near} %session list shows those there are.")


def removed_meant(workspace: Workspace, words: str) -> str:
    """The id of a session that was removed. Raises UsageError for one there is not, or for words that fit several."""
    removed = workspace.store.sessions.list(_BY_TITLE, deleted=True)
    by_id = [each.id for each in removed if each.id.startswith(words)]
    if found := by_id[0] if len(by_id) == 1 else _called(words, removed):
        return found
    raise UsageError(f"No removed session is called {one_line(words, 60)!r}. %session list --removed shows them.")


def _called(words: str, listed: Sequence[SessionInfo]) -> str:
    """The id of the one that is called so; empty where none is. Raises UsageError for several."""
    exact = [each for each in listed if each.name.lower() == words.lower()]
    found = exact or [each for each in listed if all(word in each.name.lower() for word in words.lower().split())]
    if len(found) > 1:
        few = "; ".join(f"{each.id} {one_line(each.name, 40)!r}" for each in found[:4])
        said = one_line(words, 60)
        raise UsageError(f"{len(found)} sessions are called something like {said!r}: {few}. Name one by its id.")
    return found[0].id if found else ""


def session_meant(workspace: Workspace, words: str) -> Session:
    """The session itself; the one that the notebook talks in already stays as it is."""
    session_id = meant(workspace, words)
    return workspace.session if session_id == workspace.session.id else workspace.store.session(session_id)


def names(workspace: Workspace) -> list[str]:
    """What sessions may be called by, for completion: ids, and titles."""
    listed = workspace.store.sessions.list()
    return [*(each.id for each in listed), *(each.title for each in listed if each.title)]
