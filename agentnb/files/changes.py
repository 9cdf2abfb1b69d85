"""Files renamed, copied, moved, made and deleted by a person: confined, nothing overwritten, each with a way back."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agentnb.builtins.folder import Folder
from agentnb.errors import UsageError
from agentnb.files.place import check_name, copy, directory, discard, entry, free_name, resolve, told, transfer
from agentnb.files.trash import Trash, Trashed

#: So many changes can be taken back; what was deleted, as long as it is in the trash.
DEPTH = 100


@dataclass(frozen=True, slots=True)
class Moved:
    """Something has another path."""

    before: Path
    after: Path


@dataclass(frozen=True, slots=True)
class Made:
    """Something is there that was not: a copy, or an empty folder."""

    path: Path


Step: TypeAlias = Moved | Made | Trashed


class FileChanges:
    """Changes in one workspace folder. Safe from any thread. Paths go in and come out relative to the folder.

    Every method raises UsageError, and then has changed nothing.
    """

    def __init__(self, folder: Folder, trash: Trash) -> None:
        self.folder = folder
        self.trash = trash
        self._steps: deque[Step] = deque(maxlen=DEPTH)
        #: What went into the trash because it was undone: undoing more does not bring it back.
        self._undone: set[str] = set()
        self._lock = threading.RLock()

    def rename(self, path: str, new_name: str) -> str:
        """Give a file or a folder another name where it is."""
        check_name(new_name)
        return self._moved(entry(self.folder, path), lambda real: real.with_name(new_name), path)

    def move(self, path: str, into: str) -> str:
        """Put a file or a folder into another folder of the workspace."""
        target = directory(self.folder, into)
        return self._moved(entry(self.folder, path), lambda real: target / real.name, path)

    def _moved(self, real: Path, place: Callable[[Path], Path], path: str) -> str:
        target = place(real)
        with self._lock:
            if target.is_relative_to(real) and target != real:
                raise UsageError(f"{path[:200]!r} cannot be put into itself.")
            self._check_free(target, but=real)
            with told(f"{path[:200]!r} cannot be moved"):
                transfer(real, target)
            self._steps.append(Moved(real, target))
        return self.folder.relative(target)

    def _check_free(self, target: Path, *, but: Path) -> None:
        if not os.path.lexists(target):
            return
        # On a disk that knows no case, `a` and `A` are the same file: it may change its own name.
        only_case = target != but and str(target).casefold() == str(but).casefold()
        if not (only_case and os.path.samestat(target.lstat(), but.lstat())):
            raise UsageError(
                f"{self.folder.relative(target)!r} is there already. Give another name, or rename that one."
            )

    def duplicate(self, path: str) -> str:
        """Copy a file or a folder beside itself, as `name (1).ext`."""
        real = entry(self.folder, path)
        with self._lock, told(f"{path[:200]!r} cannot be copied"):
            target = real.with_name(free_name(real.parent, real.name, is_folder=real.is_dir()))
            try:
                copy(real, target)
            except OSError:
                discard(target)
                raise
            self._steps.append(Made(target))
        return self.folder.relative(target)

    def make_folder(self, path: str) -> str:
        """Make a folder, and those that it is in."""
        real = resolve(self.folder, path)
        missing = [each for each in (real, *real.parents) if not os.path.lexists(each)]
        if not missing:
            raise UsageError(f"{path[:200]!r} is there already.")
        for each in missing:
            check_name(each.name)
        with self._lock, told(f"{path[:200]!r} cannot be made"):
            real.mkdir(parents=True)
            self._steps.append(Made(missing[-1]))
        return self.folder.relative(real)

    def remove(self, path: str) -> Trashed:
        """Put a file or a folder into the trash."""
        real = entry(self.folder, path)
        with self._lock:
            thing = self.trash.put(real, self.folder.root)
            self._steps.append(thing)
        return thing

    def undo(self, trashed: str | None = None) -> str:
        """Take back the newest change, or bring back what the trash has under this id; a sentence says what was done.

        Where nothing is left to take back, the newest thing is brought back that was ever deleted here.
        """
        with self._lock:
            if trashed is not None:
                return self._back(self._in_trash(trashed))
            if self._steps:
                step = self._steps.pop()
                try:
                    return self._taken_back(step)
                except UsageError:
                    self._steps.append(step)
                    raise
            deleted = [thing for thing in self.trash.list(self.folder.root) if thing.id not in self._undone]
            if deleted:
                return self._back(deleted[0])
        raise UsageError("There is nothing to undo: no file was changed from here, and the trash has nothing of here.")

    def _in_trash(self, ending: str) -> Trashed:
        found = [thing for thing in self.trash.list(self.folder.root) if thing.id.endswith(ending)]
        if len(found) != 1 or not ending:
            raise UsageError(f"The trash has no {ending[:40]!r} of this folder. %files trash shows what it has.")
        return found[0]

    def _taken_back(self, step: Step) -> str:
        match step:
            case Trashed():
                return self._back(step)
            case Moved(before, after):
                return self._moved_back(before, after)
            case Made(path):
                return self._unmade(path)

    def _back(self, thing: Trashed) -> str:
        if thing not in self.trash.list(self.folder.root):
            self._forget(thing)
            return f"{Path(thing.path).name!r} is not in the trash any more: it cannot be brought back."
        self._here(Path(thing.path))
        target = self.trash.restore(thing)
        self._forget(thing)
        return f"{self.folder.relative(target)!r} is back."

    def _forget(self, thing: Trashed) -> None:
        self._steps = deque((step for step in self._steps if step != thing), maxlen=DEPTH)

    def _moved_back(self, before: Path, after: Path) -> str:
        name = self.folder.relative(after)
        if not os.path.lexists(after):
            return f"{name!r} is not there any more: nothing was done."
        self._here(before)
        self._here(after)
        self._check_free(before, but=after)
        with told(f"{name!r} cannot be moved back"):
            before.parent.mkdir(parents=True, exist_ok=True)
            transfer(after, before)
        return f"{name!r} is {self.folder.relative(before)!r} again."

    def _unmade(self, path: Path) -> str:
        name = self.folder.relative(path)
        if not os.path.lexists(path):
            return f"{name!r} is not there any more: nothing was done."
        self._here(path)
        # It may have been changed since: it is kept for a while, as all that is deleted.
        self._undone.add(self.trash.put(path, self.folder.root).id)
        return f"{name!r} is in the trash."

    def _here(self, path: Path) -> None:
        """Raises UsageError where the way to a path leads elsewhere by now: a folder of it has become a symlink."""
        if resolve(self.folder, str(path.parent)) != path.parent:
            raise UsageError(f"{path.name!r}: the way to where it was is another one now. Nothing was done.")
