"""A provider to measure against: speaks the OpenAI dialect from precomputed bytes, so that it is never the bottleneck.

    python -m bench.provider [PORT]        (without PORT the system chooses one; it is printed)

The model's name holds options joined by "_": `stream-20000` chunks of four characters, `tools-50` rounds of one call
each before the answer, `par-64` calls at once, `delay-50ms` before the first byte, `pace-2000` events a second.
Each event is one HTTP chunk, as a provider sends it; without a pace TCP is free to coalesce them.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import re
import sys
from dataclasses import dataclass

import orjson

TOKENS = (" the", " of ", "data", "fram", "es\n\n", "été ", '"ok"', " is ", "1.25", " — x")
PIECE = 256 * 1024
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
#: Server code runs in its own process; a benchmark starts it with this command.
COMMAND = (sys.executable, "-m", "bench.provider")


@dataclass(frozen=True, slots=True)
class Script:
    """What a model name asks for."""

    stream: int = 3
    tools: int = 0
    par: int = 0
    delay: int = 0
    pace: int = 0


@functools.cache
def script(model: str) -> Script:
    """The options in a model's name."""
    return Script(**{k: int(v) for k, v in re.findall(r"(stream|tools|par|delay|pace)-(\d+)", model)})


def _calls(plan: Script, done: int) -> list[tuple[str, str]]:
    if plan.tools > done:
        return [(f"call_{done:04d}", orjson.dumps({"x": done, "y": 1}).decode())]
    if plan.par and not done:
        return [(f"call_{i:04d}", orjson.dumps({"x": i, "y": 1}).decode()) for i in range(plan.par)]
    return []


def events(model: str, done: int) -> list[bytes]:
    """The server-sent events of one answer; `done` rounds of calls are already in the conversation."""
    head = {
        "id": "chatcmpl-0123456789abcdef0123456789",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }

    def sse(value: object) -> bytes:
        return b"data: " + orjson.dumps(value) + b"\n\n"

    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**head, "choices": [choice]})

    plan = script(model)
    out = [chunk({"role": "assistant", "content": "", "refusal": None})]
    calls = _calls(plan, done)
    for i, (call_id, arguments) in enumerate(calls):
        first = {"index": i, "id": call_id, "type": "function", "function": {"name": "add", "arguments": ""}}
        out.append(chunk({"tool_calls": [first]}))
        pieces = (arguments[:6], arguments[6:])
        out += (chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}) for piece in pieces)
    if not calls:
        words = [chunk({"content": token}) for token in TOKENS]
        out += itertools.islice(itertools.cycle(words), plan.stream)
    out.append(chunk({}, "tool_calls" if calls else "stop"))
    return [*out, sse({**head, "choices": [], "usage": USAGE}), b"data: [DONE]\n\n"]


@functools.lru_cache(maxsize=2048)
def _frames(model: str, done: int) -> tuple[bytes, ...]:
    """HTTP bytes: one piece for an answer without a pace, one per event for a paced one."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events(model, done)]
    if script(model).pace:
        return (head, *chunks, b"0\r\n\r\n")
    return (head + b"".join(chunks) + b"0\r\n\r\n",)


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.task = transport, b"", None
        self.can_write = asyncio.Event()
        self.can_write.set()

    def connection_lost(self, _: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    task: asyncio.Task[None] | None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            found = re.search(rb"(?i)content-length: *(\d+)", self.buffer[:end])
            total = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < total:
                return
            body, self.buffer = self.buffer[end + 4 : total], self.buffer[total:]
            self.answer(orjson.loads(body))

    def answer(self, request: dict[str, object]) -> None:
        model, messages = request["model"], request["messages"]
        assert isinstance(model, str)
        assert isinstance(messages, list)
        plan = script(model)
        done = sum("tool_calls" in m for m in messages) if plan.tools or plan.par else 0
        frames = _frames(model, done)
        if plan.pace or len(frames[0]) > PIECE:
            self.task = asyncio.ensure_future(self.send(frames, plan))
        else:
            asyncio.get_running_loop().call_later(plan.delay / 1000, self.transport.write, frames[0])

    async def send(self, frames: tuple[bytes, ...], plan: Script) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(plan.delay / 1000)
        due = loop.time()
        for frame in frames:
            for start in range(0, len(frame), PIECE):
                await self.can_write.wait()
                self.transport.write(frame[start : start + PIECE])
            if plan.pace:
                due += 1 / plan.pace
                await asyncio.sleep(max(0.0, due - loop.time()))


async def serve(port: int = 0) -> None:
    """Serve on 127.0.0.1 until cancelled; prints the port first."""
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # the benchmark reads it
    gc.disable()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
