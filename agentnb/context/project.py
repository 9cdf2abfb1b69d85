"""What a project says of itself: AGENTS.md in the folders from the notebook upward, and the nearest README.

The files are data of whoever wrote them. Only regular files below the project's top are read, and not more of one than
a model is ever shown: a link in a project from elsewhere must not send what lies outside of it.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agentnb.context.parts import Masking, Part, Source, quoted
from agentnb.render.terminal import clean

#: Bytes read of a file: more than the largest budget holds.
_READ = 65_536
#: Tokens of a README: its beginning says what a project is.
_README_TOKENS = 400
#: So many AGENTS.md at most, the nearest.
_MOST = 4
_READMES = ("README.md", "README.rst", "README")


@dataclass(frozen=True, slots=True)
class Project:
    """What was found: a source for each file, the nearest AGENTS.md last, and why other files were passed over."""

    sources: tuple[Source, ...] = ()
    left_out: tuple[str, ...] = ()


class _Refused(Exception):
    """A file that is there and is not read; the words say why."""


def read(start: Path, home: Path, mask: Masking) -> Project:
    """What the project around the folder `start` says. A file that cannot be read is named in `left_out`."""
    folders = _folders(start, home)
    sources: list[Source] = []
    left_out: list[str] = []

    def add(file: Path) -> bool:
        name = _name(file, folders[-1])
        try:
            text = mask(_text(file, folders[-1]))
        except FileNotFoundError:
            return False
        except (OSError, _Refused) as reason:
            left_out.append(f"{name}: {getattr(reason, 'strerror', None) or reason}")
            return False
        if text.strip():
            sources.append(partial(_beginning if file.name in _READMES else _whole, name, text, str(file.parent)))
        return bool(text.strip())

    any(add(folder / name) for folder in folders for name in _READMES)
    for folder in reversed(folders[:_MOST]):
        add(folder / "AGENTS.md")
    return Project(tuple(sources), tuple(left_out))


def _whole(name: str, text: str, folder: str, room: int) -> Part | None:
    return quoted(name, text, f"found in {folder}", room)


def _beginning(name: str, text: str, folder: str, room: int) -> Part | None:
    return quoted(name, text, f"the beginning of what was found in {folder}", min(room, _README_TOKENS))


def _folders(start: Path, home: Path) -> Sequence[Path]:
    """The folders from `start` up to the top of its project: the repository's, else the person's home.

    Where there is neither above, what lies above is anybody's (such as /tmp), and `start` stands alone. A repository
    of somebody else's is none: who may write to /tmp can make one of it.
    """
    found: list[Path] = []
    owners: set[int | None] = {getattr(os, "getuid", lambda: None)()}
    for folder in _upward(start):
        found.append(folder)
        owners = owners if len(found) > 1 else {*owners, _owner(folder)}
        is_home = folder == home and folder != folder.parent
        if is_home or _owner(folder / ".git") in owners - {None}:
            return found
    return found[:1]


def _upward(start: Path) -> Iterator[Path]:
    try:
        start = start.resolve()
    except (OSError, RuntimeError):  # links in a circle
        start = start.absolute()
    yield start
    yield from start.parents


def _owner(path: Path) -> int | None:
    """Whose it is; None where there is no such thing."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _name(file: Path, top: Path) -> str:
    return clean(file.relative_to(top).as_posix())


def _text(file: Path, top: Path) -> str:
    """The text of a file, or its beginning up to a whole line. Raises OSError and _Refused."""
    try:
        real = file.resolve(strict=True)
    except RuntimeError:
        raise _Refused("its links go in a circle") from None
    if not real.is_relative_to(top):
        raise _Refused("it is a link to what lies outside of the project")
    if not real.is_file():
        raise _Refused("it is no regular file")
    with real.open("rb") as opened:
        data = opened.read(_READ)
    if b"\0" in data:
        raise _Refused("it is not text")
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=len(data) < _READ)
    except UnicodeDecodeError:
        raise _Refused("it is not text in UTF-8") from None
    # A secret that is cut in two would not be known as one.
    whole = text if len(data) < _READ else text[: text.rfind("\n") + 1]
    return clean(whole)
