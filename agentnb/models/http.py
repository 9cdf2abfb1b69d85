"""The one door to the network: a pooled client per event loop, and every failure named once, in our words.

httpx's interface over aiohttp's transport: the pool of stock httpx rescans all connections for every request, and reads
a stream one HTTP chunk at a time. Where aiohttp is missing, the stock transport serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from agentnb.config import Settings
from agentnb.errors import ConnectionFailed, StreamBroken, UsageError
from agentnb.models.failures import broken, hung_up, named_failures, not_reached
from agentnb.models.redirects import Sending, followed
from agentnb.models.routes import host_of, proxy_for, shown_to, trusted

if TYPE_CHECKING:
    import httpx

__all__ = ["Fetched", "Http", "Reply", "host_of"]

_DRAIN_SECONDS = 0.1
_POOL = 1000
_REDIRECTS = 5
_MOST_FETCHED = 20_000_000
#: Ways that are remembered: whoever fetches many addresses must not fill the memory with them.
_REMEMBERED = 1000
_ENCODINGS = ("", "identity", "gzip", "deflate")
_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,31}")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose head has arrived; `blocks` is its body, as it comes; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    blocks: AsyncGenerator[bytes, None]

    @property
    def content_type(self) -> str:
        """The media type alone, lower-case; empty where the server gave none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([block async for block in self.blocks])

    async def drain(self) -> None:
        """Read over what follows the end of an answer, if it is there already, so that the connection can be reused."""
        with contextlib.suppress(TimeoutError, StreamBroken):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in self.blocks:
                    pass


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Sends requests and streams the answers; costs nothing until the first one.

    The connections of an event loop are closed with it, or by `aclose`. `connect` and `silence` are seconds, in place
    of those of the settings. Where the settings name no proxy and no certificates, the environment does (`HTTPS_PROXY`,
    `NO_PROXY`, `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`); this machine itself is reached directly.
    """

    def __init__(
        self, *, settings: Settings | None = None, connect: float | None = None, silence: float | None = None
    ) -> None:
        self._settings = settings or Settings()
        idle = silence or self._settings.idle
        self._timeout = {"connect": connect or self._settings.connect, "read": idle, "write": idle, "pool": idle}
        self._ssl: ssl.SSLContext | None = None
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}

    def post_stream(
        self, url: str, *, headers: Mapping[str, str], body: bytes, connect: float | None = None
    ) -> contextlib.AbstractAsyncContextManager[Reply]:
        """Post, and hold the connection until the block ends; leaving it closes an unfinished answer at once.

        Raises ConnectionFailed when no head of an answer arrives; reading `blocks` raises StreamBroken.
        """
        return self._sent("POST", url, headers, body, connect)

    async def get(self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, limit: int = _MOST_FETCHED) -> Fetched:
        """Get a whole answer of at most so many bytes, over five redirects at most; another host gets no credentials.

        Raises ConnectionFailed, StreamBroken (also for a body that is too big).
        """
        return await self._followed(Sending("GET", url, headers), limit)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
        limit: int = _MOST_FETCHED,
        timeout: float | None = None,  # noqa: ASYNC109  # of the whole exchange, redirects and all
    ) -> Fetched:
        """Send any request, and read its whole answer, as `get` does; `timeout` is for all of it, in seconds.

        What has a body is not sent on to another host. Raises ConnectionFailed, StreamBroken, and UsageError for what
        is no method or no header.
        """
        if not _METHOD.fullmatch(method):
            raise UsageError(f"{method[:40]!r} is not an HTTP method. Write GET, POST or another.")
        try:
            async with asyncio.timeout(timeout):
                return await self._followed(Sending(method.upper(), url, headers, body), limit)
        except TimeoutError:
            late = f"{host_of(url)} did not finish its answer within {timeout:g} s. Try again, or ask for less."
            raise ConnectionFailed(late, retryable=True) from None

    async def _followed(self, step: Sending, limit: int) -> Fetched:
        for _ in range(_REDIRECTS + 1):
            async with self._sent(step.method, step.url, step.headers, step.body, None) as reply:
                following = await followed(step, reply.status, reply.headers)
                if following is None:
                    return Fetched(reply.status, reply.headers, await _whole(reply, host_of(step.url), limit))
            step = following
        raise ConnectionFailed(
            f"{host_of(step.url)} sends from one address to the next, without an end. Check the address."
        )

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, connect: float | None
    ) -> AsyncIterator[Reply]:
        import httpx

        _check(headers)
        host, way = host_of(url), None
        with named_failures(lambda reason: not_reached(host, reason, proxy=way and way.proxy)):
            # The transport itself: httpx's client would double the cost of a request for cookies and redirects.
            way = (await self._pool()).reach(url)
            request = httpx.Request(
                method,
                way.target,
                headers=httpx.Headers({"accept-encoding": "identity", **headers, **way.headers}, encoding="ascii"),
                content=body,
                extensions={"timeout": {**self._timeout, "connect": connect} if connect else self._timeout},
            )
            del headers  # a traceback that shows local variables must not show the key; httpx's own Headers hide it
            response = await self._send(way, request)
        blocks = _blocks(response, host)
        try:
            yield Reply(response.status_code, response.headers, blocks)
        finally:
            await blocks.aclose()
            await response.aclose()

    async def _send(self, way: _Way, request: httpx.Request) -> httpx.Response:
        """Send; and again at once where a connection that was kept from an earlier answer turns out to be closed.

        Some servers announce that they keep a connection, and close it all the same (llama.cpp does).
        """
        import httpx

        kept, way.used[:] = bool(way.used), [True]
        try:
            return await way.transport.handle_async_request(request)
        except (httpx.TransportError, OSError) as reason:
            if not (kept and hung_up(reason)):
                raise
            return await way.transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if pool := self._pools.pop(asyncio.get_running_loop(), None):
            await pool.life.aclose()

    def _context(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = trusted(self._settings)
        return self._ssl

    async def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            # Other threads, with loops of their own, may do the same at this moment.
            for closed in [known for known in list(self._pools) if known.is_closed()]:
                self._pools.pop(closed, None)
            pool = self._pools[loop] = _Pool(self._settings, self._context)
            await anext(pool.life)
        return pool


class _Way(NamedTuple):
    """How a URL is reached. `proxy` is named as errors name it; `headers` are what it is told with each request; `used`
    holds something once it was reached."""

    transport: httpx.AsyncBaseTransport
    target: httpx.URL
    proxy: str | None
    headers: Mapping[str, str]
    used: list[bool]


class _Pool:
    """The connections of one event loop: one transport for each proxy, and one for none, with TLS and without."""

    def __init__(self, settings: Settings, context: Callable[[], ssl.SSLContext]) -> None:
        self._settings = settings
        self._ssl = context
        self._transports: dict[tuple[str, str | None], httpx.AsyncBaseTransport] = {}
        self._reached: dict[str, _Way] = {}
        #: A loop that shuts down closes its async generators: so the connections end with the loop they live on.
        self.life = self._live()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for transport in self._transports.values():
                await transport.aclose()

    def reach(self, url: str) -> _Way:
        """The way to a URL, found once: to look for it costs more than the request itself."""
        import httpx

        if url not in self._reached:
            if len(self._reached) >= _REMEMBERED:
                self._reached.clear()
            target = httpx.URL(url)
            proxy = proxy_for(target.scheme, target.netloc.decode(), target.host, self._settings)
            key = target.scheme, proxy
            if key not in self._transports:
                # Reading the certificates costs 20 ms: a server on this machine does not wait for that.
                plain = target.scheme == "http" and not (proxy or "").startswith("https")
                self._transports[key] = self._new(target.scheme, proxy, False if plain else self._ssl())
            # A tunnel is asked for once; without one the proxy reads each request itself.
            headers = shown_to(httpx.URL(proxy)) if proxy and target.scheme == "http" else _NO_HEADERS
            self._reached[url] = _Way(self._transports[key], target, host_of(proxy) if proxy else None, headers, [])
        return self._reached[url]

    def _new(self, scheme: str, proxy: str | None, verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:
        import httpx

        try:
            from httpx_aiohttp import AiohttpTransport as Transport
        except ImportError:
            from httpx import AsyncHTTPTransport as Transport  # type: ignore[assignment]  # the same interface
        between = None
        if proxy:
            address = httpx.URL(proxy)
            # As a header: aiohttp's own way to say it is deprecated.
            headers = shown_to(address) if scheme == "https" else None
            between = httpx.Proxy(address.copy_with(userinfo=None), headers=headers)
        return Transport(
            verify=verify,
            limits=httpx.Limits(max_connections=_POOL, max_keepalive_connections=_POOL),
            proxy=between,
        )


def _check(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
            raise UsageError(f"The header {name[:40]!r} has characters that no header has. Write it in plain ASCII.")


async def _blocks(response: httpx.Response, host: str) -> AsyncGenerator[bytes, None]:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise StreamBroken(f"{host} compressed its answer ({encoding[:40]}) though asked not to. Turn that off there.")
    with named_failures(lambda reason: broken(host, reason)):
        # httpx's own reading undoes a compression that nobody asked for, and costs more than the rest.
        raw = response.stream if not encoding else None
        async for block in raw if isinstance(raw, AsyncIterable) else response.aiter_bytes():
            yield block


async def _whole(reply: Reply, host: str, limit: int) -> bytes:
    """A body of at most so many bytes, whatever the server says of its length."""
    body = bytearray()
    async for block in reply.blocks:
        body += block
        if len(body) > limit:
            raise StreamBroken(
                f"{host} sends more than {limit / 1e6:g} MB, which is not read. Ask for something smaller."
            )
    return bytes(body)
