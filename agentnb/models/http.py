"""The one door to the network: a pooled client per event loop, and every failure named once, in our words.

httpx's interface over aiohttp's transport: the pool of stock httpx rescans all connections for every request, and reads
a stream one HTTP chunk at a time. Where aiohttp is missing, the stock transport serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.errors import ConnectionFailed, ModelError, StreamBroken

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
#: How long a provider may be silent: thinking models answer late, so this is long.
SILENCE_SECONDS = 600.0
_DRAIN_SECONDS = 0.1
_POOL = 1000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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


class Http:
    """Posts requests and streams the answers; costs nothing until the first one.

    The connections of an event loop are closed with it, or by `aclose`. Proxies and certificate authorities are taken
    from the environment (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`); this machine itself is reached directly.
    """

    def __init__(self, *, connect: float = CONNECT_SECONDS, silence: float = SILENCE_SECONDS) -> None:
        self._timeout = {"connect": connect, "read": silence, "write": silence, "pool": silence}
        self._ssl: ssl.SSLContext | None = None
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}

    @contextlib.asynccontextmanager
    async def post_stream(
        self, url: str, *, headers: Mapping[str, str], body: bytes, connect: float | None = None
    ) -> AsyncIterator[Reply]:
        """Post, and hold the connection until the block ends; leaving it closes an unfinished answer at once.

        Raises ConnectionFailed when no head of an answer arrives; reading `blocks` raises StreamBroken.
        """
        import httpx

        host = host_of(url)
        with _named_failures(lambda reason: _not_reached(host, reason)):
            # The transport itself: httpx's client would double the cost of a request for cookies and redirects.
            transport, target = (await self._pool()).reach(url)
            request = httpx.Request(
                "POST",
                target,
                headers=httpx.Headers({"accept-encoding": "identity", **headers}, encoding="ascii"),
                content=body,
                extensions={"timeout": {**self._timeout, "connect": connect} if connect else self._timeout},
            )
            del headers  # a traceback that shows local variables must not show the key; httpx's own Headers hide it
            response = await transport.handle_async_request(request)
        blocks = _blocks(response, host)
        try:
            yield Reply(response.status_code, response.headers, blocks)
        finally:
            await blocks.aclose()
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        if pool := self._pools.pop(asyncio.get_running_loop(), None):
            await pool.life.aclose()

    def _context(self) -> ssl.SSLContext:
        import httpx

        if self._ssl is None:
            self._ssl = httpx.create_ssl_context()
        return self._ssl

    async def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            for closed in [known for known in self._pools if known.is_closed()]:
                del self._pools[closed]
            pool = self._pools[loop] = _Pool(self._context)
            await anext(pool.life)
        return pool


def host_of(url: str) -> str:
    """The host and port of a URL, as errors name it; of anything else, what there is."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2] or url


class _Pool:
    """The connections of one event loop: one transport for each proxy, and one for none, with TLS and without."""

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._ssl = context
        self._transports: dict[tuple[str, str | None], httpx.AsyncBaseTransport] = {}
        self._reached: dict[str, tuple[httpx.AsyncBaseTransport, httpx.URL]] = {}
        #: A loop that shuts down closes its async generators: so the connections end with the loop they live on.
        self.life = self._live()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for transport in self._transports.values():
                await transport.aclose()

    def reach(self, url: str) -> tuple[httpx.AsyncBaseTransport, httpx.URL]:
        """The transport that reaches a URL, and the URL, parsed once: both cost more than the request itself."""
        import httpx

        if url not in self._reached:
            target = httpx.URL(url)
            proxy = _proxy_for(target.scheme, target.netloc.decode(), target.host)
            key = target.scheme, proxy
            if key not in self._transports:
                # Reading the certificates costs 20 ms: a server on this machine does not wait for that.
                plain = target.scheme == "http" and not (proxy or "").startswith("https")
                self._transports[key] = self._new(proxy, False if plain else self._ssl())
            self._reached[url] = self._transports[key], target
        return self._reached[url]

    def _new(self, proxy: str | None, verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:
        import httpx

        try:
            from httpx_aiohttp import AiohttpTransport as Transport
        except ImportError:
            from httpx import AsyncHTTPTransport as Transport  # type: ignore[assignment]  # the same interface
        return Transport(
            verify=verify,
            limits=httpx.Limits(max_connections=_POOL, max_keepalive_connections=_POOL),
            proxy=httpx.Proxy(proxy) if proxy else None,
        )


def _proxy_for(scheme: str, netloc: str, hostname: str) -> str | None:
    """The proxy that the environment names for a host; never one for this machine itself."""
    if hostname in _LOOPBACK:
        return None
    # It brings the standard library's own HTTP client and mail parser along.
    import urllib.request

    if urllib.request.proxy_bypass(netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


async def _blocks(response: httpx.Response, host: str) -> AsyncGenerator[bytes, None]:
    with _named_failures(lambda reason: StreamBroken(_broken(host, reason), retryable=True)):
        # Asked not to compress, some servers do; httpx's own reading undoes it, and costs more than the rest.
        raw = response.stream if "content-encoding" not in response.headers else None
        async for block in raw if isinstance(raw, AsyncIterable) else response.aiter_bytes():
            yield block


@contextlib.contextmanager
def _named_failures(error: Callable[[BaseException], ModelError]) -> Iterator[None]:
    """Foreign errors to one of ours."""
    import httpx

    foreign: tuple[type[BaseException], ...] = (httpx.HTTPError, httpx.InvalidURL, OSError)
    with contextlib.suppress(ImportError):
        # A malformed answer reaches us in aiohttp's own words.
        import aiohttp

        foreign = (*foreign, aiohttp.ClientError)
    try:
        yield
    except foreign as reason:
        raise error(reason) from None  # the frames below hold the key, and say nothing that the message does not


def _causes(reason: BaseException | None) -> Iterator[BaseException]:
    while reason is not None:
        yield reason
        reason = reason.__cause__ or reason.__context__


def _not_reached(host: str, reason: BaseException) -> ConnectionFailed:
    import httpx

    for cause in _causes(reason):
        match cause:
            case ssl.SSLError():
                # aiohttp's own error of this kind lacks what the one below it has.
                found = (getattr(c, name, None) for c in _causes(cause) for name in ("verify_message", "reason"))
                said = next((str(text) for text in found if text), "the handshake failed")
                return ConnectionFailed(f"No secure connection to {host}: {said}. Check the address, or SSL_CERT_FILE.")
            case socket.gaierror():
                return ConnectionFailed(
                    f"No host named {host}: its address was not found. Check the address and the network.",
                    retryable=cause.errno == socket.EAI_AGAIN,
                )
            case ConnectionRefusedError():
                return ConnectionFailed(
                    f"Nothing answers at {host}: connection refused. Start the server there, or check the address.",
                    retryable=True,
                )
            case httpx.UnsupportedProtocol() | httpx.InvalidURL():
                return ConnectionFailed(f"{host} is not an address. Write it as http(s)://HOST:PORT/v1.")
            case httpx.ProxyError():
                return ConnectionFailed(
                    f"The proxy did not reach {host}: {_one_line(cause)}. Check HTTPS_PROXY and NO_PROXY.",
                    retryable=True,
                )
            case TimeoutError():
                return ConnectionFailed(
                    f"No answer from {host} in time. Check the address and the network, or try again.", retryable=True
                )
    return ConnectionFailed(
        f"No answer from {host}: {_one_line(reason)}. Check the address, or try again.", retryable=True
    )


def _broken(host: str, reason: BaseException) -> str:
    import httpx

    if isinstance(reason, httpx.TimeoutException):
        return f"{host} fell silent in the middle of its answer. Run again."
    return f"{host} closed the connection in the middle of its answer. Run again."


def _one_line(reason: BaseException) -> str:
    return " ".join(str(reason).split())[:200].rstrip(".") or type(reason).__name__
