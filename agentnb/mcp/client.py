"""The SDK's client for a server, over whatever leads to it; and what its failures mean, in words."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from agentnb.errors import MissingExtra, ToolError
from agentnb.mcp.settings import Settings
from agentnb.mcp.signin import SignIn
from agentnb.mcp.stdio import LONGEST_LINE, Process

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Client
    from mcp.client._transport import Transport
    from mcp.client.session import ElicitationFnT, LoggingFnT, MessageHandlerFnT
    from mcp.server import MCPServer, Server

    #: A server that runs in this process, made with the SDK.
    ServerObject: TypeAlias = Server[object] | MCPServer

#: Refusals after which the older kind of HTTP is tried: not those that are about credentials.
_OLDER = frozenset({400, 404, 405, 406, 415})
#: How the SDK calls a refusal without words of the server's own.
_BARE = frozenset({"Server returned an error response", "Not Found"})
#: Seconds to connect, and to wait for room and for a send; answers may take as long as the call may.
_CONNECT, _NEVER = 30.0, 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the server may want of us meanwhile."""

    elicit: ElicitationFnT
    log: LoggingFnT
    notice: MessageHandlerFnT


@dataclass(slots=True)
class Way:
    """What is learnt on the way to a server: its process, and the last status that refused a request."""

    signin: SignIn | None = None
    process: Process | None = None
    url: str = ""
    status: int | None = None
    reason: str = field(default="")

    async def note(self, response: httpx2.Response) -> None:
        """Remember a refusal: the SDK's errors do not say the status."""
        # Those on the way to signing in say nothing of the server itself.
        if response.status_code >= 400 and str(response.request.url) == self.url:
            self.status, self.reason = response.status_code, response.reason_phrase


def require() -> None:
    """Raises MissingExtra where the SDK is not installed."""
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise MissingExtra("MCP", "mcp") from error
    # What the SDK logs is said in our errors; without a handler of the user's it would be printed into the notebook.
    for name in ("mcp", "client"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


@asynccontextmanager
async def connected(
    settings: Settings, server: ServerObject | None, callbacks: Callbacks, way: Way, running: set[int]
) -> AsyncGenerator[Client, None]:
    """A client that has shaken hands with the server; it must be left in the task that entered it."""
    async with AsyncExitStack() as stack:
        if server is not None:
            yield await _enter(stack, _client(server, callbacks))
        elif settings.transport == "stdio":
            yield await _stdio(stack, settings, callbacks, way, running)
        else:
            yield await _remote(stack, settings, callbacks, way)


def _client(transport: Transport | ServerObject, callbacks: Callbacks, mode: str = "auto") -> Client:
    from mcp.client import Client
    from mcp_types import Implementation

    return Client(
        transport,
        mode=mode,
        client_info=Implementation(name="agentnb", version=_version()),
        elicitation_callback=callbacks.elicit,
        logging_callback=callbacks.log,
        message_handler=callbacks.notice,
        log_level="info",
        cache=None,
    )


async def _enter(stack: AsyncExitStack, client: Client) -> Client:
    """The client, connected. Raises the error that happened, not the groups it came in."""
    try:
        return await stack.enter_async_context(client)
    except ExceptionGroup as group:
        raise leaf(group) from group


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("agentnb")
    except PackageNotFoundError:
        return "0"


async def _stdio(
    stack: AsyncExitStack, settings: Settings, callbacks: Callbacks, way: Way, running: set[int]
) -> Client:
    from mcp.shared.exceptions import MCPError

    way.process = Process(settings, running)
    try:
        return await _enter(stack, _client(way.process, callbacks))
    except MCPError:
        # Some servers of older versions end at a first message that is not theirs: speak as they did, once.
        if not way.process.ended.is_set() or way.process.trouble:
            raise
    way.process = Process(settings, running)
    return await _enter(stack, _client(way.process, callbacks, "legacy"))


async def _remote(stack: AsyncExitStack, settings: Settings, callbacks: Callbacks, way: Way) -> Client:
    import httpx2
    from mcp.shared.exceptions import MCPError

    if settings.transport == "sse":
        return await _enter(stack, _client(await _sse(settings, way), callbacks, "legacy"))
    try:
        return await _enter(stack, _client(_http(settings, way), callbacks))
    except MCPError:
        if settings.transport != "auto" or way.status not in _OLDER:
            raise
    newer = f"HTTP {way.status} {way.reason}".rstrip()
    try:
        return await _enter(stack, _client(await _sse(settings, way), callbacks, "legacy"))
    except (MCPError, httpx2.HTTPError, OSError) as error:
        older = in_words(error, way)
        raise ToolError(f"is no MCP server of the newer kind ({newer}) nor of the older: it {older}") from error


@asynccontextmanager
async def _http_transport(settings: Settings, way: Way) -> AsyncGenerator[object, None]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    assert settings.url is not None  # a server that is not started has one
    way.url = str(httpx2.URL(settings.url))
    client = httpx2.AsyncClient(
        headers=dict(settings.headers),
        auth=await way.signin.auth() if way.signin else None,
        timeout=httpx2.Timeout(_CONNECT, read=None),
        event_hooks={"response": [way.note]},
    )
    async with (
        client,
        streamable_http_client(settings.url, http_client=client, max_sse_event_size=LONGEST_LINE) as streams,
    ):
        yield streams


def _http(settings: Settings, way: Way) -> Transport:
    return _http_transport(settings, way)  # type: ignore[return-value]


async def _sse(settings: Settings, way: Way) -> Transport:
    import httpx2
    from mcp.client.sse import sse_client

    def client(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        hooks = {"response": [way.note]}
        return httpx2.AsyncClient(headers=headers, timeout=timeout or _CONNECT, auth=auth, event_hooks=hooks)

    assert settings.url is not None  # a server that is not started has one
    way.url = str(httpx2.URL(settings.url))
    return sse_client(
        settings.url,
        dict(settings.headers),
        _CONNECT,
        sse_read_timeout=_NEVER,
        httpx_client_factory=client,
        auth=await way.signin.auth() if way.signin else None,
    )


def leaf(error: BaseException) -> BaseException:
    """The first error of a group, which is what happened; the others follow from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def in_words(error: BaseException, way: Way) -> str:
    """What an error of a connection means, as the end of "MCP server 'x' …"."""
    import httpx2
    from mcp.client.auth import OAuthFlowError
    from mcp.shared.exceptions import MCPError

    error = leaf(error)
    if isinstance(error, OAuthFlowError):
        return f"refused the request: HTTP {way.status} {way.reason}. Check its headers; nobody can sign in ({error})"
    if way.status is not None and (isinstance(error, httpx2.HTTPStatusError) or str(error) in _BARE):
        hint = ". Check its headers" if way.status in (401, 403) else ""
        return f"refused the request: HTTP {way.status} {way.reason}".rstrip() + hint
    match error:
        case ToolError():
            return str(error)
        case TimeoutError() | httpx2.TimeoutException():
            return "did not answer in time"
        case httpx2.HTTPError() | OSError():
            return f"cannot be reached: {error or type(error).__name__}"
        case MCPError():
            return f"refused: {error.message}"
    return f"failed: {type(error).__name__}: {error}"
