"""Sessions and runs on their way out of a store or into one, with everything that belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentnb.messages import Message
from agentnb.store.memory import MemoryEntry, Summary
from agentnb.store.runs import StoredRun

Arrival: TypeAlias = Literal["new", "same", "removed", "copy"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message and when it was said, in seconds since 1970."""

    message: Message
    created: float


@dataclass(frozen=True, slots=True)
class MovedRun:
    """A run and what was said in it."""

    run: StoredRun
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class MovedTurn:
    """Which run takes a turn, for which cell; `gone` is when it was taken back."""

    run: str
    cell: str | None = None
    gone: float | None = None


@dataclass(frozen=True, slots=True)
class MovedArtifact:
    """A file of a session."""

    name: str
    data: bytes
    media_type: str | None = None
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class MovedSession:
    """Everything of one session; times are in seconds since 1970. `runs` are those of its turns and those within."""

    id: str
    title: str = ""
    titled_by: str = ""
    notebook: str | None = None
    forked_from: str | None = None
    created: float = 0.0
    updated: float = 0.0
    tokens: int = 0
    deleted: float | None = None
    turns: tuple[MovedTurn, ...] = ()
    runs: tuple[MovedRun, ...] = ()
    summaries: tuple[Summary, ...] = ()
    memories: tuple[MemoryEntry, ...] = ()
    artifacts: tuple[MovedArtifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrived:
    """What became of a session that came in: under which id it is there, and whether it is `new`, was there already
    ("same", or "removed"), or stands as a "copy" beside another one of its id."""

    id: str
    how: Arrival
