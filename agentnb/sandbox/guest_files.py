"""Files, as the program inside a sandbox serves them. Standard library only: its source is sent into the sandbox."""

from __future__ import annotations

import base64
import errno
import os
import shutil
import stat
from typing import Any

#: Entries of a folder that are listed at most.
MOST = 5000


class Refused(Exception):
    """Something asked for cannot be done; the message is for the caller."""


class Files:
    """The files below `home`, and (`everywhere`) the others that this program can see."""

    def __init__(self, home: str, everywhere: bool) -> None:
        self.home = os.path.realpath(home)
        self._everywhere = everywhere

    def place(self, path: str, *, follow: bool = True) -> str:
        """An absolute path. Raises Refused for one that leaves the folder."""
        if "\0" in path:
            raise Refused("a path has no NUL in it")
        joined = os.path.join(self.home, path)
        head, tail = os.path.split(os.path.normpath(joined))
        whole = os.path.realpath(joined) if follow else os.path.join(os.path.realpath(head), tail)
        if not self._everywhere and os.path.commonpath([self.home, whole]) != self.home:
            raise Refused(f"{path} is outside of the sandbox's folder")
        return whole

    def read(self, path: str, offset: int, size: int) -> dict[str, Any]:
        """`size` bytes from `offset` on, as base64, and how large the file is."""
        # Not a pipe or a device: opening one may wait for ever.
        handle = os.open(self.place(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"{path} is not a file")
            file.seek(offset)
            return {"data": base64.b64encode(file.read(size)).decode(), "size": found.st_size}

    def write(self, path: str, data: str, append: bool) -> None:
        """Write base64; the first piece replaces the file, others follow it."""
        place = self.place(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.lexists(place) and not os.path.isfile(place):
            raise Refused(f"{path} is not a file")
        with open(place, "ab" if append else "wb") as file:
            file.write(base64.b64decode(data))

    def list(self, path: str) -> list[dict[str, Any]]:
        """What a folder holds, by name."""
        place = self.place(path)
        names = sorted(os.listdir(place))[:MOST]
        found = (self._entry(os.path.join(path, name) if path != "." else name) for name in names)
        return [entry for entry in found if entry is not None]

    def stat(self, path: str) -> dict[str, Any]:
        """What a path is."""
        entry = self._entry(path)
        if entry is None:
            raise Refused(f"{path}: {os.strerror(errno.ENOENT)}")
        return entry

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        os.makedirs(self.place(path), exist_ok=True)

    def move(self, source: str, target: str) -> None:
        """Rename; what is at the target stays."""
        place = self.place(target, follow=False)
        if os.path.lexists(place):
            raise Refused(f"{target} exists")
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.move(self._own(source), place)

    def remove(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        place = self._own(path)
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        else:
            os.remove(place)

    def _own(self, path: str) -> str:
        place = self.place(path, follow=False)
        if place == self.home:
            raise Refused("the home folder itself stays")
        return place

    def _entry(self, path: str) -> dict[str, Any] | None:
        try:
            found = os.lstat(self.place(path, follow=False))
        except FileNotFoundError:
            return None
        kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
        kind = kinds.get(stat.S_IFMT(found.st_mode), "other")
        return {"path": path, "kind": kind, "size": found.st_size, "modified": found.st_mtime}
