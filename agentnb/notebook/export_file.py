"""A session written to a file that a person names: whole or not at all, and over nothing that is there."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path

from agentnb import exporting
from agentnb.errors import UsageError, nearest
from agentnb.workspace import Workspace

#: How a file may end.
SUFFIXES = tuple(exporting.FORMS)


def exported(workspace: Workspace, session_id: str, file: str | None, *, replace: bool) -> tuple[Path, int]:
    """The file that was written, and how many turns are in it.

    `file` is a path, or how it ends (`.html`), the rest coming from the title; by default Markdown. Raises UsageError
    where it cannot be written, or is there already and not to be replaced.
    """
    if not workspace.store.sessions.known(session_id):
        raise UsageError("This conversation has nothing to export: nothing was said in it yet.")
    workspace.mask.add(*workspace.credentials.secrets())
    conversation = exporting.gathered(workspace.store, session_id, workspace.mask)
    if not conversation.turns:
        raise UsageError(f"Session {session_id} has nothing to export: nothing was said in it yet.")
    path = _path(file or SUFFIXES[0], conversation)
    if path.exists() and not replace:
        raise UsageError(f"There is a {str(path)!r} already. Name another file, or add --replace.")
    write(path, exporting.FORMS[path.suffix.lower()](conversation))
    return path, len(conversation.turns)


def is_file(word: str) -> bool:
    """Whether a word of the line names a file, not a session."""
    return "/" in word or os.sep in word or re.search(r"\.[A-Za-z]\w{0,5}$", word) is not None


def _path(file: str, conversation: exporting.Conversation) -> Path:
    if file.lower() in SUFFIXES:
        return Path(exporting.file_name(conversation, file.lower()))
    path = Path(file).expanduser()
    if path.is_dir():
        return path / exporting.file_name(conversation, SUFFIXES[0])
    if path.suffix.lower() not in SUFFIXES:
        near = nearest(path.suffix.lower(), SUFFIXES)
        raise UsageError(
            f"{file!r} has no ending that says what it is to be.{near} It is one of {', '.join(SUFFIXES)}."
        )
    return path


def write(path: Path, text: str) -> None:
    """Put a text in the place of a file, whole or not at all. Raises UsageError where that cannot be."""
    # Beside it first: a full disk leaves what was there.
    part = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.part")
    try:
        part.write_bytes(text.encode("utf-8", "replace"))
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}. Name another file.") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
