"""Serialize each message once: a conversation is sent again at every round, its bytes need not be made again."""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

from agentnb.messages import Message

T = TypeVar("T")


class WireCache(Generic[T]):
    """What was made of a message, for as long as the message lives.

    Keyed by identity (hashing a frozen message walks all of it) and by a `variant`, because the same message may
    read differently in another place of the conversation.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[Message], dict[str, T]]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def get(self, message: Message, variant: str) -> T | None:
        """The value made before, if there is one."""
        entry = self._made.get(id(message))
        return entry[1].get(variant) if entry is not None and entry[0]() is message else None

    def keep(self, message: Message, variant: str, value: T) -> T:
        """Keep a value as long as the message lives; returns it."""
        entry = self._made.get(id(message))
        if entry is None or entry[0]() is not message:
            entry = self._remember(message)
        entry[1][variant] = value
        return value

    def _remember(self, message: Message) -> tuple[weakref.ref[Message], dict[str, T]]:
        key, made = id(message), self._made

        def forget(gone: weakref.ref[Message]) -> None:
            # A new message may already live at the same address.
            if (entry := made.get(key)) is not None and entry[0] is gone:
                del made[key]

        entry: tuple[weakref.ref[Message], dict[str, T]] = (weakref.ref(message, forget), {})
        made[key] = entry
        return entry
