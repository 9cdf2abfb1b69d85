"""What goes wrong on the way to a host and back, named once and in our words: cause and next step."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

from agentnb.errors import ConnectionFailed, ModelError, StreamBroken

_CHECK_PROXY = "Check AGENTNB_PROXY, HTTPS_PROXY and NO_PROXY."


@contextlib.contextmanager
def named_failures(error: Callable[[BaseException], ModelError]) -> Iterator[None]:
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


def hung_up(reason: BaseException) -> bool:
    """Whether the other side closed the connection before it said anything, as far as that can be known."""
    import httpx

    kinds: tuple[type[BaseException], ...] = (ConnectionResetError, BrokenPipeError, httpx.RemoteProtocolError)
    with contextlib.suppress(ImportError):
        import aiohttp

        kinds = (*kinds, aiohttp.ServerDisconnectedError)
    closed = (cause for cause in _causes(reason) if isinstance(cause, kinds))
    # Both libraries use the same class for an answer that broke off within its head, or is none, with other words.
    return any(isinstance(cause, OSError) or str(cause).startswith("Server disconnected") for cause in closed)


def not_reached(host: str, reason: BaseException, *, proxy: str | None = None) -> ConnectionFailed:
    """The error for a host that gave no answer; `proxy` is the one on the way, without its password."""
    for cause in _causes(reason):
        if isinstance(cause, ssl.SSLError):
            return _not_secure(host, cause)
        if (failed := _of_proxy(host, cause, proxy) if proxy else _of_host(host, cause)) is not None:
            return failed
    way = f" through the proxy {proxy}" if proxy else ""
    return ConnectionFailed(
        f"No answer from {host}{way}: {_one_line(reason)}. Check the address, or try again.", retryable=True
    )


def broken(host: str, reason: BaseException) -> StreamBroken:
    """The error for an answer that does not go on."""
    import httpx

    if isinstance(reason, httpx.DecodingError):
        return StreamBroken(f"{host} compressed its answer, and badly. Turn compression off there, or on its proxy.")
    silent = isinstance(reason, httpx.TimeoutException)
    what = "fell silent" if silent else "closed the connection"
    return StreamBroken(f"{host} {what} in the middle of its answer. Run again.", retryable=True)


def _causes(reason: BaseException | None) -> Iterator[BaseException]:
    while reason is not None:
        yield reason
        reason = reason.__cause__ or reason.__context__


def _not_secure(host: str, cause: ssl.SSLError) -> ConnectionFailed:
    # aiohttp's own error of this kind lacks what the one below it has.
    found = (getattr(each, name, None) for each in _causes(cause) for name in ("verify_message", "reason"))
    said = next((str(text) for text in found if text), "the handshake failed")
    return ConnectionFailed(
        f"No secure connection to {host}: {said}. Check the address, or set AGENTNB_CA_BUNDLE to the certificates of "
        "whoever signed for it."
    )


def _of_host(host: str, cause: BaseException) -> ConnectionFailed | None:
    import httpx

    match cause:
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
        case TimeoutError():
            return ConnectionFailed(
                f"No answer from {host} in time. Check the address and the network, or try again.", retryable=True
            )
    if hasattr(cause, "request_info"):
        # aiohttp's own words for this hold the URL, which may hold a key.
        return ConnectionFailed(f"{host} does not answer in HTTP. Check the address, or try again.", retryable=True)
    if not isinstance(getattr(cause, "message", ""), str):
        # aiohttp shows what arrived of the head, with whatever that holds.
        return ConnectionFailed(
            f"{host} closed the connection within the head of its answer. Check the address, or try again.",
            retryable=True,
        )
    return None


def _of_proxy(host: str, cause: BaseException, proxy: str) -> ConnectionFailed | None:
    """What the proxy does, or does not do; it resolves and reaches the host in our place."""
    import httpx

    match cause:
        case socket.gaierror():
            return ConnectionFailed(f"No proxy named {proxy}: its address was not found. {_CHECK_PROXY}")
        case ConnectionRefusedError():
            return ConnectionFailed(
                f"Nothing answers at the proxy {proxy}: connection refused. {_CHECK_PROXY}", retryable=True
            )
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return _of_host(host, cause)
        case TimeoutError():
            return ConnectionFailed(
                f"No answer from {host} through the proxy {proxy} in time. {_CHECK_PROXY}", retryable=True
            )
    status = getattr(cause, "status", None)
    # The stock transport gives the proxy's refusal as text alone.
    if status == 407 or (isinstance(cause, httpx.ProxyError) and str(cause).startswith("407")):
        return ConnectionFailed(
            f"The proxy {proxy} asks for a user and a password, or refuses these. Write them into its address: "
            "http://USER:PASSWORD@HOST:PORT.",
            status=407,
        )
    if isinstance(status, int) or isinstance(cause, httpx.ProxyError):
        said = f"HTTP {status} {_one_line(getattr(cause, 'message', ''))}".strip() if status else _one_line(cause)
        return ConnectionFailed(f"The proxy {proxy} did not reach {host}: {said}. {_CHECK_PROXY}", retryable=True)
    return None


def _one_line(said: object) -> str:
    text = " ".join(str(said).split())[:200].rstrip(".")
    return text or (type(said).__name__ if isinstance(said, BaseException) else "")
