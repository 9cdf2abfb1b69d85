"""A small real HTTP server on 127.0.0.1 that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Answer:
    """What is sent: each block is one HTTP chunk.

    `end`: "whole", "cut" (closed half-way), "silent" (left open), "closed" (whole, and then closed without a word).
    """

    blocks: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    end: Literal["whole", "cut", "silent", "closed"] = "whole"


@dataclass(frozen=True)
class Asked:
    """A request that arrived; header names are lower-case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    method: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def chunk(finish: str | None = None, *, index: int = 0, usage: object = None, **delta: object) -> dict[str, object]:
    """A Chat Completions chunk."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], "usage": usage}


def tool_call(index: int, arguments: str | None = None, call_id: str | None = None, name: str | None = None) -> Any:
    """A fragment of a call, as a delta's `tool_calls` holds them."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {"index": index, **({"id": call_id, "type": "function"} if call_id else {}), "function": function}


def sse(*chunks: object, done: bool = True) -> bytes:
    """Server-sent events of these payloads."""
    lines = [f"data: {json.dumps(c)}\n\n" for c in chunks]
    return "".join([*lines, "data: [DONE]\n\n"] if done else lines).encode()


def says(text: str, **options: Any) -> Answer:
    """A plain answer, three characters per event."""
    words = [chunk(content=text[i : i + 3]) for i in range(0, len(text), 3)]
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    last = {"id": "c1", "choices": [], "usage": usage}
    return Answer([sse(chunk(role="assistant", content=""), *words, chunk("stop"), last)], **options)


def document(value: object, status: int = 200, **options: Any) -> Answer:
    """One JSON document."""
    return Answer([json.dumps(value).encode()], status, "application/json", **options)


class Provider:
    """A running server: give it `answers` in turn, or a function from request to answer."""

    def __init__(self, answers: Sequence[Answer] | Callable[[Asked], Answer]) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        #: Set when a client went away before its answer was complete.
        self.disconnected = asyncio.Event()
        self.url = ""
        self._answers = answers
        self._tasks: set[asyncio.Task[None]] = set()

    def _answer(self, asked: Asked) -> Answer:
        if callable(self._answers):
            return self._answers(asked)
        return self._answers[min(len(self.requests), len(self._answers)) - 1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(first.split()[1], headers, body, first.split()[0])
        self.requests.append(asked)
        answer = self._answer(asked)
        head = [f"HTTP/1.1 {answer.status} OK", "transfer-encoding: chunked"]
        head += [f"{k}: {v}" for k, v in answer.headers.items()]
        if answer.content_type:
            head.append(f"content-type: {answer.content_type}")
        writer.write("\r\n".join([*head, "", ""]).encode())
        for block in answer.blocks:
            writer.write(b"%x\r\n%b\r\n" % (len(block), block))
            await writer.drain()
            await asyncio.sleep(0)
        if answer.end == "silent":
            await reader.read()
            self.disconnected.set()
        if answer.end not in ("whole", "closed"):
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return answer.end == "whole"

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def provider(*answers: Answer | Callable[[Asked], Answer]) -> Any:
    """Serve these answers in turn (the last one again and again), or those a function chooses."""
    script = answers[0] if len(answers) == 1 and callable(answers[0]) else answers
    running = Provider(script)  # type: ignore[arg-type]  # one callable, or answers
    server = await asyncio.start_server(running._serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield running
    finally:
        server.close()
        await running.close()


__all__ = ["Answer", "Asked", "Provider", "chunk", "document", "provider", "says", "sse", "tool_call"]
