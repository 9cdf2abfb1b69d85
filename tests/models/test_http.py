from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys

import anyio
import pytest

from agentnb import messages
from agentnb.errors import ConnectionFailed, ModelError, StreamBroken
from agentnb.models.base import Request
from agentnb.models.http import Http
from tests.provider import Answer, document, provider, says
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio


async def _post(http: Http, url: str) -> tuple[int, str, bytes]:
    with anyio.fail_after(5):
        async with http.post_stream(url, headers={"x-test": "1"}, body=b"{}") as reply:
            return reply.status, reply.content_type, await reply.read()


async def _failure(url: str, **options: float) -> ModelError:
    http = Http(**options)
    try:
        with pytest.raises(ModelError) as raised:
            await _post(http, url)
    finally:
        await http.aclose()
    text = str(raised.value)
    assert "\n" not in text
    return raised.value


async def test_a_reply_has_its_status_its_type_and_its_body() -> None:
    http = Http()
    async with provider(document({"a": 1}, 418)) as server:
        assert await _post(http, server.url) == (418, "application/json", b'{"a": 1}')
        assert server.requests[0].headers["x-test"] == "1"
        await http.aclose()


async def test_a_compressed_body_is_unpacked_though_none_was_asked_for() -> None:
    http = Http()
    async with provider(Answer([gzip.compress(b"hello")], headers={"content-encoding": "gzip"})) as server:
        assert (await _post(http, server.url))[2] == b"hello"
        assert server.requests[0].headers["accept-encoding"] == "identity"
        await http.aclose()


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    code = "import sys, agentnb.models.remote, agentnb.models.retry; Http = agentnb.models.remote.Http(); "
    code += "print([m for m in ('httpx', 'aiohttp', 'pydantic', 'httpx_aiohttp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_connections_are_closed_with_the_event_loop_they_live_on() -> None:
    http = Http()

    async def ask() -> bytes:
        async with provider(document({})) as server:
            return (await _post(http, server.url))[2]

    # A client left open would be reported as a warning, and fail this test.
    assert [asyncio.run(ask()) for _ in range(2)] == [b"{}", b"{}"]


async def test_a_refused_connection_says_what_to_do() -> None:
    async with provider(document({})) as gone:
        pass
    error = await _failure(gone.url)
    host = gone.url.split("/")[2]
    assert isinstance(error, ConnectionFailed)
    assert error.retryable
    assert str(error) == f"Nothing answers at {host}: connection refused. Start the server there, or check the address."


async def test_a_host_that_does_not_exist_is_named() -> None:
    error = await _failure("http://no-such-host.invalid/v1")
    assert isinstance(error, ConnectionFailed)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("url", ["ftp://example.org/v1", "http://[bad/v1", "nonsense"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert isinstance(await _failure(url), ConnectionFailed)


async def test_a_server_that_does_not_speak_tls_is_named() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    error = await _failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert isinstance(error, ConnectionFailed)
    assert not error.retryable
    assert "No secure connection to 127.0.0.1:" in str(error)


async def test_a_server_that_hangs_up_before_answering_is_a_failed_connection() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    error = await _failure(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert isinstance(error, ConnectionFailed)
    assert error.retryable


async def test_a_server_that_does_not_speak_http_is_a_failed_connection() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-nothing\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    error = await _failure(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert isinstance(error, ConnectionFailed)


async def test_silence_in_the_middle_is_a_broken_stream() -> None:
    async with provider(Answer([b"data: 1\n\n"], end="silent")) as server:
        error = await _failure(server.url, silence=0.05)
    assert isinstance(error, StreamBroken)
    assert "fell silent" in str(error)


async def test_silence_before_the_answer_is_a_failed_connection() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    error = await _failure(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", silence=0.05)
    server.close()
    assert isinstance(error, ConnectionFailed)
    assert "in time" in str(error)


async def test_leaving_a_reply_closes_the_connection() -> None:
    http = Http()
    async with provider(Answer([b"data: 1\n\n"], end="silent")) as server:
        with anyio.fail_after(5):
            async with http.post_stream(server.url, headers={}, body=b"") as reply:
                assert await anext(reply.blocks) == b"data: 1\n\n"
            await server.disconnected.wait()
        await http.aclose()


async def test_cancelling_the_wait_for_an_answer_closes_the_connection() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    http = Http()
    with anyio.fail_after(5):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        task = asyncio.create_task(_post(http, url))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await left.wait()
    server.close()
    await http.aclose()


async def test_a_proxy_is_used_for_others_and_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async with provider(document({"by": "proxy"})) as proxy, provider(document({"by": "itself"})) as server:
        for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        http = Http()
        assert (await _post(http, server.url))[2] == b'{"by": "itself"}'
        assert (await _post(http, "http://provider.example/v1"))[2] == b'{"by": "proxy"}'
        assert proxy.requests[0].path == "http://provider.example/v1"
        monkeypatch.setenv("no_proxy", "other.invalid")
        assert isinstance(await _failure("http://other.invalid/v1"), ConnectionFailed)
        assert len(proxy.requests) == 1
        await http.aclose()


async def test_the_stock_transport_serves_where_aiohttp_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    http = Http()
    async with provider(document({"a": 1}), Answer([b"data: 1\n\n"], end="cut")) as server:
        assert (await _post(http, server.url))[2] == b'{"a": 1}'
        with pytest.raises(StreamBroken):
            await _post(http, server.url)
        await http.aclose()
    error = None
    try:
        await _post(http, server.url)
    except ConnectionFailed as raised:
        error = raised
    await http.aclose()
    assert "Nothing answers at" in str(error)


async def test_a_kept_connection_that_turns_out_closed_is_made_anew_at_once() -> None:
    async with provider(says("Hello", end="closed")) as server:
        http = Http()
        model = remote("m", http=http, base_url=server.url)
        outcomes = [await collect(model, Request((messages.user("hi"),))) for _ in range(4)]
        await http.aclose()
    assert [error for _, error in outcomes] == [None] * 4
    assert len(server.requests) == 4
    assert server.connections == 4


async def test_a_first_connection_that_closes_without_a_word_is_not_tried_twice() -> None:
    attempts = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    http = Http()
    model = remote("m", http=http, base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    _, error = await collect(model, Request((messages.user("hi"),)))
    await http.aclose()
    server.close()
    await server.wait_closed()
    assert isinstance(error, ConnectionFailed)
    assert attempts == 1
