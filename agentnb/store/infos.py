"""What is known of a session without what was said in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["streaming", "done_unread", "error_unread", "idle"]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session without what was said in it. Times are in seconds since 1970; `tokens` is what its last request and
    answer took, `preview` how its first prompt begins."""

    id: str
    title: str
    titled_by: str
    notebook: str | None
    forked_from: str | None
    created: float
    updated: float
    tokens: int
    turns: int
    status: Status
    preview: str
    deleted: float | None = None

    @property
    def name(self) -> str:
        """What a person calls it by: its title, else how it begins."""
        return self.title or self.preview or self.id


@dataclass(frozen=True, slots=True)
class Place:
    """A turn as a session has it: which run stands where, for which cell, and whether that has ended."""

    position: int
    run: str
    cell: str | None
    ended: bool
