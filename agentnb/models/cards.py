"""What is known of a model before it is asked: how much it reads, what it takes, what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from agentnb.messages import Usage
from agentnb.models.base import Request


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; `cached` of the input read from the provider's cache, `written` of what is put there."""

    input: float
    output: float
    cached: float | None = None
    written: float | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One model. None, or an empty set, where nothing is known. `read` is the day (ISO) the figures were read."""

    name: str
    title: str = ""
    context: int | None = None
    output: int | None = None
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    tools: bool | None = None
    thinking: bool | None = None
    price: Price | None = None
    read: str = ""
    status: str = "active"

    def cost(self, usage: Usage) -> float | None:
        """USD of these tokens; None where no price is known."""
        raise NotImplementedError

    def check(self, request: Request) -> None:
        """Raises UsageError where the request holds what this model cannot take."""
