"""What a person deleted, kept for a while in a folder of theirs: each thing with a note of where it was."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.files.place import discard, reason, told, transfer, weight
from agentnb.prompting.plain import size

DAYS = 30.0
MOST_BYTES = 1_000_000_000
_NOTE, _CONTENT = "note.json", "content"
#: Seconds after which what was never wholly there is no move in progress any more.
_STALE = 86_400.0


@dataclass(frozen=True, slots=True)
class Trashed:
    """Something in the trash. `path` is where it was, `root` the workspace folder, `deleted` seconds since 1970."""

    id: str
    path: str
    root: str
    deleted: float
    size: int
    is_dir: bool


class Trash:
    """The folder of what was deleted. Several kernels may use one: each thing has a folder and a note of its own.

    Things older than `days` go, and the oldest ones until what is left has `most` bytes; the newest always stays.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        *,
        days: float = DAYS,
        most: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._days = days
        self._most = most
        self._clock = clock

    @property
    def folder(self) -> Path:
        """Where it is, every symlink followed; it need not be there yet."""
        return Path(os.path.realpath(self._folder()))

    def put(self, real: Path, root: Path) -> Trashed:
        """Take something away. Raises UsageError where that cannot be done; then it is where it was."""
        if self.folder.is_relative_to(real) or real.is_relative_to(self.folder):
            raise UsageError(f"{real.name!r} has the trash in it, or is in there: it stays as it is.")
        now = self._clock()
        with told(f"{real.name!r} cannot be deleted"):
            thing = Trashed(
                f"{int(now * 1000):013d}-{secrets.token_hex(3)}",
                str(real),
                str(root),
                now,
                weight(real),
                real.is_dir() and not real.is_symlink(),
            )
        place = self._place(thing)
        try:
            place.mkdir(parents=True, mode=0o700)
            self._check_room(real, place, thing.size)
            (place / _NOTE).write_text(json.dumps(asdict(thing)), "utf-8")
        except OSError as error:
            discard(place)
            raise UsageError(
                f"The trash {str(self.folder)!r} cannot be written, so {real.name!r} stays: {reason(error)} "
                "$AGENTNB_HOME may name another folder."
            ) from None
        self._take(real, place)
        self.prune()
        return thing

    def _check_room(self, real: Path, place: Path, needed: int) -> None:
        if real.lstat().st_dev != place.stat().st_dev and shutil.disk_usage(place).free < needed:
            discard(place)
            raise UsageError(
                f"{real.name!r} has {size(needed)}, and the disk of the trash has no room for it. Make room there, or "
                "set $AGENTNB_HOME to a folder on this disk."
            )

    def _take(self, real: Path, place: Path) -> None:
        try:
            with told(f"{real.name!r} cannot be deleted"):
                transfer(real, place / _CONTENT)
        except UsageError:
            if not os.path.lexists(place / _CONTENT):
                discard(place)
                raise
            raise UsageError(
                f"{real.name!r} is whole in the trash, but some of it could not be removed here. Change the "
                "permissions of what is left, then delete that too."
            ) from None

    def list(self, root: Path | None = None) -> list[Trashed]:
        """What is in there, the newest first; of one workspace folder, where one is given."""
        return [thing for thing, _ in self._things() if thing and (root is None or thing.root == str(root))]

    def restore(self, thing: Trashed) -> Path:
        """Put something back where it was. Raises UsageError where something else is there now; then it stays."""
        target = Path(thing.path)
        place = self._place(thing)
        if not os.path.lexists(place / _CONTENT):
            raise UsageError(f"{target.name!r} is not in the trash any more.")
        if os.path.lexists(target):
            raise UsageError(f"{target.name!r} is there again. Rename or move that one, then undo once more.")
        if os.path.realpath(target.parent) != str(target.parent):
            raise UsageError(f"{target.name!r}: the way to where it was is another one now. It stays in the trash.")
        with told(f"{target.name!r} cannot be put back"):
            target.parent.mkdir(parents=True, exist_ok=True)
            transfer(place / _CONTENT, target)
        discard(place)
        return target

    def prune(self) -> None:
        """Let go of what is too old or too much."""
        now, total, newest = self._clock(), 0, True
        for thing, place in self._things():
            if thing is None:
                with contextlib.suppress(OSError):
                    if now - place.stat().st_mtime > _STALE:
                        discard(place)
                continue
            total += thing.size
            if not newest and (total > self._most or now - thing.deleted > self._days * 86_400):
                discard(place)
            newest = False

    def _place(self, thing: Trashed) -> Path:
        return self.folder / thing.id

    def _things(self) -> Iterator[tuple[Trashed | None, Path]]:
        """Each folder with what its note says; None where it holds nothing whole."""
        try:
            names = sorted(os.listdir(self.folder), reverse=True)
        except OSError:
            return
        for name in names:
            place = self.folder / name
            try:
                noted = json.loads((place / _NOTE).read_text("utf-8"))
                thing = Trashed(**noted)
                whole = thing.id == name and os.path.lexists(place / _CONTENT)
            except (OSError, ValueError, TypeError):
                whole = False
            yield (thing if whole else None), place
