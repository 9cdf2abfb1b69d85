"""A lock on an open file that keeps other processes out, and that the system lets go of whatever ends this one."""

from __future__ import annotations

import sys

if sys.platform == "win32":

    def try_lock(file: int) -> bool:
        """Lock the file, unless somebody has; whether it is ours."""
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def try_lock(file: int) -> bool:
        """Lock the file, unless somebody has; whether it is ours. A file system that knows no locks gives it to all."""
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
