"""No page reaches a private address that nobody has allowed, whichever way it tries."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import anyio
import pytest

from agentnb.errors import ToolError
from agentnb.messages import Text
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_address import Address
from agentnb.sandbox.browser_gate import Gate, leads_inside
from agentnb.sandbox.browser_upstream import Upstream, parse_upstream, upstream
from agentnb.tools.base import Previewing, Question, Reply
from tests.sandbox.browsing import Hands, browsing, ref_of
from tests.sandbox.site import Site, serve_site

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def site() -> Generator[Site]:
    with serve_site() as running:
        yield running


@pytest.fixture(scope="module")
def secret() -> Generator[Site]:
    """A site of this machine that no page may see."""
    with serve_site() as running:
        yield running


@pytest.fixture(scope="module")
def browser(site: Site) -> Generator[Browser]:
    with browsing(allow=[site.url]) as running:
        yield running


async def asked(gate: Gate, request: bytes, *, until: bytes = b"") -> bytes:
    """What the gate answers."""
    port = int((await gate.open()).rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        with anyio.fail_after(5):
            return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.close()
        await writer.wait_closed()
        await gate.close()


async def test_a_request_goes_to_an_allowed_place_one_for_each_connection(site: Site) -> None:
    gate = Gate({("127.0.0.1", site.server_port)})
    body = b"x" * 300_000
    head = f"POST {site.url}/echo HTTP/1.1\r\nHost: a\r\nProxy-Connection: keep-alive\r\nContent-Length: 300000\r\n\r\n"
    answer = await asked(gate, head.encode() + body)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
    assert answer.endswith(b"posted " + body)


async def test_a_tunnel_goes_to_an_allowed_place(site: Site) -> None:
    gate = Gate({("localhost", site.server_port), ("127.0.0.1", site.server_port)})
    tunnel = f"CONNECT 127.0.0.1:{site.server_port} HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = await asked(gate, tunnel.encode())
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert b"The second page" in answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "a.localhost", "LOCALHOST.", "[::1]", "2130706433", "0x7f.1"]
)
async def test_a_place_that_nobody_allowed_is_refused(secret: Site, host: str) -> None:
    gate = Gate(set(), lambda *_, **__: Upstream("127.0.0.1", 9))
    answer = await asked(gate, f"GET http://{host}:{secret.server_port}/ HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 Refused")
    assert secret.asked == []


async def proxied(request: bytes, answer: bytes, *, allowed: tuple[str, int] = ("", 0)) -> tuple[bytes, bytes]:
    """What a proxy of the network is asked by the gate, and what the browser gets."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    way = parse_upstream(f"http://ada:pa%20ss@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        got = await asked(Gate({allowed}, lambda *_, **__: way), request)
    finally:
        server.close()
    return b"".join(heard), got


async def test_the_proxy_of_the_network_is_asked_for_what_is_public() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    heard, got = await proxied(b"GET http://public.invalid/a HTTP/1.1\r\nHost: public.invalid\r\n\r\n", ok)
    assert heard == (
        b"GET http://public.invalid/a HTTP/1.1\r\nProxy-Authorization: Basic YWRhOnBhIHNz\r\n"
        b"Connection: close\r\nHost: public.invalid\r\n\r\n"
    )
    assert got == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
    tunnel = b"CONNECT public.invalid:443 HTTP/1.1\r\n\r\n"
    heard, got = await proxied(tunnel, b"HTTP/1.1 200 Fine\r\n\r\nsecret")
    assert heard.startswith(b"CONNECT public.invalid:443 HTTP/1.1\r\nHost: public.invalid:443\r\nProxy-Authorization:")
    assert got == b"HTTP/1.1 200 Connection established\r\n\r\nsecret"
    _, got = await proxied(tunnel, b"HTTP/1.1 407 Who are you\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 403 Refused")
    assert b"407 Who are you" in got


async def test_the_proxy_of_the_network_is_not_asked_for_what_is_private(secret: Site, site: Site) -> None:
    for host in ("127.0.0.1", "no.localhost"):
        request = f"GET http://{host}:{secret.server_port}/ HTTP/1.1\r\n\r\n".encode()
        heard, got = await proxied(request, b"HTTP/1.1 200 OK\r\n\r\n")
        assert (heard, got[:12]) == (b"", b"HTTP/1.1 403")
    place = ("127.0.0.1", site.server_port)
    heard, got = await proxied(f"GET {site.url}/second HTTP/1.1\r\n\r\n".encode(), b"", allowed=place)
    assert (heard, b"The second page" in got) == (b"", True)


def test_the_proxy_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    address = Address("", "example.org", 443)
    assert upstream(address, secure=True) is None
    monkeypatch.setenv("https_proxy", "https://proxy.corp")
    monkeypatch.setenv("http_proxy", "proxy.corp:3128")
    monkeypatch.setenv("no_proxy", "corp")
    assert upstream(address, secure=True) == Upstream("proxy.corp", 443, tls=True)
    assert upstream(address, secure=False) == Upstream("proxy.corp", 3128)
    assert upstream(Address("", "wiki.corp", 80), secure=False) is None
    assert parse_upstream("socks5://proxy:1080") is None


@pytest.mark.parametrize(
    "nonsense", [b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT x:y HTTP/1.1\r\n\r\n", b"\x16\x03\r\n\r\n"]
)
async def test_nonsense_ends_the_connection(nonsense: bytes) -> None:
    assert await asked(Gate(set()), nonsense) == b""


async def test_what_leads_inside_is_looked_up() -> None:
    assert await leads_inside(Address("", "localhost", 80))
    assert await leads_inside(Address("", "2130706433", 80))
    assert not await leads_inside(Address("about:blank"))
    assert not await leads_inside(Address("", "no.such.host.invalid", 80))


@pytest.mark.browser
async def test_a_page_reaches_no_private_address(browser: Browser, site: Site, secret: Site) -> None:
    do = Hands(browser)
    await do("navigate", url=site.url)
    secret.asked.clear()
    tries = f"""async () => {{
        const url = '{secret.url}';
        const socket = new Promise(done => {{
            const s = new WebSocket(url.replace('http', 'ws')); s.onerror = s.onclose = () => done('no socket');
            s.onopen = () => done('a socket');
        }});
        const image = new Promise(done => {{
            const i = new Image(); i.onload = () => done('an image'); i.onerror = () => done('no image'); i.src = url;
        }});
        const body = await fetch(url, {{mode: 'no-cors'}}).then(() => 'opaque', () => 'nothing');
        const moved = await fetch('/redirect?' + url, {{mode: 'no-cors'}}).then(() => 'opaque', () => 'nothing');
        return [await socket, await image, body, moved].join();
    }}"""
    assert "no socket,no image" in await do("evaluate", expression=tries)
    assert secret.asked == []


@pytest.mark.browser
async def test_a_redirect_reaches_no_private_address(browser: Browser, site: Site, secret: Site) -> None:
    do = Hands(browser)
    secret.asked.clear()
    page = await do("navigate", url=f"{site.url}/redirect?{secret.url}/")
    assert "is a private address, and nobody has allowed it" in page
    assert secret.asked == []


@pytest.mark.browser
async def test_a_link_to_a_file_opens_nothing(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    page = await do("navigate", url=site.url)
    assert "root:" not in await do("click", ref=ref_of(page, 'link "Passwords"'))
    assert "file:" not in await do("tabs")
    for url in ("file:///etc/passwd", "chrome://version", "javascript:alert(1)", "view-source:http://a", "ftp://a/b"):
        for verb in ("navigate", "tab_new"):
            with pytest.raises(ToolError, match="only http, https, about:blank and data: URLs"):
                await do(verb, url=url)


class Person:
    """Answers every question the same way."""

    def __init__(self, choice: str, reason: str = "") -> None:
        self.reply = Reply(choice, reason=reason)
        self.questions: list[Question] = []

    async def ask(self, question: Question) -> Reply:
        self.questions.append(question)
        return self.reply


@pytest.mark.browser
async def test_a_private_page_is_opened_where_the_person_says_so(secret: Site) -> None:
    with browsing() as browser:
        alone = Hands(browser)
        with pytest.raises(ToolError, match=f"127.0.0.1:{secret.server_port} is a private address, and nobody allowed"):
            await alone("navigate", url=secret.url)
        refusing = Person("no", "not that one")
        with pytest.raises(ToolError, match="They said: not that one"):
            await Hands(browser, refusing)("navigate", url=secret.url)
        allowing = Person("open")
        do = Hands(browser, allowing)
        assert "Title: Order" in await do("navigate", url=secret.url)
        await do("navigate", url=f"{secret.url}/second")
        assert [question.title for question in allowing.questions] == [f"Open {secret.url}?"]


@pytest.mark.browser
async def test_what_the_person_saw_before_allowing_the_call_is_not_asked_again(secret: Site) -> None:
    with browsing() as browser:
        do = Hands(browser, call_id="call-1")
        navigate = do.tools["navigate"]
        assert isinstance(navigate, Previewing)
        [shown] = await navigate.preview({"url": secret.url}, do.context)
        assert isinstance(shown, Text)
        assert shown.text == (
            f"Open {secret.url}\n127.0.0.1:{secret.server_port} is an address of this machine or of its own network."
        )
        # The person saw it for this call only.
        with pytest.raises(ToolError, match="nobody allowed it"):
            await Hands(browser, call_id="call-2")("navigate", url=secret.url)
        assert "Title: Order" in await do("navigate", url=secret.url)
