"""What a browser was seen doing: the pictures taken after each action, kept as recordings until they are deleted."""

from __future__ import annotations

import io
import itertools
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

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

    def __str__(self) -> str:
        size = sum(len(frame.picture) for frame in self.frames)
        return f"{self.id}: {len(self.frames)} pictures, {size / 1000:,.0f} kB"


class Recordings:
    """The recordings of one browser, in memory."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: dict[str, Recording] = {}
        self._bytes = 0

    def begin(self) -> Recording:
        """A recording for a browser that starts now."""
        recording = Recording(f"recording-{next(self._numbers)}")
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
        del self._kept[recording.id]

    def packed(self, recording_id: str) -> bytes:
        """A zip file of the pictures in order, with an index.json. Raises ToolError for an unknown one."""
        recording = self._find(recording_id)
        out = io.BytesIO()
        index = []
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
            for number, frame in enumerate(recording.frames, 1):
                name = f"{number:04}.jpg"
                index.append({"file": name, "time": frame.taken, "after": frame.action, "url": frame.url})
                packed.writestr(name, frame.picture)
            packed.writestr("index.json", json.dumps(index, indent=1))
        return out.getvalue()

    def _find(self, recording_id: str) -> Recording:
        found = self._kept.get(recording_id)
        if found is None or not found.frames:
            known = [each.id for each in self.all()]
            raise ToolError(f"there is no recording {recording_id!r}.{nearest(recording_id, known)}")
        return found
