"""What a model makes of servers, and of things before servers, that do not answer as they should."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from agentnb.errors import AgentnbError, ConnectionFailed, CredentialError, ModelError, RequestRefused, StreamBroken
from agentnb.events import ModelEvent
from agentnb.messages import user
from agentnb.models.base import Request
from agentnb.models.http import Http
from agentnb.transcript import fold
from tests.provider import Answer, chunk, document, provider, says, sse
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

ASK = Request((user("hello"),))
BLOCKS = [sse(chunk(content=piece), done=False) for piece in ("Hel", "lo ", "you")]
END = sse(chunk("stop"))
WHOLE = {
    "id": "c1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello you"}, "finish_reason": "stop"}],
}


async def _run(*answers: Answer, silence: float = 2) -> tuple[list[ModelEvent], AgentnbError | None, str]:
    http = Http(silence=silence)
    async with provider(*answers) as server:
        events, error = await collect(remote("m", http=http, base_url=server.url), ASK)
        await http.aclose()
    assert error is None or "\n" not in str(error)
    return events, error, server.url.split("/")[2]


@pytest.mark.parametrize(
    "answer",
    [
        Answer([b"".join([*BLOCKS, END])]),
        Answer([*BLOCKS, END], content_type="text/plain"),
        Answer([*BLOCKS, END], content_type="application/json; charset=utf-8"),
        Answer([*BLOCKS, END], content_type=""),
        Answer([b": keep-alive\n\n" * 50, *BLOCKS, b": keep-alive\n\n", END]),
        Answer([b"\xef\xbb\xbf", *BLOCKS, END]),
        Answer([gzip.compress(b"".join([*BLOCKS, END]))], headers={"content-encoding": "gzip"}),
        document(WHOLE),
        Answer([json.dumps(WHOLE).encode()], content_type="text/event-stream"),
        Answer([b" \n", json.dumps(WHOLE, indent=1).encode()], content_type="text/html"),
        Answer([gzip.compress(json.dumps(WHOLE).encode())], headers={"content-encoding": "gzip"}),
    ],
    ids=[
        "buffered",
        "plain",
        "json type",
        "no type",
        "kept alive",
        "marked",
        "zip",
        "whole",
        "sse type",
        "html",
        "zip2",
    ],
)
async def test_an_answer_in_odd_wrapping_is_the_same_answer(answer: Answer) -> None:
    events, error, _ = await _run(answer)
    assert error is None
    assert fold(events).text == "Hello you"


async def test_json_that_is_an_error_is_that_error() -> None:
    _, error, _ = await _run(document({"error": {"message": "No such thing", "code": "nope"}}))
    assert isinstance(error, RequestRefused)
    assert str(error).startswith("openai refused the request: No such thing.")
    assert error.code == "nope"


async def test_a_login_page_is_named_by_its_title() -> None:
    page = b"<!DOCTYPE html><html><head><title>Sign in &middot; Corp</title></head><body>a</body></html>"
    _, error, host = await _run(Answer([page], content_type="text/html"))
    assert isinstance(error, RequestRefused)
    assert str(error) == (
        f"openai at {host} did not answer as a model does, but with: Sign in · Corp. Check the base URL."
    )


@pytest.mark.parametrize(
    ("status", "title", "said", "again"),
    [
        (502, "502 Bad Gateway", "openai refused the request (HTTP 502): 502 Bad Gateway. Try again later", True),
        (504, "504 Gateway Time-out", "(HTTP 504): 504 Gateway Time-out. Try again later", True),
        (403, "Just a moment...", "(HTTP 403): Just a moment. A firewall or a proxy answers in the place of", False),
        (404, "404 Not Found", "(HTTP 404): 404 Not Found. Check the model's name and the base URL", False),
    ],
)
async def test_a_page_of_what_stands_before_the_server(status: int, title: str, said: str, again: bool) -> None:
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><hr>nginx</body></html>".encode()
    _, error, _ = await _run(Answer([page], status, "text/html"))
    assert isinstance(error, ModelError)
    assert not isinstance(error, CredentialError)
    assert said in str(error)
    assert (error.status, error.retryable) == (status, again)


@pytest.mark.parametrize(
    "answer", [Answer([]), Answer([b"\n\n"]), Answer([b": ping\n\n"]), Answer([b"data: [DONE]\n\n"])]
)
async def test_an_answer_with_nothing_in_it_may_be_asked_again(answer: Answer) -> None:
    _, error, host = await _run(answer)
    assert isinstance(error, StreamBroken)
    assert error.retryable
    assert str(error) == f"openai at {host} sent an empty answer. Run again, or check the base URL."


async def test_a_stream_without_an_end_is_given_up_with_what_it_said() -> None:
    events, error, host = await _run(Answer(BLOCKS, end="silent"), silence=0.1)
    assert isinstance(error, StreamBroken)
    assert error.retryable
    assert fold(events).text == "Hello you"
    assert str(error) == f"{host} fell silent in the middle of its answer. Run again."


async def test_a_server_that_sends_a_head_and_nothing_more_is_given_up() -> None:
    _, error, _ = await _run(Answer([], end="silent"), silence=0.1)
    assert isinstance(error, StreamBroken)
    assert error.retryable


async def test_a_connection_that_closes_half_way_keeps_what_came() -> None:
    events, error, host = await _run(Answer(BLOCKS, end="cut"))
    assert isinstance(error, StreamBroken)
    assert fold(events).text == "Hello you"
    assert str(error) == f"{host} closed the connection in the middle of its answer. Run again."


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_names_where_it_leads(status: int) -> None:
    answer = Answer([], status, "text/html", {"location": "https://login.example/?next=secret"})
    _, error, _ = await _run(answer)
    assert isinstance(error, RequestRefused)
    assert str(error).endswith("it points somewhere else, to https://login.example/.")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
async def test_a_compression_that_nobody_asked_for_is_named(encoding: str) -> None:
    _, error, host = await _run(Answer([b"\x8b\x00"], headers={"content-encoding": encoding}))
    assert isinstance(error, StreamBroken)
    assert str(error) == f"{host} compressed its answer ({encoding}) though asked not to. Turn that off there."


async def test_a_compressed_answer_that_is_damaged_is_named() -> None:
    _, error, host = await _run(Answer([b"no gzip at all"], headers={"content-encoding": "gzip"}))
    assert isinstance(error, StreamBroken)
    assert str(error) == f"{host} compressed its answer, and badly. Turn compression off there, or on its proxy."


@pytest.mark.parametrize("body", [b"OK", b"\x00\x01\x02", b"event: x\n\n", b"[]", b"{}", b'"hi"', b"null", b"17"])
async def test_what_is_no_answer_at_all_is_an_error(body: bytes) -> None:
    _, error, _ = await _run(Answer([body]))
    assert isinstance(error, ModelError)


async def test_a_server_that_accepts_and_never_answers_is_given_up() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    http = Http(silence=0.1)
    _, error = await collect(remote("m", http=http, base_url=f"http://{host}/v1"), ASK)
    await http.aclose()
    server.close()
    assert isinstance(error, ConnectionFailed)
    assert str(error) == f"No answer from {host} in time. Check the address and the network, or try again."


async def test_a_server_that_does_not_speak_http_is_named_without_the_query() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-nothing\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    http = Http()
    with pytest.raises(ConnectionFailed) as raised:
        await http.get(f"http://{host}/v1?key=sk-secret")
    await http.aclose()
    server.close()
    assert str(raised.value) == f"{host} does not answer in HTTP. Check the address, or try again."


async def test_the_same_answer_again_after_a_bad_one_is_whole() -> None:
    # A connection that a bad answer spoiled must not spoil the next one.
    http = Http()
    async with provider(Answer(BLOCKS, end="cut"), says("all is well")) as server:
        model = remote("m", http=http, base_url=server.url)
        assert (await collect(model, ASK))[1] is not None
        events, error = await collect(model, ASK)
        await http.aclose()
    assert error is None
    assert fold(events).text == "all is well"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nset-cookie: sk-0123", b"garbage\r\n\r\n"])
async def test_a_server_that_has_begun_to_answer_is_not_asked_again(head: bytes) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while b"{}" not in await reader.read(10_000):
            pass
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" if asked == 1 else head)
        if asked == 1:
            await reader.read(10_000)
            asked += 1
            writer.write(head)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    http = Http()
    async with http.post_stream(url, headers={}, body=b"{}") as reply:
        await reply.read()
    with pytest.raises(ConnectionFailed) as raised:
        async with http.post_stream(url, headers={}, body=b"{}"):
            pass
    await http.aclose()
    server.close()
    await server.wait_closed()
    assert asked == 2
    assert "sk-0123" not in str(raised.value)
