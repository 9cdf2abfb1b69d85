from __future__ import annotations

import gzip

import anyio
import pytest

from agentnb.errors import AgentnbError, ConnectionFailed, StreamBroken, UsageError
from agentnb.models.http import Fetched, Http
from agentnb.models.routes import leads_inside
from tests.provider import Answer, Asked, document, provider

pytestmark = pytest.mark.anyio

SECRETS = {"authorization": "Bearer sk-1", "x-api-key": "sk-1", "cookie": "a=b", "accept": "image/*"}


async def _get(url: str, *, limit: int = 20_000_000) -> Fetched:
    http = Http(silence=1)
    try:
        with anyio.fail_after(5):
            return await http.get(url, headers=SECRETS, limit=limit)
    finally:
        await http.aclose()


async def _failure(url: str, *, limit: int = 20_000_000) -> AgentnbError:
    with pytest.raises(AgentnbError) as raised:
        await _get(url, limit=limit)
    assert "\n" not in str(raised.value)
    return raised.value


def _moved(place: str, status: int = 302) -> Answer:
    return Answer([b"moved"], status, "text/plain", {"location": place})


async def test_a_whole_answer_is_fetched_whatever_its_status() -> None:
    async with provider(document({"a": 1}, 404, headers={"X-More": "1"})) as server:
        fetched = await _get(f"{server.url}/models")
        assert (fetched.status, fetched.body, fetched.headers["x-more"]) == (404, b'{"a": 1}', "1")
        assert server.requests[0].path == "/v1/models"
        assert server.requests[0].body == b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_host_keeps_the_key(status: int) -> None:
    async with provider(_moved("/other?x=1", status), document({"a": 1})) as server:
        assert (await _get(server.url)).body == b'{"a": 1}'
        assert server.requests[1].path == "/other?x=1"
        assert server.requests[1].headers["authorization"] == "Bearer sk-1"


async def test_another_host_gets_no_credentials_even_on_the_way_back() -> None:
    async with provider(document({"a": 1})) as far:
        async with provider(_moved(far.url)) as near:
            assert (await _get(near.url)).status == 200
        assert {name for name in SECRETS if name in far.requests[0].headers} == {"accept"}

    def back(asked: Asked) -> Answer:
        return document({"at": "home"}) if asked.path == "/home" else _moved(far.url)

    async with provider(back) as near, provider(_moved(f"{near.url[:-3]}/home")) as far:
        assert (await _get(near.url)).body == b'{"at": "home"}'
        assert {name for name in SECRETS if name in near.requests[1].headers} == {"accept"}


async def test_redirects_end_after_five() -> None:
    async with provider(*[_moved("/next")] * 5, document({"a": 1})) as server:
        assert (await _get(server.url)).status == 200
    async with provider(_moved("/next")) as server:
        error = await _failure(server.url)
        assert len(server.requests) == 6
    assert isinstance(error, ConnectionFailed)
    assert "from one address to the next" in str(error)


@pytest.mark.parametrize("place", ["ftp://host/x", "http://[bad", "mailto:me@host", "file:///etc/passwd"])
async def test_a_redirect_to_no_web_address_is_an_error(place: str) -> None:
    async with provider(_moved(place)) as server:
        assert isinstance(await _failure(server.url), ConnectionFailed)


async def test_a_redirect_without_a_place_is_the_answer() -> None:
    async with provider(Answer([], 302)) as server:
        assert (await _get(server.url)).status == 302


async def test_the_network_does_not_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with provider(document({"secret": 1})) as inside, provider(_moved(inside.url)) as outside:
        monkeypatch.setenv("http_proxy", outside.url)
        error = await _failure("http://web.example/picture.png")
        assert not inside.requests
    assert "inside this network" in str(error)


async def test_a_name_that_stands_for_this_machine_is_not_followed_either(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def looked_up(_: object, host: str, *__: object, **___: object) -> list[object]:
        address = {"rebound.example": "127.0.0.1", "mapped.example": "::ffff:10.0.0.1"}.get(host, "93.184.216.34")
        return [(2, 1, 6, "", (address, 0))]

    for host in ("rebound.example", "mapped.example"):
        async with provider(_moved(f"http://{host}/admin")) as outside:
            monkeypatch.setenv("http_proxy", outside.url)
            with monkeypatch.context() as patched:
                patched.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", looked_up)
                error = await _failure("http://web.example/page")
            assert len(outside.requests) == 1
        assert "inside this network" in str(error)


async def test_a_body_that_is_too_big_is_not_read_to_its_end() -> None:
    async with provider(Answer([b"x" * 60_000] * 50)) as server:
        error = await _failure(server.url, limit=100_000)
    assert isinstance(error, StreamBroken)
    assert "sends more than 0.1 MB" in str(error)
    async with provider(Answer([gzip.compress(b"x" * 5_000_000)], headers={"content-encoding": "gzip"})) as server:
        assert isinstance(await _failure(server.url, limit=100_000), StreamBroken)


async def test_a_body_that_stops_half_way_is_an_error() -> None:
    async with provider(Answer([b"half"], end="cut")) as server:
        assert isinstance(await _failure(server.url), StreamBroken)


@pytest.mark.parametrize("headers", [{"x-a": "ä"}, {"x-a": "1\r\nx-b: 2"}, {"x\n": "1"}])
async def test_a_header_that_cannot_be_sent_is_refused_before(headers: dict[str, str]) -> None:
    http = Http()
    async with provider(document({})) as server:
        with pytest.raises(UsageError, match="characters that no header has"):
            await http.get(server.url, headers=headers)
        assert not server.requests
    await http.aclose()


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "localhost.", "169.254.169.254.", "a.localhost"])
def test_other_ways_to_write_an_address_of_this_machine_lead_inside(host: str) -> None:
    assert leads_inside(host)


def test_hosts_of_the_world_do_not_lead_inside() -> None:
    assert not any(map(leads_inside, ("example.com", "8.8.8.8", "1.example")))
