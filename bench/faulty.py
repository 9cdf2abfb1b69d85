"""A server of the Chat Completions dialect that goes wrong in every way it can, by seed: the same each time.

A prompt is a number; its answer is `expected(number)`. What happens to a request depends on the seed, the number, the
model and how often that model was asked it before, so that another attempt may fare better.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: One request in so many is answered without a fault.
WHOLE_SHARE = 0.3
PIECES = 12
SILENCE = 3600.0


def pieces(number: int) -> list[str]:
    """The answer to a prompt, piece by piece; no piece occurs twice, and each holds more than ASCII."""
    return [f"«{number}.{at}» élan {chr(0x1F600 + at)} " for at in range(PIECES)]


def expected(number: int) -> str:
    """The answer to a prompt."""
    return "".join(pieces(number))


class Faulty:
    """The server: `url` is the base URL, `met` counts the faults by name."""

    def __init__(self, seed: int) -> None:
        self.url = ""
        self.met: Counter[str] = Counter()
        self._seed = seed
        self._asked: Counter[tuple[str, int]] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one side has enough of it."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                asked = json.loads(await reader.readexactly(int(length.split(b":")[1])))
                await self._answer(_Reply(writer), asked["model"], int(asked["messages"][-1]["content"]))
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went
        finally:
            writer.close()

    async def _answer(self, reply: _Reply, model: str, number: int) -> None:
        attempt = self._asked[model, number]
        self._asked[model, number] += 1
        chance = random.Random(f"{self._seed} {model} {number} {attempt}")
        reply.at = chance.randrange(1, PIECES)
        fault = None if chance.random() < WHOLE_SHARE else chance.choice(FAULTS)
        self.met[fault.__name__.strip("_").replace("_", " ") if fault else "none"] += 1
        await (fault or _none)(reply, number)


@dataclass(slots=True)
class _Reply:
    """An answer being written; `at` is the piece where it goes wrong, if it does in the middle."""

    writer: asyncio.StreamWriter
    at: int = 0

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "transfer-encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def said(self, said: Sequence[str]) -> None:
        for piece in said:
            await self.chunk(_event(piece))

    async def begin(self, number: int) -> None:
        """The head, and the answer up to where it goes wrong."""
        await self.head()
        await self.said(pieces(number)[: self.at])

    async def finish(self) -> None:
        await self.chunk(_event("", "stop") + b"data: [DONE]\n\n")
        await self.raw(b"0\r\n\r\n")

    async def document(self, value: object, status: int = 200, **headers: str) -> None:
        await self.head(status, "application/json", **headers)
        await self.chunk(json.dumps(value).encode())
        await self.raw(b"0\r\n\r\n")

    def drop(self) -> None:
        """Close as a machine that lost its power: without the end of the answer, or of the connection."""
        self.writer.transport.abort()


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"


async def _none(reply: _Reply, number: int) -> None:
    await reply.head()
    await reply.said(pieces(number))
    await reply.finish()


async def _whole_document(reply: _Reply, number: int) -> None:
    message = {"role": "assistant", "content": expected(number)}
    await reply.document({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def _late(reply: _Reply, number: int) -> None:
    await asyncio.sleep(0.05)
    await _none(reply, number)


async def _split_characters(reply: _Reply, number: int) -> None:
    await reply.head()
    body = b"".join(map(_event, pieces(number)))
    for at in range(0, len(body), 7):
        await reply.chunk(body[at : at + 7])
    await reply.finish()


async def _dropped_before_head(reply: _Reply, _: int) -> None:
    reply.drop()


async def _dropped_after_head(reply: _Reply, _: int) -> None:
    await reply.head()
    reply.drop()


async def _dropped_half_way(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    reply.drop()


async def _ended_half_way(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await reply.raw(b"0\r\n\r\n")


async def _half_a_character(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await reply.chunk(_event(pieces(number)[reply.at]).split("é".encode())[0] + b"\xc3")
    await reply.raw(b"0\r\n\r\n")


async def _bad_json(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await reply.chunk(b'data: {"choices": [{"delta": {"content": "lost\n\n')
    await reply.said(pieces(number)[reply.at :])
    await reply.finish()


async def _bad_chunk(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await reply.raw(b"zz\r\nnonsense\r\n")
    reply.writer.close()


async def _busy(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, retry_after_ms="40")


async def _busy_for_long(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "come back later"}}, 429, retry_after="3600")


async def _no_money(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "no money", "code": "insufficient_quota"}}, 429)


async def _broken(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "internal"}}, 500)


async def _bad_gateway(reply: _Reply, _: int) -> None:
    await reply.head(502, "text/html")
    await reply.chunk(b"<html><title>502 Bad Gateway</title></html>")
    await reply.raw(b"0\r\n\r\n")


async def _wrong_key(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "who are you"}}, 401)


async def _error_first(reply: _Reply, _: int) -> None:
    await reply.head()
    await reply.chunk(b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n')
    await reply.raw(b"0\r\n\r\n")


async def _error_half_way(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await reply.chunk(b'event: error\ndata: {"error": {"message": "gave up", "code": 500}}\n\n')
    await reply.raw(b"0\r\n\r\n")


async def _error_document(reply: _Reply, _: int) -> None:
    await reply.document({"error": {"message": "no such thing", "code": 400}})


async def _web_page(reply: _Reply, _: int) -> None:
    await reply.head(200, "text/html")
    await reply.chunk(b"<!doctype html><title>Sign in</title>")
    await reply.raw(b"0\r\n\r\n")


async def _nothing(reply: _Reply, _: int) -> None:
    await reply.head()
    await reply.raw(b"0\r\n\r\n")


async def _silent_before_head(_reply: _Reply, _: int) -> None:
    await asyncio.sleep(SILENCE)


async def _silent_after_head(reply: _Reply, _: int) -> None:
    await reply.head()
    await asyncio.sleep(SILENCE)


async def _silent_half_way(reply: _Reply, number: int) -> None:
    await reply.begin(number)
    await asyncio.sleep(SILENCE)


def _faults() -> Iterator[Callable[[_Reply, int], Awaitable[None]]]:
    # Not faults of the server, but of a client that cannot take them.
    yield from (_whole_document, _late, _split_characters)
    yield from (_dropped_before_head, _dropped_after_head, _dropped_half_way, _ended_half_way)
    yield from (_half_a_character, _bad_json, _bad_chunk)
    yield from (_busy, _busy_for_long, _no_money, _broken, _bad_gateway, _wrong_key)
    yield from (_error_first, _error_half_way, _error_document, _web_page, _nothing)
    yield from (_silent_before_head, _silent_after_head, _silent_half_way)


FAULTS = tuple(_faults())


@asynccontextmanager
async def faulty(seed: int) -> AsyncGenerator[Faulty, None]:
    """The server, on 127.0.0.1, for the time of the block."""
    made = Faulty(seed)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await made.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the run is over
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
