"""Record what a model answers, and answer from the record: a notebook that ran once runs anywhere, without a key."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from agentnb.errors import BudgetExceeded, CredentialError, ModelError, UsageError
from agentnb.events import MessageEnd, ModelEvent, TextDelta, ThinkingDelta, ToolCallArgs, Usage
from agentnb.messages import JSON, JSONObject
from agentnb.models.attempt import whole
from agentnb.models.base import Model, Request
from agentnb.models.key_shapes import with_known_keys
from agentnb.models.recording import (
    Asked,
    Exchange,
    Mask,
    answered,
    common,
    known_as,
    read_cassette,
    write_cassette,
)

Mode: TypeAlias = Literal["auto", "record", "replay"]


class CassetteModel:
    """A model whose answers are in a file, and get there.

    `mode` "replay" answers from the file alone, and needs no `model`; "record" asks `model` and writes a new file;
    "auto" answers what the file holds, asks for the rest and adds it. A request that was recorded several times gets
    its answers in turn, then the last one again and again. Errors are kept and raised like answers ("auto" keeps only
    those that would come again; what a key, money or a second try cures is asked anew). `mask` takes what
    is secret out of whatever is written, on top of all that looks like a key; give the same one to replay. A replayed
    answer comes in pieces of `chunk` characters, `pace` seconds apart.
    """

    def __init__(
        self,
        model: Model | None,
        path: Path | str,
        *,
        mode: Mode = "auto",
        pace: float = 0.0,
        chunk: int = 16,
        mask: Mask | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._model = None if mode == "replay" else model
        self._path = Path(os.path.expanduser(path))
        self._pace = pace
        self._chunk = max(chunk, 1)
        self._mask = with_known_keys(mask)
        self._sleep = sleep
        self._mode = mode
        self._lock = threading.Lock()
        #: By the order in which they were asked: a file does not depend on who is quicker.
        self._exchanges: dict[int, Exchange] = {}
        self._asked: Counter[str] = Counter()
        self._name = self._model.name if self._model else ""
        if mode == "replay" or (mode == "auto" and self._path.exists()):
            self._load()
        elif mode not in ("auto", "record"):
            raise UsageError(f"A cassette has no mode {mode!r}. There are: auto, record, replay.")
        elif self._model is None:
            raise UsageError(f"To record {self._path.name} takes a model. Name one, or use mode='replay'.")
        self._next = len(self._exchanges)

    @property
    def name(self) -> str:
        """The recorded model's."""
        return self._name

    @property
    def members(self) -> tuple[Model, ...]:
        """The models that may answer, beside the file."""
        return (self._model,) if self._model else ()

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The recorded answer, or the model's. Raises UsageError for what is not recorded where nobody can be asked."""
        asked = known_as(request, self._mask)
        exchange = self._find(asked.digest) if self._mode != "record" else None
        if exchange is None and self._model is None:
            raise UsageError(self._unknown(asked))
        async with aclosing(self._play(exchange) if exchange else self._record(request, asked)) as events:
            async for event in events:
                yield event

    def _load(self) -> None:
        recorded, exchanges = read_cassette(self._path)
        if self._name not in ("", recorded):
            raise UsageError(
                f"The cassette {self._path.name} was recorded with {recorded}, not with {self._name}. Ask {recorded}, "
                "or record again (mode='record')."
            )
        self._name = recorded
        self._exchanges = dict(enumerate(exchanges))

    def _find(self, digest: str) -> Exchange | None:
        with self._lock:
            takes = [each for _, each in sorted(self._exchanges.items()) if each.asked.digest == digest]
            turn = self._asked[digest]
            self._asked[digest] += 1
        return takes[min(turn, len(takes) - 1)] if takes else None

    async def _play(self, exchange: Exchange) -> AsyncGenerator[ModelEvent, None]:
        for event in exchange.events:
            if isinstance(event, Usage):  # what was paid then is not paid again
                event = replace(event, usage=replace(event.usage, usd=0.0))
            for piece in _pieces(event, self._chunk):
                if self._pace > 0:
                    await self._sleep(self._pace)
                yield piece
        if exchange.failure is not None:
            raise exchange.failure.error()

    async def _record(self, request: Request, asked: Asked) -> AsyncGenerator[ModelEvent, None]:
        assert self._model is not None  # else nothing is recorded
        with self._lock:
            place, self._next = self._next, self._next + 1
        said: list[ModelEvent] = []
        try:
            async with aclosing(whole(self._model, request)) as events:
                async for event in events:
                    said.append(event)
                    if isinstance(event, MessageEnd):
                        self._keep(place, answered(asked, said, None, self._mask))
                    yield event
        except (ModelError, UsageError) as error:
            if place not in self._exchanges and (self._mode == "record" or _lasts(error)):
                self._keep(place, answered(asked, said, error, self._mask))
            raise

    def _keep(self, place: int, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges[place] = exchange
            write_cassette(self._path, self._name, [each for _, each in sorted(self._exchanges.items())])

    def _unknown(self, asked: Asked) -> str:
        """What differs from the recorded request that is most like it, and what to do."""
        recorded = [each.asked.short for each in self._exchanges.values()]
        advice = f"Record it again: CassetteModel(model, {self._path.name!r}, mode='record')."
        if not recorded:
            return f"The cassette {self._path.name} is empty. {advice}"
        nearest = max(recorded, key=lambda short: _likeness(asked.short, short))
        return f"This request is not in the cassette {self._path.name}: {_difference(asked.short, nearest)}. {advice}"


def _lasts(error: ModelError | UsageError) -> bool:
    """Whether the same request would come to the same error again."""
    if isinstance(error, ModelError):
        return not error.retryable and not isinstance(error, CredentialError)
    return not isinstance(error, BudgetExceeded)


def _pieces(event: ModelEvent, size: int) -> Iterator[ModelEvent]:
    match event:
        case TextDelta(text=text):
            yield from (replace(event, text=piece) for piece in _cut(text, size))
        case ToolCallArgs(delta=delta):
            yield from (replace(event, delta=piece) for piece in _cut(delta, size))
        case ThinkingDelta(text=text):
            *first, last = _cut(text, size)
            yield from (ThinkingDelta(piece) for piece in first)
            yield replace(event, text=last)  # a signature ends its block
        case _:
            yield event


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [text]


def _likeness(asked: JSONObject, recorded: JSONObject) -> tuple[int, int]:
    """Messages in common at the beginning, then other parts that are equal."""
    equal = sum(recorded.get(key) == value for key, value in asked.items())
    return common(_messages(asked), _messages(recorded)), equal


def _messages(short: JSONObject) -> Sequence[JSON]:
    said = short.get("messages")
    return said if isinstance(said, list) else ()


def _difference(asked: JSONObject, recorded: JSONObject) -> str:
    parts = (
        [_message_difference(_messages(asked), _messages(recorded))] if _differs(asked, recorded, "messages") else []
    )
    if _differs(asked, recorded, "tools"):
        parts.append(f"the tools differ: {_tools_difference(asked.get('tools'), recorded.get('tools'))}")
    elif _differs(asked, recorded, "tool_choice"):
        parts.append(
            f"the tool choice: {_snippet(asked.get('tool_choice'))} instead of {_snippet(recorded.get('tool_choice'))}"
        )
    for key, called in (("options", "options"), ("output", "schema of the answer")):
        if _differs(asked, recorded, key):
            parts.append(f"the {called}: {_snippet(asked.get(key))} instead of {_snippet(recorded.get(key))}")
    return "; ".join(parts) or "it differs where the file does not say"


def _differs(one: Mapping[str, JSON], other: Mapping[str, JSON], key: str) -> bool:
    return one.get(key) != other.get(key)


def _message_difference(asked: Sequence[JSON], recorded: Sequence[JSON]) -> str:
    at = common(asked, recorded)
    if at == len(asked) or at == len(recorded):
        return f"it has {len(asked)} message{'s' if len(asked) != 1 else ''}, the recorded one has {len(recorded)}"
    now, then = (json.dumps(said[at], ensure_ascii=False) for said in (asked, recorded))
    start = max(next(i for i, (a, b) in enumerate(zip(now + "\0", then + "\1", strict=False)) if a != b) - 20, 0)
    return f"message {at + 1} differs: {_snippet(now[start:])} instead of {_snippet(then[start:])}"


def _tools_difference(asked: JSON, recorded: JSON) -> str:
    now, then = _by_name(asked), _by_name(recorded)
    parts = [
        ("not recorded", [name for name in now if name not in then]),
        ("only recorded", [name for name in then if name not in now]),
        ("changed", [name for name in now if name in then and now[name] != then[name]]),
    ]
    return ", ".join(f"{what} {', '.join(names)}" for what, names in parts if names) or "their order"


def _by_name(tools: JSON) -> dict[str, JSON]:
    return {str(tool.get("name")): tool for tool in tools if isinstance(tool, dict)} if isinstance(tools, list) else {}


def _snippet(value: JSON, length: int = 80) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return repr(text if len(text) <= length else text[: length - 1] + "…")
