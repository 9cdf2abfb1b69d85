"""What decoding a stream costs, beside the least it can cost: `python -m bench.decode [--dialect NAME] [--rounds 5]`.

The floor reads a socket and parses each event with orjson; the adapter is the whole of RemoteModel (HTTP, the frames,
the chunks, our events), on the same bytes. Each run is its own process, runs are interleaved, the figures are medians
of CPU time. Without a name every dialect is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from agentnb import events, messages
from agentnb.models.base import Request
from agentnb.models.dialects import DIALECTS
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from bench import provider

CHUNKS = 100_000
SMALL, LARGE = 10_000, 300_000
RATIO_BAR, GROWTH_BAR, MEMORY_BAR = 4.0, 1.15, 30.0


@dataclass(frozen=True)
class Wire:
    """What the floor knows of a dialect: its base URL, the rest of the path, what ends an event, where its text is."""

    base: str
    path: str
    end: bytes
    text: Callable[[Any], str | None]


def _of_choice(chunk: Any) -> str | None:
    choices = chunk["choices"]
    content: str | None = choices[0]["delta"].get("content") if choices else None
    return content


WIRES = {
    "openai_chat": Wire("/v1", "/chat/completions", b"\n\n", _of_choice),
    "responses": Wire(
        "/v1", "/responses", b"\n\n", lambda c: c["delta"] if c["type"] == "response.output_text.delta" else None
    ),
    "anthropic": Wire(
        "", "/v1/messages", b"\n\n", lambda c: c["delta"]["text"] if c["type"] == "content_block_delta" else None
    ),
    "ollama": Wire("", "/api/chat", b"\n", lambda c: c["message"]["content"]),
    "gemini": Wire(
        "/v1beta",
        "/models/{model}:streamGenerateContent?alt=sse",
        b"\r\n\r\n",
        lambda c: c["candidates"][0]["content"]["parts"][0]["text"],
    ),
    "dashscope": Wire(
        "/api/v1",
        "/services/aigc/text-generation/generation",
        b"\n\n",
        lambda c: c["output"]["choices"][0]["message"]["content"],
    ),
}


@contextmanager
def running_provider() -> Iterator[int]:
    """The provider in its own process; gives its port."""
    with subprocess.Popen(provider.COMMAND, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def read_floor(dialect: str, port: int, chunks: int) -> int:
    """Characters of text, by a socket and orjson alone."""
    wire, model, loads = WIRES[dialect], f"stream-{chunks}", orjson.loads
    request = json.dumps({"model": model, "stream": True}).encode()
    head = (
        f"POST {wire.base}{wire.path.format(model=model)} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}\r\n\r\n"
    )
    text: list[str] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + request)
        rest = b""
        for block in _dechunked(connection):
            *parts, rest = (rest + block).split(wire.end)
            for part in parts:
                begin = part.find(b"{")
                if begin >= 0 and (content := wire.text(loads(part[begin:]))):
                    text.append(content)
    return len("".join(text))


def _dechunked(connection: socket.socket) -> Iterator[bytes]:
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        buffer += connection.recv(1 << 16)
    buffer = buffer.split(b"\r\n\r\n", 1)[1]
    while True:
        out: list[bytes] = []
        at = 0
        while (line := buffer.find(b"\r\n", at)) >= 0:
            size = int(buffer[at:line], 16)
            if size == 0:
                yield b"".join(out)
                return
            if line + 4 + size > len(buffer):
                break
            out.append(buffer[line + 2 : line + 2 + size])
            at = line + 4 + size
        buffer = buffer[at:]
        yield b"".join(out)
        buffer += connection.recv(1 << 16)


def read_adapter(dialect: str, port: int, chunks: int) -> int:
    """Characters of text, through the whole adapter."""

    async def read() -> int:
        http = Http()
        row = Provider("bench", f"http://127.0.0.1:{port}{WIRES[dialect].base}", dialect=dialect)
        model = RemoteModel(f"stream-{chunks}", provider=row, http=http)
        async with aclosing(model.stream(Request((messages.user("hi"),)))) as stream:
            text = [event.text async for event in stream if isinstance(event, events.TextDelta)]
        await http.aclose()
        return len("".join(text))

    return asyncio.run(read())


CASES: dict[str, Callable[[str, int, int], int]] = {"floor": read_floor, "adapter": read_adapter}


def measure(case: str, dialect: str, port: int, chunks: int) -> None:
    """Run one case in this process and print CPU µs per chunk and MB of growth."""
    read = CASES[case]
    read(dialect, port, 50)
    memory, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    characters = read(dialect, port, chunks)
    cpu = time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert characters == 4 * chunks, characters
    print(json.dumps({"us": cpu / chunks * 1e6, "mb": grown / 1024}))  # noqa: T201  # read by the parent


def _run(case: str, dialect: str, port: int, chunks: int) -> dict[str, float]:
    where = ["--dialect", dialect, "--port", str(port), "--chunks", str(chunks)]
    command = [sys.executable, "-m", "bench.decode", "--case", case, *where]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(out)
    return result


def compare(dialect: str, rounds: int) -> bool:
    """Print a dialect's figures beside their bars; whether one is missed."""
    plan = [("floor", CHUNKS), ("adapter", CHUNKS), ("adapter", SMALL), ("adapter", LARGE)]
    got: dict[tuple[str, int], list[dict[str, float]]] = {key: [] for key in plan}
    with running_provider() as port:
        for _ in range(rounds):
            for case, chunks in plan:
                got[case, chunks].append(_run(case, dialect, port, chunks))
    us = {key: statistics.median(r["us"] for r in runs) for key, runs in got.items()}
    memory = statistics.median(r["mb"] for r in got["adapter", CHUNKS])
    print(dialect)  # noqa: T201
    for (case, chunks), value in us.items():
        print(f"  {case:8} {chunks:7} chunks  {value:6.2f} µs CPU per chunk")  # noqa: T201
    rows = (
        ("adapter / floor at 100k", us["adapter", CHUNKS] / us["floor", CHUNKS], RATIO_BAR, "x"),
        ("per chunk, 300k / 10k", us["adapter", LARGE] / us["adapter", SMALL], GROWTH_BAR, "x"),
        ("memory per 100k chunks", memory, MEMORY_BAR, "MB"),
    )
    for label, value, bar, unit in rows:
        verdict = "ok" if value <= bar else "MISSED"
        print(f"  {label:24} {value:6.2f} {unit:2}   bar {bar:g} {unit}   {verdict}", flush=True)  # noqa: T201
    return any(value > bar for _, value, bar, _ in rows)


def main() -> None:
    """Measure one dialect, or all; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialect", choices=[name for name in WIRES if name in DIALECTS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.dialect, options.port, options.chunks)
        return
    wanted = [options.dialect] if options.dialect else [name for name in WIRES if name in DIALECTS]
    missed = [compare(dialect, options.rounds) for dialect in wanted]
    sys.exit(any(missed))


if __name__ == "__main__":
    main()
