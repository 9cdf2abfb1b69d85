"""Serialize each message once: a conversation is sent again at every round, its bytes need not be made again."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentnb.messages import Message

T = TypeVar("T")

#: Conversations whose beginning is kept: as many as commonly go on at once with one model.
_PREFIXES = 4


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of a conversation that no later message changes any more, and its bytes.

    `form` is whatever else the bytes depend on; `last_user` the place of the last question in it (-1: none).
    """

    messages: tuple[Message, ...] = ()
    body: bytes = b""
    last_user: int = -1
    form: object = None


class WireCache(Generic[T]):
    """What was made of a message, for as long as the message lives.

    Keyed by identity (hashing a frozen message walks all of it) and by a `variant`, because the same message may
    read differently in another place of the conversation.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[Message], dict[str, T]]] = {}
        self._prefixes: list[Prefix] = []

    def prefix(self, messages: Sequence[Message], form: object) -> Prefix:
        """The longest kept beginning of these very messages (an empty one where there is none)."""
        fitting = (
            known
            for known in self._prefixes
            if known.form == form
            and len(known.messages) <= len(messages)
            and known.messages[-1] is messages[len(known.messages) - 1]
            and all(map(operator.is_, known.messages, messages))
        )
        return max(fitting, key=lambda known: len(known.messages), default=Prefix())

    def keep_prefix(self, new: Prefix, old: Prefix) -> None:
        """Keep a beginning in place of the shorter one that it continues."""
        others = [known for known in self._prefixes if known is not old]
        self._prefixes = [*others, new][-_PREFIXES:]

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
