"""The ways that networks put in between: proxies, and certificates of their own."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentnb.config import Settings
from agentnb.errors import ConnectionFailed, ModelError, UsageError
from agentnb.models.base import Request
from agentnb.models.http import Http
from agentnb.transcript import fold
from tests.provider import document, provider, says
from tests.proxy import proxy, secure_provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

HOST = "http://provider.example/v1"
SECURE = "https://provider.example/v1"
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["aiohttp", "stock"], autouse=True)
def _transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stock":
        monkeypatch.setitem(__import__("sys").modules, "httpx_aiohttp", None)


async def _post(url: str, settings: Settings | None = None, **options: float) -> bytes:
    http = Http(settings=settings, **options)
    try:
        with anyio.fail_after(5):
            async with http.post_stream(url, headers={}, body=b"{}") as reply:
                return await reply.read()
    finally:
        await http.aclose()


async def _failure(url: str, settings: Settings | None = None, **options: float) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await _post(url, settings, **options)
    assert "\n" not in str(raised.value)
    return raised.value


async def test_a_model_answers_through_the_proxy_of_the_settings() -> None:
    async with provider(says("hello there")) as server, proxy({"provider.example": server.url}) as between:
        http = Http(settings=Settings(proxy=between.url))
        events, error = await collect(remote("m", http=http, base_url=HOST), Request(()))
        await http.aclose()
    assert error is None
    assert fold(events).text == "hello there"
    assert between.through == ["POST http://provider.example/v1/chat/completions"]


async def test_https_goes_through_a_tunnel(tmp_path: Path) -> None:
    async with (
        secure_provider(tmp_path, document({"a": 1})) as server,
        proxy({"provider.example:443": server.url}) as between,
    ):
        settings = Settings(proxy=between.url, ca_bundle=tmp_path / "ca.pem")
        assert await _post(SECURE, settings) == b'{"a": 1}'
    assert between.through == ["CONNECT provider.example:443"]


@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
async def test_the_environment_names_the_proxy(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with (
        secure_provider(tmp_path, document({"a": 1})) as server,
        proxy({"provider.example:443": server.url}) as between,
    ):
        monkeypatch.setenv(name, between.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert await _post(SECURE) == b'{"a": 1}'
    assert len(between.through) == 1


async def test_a_proxy_gets_its_user_and_password_and_nobody_else_does() -> None:
    async with (
        provider(document({"a": 1})) as server,
        proxy({"provider.example": server.url}, "someone:p@ss word") as between,
    ):
        settings = Settings(proxy=between.url.replace("://", "://someone:p%40ss%20word@"))
        assert await _post(HOST, settings) == b'{"a": 1}'
    assert "proxy-authorization" not in server.requests[0].headers


async def test_a_tunnel_gets_user_and_password_as_well(tmp_path: Path) -> None:
    async with (
        secure_provider(tmp_path, document({"a": 1})) as server,
        proxy({"provider.example:443": server.url}, "someone:secret") as between,
    ):
        url = between.url.replace("://", "://someone:secret@")
        assert await _post(SECURE, Settings(proxy=url, ca_bundle=tmp_path / "ca.pem")) == b'{"a": 1}'
    assert "proxy-authorization" not in server.requests[0].headers


async def test_a_proxy_that_wants_another_password_says_so_without_showing_it() -> None:
    async with proxy({}, "someone:right") as between:
        url = between.url.replace("://", "://someone:wrong-password@")
        error = await _failure(SECURE, Settings(proxy=url))
    assert isinstance(error, ConnectionFailed)
    assert (error.status, error.retryable) == (407, False)
    assert str(error) == (
        f"The proxy {between.url.removeprefix('http://')} asks for a user and a password, or refuses these. Write them "
        "into its address: http://USER:PASSWORD@HOST:PORT."
    )


async def test_a_plain_request_that_a_proxy_refuses_says_so_too() -> None:
    async with proxy({}, "someone:right") as between:
        http = Http(settings=Settings(proxy=between.url.replace("://", "://someone:wrong-password@")))
        _, error = await collect(remote("m", http=http, base_url=HOST), Request(()))
        await http.aclose()
    assert "proxy" in str(error)
    assert "407" in str(error)
    assert "wrong-password" not in str(error)


async def test_a_proxy_that_does_not_reach_the_host_is_named() -> None:
    async with proxy({}) as between:
        error = await _failure(SECURE, Settings(proxy=between.url))
    assert error.retryable
    assert str(error).startswith(f"The proxy {between.url[7:]} did not reach provider.example: ")
    assert "502" in str(error)


@pytest.mark.parametrize("url", [HOST, SECURE])
async def test_a_proxy_that_is_down_is_named_and_not_the_provider(url: str) -> None:
    async with proxy({}) as gone:
        pass
    error = await _failure(url, Settings(proxy=gone.url.replace("://", "://someone:secret-word@")))
    assert error.retryable
    assert "secret-word" not in str(error)
    assert str(error) == (
        f"Nothing answers at the proxy {gone.url[7:]}: connection refused. "
        "Check AGENTNB_PROXY, HTTPS_PROXY and NO_PROXY."
    )


@pytest.mark.parametrize("url", [HOST, SECURE])
async def test_a_proxy_that_never_answers_is_given_up(url: str) -> None:
    async with proxy({}, stalls=True) as between:
        error = await _failure(url, Settings(proxy=between.url), connect=0.1, silence=0.1)
    assert isinstance(error, ConnectionFailed)
    assert error.retryable
    assert "in time" in str(error)
    assert "proxy" in str(error)


async def test_a_proxy_whose_name_means_nothing_is_named() -> None:
    error = await _failure(SECURE, Settings(proxy="http://no-such-proxy.invalid:3128"))
    assert "No proxy named no-such-proxy.invalid:3128" in str(error)


@pytest.mark.parametrize("word", ["socks5://127.0.0.1:1", "socks5h://u:secret-word@127.0.0.1:1"])
async def test_a_socks_proxy_is_refused_in_words(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", word)
    error = await _failure(SECURE)
    assert "proxy is set, and only http and https ones are spoken to" in str(error)
    assert "secret-word" not in str(error)


@pytest.mark.parametrize(
    "word", ["http://u:secret-word@:80", "http://u:secret-word@h:x", "http://[u:secret-word", "//"]
)
async def test_a_proxys_address_that_is_none_is_not_repeated(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", word)
    error = await _failure(SECURE)
    assert "The proxy's address is none" in str(error)
    assert "secret-word" not in str(error)


async def test_some_hosts_are_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy({}) as between:
        settings = Settings(proxy=between.url, no_proxy=(".intranet.invalid", "other.invalid"))
        assert "No host named" in str(await _failure("http://a.intranet.invalid/v1", settings))
        assert "No host named" in str(await _failure("http://other.invalid/v1", settings))
        monkeypatch.setenv("NO_PROXY", "third.invalid")
        assert "No host named" in str(await _failure("http://third.invalid/v1", settings))
        assert between.refused == 0


async def test_no_proxy_at_all_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy({}) as between:
        monkeypatch.setenv("https_proxy", between.url)
        assert "No host named" in str(await _failure("https://host.invalid/", Settings(proxy="none")))
        assert between.refused == 0


async def test_this_machine_is_reached_without_the_proxy() -> None:
    async with provider(document({"a": 1})) as server, proxy({}) as between:
        assert await _post(server.url, Settings(proxy=between.url)) == b'{"a": 1}'


async def test_a_server_whose_certificate_nobody_signed_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async with secure_provider(tmp_path, document({"a": 1})) as server:
        error = await _failure(server.url)
        assert isinstance(error, ConnectionFailed)
        assert not error.retryable
        assert "AGENTNB_CA_BUNDLE" in str(error)
        assert not server.requests
        assert await _post(server.url, Settings(ca_bundle=tmp_path / "ca.pem")) == b'{"a": 1}'


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
async def test_certificates_are_named_by_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    async with secure_provider(tmp_path, document({"a": 1})) as server:
        assert await _post(server.url) == b'{"a": 1}'


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    async with (
        secure_provider(tmp_path, document({"a": 1}), host="other.example") as server,
        proxy({"provider.example:443": server.url}) as between,
    ):
        error = await _failure(SECURE, Settings(proxy=between.url, ca_bundle=tmp_path / "ca.pem"))
    assert "No secure connection to provider.example" in str(error)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_bundle_without_certificates_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(
        UsageError, match=r"ca\.pem \(ca_bundle\) is no file of certificates: .*\. Name one in PEM form"
    ):
        await _post(SECURE, Settings(ca_bundle=tmp_path / "ca.pem"))
