"""A small real HTTP proxy on 127.0.0.1, and a provider behind TLS: what a company's network puts in between."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tests.provider import Answer, Provider

_TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy:
    """A running proxy: `hosts` says where names lead to, `through` what went through it, `refused` what did not."""

    def __init__(self, hosts: Mapping[str, str], auth: str | None = None, *, stalls: bool = False) -> None:
        self.url = ""
        self.through: list[str] = []
        self.refused = 0
        self._hosts = hosts
        self._auth = auth and "Basic " + base64.b64encode(auth.encode()).decode()
        self._stalls = stalls
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve_one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the test is over
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        method, target, _ = first.split()
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        if self._stalls:
            await reader.read()
            return
        if self._auth and headers.get("proxy-authorization") != self._auth:
            await self._refuse(writer, "407 Proxy Authentication Required", 'proxy-authenticate: Basic realm="x"\r\n')
            return
        host = target if method == "CONNECT" else target.partition("://")[2].partition("/")[0]
        if host not in self._hosts:
            await self._refuse(writer, "502 Bad Gateway")
            return
        self.through.append(f"{method} {target}")
        server, port = self._hosts[host].partition("://")[2].partition("/")[0].split(":")
        far_reader, far_writer = await asyncio.open_connection(server, int(port))
        if method == "CONNECT":
            writer.write(_TUNNEL)
        else:
            path = "/" + target.partition("://")[2].partition("/")[2]
            kept = [line for line in lines if not line.lower().startswith("proxy-")]
            far_writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode())
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()

    async def _refuse(self, writer: asyncio.StreamWriter, status: str, header: str = "") -> None:
        self.refused += 1
        writer.write(f"HTTP/1.1 {status}\r\n{header}content-length: 0\r\n\r\n".encode())
        await writer.drain()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        writer.write_eof()


@asynccontextmanager
async def proxy(hosts: Mapping[str, str], auth: str | None = None, *, stalls: bool = False) -> AsyncIterator[Proxy]:
    """A proxy that knows these hosts ("name" or "name:443", and the URL of the server that plays it)."""
    running = Proxy(hosts, auth, stalls=stalls)
    server = await asyncio.start_server(running._serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        await running.close()


@asynccontextmanager
async def secure_provider(folder: Path, *answers: Answer, host: str = "provider.example") -> AsyncIterator[Provider]:
    """A provider behind TLS; whoever trusts `folder`/ca.pem believes that it is `host`, or 127.0.0.1."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host, "127.0.0.1").configure_cert(context)
    running = Provider(answers)
    server = await asyncio.start_server(running._serve, "127.0.0.1", 0, ssl=context)
    running.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield running
    finally:
        server.close()
        await running.close()
