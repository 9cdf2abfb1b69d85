"""Ollama's answers as our events: lines of JSON, or one document."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from agentnb import events, messages
from agentnb.errors import ModelError
from agentnb.events import ModelEvent
from agentnb.messages import JSON, Message
from agentnb.models.arriving import Arriving, cut_off, empty, not_an_answer
from agentnb.models.dialect import Quirks
from agentnb.models.documents import Documents
from agentnb.models.refusal import Source, refused_in_stream

_PLAIN = Quirks("ollama")


async def parse_stream(
    blocks: AsyncIterable[bytes],
    *,
    source: Source,
    model: str,
    quirks: Quirks = _PLAIN,  # noqa: ARG001  # every dialect is asked in the same words
    history: Sequence[Message] = (),
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, from its body as it arrives.

    `history` is what was asked: calls have no ids here, they get ones that do not occur there.
    Raises RequestRefused for an error, StreamBroken for an answer that is cut off or turns into an error.
    """
    body, answer = _Lines(), _Answer(source, model, history)
    async for block in blocks:
        for event in answer.feed(body.feed(block)):
            yield event
        if answer.over:
            break
    else:
        for event in answer.feed(body.flush()):
            yield event
    for event in answer.close(body.rest):
        yield event


class _Lines:
    """The JSON documents of a body, one a line; of a body that is written otherwise, all the same."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._documents: Documents | None = None

    @property
    def rest(self) -> str:
        """What made no document."""
        return self._documents.rest if self._documents is not None else ""

    def feed(self, block: bytes) -> list[Any]:
        """The documents that these bytes complete."""
        if self._documents is not None:
            return self._documents.feed(block)
        before, newline, after = block.rpartition(b"\n")
        if not newline:
            self._line.append(block)
            return []
        lines = b"".join((*self._line, before))
        self._line = [after] if after else []
        try:
            return _loads(lines)
        except orjson.JSONDecodeError:
            self._line = [lines, newline, after]
            return self.flush()

    def flush(self) -> list[Any]:
        """At the end of the body, or of what can be read by lines."""
        if self._documents is not None:
            return self._documents.flush()
        self._documents = Documents()
        return [*self._documents.feed(b"".join(self._line)), *self._documents.flush()]


def _loads(lines: bytes) -> list[Any]:
    """What the lines say, in one call."""
    try:
        chunks: list[Any] = orjson.loads(b"[" + lines.replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        # There may be blank lines among them.
        chunks = orjson.loads(b"[" + b",".join(line for line in lines.split(b"\n") if line.strip()) + b"]")
    return chunks


class _Answer:
    """One answer as it arrives; `over` when nothing that follows counts."""

    def __init__(self, source: Source, model: str, history: Sequence[Message]) -> None:
        self.over = False
        self._source = source
        self._model = model
        self._arriving = Arriving(history)
        self._begun = False
        self._knows_done = False
        self._finish = ""
        self._usage: messages.Usage | None = None
        self._error: ModelError | None = None

    def feed(self, chunks: Sequence[Any]) -> list[ModelEvent]:
        """What these chunks add; an error in them is raised by `close`, after what came before it."""
        for chunk in chunks:
            if not self._take_plain(chunk):
                self._take(chunk)
                if self.over:
                    break
        return self._arriving.flush()

    def _take_plain(self, chunk: Any) -> bool:
        """The fast path: a chunk that brings text and nothing else, as nearly all do."""
        try:
            message = chunk["message"]
            piece = message["content"]
            if len(message) != 2 or "role" not in message or chunk["done"] is not False or "error" in chunk:
                return False
        except (KeyError, TypeError):
            return False
        if not (self._begun and self._knows_done) or piece.__class__ is not str:
            return False
        self._arriving.text(piece)
        return True

    def _take(self, chunk: JSON) -> None:
        if not isinstance(chunk, dict):
            if isinstance(chunk, str):
                self._fail(chunk)
            return
        self._knows_done = self._knows_done or "done" in chunk
        if isinstance(message := chunk.get("message"), dict):
            self._begun = True
            self._take_message(message)
        if "eval_count" in chunk or "prompt_eval_count" in chunk:
            self._usage = _usage_of(chunk)
        if error := chunk.get("error"):
            self._fail({"error": error})
        elif chunk.get("done"):
            self._finish = str(chunk.get("done_reason") or "stop")
            self.over = True

    def _take_message(self, message: Mapping[str, JSON]) -> None:
        if isinstance(thinking := message.get("thinking"), str):
            self._arriving.think(thinking)
        if isinstance(content := message.get("content"), str) and content:
            self._arriving.text(content)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            match call:
                # Numbers are no help (each line may begin with 0 again), and only newer servers give ids.
                case {"function": dict() as function, **more} if name := function.get("name"):
                    server_id = str(more.get("id") or "")
                    self._arriving.call(str(name), function.get("arguments"), server_id=server_id)

    def _fail(self, error: JSON) -> None:
        self._error = refused_in_stream(self._source, error, begun=self._arriving.begun)
        self.over = True

    def close(self, rest: str) -> Iterator[ModelEvent]:
        """What ends the answer: the usage, and then its end or its error; `rest` is what could not be read."""
        error = self._error or self._unfinished(rest)
        if self._usage is not None:
            yield events.Usage(self._usage)
        if error is not None:
            raise error
        yield events.MessageEnd(self._outcome(), None, f"{self._source.provider}:{self._model}")

    def _unfinished(self, rest: str) -> ModelError | None:
        if self._finish and self._finish != "error":
            return None
        if rest.startswith("{") or (self._begun and rest):
            return cut_off(self._source)
        if rest:
            return not_an_answer(self._source, rest)
        if not self._begun:
            return empty(self._source)
        # Some servers never speak of an end: then the end of the body is one.
        return cut_off(self._source) if self._knows_done else None

    def _outcome(self) -> str:
        if self._finish == "length":
            return "length"
        # It says "stop" with calls and without: the calls themselves decide.
        return "tool_calls" if self._arriving.called else "stop"


def _usage_of(chunk: Mapping[str, JSON]) -> messages.Usage:
    def count(name: str) -> int:
        value = chunk.get(name)
        return value if isinstance(value, int) else 0

    # The prompt's count is missing where the server still had the whole prompt in its cache.
    return messages.Usage(input=count("prompt_eval_count"), output=count("eval_count"))
