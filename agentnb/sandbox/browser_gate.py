"""The browser's only way out: a proxy on this machine that lets no page reach a private address unasked.

A check of URLs would not do: a redirect, a name that resolves differently the second time, a WebSocket or a worker
goes around it. The gate looks a name up, checks what it found, and connects to exactly that.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentnb.sandbox.browser_address import Address, is_private, is_private_name
from agentnb.sandbox.browser_upstream import Upstream, upstream

_Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

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
    #: The head as another proxy wants it, with the whole URL.
    whole: bytes = b""


class Gate:
    """A proxy for one browser. `allowed` are the private hosts and ports that a person has allowed.

    `way` says through which other proxy a public address is reached, as the person's network may want it.
    """

    def __init__(self, allowed: set[tuple[str, int]], way: Callable[..., Upstream | None] = upstream) -> None:
        self.allowed = allowed
        self._way = way
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
                request, (answer, to_host) = await self._reach(request)
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

    async def _reach(self, request: _Request) -> tuple[_Request, _Stream]:
        address = request.address
        way = self._way(address, secure=not request.head)
        try:
            found = await _look_up(address)
        except _Refused:
            # Behind a proxy, names of the internet may be known to the proxy only.
            if way is None or is_private_name(address.host):
                raise
            found = []
        if any(map(is_private, found)):
            if address.place not in self.allowed:
                reason = f"{address.host}:{address.port} is a private address, and nobody has allowed it"
                self.refused.append(reason)
                raise _Refused(reason)
            way = None
        if way is not None:
            return await _through(way, request)
        return request, await _connect(found, address.port)


async def _connect(hosts: Sequence[str], port: int, *, tls: bool = False) -> _Stream:
    """A connection to the first that answers."""
    last: Exception | None = None
    for host in hosts:
        try:
            opening = asyncio.open_connection(host, port, limit=_HEAD_BYTES, ssl=tls or None)
            return await asyncio.wait_for(opening, _CONNECT)
        except (OSError, TimeoutError) as error:
            last = error
    raise _Refused(f"{'/'.join(hosts)}:{port} does not answer ({last or 'no address'})")


async def _through(way: Upstream, request: _Request) -> tuple[_Request, _Stream]:
    """The same request as the next proxy wants it, and a connection there: for a tunnel, one that is open."""
    stream = reader, writer = await _connect([way.host], way.port, tls=way.tls)
    if request.head:
        line, _, rest = request.whole.partition(b"\r\n")
        return replace(request, head=line + b"\r\n" + way.authorization + rest), stream
    host, port = request.address.place
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n".encode() + way.authorization + b"\r\n")
    status = b""
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD)
        status = answer.partition(b"\r\n")[0]
    finally:
        if b" 200" not in status:
            await _shut(writer)
    if b" 200" not in status:
        said = status[:80].decode("latin-1")
        raise _Refused(f"the proxy {way.host}:{way.port} lets nothing through to {place} ({said})")
    return request, stream


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
    ends = f" {version}\r\nConnection: close\r\n".encode("latin-1") + lines
    sent = f"{method} {slash or '/'}{path}".encode("latin-1") + ends
    whole = f"{method} {target}".encode("latin-1") + ends
    return _Request(Address(target, host, port), sent, int(length[1]) if length else 0, whole)


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
