"""The browser's only way out: a proxy on this machine that lets no page reach a private address unasked.

A check of URLs would not do: a redirect, a name that resolves differently the second time, a WebSocket or a worker
goes around it. The gate looks a name up, checks what it found, and connects to exactly that.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass

from agentnb.sandbox.browser_address import Address, is_private

_HEAD_BYTES = 256_000
_PIECE = 64 * 1024
#: Seconds for a name to be looked up, for a host to answer, for a browser to send its request's head.
_LOOKUP, _CONNECT, _HEAD = 10, 15, 30
_OWN_LINES = re.compile(rb"(?im)^(connection|proxy-connection|keep-alive|proxy-authorization):[^\n]*\n")
_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)")


class _Refused(Exception):
    """The target is private, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What a browser asks of its proxy: where to, and for plain HTTP the head to send on and the size of the body."""

    address: Address
    head: bytes = b""
    body: int = 0


class Gate:
    """A proxy for one browser. `allowed` are the private hosts and ports that a person has allowed."""

    def __init__(self, allowed: set[tuple[str, int]]) -> None:
        self.allowed = allowed
        #: What was refused lately, in words.
        self.refused: deque[str] = deque(maxlen=20)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Begin; the proxy's URL."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_BYTES)
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        """End, and cut what is still connected."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD)
            request = _parse(head)
            try:
                answer, to_host = await self._reach(request.address)
            except _Refused as reason:
                writer.write(_refusal(str(reason)))
                await writer.drain()
                return
            try:
                await _carry(request, (reader, writer), (answer, to_host))
            finally:
                await _shut(to_host)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            return  # either side went away or sent nonsense: the browser sees a closed connection
        finally:
            await _shut(writer)

    async def _reach(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        found = await _look_up(address)
        if address.place not in self.allowed and any(map(is_private, found)):
            reason = f"{address.host}:{address.port} is a private address, and nobody has allowed it"
            self.refused.append(reason)
            raise _Refused(reason)
        last: Exception | None = None
        for ip in found:
            try:
                return await asyncio.wait_for(asyncio.open_connection(ip, address.port, limit=_HEAD_BYTES), _CONNECT)
            except (OSError, TimeoutError) as error:
                last = error
        raise _Refused(f"{address.host}:{address.port} does not answer ({last or 'no address'})")


async def leads_inside(address: Address) -> bool:
    """Whether a URL leads to a private address; an unknown name does not."""
    if not address.host:
        return False
    try:
        return any(map(is_private, await _look_up(address)))
    except _Refused:
        return False


async def _look_up(address: Address) -> list[str]:
    host = "127.0.0.1" if address.host.endswith(".localhost") else address.host
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, address.port), _LOOKUP)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise _Refused(f"{address.host} cannot be found ({error})") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _parse(head: bytes) -> _Request:
    """A proxy request. Raises ValueError for what is none."""
    line, _, rest = head.partition(b"\r\n")
    method, target, version = line.decode("latin-1").split(" ")
    if method == "CONNECT":
        return _Request(Address(target, *_split(target)))
    scheme, _, after = target.partition("://")
    if scheme != "http":
        raise ValueError(f"not for a proxy: {target!r}")
    authority, slash, path = after.partition("/")
    host, port = _split(authority)
    length = _LENGTH.search(rest)
    lines = _OWN_LINES.sub(b"", rest)
    sent = f"{method} {slash or '/'}{path} {version}\r\nConnection: close\r\n".encode("latin-1") + lines
    return _Request(Address(target, host, port), sent, int(length[1]) if length else 0)


def _split(authority: str) -> tuple[str, int]:
    authority = authority.rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, "80"
    return host.strip("[]").rstrip(".").lower(), int(port)


def _refusal(reason: str) -> bytes:
    body = f"The browser's gate let nothing through: {reason}.".encode()
    head = f"HTTP/1.1 403 Refused\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _carry(request: _Request, browser: _Stream, host: _Stream) -> None:
    if not request.head:
        browser[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await browser[1].drain()
        await _first(_pipe(browser[0], host[1]), _pipe(host[0], browser[1]))
        return
    host[1].write(request.head)
    await host[1].drain()
    await _first(_body(browser[0], host[1], request.body), _answer(host[0], browser[1]))


async def _answer(host: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
    head = await host.readuntil(b"\r\n\r\n")
    status, _, rest = head.partition(b"\r\n")
    # One request a connection: the next one may be for another host.
    browser.write(status + b"\r\nConnection: close\r\n" + _OWN_LINES.sub(b"", rest))
    await _pipe(host, browser)


async def _body(browser: asyncio.StreamReader, host: asyncio.StreamWriter, size: int) -> None:
    while size > 0 and (piece := await browser.read(min(size, _PIECE))):
        host.write(piece)
        await host.drain()
        size -= len(piece)
    await browser.read(1)  # until the browser goes away


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        target.write(piece)
        await target.drain()


async def _first(*works: Coroutine[object, object, None]) -> None:
    """Do both until one has ended; the other is ended with it."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1)
