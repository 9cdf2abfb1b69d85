"""The parts of what is shown: a bundle, and a piece that makes one when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bundle:
    """One display: what it shows as MIME type -> content; `id` is stable within a run."""

    id: str
    data: dict[str, object]
    metadata: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """A bundle that is not made yet: equal `version`s show the same, `size` is about the characters in it.

    What is not `final` will be shown again, with more in it.
    """

    id: str
    version: object
    size: int
    final: bool
    make: Callable[[], Bundle]
