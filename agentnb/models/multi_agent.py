"""Ask any model in a conversation of several agents and people: what they said is told as a history with names."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agentnb.events import ModelEvent
from agentnb.messages import Audio, Block, Data, File, Image, Message, Text, ToolCall, ToolResult
from agentnb.models.attempt import Around
from agentnb.models.base import Model, Request
from agentnb.models.openai_parts import words

Medium: TypeAlias = Image | Audio | File

PROMPT = "# Conversation History\nThe content between <history></history> tags contains your conversation history\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a history is laid out: its first tag, and where the media stand.

    "inline" is where they were said, "gap" the same with an empty text after each, "after" behind all words: the
    pictures, the sounds, the rest.
    """

    opening: str = "<history>\n"
    media: Literal["inline", "gap", "after"] = "inline"


INLINE = Layout()


class MultiAgentModel(Around):
    """A model that is told by whom each message is, where several speak in one role; `me` is its own name."""

    def __init__(self, model: Model, *, me: str | None = None) -> None:
        super().__init__(model)
        self._me = me

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The wrapped model's answer."""
        if several_speak(request.messages, me=self._me):
            request = replace(request, messages=as_history(request.messages, me=self._me))
        async with aclosing(self.model.stream(request)) as events:
            async for event in events:
                yield event


def several_speak(messages: Iterable[Message], *, me: str | None = None) -> bool:
    """Whether there are several users, or several agents: the roles alone do not tell then who said what."""
    users: set[str | None] = set()
    agents: set[str | None] = {me} if me else set()
    for message in messages:
        if message.role == "user":
            users.add(message.name)
        elif message.role == "assistant":
            agents.add(message.name or me)
    return len(users) > 1 or len(agents) > 1


def as_history(
    messages: Sequence[Message], *, me: str | None = None, prompt: str = PROMPT, layout: Layout = INLINE
) -> tuple[Message, ...]:
    """The messages with all that was said between calls of tools as one user message: a history with names.

    The first system message and the calls with their results stay what they are. `prompt` precedes the first history.
    Whoever has no name is called by the role, an assistant without one by `me` where it is given.
    """
    first = 1 if messages and messages[0].role == "system" else 0
    out = [replace(message, name=None) if message.name else message for message in messages[:first]]
    for of_tools, group in itertools.groupby(messages[first:], key=_of_tools):
        if of_tools:
            out += group
        elif content := _history(group, me, prompt, layout):
            out.append(Message("user", content))
            prompt = ""
    return tuple(out)


def _of_tools(message: Message) -> bool:
    return any(isinstance(block, (ToolCall, ToolResult)) for block in message.content)


def _history(group: Iterable[Message], me: str | None, prompt: str, layout: Layout) -> tuple[Block, ...]:
    """What one history consists of; nothing where nothing was said."""
    said = [piece for message in group for piece in _said(message, me)]
    behind: list[Medium] = []
    if layout.media == "after":
        behind = sorted((piece for piece in said if not isinstance(piece, str)), key=_rank)
        said = [piece for piece in said if isinstance(piece, str)]
    blocks = _blocks(_tagged(_joined(said), f"{prompt}{layout.opening}"), gap=layout.media == "gap")
    return (*blocks, *behind)


def _said(message: Message, me: str | None) -> Iterator[str | Medium]:
    speaker = message.name or (me if message.role == "assistant" else None) or message.role
    for block in message.content:
        match block:
            case Text() | Data():
                yield f"{speaker}: {words(block)}"
            case Image() | Audio() | File():
                yield block


def _joined(said: Iterable[str | Medium]) -> Iterator[str | Medium]:
    """The same with lines that follow each other in one text."""
    lines: list[str] = []
    for piece in said:
        if isinstance(piece, str):
            lines.append(piece)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        yield piece
    if lines:
        yield "\n".join(lines)


def _tagged(said: Iterable[str | Medium], begin: str) -> list[str | Medium]:
    pieces = list(said)
    if not pieces:
        return []
    match pieces[0]:
        case str(text):
            pieces[0] = begin + text
        case _:
            pieces.insert(0, begin)
    match pieces[-1]:
        case str(text):
            pieces[-1] = f"{text}\n</history>"
        case _:
            pieces.append("</history>")
    return pieces


def _blocks(pieces: Iterable[str | Medium], *, gap: bool) -> Iterator[Block]:
    for piece in pieces:
        if isinstance(piece, str):
            yield Text(piece)
        else:
            yield piece
            if gap:
                yield Text("")


def _rank(medium: Medium) -> int:
    return (Image, Audio, File).index(type(medium))
