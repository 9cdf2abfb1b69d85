"""JSON files that only their owner can read, and that several processes may rewrite at once."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from agentnb.errors import CredentialError
from agentnb.locking import try_lock
from agentnb.messages import JSON

_LOCK_SECONDS, _LOCK_TRIES = 0.02, 250


def read_private(path: Path) -> dict[str, JSON]:
    """The object in a file; empty where there is none. Raises CredentialError for one that others can read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            # Windows has no such modes: there a person's own folder is theirs.
            if mode & 0o077 and sys.platform != "win32":
                raise CredentialError(
                    f"Others can read {path} (mode {mode:04o}), so it is not used. Run: chmod 600 {path}"
                )
            value = orjson.loads(file.read() or b"{}")
    except FileNotFoundError:
        return {}
    except OSError as reason:
        raise CredentialError(f"{path} cannot be read: {reason.strerror}. Make it a file that you may read.") from None
    except orjson.JSONDecodeError as reason:
        raise CredentialError(f"{path} is not JSON ({reason}). Delete it, and add the credentials again.") from None
    if not isinstance(value, dict):
        raise CredentialError(f"{path} holds no credentials. Delete it, and add the credentials again.")
    return value


def write_private(path: Path, value: Mapping[str, JSON]) -> None:
    """Put an object in the place of a file, whole or not at all. Raises CredentialError where that cannot be."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as reason:
        draft.unlink(missing_ok=True)
        raise CredentialError(
            f"{path} cannot be written: {reason.strerror}. Set AGENTNB_HOME to another folder."
        ) from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads out that lock the same file. Raises CredentialError after five seconds."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as reason:
        raise CredentialError(
            f"{path} cannot be written: {reason.strerror}. Set AGENTNB_HOME to another folder."
        ) from None
    try:
        for _ in range(_LOCK_TRIES):
            # Where the file system knows no locks: better one lost change than none possible.
            if try_lock(file):
                break
            time.sleep(_LOCK_SECONDS)
        else:
            raise CredentialError(f"Another process keeps {path} locked. End it, or try again.")
        yield
    finally:
        # Closing it unlocks it.
        os.close(file)
