"""Signing in to a server: the link, the way back, and what can go wrong on it."""

from __future__ import annotations

import socket

import anyio
import httpx2
import pytest

from agentnb.errors import ToolError
from agentnb.mcp import signin
from agentnb.mcp.settings import Settings
from agentnb.mcp.signin import SignIn

pytestmark = pytest.mark.anyio

LINK = "https://login.example.com/authorize?state=s"


async def _begun(shown: list[str]) -> tuple[SignIn, str]:
    """Someone who is asked to sign in, and the address to which the browser comes back."""
    sign_in = SignIn(Settings("shop", url="http://h/mcp", transport="http"), shown.append)
    assert await sign_in.auth() is not None
    await sign_in._redirect(LINK)
    return sign_in, f"http://127.0.0.1:{sign_in._port}/callback"


async def _visit(address: str) -> str:
    async with httpx2.AsyncClient() as browser:
        return (await browser.get(address)).text


async def test_the_person_opens_the_link_and_comes_back() -> None:
    shown: list[str] = []
    sign_in, back = await _begun(shown)
    assert shown == [LINK]
    assert "There is nothing here." in await _visit(back.replace("callback", "other"))
    assert "You are signed in." in await _visit(f"{back}?code=c1&state=s&iss=https://login.example.com")
    assert "Nobody waits" in await _visit(f"{back}?code=c2&state=s")
    result = await sign_in._returned()
    assert (result.code, result.state, result.iss) == ("c1", "s", "https://login.example.com")
    with pytest.raises(httpx2.ConnectError):
        await _visit(back)


async def test_a_refusal_is_said_and_escaped() -> None:
    sign_in, back = await _begun([])
    page = await _visit(f"{back}?error=access_denied&error_description=%3Cscript%3Eno")
    assert "You are not signed in: &lt;script&gt;no" in page
    with pytest.raises(ToolError, match="did not sign you in: <script>no"):
        await sign_in._returned()


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "PATIENCE", 0.05)
    sign_in, back = await _begun([])
    with pytest.raises(ToolError, match=r"was not signed in to within 0\.05 s"):
        await sign_in._returned()
    with pytest.raises(httpx2.ConnectError):
        await _visit(back)


async def test_noise_at_the_address_changes_nothing() -> None:
    sign_in, back = await _begun([])
    stream = await anyio.connect_tcp("127.0.0.1", sign_in._port)
    async with stream:
        await stream.send(b"\x16\x03\x01 rubbish\r\n\r\n")
    await _visit(f"{back}?code=c&state=s")
    assert (await sign_in._returned()).code == "c"


async def test_a_link_that_is_none_of_the_web_is_not_shown() -> None:
    shown: list[str] = []
    sign_in = SignIn(Settings("shop", url="http://h/mcp", transport="http"), shown.append)
    with pytest.raises(ToolError, match="none of the web"):
        await sign_in._redirect("javascript:alert(1)")
    assert shown == []


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings("shop", url="http://h/mcp", transport="http", oauth={"callbackPort": str(port)})
        sign_in = SignIn(settings, [].append)
        await sign_in.auth()
        with pytest.raises(ToolError, match=f"port {port} is taken"):
            await sign_in._redirect(LINK)


@pytest.mark.parametrize(
    "settings",
    [
        Settings("shop", url="http://h", transport="http", headers={"authorization": "Bearer x"}),
        Settings("shop", url="http://h", transport="http", oauth=None),
    ],
)
async def test_who_has_a_key_or_wants_none_does_not_sign_in(settings: Settings) -> None:
    assert await SignIn(settings, [].append).auth() is None
