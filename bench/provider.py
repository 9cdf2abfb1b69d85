"""A provider to measure against: speaks every dialect from precomputed bytes, so that it is never the bottleneck.

    python -m bench.provider [PORT]        (without PORT the system chooses one; it is printed)

The path says which dialect. The model's name holds options joined by "_": `stream-20000` chunks of four characters,
`delay-50ms` before the first byte, `pace-2000` events a second; in Chat Completions also `tools-50` rounds of one call
each before the answer, and `par-64` calls at once. Each event is one HTTP chunk, as a provider sends it; without a
pace TCP is free to coalesce them.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import re
import sys
from collections.abc import Callable, Iterator
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


def _sse(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _named(value: dict[str, object]) -> bytes:
    return b"event: %b\n" % str(value["type"]).encode() + _sse(value)


def _words(plan: Script, event: Callable[[str], bytes]) -> Iterator[bytes]:
    return itertools.islice(itertools.cycle([event(token) for token in TOKENS]), plan.stream)


def openai_chat(model: str, done: int) -> Iterator[bytes]:
    """Chat Completions; `done` rounds of calls are already in the conversation."""
    head = {
        "id": "chatcmpl-0123456789abcdef0123456789",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }

    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sse({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    calls = _calls(script(model), done)
    for i, (call_id, arguments) in enumerate(calls):
        first = {"index": i, "id": call_id, "type": "function", "function": {"name": "add", "arguments": ""}}
        yield chunk({"tool_calls": [first]})
        for piece in (arguments[:6], arguments[6:]):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    if not calls:
        yield from _words(script(model), lambda token: chunk({"content": token}))
    yield chunk({}, "tool_calls" if calls else "stop")
    yield _sse({**head, "choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def responses(model: str, _: int) -> Iterator[bytes]:
    """OpenAI's Responses."""
    response: dict[str, object] = {
        "id": "resp_0123456789abcdef",
        "object": "response",
        "model": model,
        "output": [],
        "error": None,
    }
    item = {"id": "msg_0123456789abcdef", "type": "message", "role": "assistant", "status": "in_progress"}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    plan = script(model)
    text = "".join(itertools.islice(itertools.cycle(TOKENS), plan.stream))
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    whole = {**item, "status": "completed", "content": [part]}
    counts = {
        "input_tokens": 11,
        "output_tokens": 7,
        "total_tokens": 18,
        "output_tokens_details": {"reasoning_tokens": 0},
    }

    def event(kind: str, **fields: object) -> bytes:
        return _named({"type": f"response.{kind}", "sequence_number": 4, **fields})

    def delta(token: str) -> bytes:
        return event("output_text.delta", **place, delta=token, logprobs=[], obfuscation="0123456789ab")

    yield event("created", response={**response, "status": "in_progress"})
    yield event("output_item.added", output_index=0, item={**item, "content": []})
    yield event("content_part.added", **place, part={**part, "text": ""})
    yield from _words(plan, delta)
    yield event("output_text.done", **place, text=text, logprobs=[])
    yield event("content_part.done", **place, part=part)
    yield event("output_item.done", output_index=0, item=whole)
    yield event("completed", response={**response, "status": "completed", "output": [whole], "usage": counts})


def anthropic(model: str, _: int) -> Iterator[bytes]:
    """Anthropic's Messages."""
    message = {"id": "msg_0123456789abcdef", "type": "message", "role": "assistant", "model": model, "content": []}
    usage = {"input_tokens": 11, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 1}

    def delta(token: str) -> bytes:
        piece = {"type": "text_delta", "text": token}
        return _named({"type": "content_block_delta", "index": 0, "delta": piece}).replace(b"}\n\n", b"     }\n\n")

    yield _named({"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}})
    yield _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    yield _named({"type": "ping"})
    yield from _words(script(model), delta)
    yield _named({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 7}})
    yield _named({"type": "message_stop"})


def ollama(model: str, _: int) -> Iterator[bytes]:
    """Ollama's own, a line an event."""

    def line(token: str, **fields: object) -> bytes:
        said = {"role": "assistant", "content": token}
        head = {"model": model, "created_at": "2025-06-15T15:06:40.123456789Z", "message": said, "done": False}
        return orjson.dumps({**head, **fields}) + b"\n"

    yield from _words(script(model), line)
    counts = {"total_duration": 5_000_000, "prompt_eval_count": 11, "eval_count": 7, "eval_duration": 4_000_000}
    yield line("", done=True, done_reason="stop", **counts)


def gemini(model: str, _: int) -> Iterator[bytes]:
    """Gemini's; lines end with CRLF, and every chunk has the counts."""
    details = [{"modality": "TEXT", "tokenCount": 11}]
    counts = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18, "promptTokensDetails": details}
    tail = {"usageMetadata": counts, "modelVersion": model, "responseId": "0123456789abcdef"}

    def chunk(token: str, **fields: object) -> bytes:
        candidate = {"content": {"parts": [{"text": token}], "role": "model"}, "index": 0, **fields}
        return _sse({"candidates": [candidate], **tail}).replace(b"\n", b"\r\n")

    yield from _words(script(model), chunk)
    yield chunk("", finishReason="STOP")


def dashscope(model: str, _: int) -> Iterator[bytes]:
    """DashScope's native, four lines an event."""
    usage = {"total_tokens": 18, "output_tokens": 7, "input_tokens": 11, "prompt_tokens_details": {"cached_tokens": 0}}

    def event(token: str, finish: str = "null") -> bytes:
        choice = {"message": {"content": token, "role": "assistant"}, "finish_reason": finish}
        value = {"output": {"choices": [choice]}, "usage": usage, "request_id": "01234567-89ab-cdef-0123-456789abcdef"}
        return b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:%b\n\n" % orjson.dumps(value)

    yield from _words(script(model), event)
    yield event("", "stop")


#: A part of the path that tells a dialect from the others.
STREAMS: dict[str, Callable[[str, int], Iterator[bytes]]] = {
    "/responses": responses,
    "/messages": anthropic,
    "/api/chat": ollama,
    "GenerateContent": gemini,
    "/services/aigc/": dashscope,
    "": openai_chat,
}


@functools.lru_cache(maxsize=2048)
def _frames(place: str, model: str, done: int) -> tuple[bytes, ...]:
    """HTTP bytes: one piece for an answer without a pace, one per event for a paced one."""
    kind = b"application/x-ndjson" if STREAMS[place] is ollama else b"text/event-stream"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in STREAMS[place](model, done)]
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
            path = self.buffer.split(b" ", 2)[1].decode()
            body, self.buffer = self.buffer[end + 4 : total], self.buffer[total:]
            self.answer(path, orjson.loads(body))

    def answer(self, path: str, request: dict[str, object]) -> None:
        place = next(place for place in STREAMS if place in path)
        model = request["model"] if "model" in request else path.rpartition("/")[2].partition(":")[0]
        assert isinstance(model, str)
        plan, messages = script(model), request.get("messages")
        done = (
            sum("tool_calls" in m for m in messages) if isinstance(messages, list) and (plan.tools or plan.par) else 0
        )
        frames = _frames(place, model, done)
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
