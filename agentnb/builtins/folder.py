"""The one folder that the file tools see: every path is checked, and opened so that no symlink leads out meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from agentnb.errors import ToolError, nearest
from agentnb.prompting.plain import size

#: Whether a step of a path can be opened in the folder that is open already (not on Windows).
_STEPWISE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
#: A pipe must not be waited for: what is no plain file is refused once it is open.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Folder:
    """A folder that paths may not leave. `root` None is where the kernel is when a path is looked up.

    `closed` are folders whose files are no tool's business, wherever they are: those that hold keys and permissions.
    """

    def __init__(self, root: Path | str | None = None, *, closed: Callable[[], Iterable[Path]] = tuple) -> None:
        self._root = None if root is None else Path(root)
        self._closed = closed

    @property
    def root(self) -> Path:
        """The folder itself, every symlink followed."""
        return Path(os.path.realpath(self._root or Path.cwd()))

    def resolve(self, path: str) -> Path:
        """The real path of what `path` names, which need not exist. Raises ToolError for one outside the folder."""
        root = self.root
        if "\0" in path:
            raise ToolError("a path has no null character")
        try:
            real = os.path.realpath(root / path)
            inside = os.path.commonpath([root, real]) == str(root)
        except (ValueError, OSError):  # another drive; a name too long
            inside = False
        if not inside:
            raise ToolError(f"{path[:200]!r} is outside the workspace folder. Give a path inside it, relative to it.")
        if any(Path(real).is_relative_to(each) for each in self.closed):
            raise ToolError(
                f"{path[:200]!r} is of agentnb itself, with keys and permissions: no tool reads or writes it"
            )
        return Path(real)

    @property
    def closed(self) -> list[Path]:
        """The folders that are closed, every symlink followed."""
        found = [Path(os.path.realpath(each)) for each in self._closed()]
        return [each for each in found if not self.root.is_relative_to(each)]

    def relative(self, real: Path) -> str:
        """A resolved path as it is told to a model: from the folder on, with slashes."""
        return real.relative_to(self.root).as_posix()

    @contextlib.contextmanager
    def reading(self, path: str) -> Iterator[BinaryIO]:
        """A plain file, open for reading. Raises ToolError for anything else."""
        real = self.resolve(path)
        with self._told(path, real), self._parent(real) as (parent, name):
            file = os.fdopen(os.open(name, _READ, dir_fd=parent), "rb")
            with file:
                mode = os.fstat(file.fileno()).st_mode
                if stat.S_ISDIR(mode):
                    raise IsADirectoryError(errno.EISDIR, "it is a folder")
                if not stat.S_ISREG(mode):
                    raise ToolError(f"{path!r} is a device or a pipe, not a file")
                yield file

    def read(self, path: str, most: int) -> bytes:
        """All of a file of at most so many bytes. Raises ToolError."""
        with self.reading(path) as file:
            if (length := os.fstat(file.fileno()).st_size) > most:
                raise ToolError(f"{path!r} has {size(length)}; {size(most)} are the most that is read for this")
            return file.read(most + 1)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`. Raises ToolError for one outside the folder."""
        real = self.resolve(path)
        with self._told(path, real):
            return real.exists()

    def write(self, path: str, content: bytes) -> Path:
        """Write a file at one blow, and make the folders it needs; gives its real path. Raises ToolError."""
        real = self.resolve(path)
        if real == self.root:
            raise ToolError("the workspace folder itself cannot be written; give the path of a file")
        with self._told(path, real), self._parent(real, create=True) as (parent, name):
            mode = _mode(name, parent)
            beside = f"{name}.{secrets.token_hex(6)}.tmp"
            try:
                with os.fdopen(os.open(beside, _NEW, 0o666, dir_fd=parent), "wb") as file:
                    file.write(content)
                    if mode is not None and hasattr(os, "fchmod"):
                        os.fchmod(file.fileno(), mode)
                # The name itself is replaced: what a symlink there points to is not touched.
                os.replace(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with contextlib.suppress(FileNotFoundError):  # as it should be
                    os.unlink(beside, dir_fd=parent)
        return real

    def remove(self, path: str) -> None:
        """Remove a file. Raises ToolError."""
        real = self.resolve(path)
        with self._told(path, real), self._parent(real) as (parent, name):
            os.unlink(name, dir_fd=parent)

    @contextlib.contextmanager
    def _parent(self, real: Path, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
        """The folder that holds a resolved path, opened step by step, and the name in it.

        No step may be a symlink: those there were have been followed, so one there now was put there since.
        """
        if not _STEPWISE:
            if create:
                real.parent.mkdir(parents=True, exist_ok=True)
            yield None, str(real)
            return
        at = os.open(self.root, _DIRECTORY)
        try:
            for part in real.relative_to(self.root).parts[:-1]:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=at)
                below = os.open(part, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            yield at, real.name if real != self.root else "."
        finally:
            os.close(at)

    @contextlib.contextmanager
    def _told(self, path: str, real: Path) -> Iterator[None]:
        """What the system refuses, in words."""
        try:
            yield
        except FileNotFoundError:
            raise ToolError(f"no file {path!r} in the workspace folder {str(self.root)!r}.{near(real)}") from None
        except IsADirectoryError:
            raise ToolError(f"{path!r} is a folder. list_files shows what is in it.") from None
        except NotADirectoryError:
            raise ToolError(f"{path!r} leads through something that is no folder") from None
        except OSError as error:
            looped = error.errno == errno.ELOOP
            reason = "a symlink leads nowhere, or was put in its way" if looped else error.strerror or str(error)
            raise ToolError(f"{path[:200]!r} cannot be opened: {reason}") from None


def _mode(name: str, parent: int | None) -> int | None:
    """The permissions of the file that is replaced, if any. Raises IsADirectoryError."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found) and not stat.S_ISLNK(found):
        raise ToolError(f"{name!r} is a device or a pipe, not a file")
    return stat.S_IMODE(found) if stat.S_ISREG(found) else None


def near(real: Path) -> str:
    """A hint at the file that may have been meant, of those in the same folder."""
    try:
        return nearest(real.name, os.listdir(real.parent))
    except OSError:
        return ""
