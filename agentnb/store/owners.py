"""Which kernels are alive: each holds a lock on a file of its own, which the system lets go of whatever ends it."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from agentnb.locking import try_lock


class Owners:
    """The kernels that write to one store, by the files in a folder; this one is `me`."""

    def __init__(self, folder: Path) -> None:
        self.me = uuid.uuid4().hex[:16]
        self._folder = folder
        self._file: int | None = None
        self._pid = 0

    def appear(self) -> str:
        """Be alive from now on, as long as this process is; gives the name. Raises OSError."""
        if self._pid != os.getpid():
            if self._pid:  # a forked process is another one
                self.me = uuid.uuid4().hex[:16]
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._folder / self.me, os.O_RDWR | os.O_CREAT, 0o600)
            try_lock(self._file)
            self._pid = os.getpid()
        return self.me

    def alive(self, owner: str) -> bool:
        """Whether that kernel still runs."""
        if owner == self.me and self._pid == os.getpid():
            return True
        try:
            file = os.open(self._folder / Path(owner).name, os.O_RDWR)
        except OSError:
            return False
        try:
            # Where the file system knows no locks, every kernel counts as ended.
            if not try_lock(file):
                return True
            with contextlib.suppress(OSError):
                os.unlink(self._folder / Path(owner).name)
            return False
        finally:
            os.close(file)

    def leave(self) -> None:
        """Be gone."""
        if self._file is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(self._folder / self.me)
            os.close(self._file)
        self._file, self._pid = None, 0
