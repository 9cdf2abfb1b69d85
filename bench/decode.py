"""What decoding a stream costs, beside the least it can cost: `python -m bench.decode [--rounds 5]`.

The floor reads a socket and parses each event with orjson; the adapter is the whole of RemoteModel (HTTP, server-sent
events, chunks, our events). Each run is its own process, runs are interleaved, the figures are medians of CPU time.
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

import orjson

from agentnb import events, messages
from agentnb.models.base import Request
from agentnb.models.http import Http
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from bench import provider

CHUNKS = 100_000
SMALL, LARGE = 10_000, 300_000
RATIO_BAR, GROWTH_BAR, MEMORY_BAR = 4.0, 1.15, 30.0


@contextmanager
def running_provider() -> Iterator[int]:
    """The provider in its own process; gives its port."""
    with subprocess.Popen(provider.COMMAND, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def read_floor(port: int, chunks: int) -> int:
    """Characters of text, by a socket and orjson alone."""
    request = json.dumps({"model": f"stream-{chunks}", "stream": True, "messages": []}).encode()
    text: list[str] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(request) + request)
        rest = b""
        for block in _dechunked(connection):
            *parts, rest = (rest + block).split(b"\n\n")
            for part in parts:
                if part != b"data: [DONE]":
                    choices = orjson.loads(part[6:])["choices"]
                    if choices and (content := choices[0]["delta"].get("content")):
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


def read_adapter(port: int, chunks: int) -> int:
    """Characters of text, through the whole adapter."""

    async def read() -> int:
        http = Http()
        model = RemoteModel(f"stream-{chunks}", provider=Provider("openai", f"http://127.0.0.1:{port}/v1"), http=http)
        async with aclosing(model.stream(Request((messages.user("hi"),)))) as stream:
            text = [event.text async for event in stream if isinstance(event, events.TextDelta)]
        await http.aclose()
        return len("".join(text))

    return asyncio.run(read())


CASES: dict[str, Callable[[int, int], int]] = {"floor": read_floor, "adapter": read_adapter}


def measure(case: str, port: int, chunks: int) -> None:
    """Run one case in this process and print CPU µs per chunk and MB of growth."""
    read = CASES[case]
    read(port, 50)
    memory, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    characters = read(port, chunks)
    cpu = time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert characters == 4 * chunks, characters
    print(json.dumps({"us": cpu / chunks * 1e6, "mb": grown / 1024}))  # noqa: T201  # read by the parent


def _run(case: str, port: int, chunks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.decode", "--case", case, "--port", str(port), "--chunks", str(chunks)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(out)
    return result


def main() -> None:
    """Print the figures beside their bars; exit 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--port", type=int)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.port, options.chunks)
        return
    plan = [("floor", CHUNKS), ("adapter", CHUNKS), ("adapter", SMALL), ("adapter", LARGE)]
    got: dict[tuple[str, int], list[dict[str, float]]] = {key: [] for key in plan}
    with running_provider() as port:
        for _ in range(options.rounds):
            for key in plan:
                got[key].append(_run(key[0], port, key[1]))
    us = {key: statistics.median(r["us"] for r in runs) for key, runs in got.items()}
    memory = statistics.median(r["mb"] for r in got["adapter", CHUNKS])
    for (case, chunks), value in us.items():
        print(f"{case:8} {chunks:7} chunks  {value:6.2f} µs CPU per chunk")  # noqa: T201
    rows = (
        ("adapter / floor at 100k", us["adapter", CHUNKS] / us["floor", CHUNKS], RATIO_BAR, "x"),
        ("per chunk, 300k / 10k", us["adapter", LARGE] / us["adapter", SMALL], GROWTH_BAR, "x"),
        ("memory per 100k chunks", memory, MEMORY_BAR, "MB"),
    )
    for label, value, bar, unit in rows:
        verdict = "ok" if value <= bar else "MISSED"
        print(f"{label:24} {value:6.2f} {unit:2}   bar {bar:g} {unit}   {verdict}")  # noqa: T201
    sys.exit(any(value > bar for _, value, bar, _ in rows))


if __name__ == "__main__":
    main()
