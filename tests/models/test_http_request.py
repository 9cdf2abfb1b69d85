from __future__ import annotations

import anyio
import pytest

from agentnb.errors import ConnectionFailed, StreamBroken, UsageError
from agentnb.models.http import Fetched, Http, host_of
from agentnb.models.redirects import Sending, redirected
from tests.provider import Answer, document, provider

pytestmark = pytest.mark.anyio

SECRETS = {"authorization": "Bearer sk-1", "content-type": "application/json", "accept": "text/*"}


async def _send(method: str, url: str, body: bytes = b"", **options: float) -> Fetched:
    http = Http(silence=2)
    try:
        with anyio.fail_after(5):
            return await http.request(
                method,
                url,
                headers=SECRETS,
                body=body,
                limit=int(options.get("limit", 1000)),
                timeout=options.get("timeout"),
            )
    finally:
        await http.aclose()


def _moved(place: str, status: int) -> Answer:
    return Answer([], status, "text/plain", {"location": place})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS"])
async def test_any_method_is_sent_with_its_body(method: str) -> None:
    async with provider(document({"ok": 1}, 201)) as server:
        fetched = await _send(method, server.url, b'{"a": 1}')
        assert (fetched.status, fetched.body) == (201, b'{"ok": 1}')
        assert (server.requests[0].method, server.requests[0].body) == (method, b'{"a": 1}')


@pytest.mark.parametrize("method", ["", "GET /x HTTP/1.1\r\nx: y", "Ä", "A" * 99])
async def test_what_is_no_method_is_refused(method: str) -> None:
    async with provider(document({})) as server:
        with pytest.raises(UsageError, match="not an HTTP method"):
            await _send(method, server.url)
        assert not server.requests


@pytest.mark.parametrize(("status", "method", "body"), [(303, "GET", b""), (302, "GET", b""), (307, "POST", b"x")])
async def test_a_redirect_after_a_post_is_followed_as_its_status_says(status: int, method: str, body: bytes) -> None:
    async with provider(_moved("/next", status), document({})) as server:
        await _send("POST", server.url, b"x")
        last = server.requests[1]
        assert (last.method, last.path, last.body) == (method, "/next", body)
        assert last.headers["authorization"] == "Bearer sk-1"
        assert ("content-type" in last.headers) == bool(body)


async def test_a_body_is_never_sent_on_to_another_host() -> None:
    async with provider(document({})) as far, provider(_moved(far.url, 308)) as near:
        with pytest.raises(ConnectionFailed, match="sends what was meant for it on to"):
            await _send("POST", near.url, b"x")
        assert not far.requests


async def test_another_host_gets_the_get_after_a_post_without_credentials() -> None:
    async with provider(document({})) as far, provider(_moved(far.url, 303)) as near:
        assert (await _send("POST", near.url, b"x")).status == 200
        assert far.requests[0].method == "GET"
        assert not far.requests[0].headers.keys() & {"authorization", "content-type"}


async def test_an_answer_that_never_ends_is_given_up_after_the_time_it_has() -> None:
    async with provider(Answer([b"a"], end="silent")) as server:
        with pytest.raises(ConnectionFailed, match=r"did not finish its answer within 0\.1 s"):
            await _send("GET", server.url, timeout=0.1)
        with anyio.fail_after(5):
            await server.disconnected.wait()


async def test_a_body_beyond_the_limit_is_not_read() -> None:
    async with provider(Answer([b"x" * 600] * 3)) as server:
        with pytest.raises(StreamBroken, match="sends more than"):
            await _send("POST", server.url)


async def test_many_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.models.http._REMEMBERED", 3)
    http = Http()
    async with provider(document({})) as server:
        for number in range(8):
            assert (await http.request("GET", f"{server.url}/{number}")).status == 200
        (pool,) = http._pools.values()
        assert len(pool._reached) <= 3
        assert server.connections == 1
        await http.aclose()


def test_a_request_on_its_way_shows_no_header_and_no_query() -> None:
    step = Sending("GET", "https://a.example/x?key=sk-1", SECRETS)
    assert "sk-1" not in repr(step)
    assert redirected(step, 200, {"location": "/y"}) is None


@pytest.mark.parametrize("url", ["https://a.example?key=sk-1", "https://u:sk-1@a.example/x", "https://a.example#sk-1"])
def test_a_host_is_named_without_what_stands_around_it(url: str) -> None:
    assert host_of(url) == "a.example"
