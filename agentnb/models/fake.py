"""A scripted model: answers what it was told to, the same every time. For tutorials, tests and demos."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import orjson

from agentnb import events, messages
from agentnb.errors import UsageError, nearest
from agentnb.events import ModelEvent
from agentnb.messages import JSON, Block, Message, Text, Thinking, ToolCall, ToolResult
from agentnb.models.base import Request

Piece: TypeAlias = "str | Block | Exception"
#: What the model does at one request: say something, think, call tools, fail; or decide when it sees the request.
Turn: TypeAlias = "Piece | Sequence[Piece] | Callable[[Request], Turn]"

#: The id that `call` leaves to the model, which numbers its calls.
_UNNUMBERED = ""


def call(name: str, /, **arguments: JSON) -> ToolCall:
    """A tool call for a script; its id is given when it is made: call_1, call_2, …"""
    return ToolCall(_UNNUMBERED, name, orjson.dumps(arguments).decode())


class FakeModel:
    """A model that follows a script, in small pieces, with made-up but stable token counts.

    `FakeModel("Hello", [call("add", x=1, y=2)], "It is 3.")` plays its turns one request after the other.
    `FakeModel(script={"mean mass": [[call("mean")], "It is 4.2 kg."]})` finds its turns by words of the last prompt and
    counts the answers given to it so far, so that asking again gives the same answer. An exception in a turn is raised
    when its place comes. `chunk` is the characters per event, `pace` the seconds between events; `requests` is what
    was asked.
    """

    def __init__(
        self,
        *turns: Turn,
        script: Mapping[str, Turn | Sequence[Turn]] | None = None,
        name: str = "fake:script",
        chunk: int = 8,
        pace: float = 0.0,
    ) -> None:
        self.requests: list[Request] = []
        self._turns = turns
        self._script = script
        self._name = name
        self._chunk = chunk
        self._pace = pace

    @classmethod
    def load(cls, path: Path | str, *, name: str | None = None, pace: float = 0.0) -> FakeModel:
        """A model whose script is a JSON file: {"words of the prompt": [turn, …]}.

        A turn is a string, or a list of {"text": …}, {"thinking": …}, {"call": name, "arguments": {…}}. Raises
        UsageError when the file is missing or is written otherwise.
        """
        path = Path(path)
        try:
            read = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            raise UsageError(f"No script for the scripted model at {str(path)!r}. Check the path.") from None
        except orjson.JSONDecodeError as reason:
            raise UsageError(f"The script {path.name} is not JSON: {reason}. Correct it.") from None
        if not isinstance(read, dict):
            raise UsageError(f"The script {path.name} must be an object from words of a prompt to a list of turns.")
        script = {words: [_read_turn(turn, path) for turn in _listed(turns)] for words, turns in read.items()}
        return cls(script=script, name=name or f"fake:{path.name}", pace=pace)

    @property
    def name(self) -> str:
        """ "fake:script", or what it was given."""
        return self._name

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The turn that is due. Raises UsageError when the script has none."""
        self.requests.append(request)
        turn = self._turn(request)
        while callable(turn):
            turn = turn(request)
        made = sum(len(m.calls) for m in request.messages)
        said: list[Block] = []
        for piece in [turn] if isinstance(turn, (str, Exception)) or not isinstance(turn, Sequence) else turn:
            if isinstance(piece, Exception):
                raise piece
            block = Text(piece) if isinstance(piece, str) else piece
            if isinstance(block, ToolCall):
                made += 1
                if block.id == _UNNUMBERED:
                    block = ToolCall(f"call_{made}", block.name, block.arguments, block.extra)
            said.append(block)
            for event in self._deltas(block):
                if self._pace > 0:
                    await asyncio.sleep(self._pace)
                yield event
        yield events.Usage(messages.Usage(_tokens(m.content for m in request.messages), _tokens([said])))
        finish = "tool_calls" if any(isinstance(block, ToolCall) for block in said) else "stop"
        yield events.MessageEnd(finish, f"fake_{len(request.messages)}", self._name)

    def _turn(self, request: Request) -> Turn:
        if self._script is None:
            due = len(self.requests) - 1
            if due >= len(self._turns):
                raise UsageError(
                    f"{self._name} has no turn {due + 1}: its script holds {len(self._turns)}. Add one to the script."
                )
            return self._turns[due]
        prompt, answered = _last_prompt(request.messages)
        words = next((words for words in self._script if words in prompt), None)
        if words is None:
            close = nearest(prompt, self._script)
            raise UsageError(
                f"{self._name} has no answer to {prompt[:60]!r}.{close} Ask one of: {_quoted(self._script)}."
            )
        turns = self._script[words]
        turns = [turns] if isinstance(turns, str) or not isinstance(turns, Sequence) else turns
        if answered >= len(turns):
            raise UsageError(f"{self._name} has no turn {answered + 1} for {words!r}. Add one to the script.")
        turn: Turn = turns[answered]
        return turn

    def _deltas(self, block: Block) -> Iterator[ModelEvent]:
        match block:
            case Text(text=text):
                yield from map(events.TextDelta, self._cut(text))
            case Thinking(text=text, signature=signature, extra=extra):
                yield from map(events.ThinkingDelta, self._cut(text))
                if signature or extra:
                    yield events.ThinkingDelta("", signature, extra)
            case ToolCall(id=call_id, name=name, arguments=arguments, extra=extra):
                yield events.ToolCallStart(call_id, name, extra)
                yield from (events.ToolCallArgs(call_id, piece) for piece in self._cut(arguments))
                yield events.ToolCallEnd(call_id)
            case _:
                yield events.BlockAdded(block)

    def _cut(self, text: str) -> Iterator[str]:
        return (text[i : i + self._chunk] for i in range(0, len(text), self._chunk))


def _last_prompt(conversation: Sequence[Message]) -> tuple[str, int]:
    """The text of the last user message, and how many answers came after it."""
    answered = 0
    for message in reversed(conversation):
        if message.role == "user":
            return message.text, answered
        answered += message.role == "assistant"
    return "", answered


def _tokens(contents: Iterable[Iterable[Block]]) -> int:
    return sum(_length(block) for content in contents for block in content) // 4


def _length(block: Block) -> int:
    match block:
        case Text(text=text) | Thinking(text=text) | ToolResult(text=text):
            return len(text)
        case ToolCall(name=name, arguments=arguments):
            return len(name) + len(arguments)
    return 0


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing, the script is empty"


def _listed(turns: JSON) -> list[JSON]:
    return turns if isinstance(turns, list) else [turns]


def _read_turn(turn: JSON, path: Path) -> Turn:
    return [_read_piece(piece, path) for piece in _listed(turn)]


def _read_piece(piece: JSON, path: Path) -> Piece:
    match piece:
        case (str() as text) | {"text": str() as text}:
            return text
        case {"thinking": str() as text}:
            return Thinking(text)
        case {"call": str() as name, **rest}:
            arguments = rest.get("arguments", {})
            if isinstance(arguments, dict):
                return call(name, **arguments)
    raise UsageError(
        f"The script {path.name} has a turn that is none: {str(piece)[:60]!r}. Write a string, or a list of "
        '{"text": …}, {"thinking": …}, {"call": name, "arguments": {…}}.'
    )
