"""How a person signs in to a server at a URL (OAuth): a link to open, and the answer at an address of this machine.

Keys are kept in memory, for as long as the kernel runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from agentnb.errors import ToolError
from agentnb.mcp.settings import Settings

if TYPE_CHECKING:
    import httpx2
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken

#: Seconds that a person has to sign in.
PATIENCE = 300.0
_PATH = "/callback"
_DONE = "You are signed in. You can close this page, and go on in the notebook."


class Tokens:
    """What a server has given us, in memory: the SDK's storage."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    def __repr__(self) -> str:
        return "Tokens()"

    async def get_tokens(self) -> OAuthToken | None:
        """What requests are signed with."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep them."""
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """What we are called there."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep it."""
        self._client = client_info


class SignIn:
    """Signing in to one server. `show` is given the link, on the loop; `hold` stops the clocks meanwhile."""

    def __init__(self, settings: Settings, show: Callable[[str], object]) -> None:
        self._settings = settings
        self._show = show
        self._tokens = Tokens()
        self._auth: httpx2.Auth | None = None
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._answer: asyncio.Future[AuthorizationCodeResult] | None = None
        self.hold: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext

    def __repr__(self) -> str:
        return f"<sign-in to {self._settings.name}>"

    async def auth(self) -> httpx2.Auth | None:
        """What signs requests, and has the person sign in where the server wants it; None where settings have a key."""
        settings = self._settings
        if settings.oauth is None or any(name.lower() == "authorization" for name in settings.headers):
            return None
        if self._auth is None:
            self._auth = await self._provider()
        return self._auth

    async def _provider(self) -> httpx2.Auth:
        from mcp.client.auth import OAuthClientProvider
        from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

        oauth = self._settings.oauth or {}
        self._port = int(oauth.get("callbackPort") or _free_port())
        about = {
            "client_name": "agentnb",
            "redirect_uris": [f"http://127.0.0.1:{self._port}{_PATH}"],
            "scope": oauth.get("scope"),
        }
        if oauth.get("clientId"):
            known = {"client_id": oauth["clientId"], "client_secret": oauth.get("clientSecret")}
            way = "client_secret_basic" if oauth.get("clientSecret") else "none"
            registered = about | known | {"token_endpoint_auth_method": way}
            await self._tokens.set_client_info(OAuthClientInformationFull.model_validate(registered))
        return OAuthClientProvider(
            self._settings.url or "",
            OAuthClientMetadata.model_validate(about),
            self._tokens,
            redirect_handler=self._redirect,
            callback_handler=self._returned,
            client_metadata_url=oauth.get("clientMetadataUrl") or None,
        )

    async def _redirect(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ToolError("wants to be signed in to at an address that is none of the web")
        await self._close()
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        except OSError as error:
            raise ToolError(f"cannot be signed in to: port {self._port} is taken ({error.strerror})") from error
        self._show(url)

    async def _returned(self) -> AuthorizationCodeResult:
        assert self._answer is not None  # the SDK shows the link first
        try:
            with self.hold():
                async with asyncio.timeout(PATIENCE):
                    return await self._answer
        except TimeoutError:
            raise ToolError(f"was not signed in to within {PATIENCE:g} s") from None
        finally:
            await self._close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The browser comes back: one GET, whose query says how it went."""
        with contextlib.suppress(OSError, ValueError):
            async with asyncio.timeout(10):
                line = (await reader.readline()).decode("ascii", "replace")
            target = urlsplit(line.split(" ")[1] if line.count(" ") >= 2 else "")
            words = self._take(target.query) if target.path == _PATH else "There is nothing here."
            page = f"<!doctype html><meta charset=utf-8><title>agentnb</title><p>{html.escape(words)}</p>".encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(page), page)
            )
            await writer.drain()
        writer.close()

    def _take(self, query: str) -> str:
        from mcp.shared.auth import AuthorizationCodeResult

        given = {name: values[0] for name, values in parse_qs(query).items()}
        if self._answer is None or self._answer.done():
            return "Nobody waits for this any more."
        if "code" in given:
            self._answer.set_result(AuthorizationCodeResult.model_validate(given))
            return _DONE
        reason = given.get("error_description") or given.get("error") or "it gave no code"
        self._answer.set_exception(ToolError(f"did not sign you in: {reason[:200]}"))
        return f"You are not signed in: {reason[:200]}"

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
