"""What a browser was seen doing: the pictures taken after each action, and films where they were asked for."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentnb.errors import ToolError, nearest

#: What all recordings of a browser may take together, in bytes; the oldest pictures go first.
MOST_BYTES = 30_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture (JPEG), when it was taken (seconds since the epoch), and after what."""

    taken: float
    action: str
    url: str
    picture: bytes


@dataclass(slots=True)
class Recording:
    """One life of the browser, from its start to its stop."""

    id: str
    frames: list[Frame] = field(default_factory=list)
    #: Where its films are; they are whole when the browser has stopped.
    folder: Path | None = None

    @property
    def films(self) -> list[Path]:
        """The films (WebM), one for each tab."""
        return sorted(self.folder.glob("*.webm")) if self.folder else []

    def __str__(self) -> str:
        size = sum(len(frame.picture) for frame in self.frames)
        films = f", {_count(self.films, 'film')}" if self.films else ""
        return f"{self.id}: {_count(self.frames, 'picture')}, {size / 1000:,.0f} kB{films}"


class Recordings:
    """The recordings of one browser, in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: dict[str, Recording] = {}
        self._bytes = 0

    def begin(self, folder: Path | None = None) -> Recording:
        """A recording for a browser that starts now; `folder` holds its films."""
        recording = Recording(f"recording-{next(self._numbers)}", folder=folder)
        self._kept[recording.id] = recording
        return recording

    def add(self, recording: Recording, action: str, url: str, picture: bytes) -> None:
        """Keep one more picture."""
        if recording.id not in self._kept:
            return  # deleted while it was going on
        recording.frames.append(Frame(self._clock(), action, url, picture))
        self._bytes += len(picture)
        while self._bytes > MOST_BYTES:
            oldest = next(each for each in self._kept.values() if each.frames)
            self._bytes -= len(oldest.frames.pop(0).picture)

    def all(self) -> list[Recording]:
        """Those that have pictures, oldest first."""
        return [each for each in self._kept.values() if each.frames]

    def delete(self, recording_id: str) -> None:
        """Forget one. Raises ToolError for an unknown one."""
        recording = self._find(recording_id)
        self._bytes -= sum(len(frame.picture) for frame in recording.frames)
        for film in recording.films:
            film.unlink(missing_ok=True)
        del self._kept[recording.id]

    def packed(self, recording_id: str) -> bytes:
        """A zip file of the pictures in order, with an index.json. Raises ToolError for an unknown one."""
        import zipfile

        recording = self._find(recording_id)
        out = io.BytesIO()
        index = []
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
            for number, frame in enumerate(recording.frames, 1):
                name = f"{number:04}.jpg"
                index.append({"file": name, "time": frame.taken, "after": frame.action, "url": frame.url})
                packed.writestr(name, frame.picture)
            packed.writestr("index.json", json.dumps(index, indent=1))
            for number, film in enumerate(recording.films, 1):
                packed.write(film, f"film-{number}.webm")
        return out.getvalue()

    def _find(self, recording_id: str) -> Recording:
        found = self._kept.get(recording_id)
        if found is None or not found.frames:
            known = [each.id for each in self.all()]
            raise ToolError(f"there is no recording {recording_id!r}.{nearest(recording_id, known)}")
        return found


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"
