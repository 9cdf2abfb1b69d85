"""Where a path that a person gives leads: into the workspace folder, or to one line that says why not."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from agentnb.builtins.folder import Folder, near
from agentnb.errors import ToolError, UsageError

#: How a file is called while it is brought in.
UPLOADING = ".uploading-"
#: Bytes that a name may have on the usual file systems.
_LONGEST = 255
_NOT_IN_NAMES = re.compile(r"[/\\:\x00-\x1f\x7f]")
_FULL = {errno.ENOSPC, errno.EDQUOT}


def resolve(folder: Folder, path: str) -> Path:
    """The real path of what `path` names, every symlink followed; it need not exist. Raises UsageError outside."""
    try:
        return folder.resolve(path)
    except ToolError as error:
        raise UsageError(str(error)) from None


def directory(folder: Folder, path: str) -> Path:
    """A folder of the workspace, every symlink followed. Raises UsageError where there is none."""
    real = resolve(folder, path or ".")
    if not real.is_dir():
        what = "is no folder" if real.exists() else f"is not in the workspace folder.{near(real)}"
        raise UsageError(f"{path[:200]!r} {what}".removesuffix(".") + ("" if what.endswith("?") else "."))
    return real


def entry(folder: Folder, path: str) -> Path:
    """The very thing that `path` names: a symlink is itself, not what it points to.

    Raises UsageError where there is none, for the workspace folder itself, and for what agentnb keeps for itself.
    """
    if "\0" in path:
        raise UsageError("A path has no null character.")
    head, name = os.path.split(path.rstrip("/" + os.sep) or path)
    real = resolve(folder, path) if name in ("", ".", "..") else _parent(folder, head, path) / name
    if real == folder.root:
        raise UsageError("The workspace folder itself stays as it is. Give the path of something in it.")
    if any(each.is_relative_to(real) or real.is_relative_to(each) for each in folder.closed):
        raise UsageError(f"{path[:200]!r} holds what agentnb keeps for itself, keys among it: it stays as it is.")
    if not os.path.lexists(real):
        raise UsageError(f"There is no {path[:200]!r} in the workspace folder.{near(real)}")
    return real


def _parent(folder: Folder, head: str, path: str) -> Path:
    try:
        return resolve(folder, head or ".")
    except UsageError:
        resolve(folder, path)  # says it of the path that was given
        raise


def check_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a file or a folder."""
    if not name.strip() or name in (".", ".."):
        raise UsageError(f"{name!r} is no name. Give one, such as report.csv.")
    if _NOT_IN_NAMES.search(name):
        raise UsageError(rf"{name[:100]!r}: a name has none of / \ : and no control characters. Leave them out.")
    if name.startswith(UPLOADING):
        raise UsageError(f"{name[:100]!r}: files that are still on their way in are called so. Take another name.")
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        raise UsageError(f"{name[:100]!r} has characters that no name has. Leave them out.") from None
    if length > _LONGEST:
        raise UsageError(f"{name[:40] + '…'!r} is too long: a name has at most {_LONGEST} bytes.")


def free_name(parent: Path, name: str, *, is_folder: bool = False) -> str:
    """`name`, or where that is taken `name (1).ext`, `name (2).ext`, …"""
    stem, ending = (name, "") if is_folder else os.path.splitext(name)
    number, free = 0, name
    while os.path.lexists(parent / free):
        number += 1
        free = f"{stem} ({number}){ending}"
    return free


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; symlinks stay symlinks, so that nothing from elsewhere is copied. Raises OSError."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file() or source.is_symlink():
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")


def transfer(source: Path, target: Path) -> None:
    """Give something another place, also on another disk: there it is whole before it is gone here. Raises OSError."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f"{target.name[:200]}.part")
        try:
            copy(source, beside)
            os.rename(beside, target)
        finally:
            discard(beside)
        discard(source, quietly=False)


def discard(path: Path, *, quietly: bool = True) -> None:
    """Remove a file, or a folder with what is in it; `quietly` minds no failure."""
    with contextlib.suppress(*((OSError,) if quietly else (FileNotFoundError,))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=quietly)
        else:
            path.unlink()


def weight(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; symlinks are not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # gone meanwhile
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """What the system refuses as one line: `what`, the reason, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{what}: {reason(error)}") from None


def reason(error: OSError) -> str:
    """Why the system refused, and what to do, as the end of a line."""
    if error.errno in _FULL:
        return "the disk is full. What was there stays; make room, then try again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{(error.strerror or 'not permitted').lower()}. What was there stays; change its permissions first."
    # `shutil.Error` has a list of what failed instead of a number.
    words = error.strerror or "some of it could not be copied or removed"
    return f"{words[:1].lower()}{words[1:]}. What was there stays."


def is_full(error: OSError) -> bool:
    """Whether there was no room left."""
    return error.errno in _FULL
