from __future__ import annotations

import json

import pytest

from agentnb.builtins.fetch import Fetch
from agentnb.errors import ToolError
from agentnb.messages import Image, Text
from agentnb.models.http import Http
from agentnb.tools.base import InlineRunner, ToolContext
from tests.builtins.conftest import Call
from tests.provider import Answer, provider
from tests.tools.conftest import Called

pytestmark = pytest.mark.anyio

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c626001000000ffff03000006000557bfabd40000000049454e44ae426082"
)


def answer(body: str | bytes, kind: str = "text/plain", status: int = 200, **headers: str) -> Answer:
    return Answer([body.encode() if isinstance(body, str) else body] if body else [], status, kind, headers)


async def fetched(call: Call, given: Answer, namespace: dict[str, object] | None = None, **arguments: object) -> Called:
    """What comes of a server's answer."""
    http = Http(silence=2)
    environ = {str(k): str(v) for k, v in arguments.pop("environ", {}).items()}  # type: ignore[attr-defined]  # a dict
    try:
        async with provider(given) as server:
            return await call(Fetch(lambda: http, environ=environ), namespace, url=f"{server.url}/x", **arguments)
    finally:
        await http.aclose()


async def test_a_page_is_read_as_text(call: Call) -> None:
    got = await fetched(call, answer("<title>T</title><h1>Hi</h1><p>there</p><script>no</script>", "text/html"))
    assert got.text == "T\n\n# Hi\n\nthere"


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ('{"b":[1,"é"],"a":null}', "application/json", '{\n  "b": [\n    1,\n    "é"\n  ],\n  "a": null\n}'),
        ("{broken", "application/json", "{broken"),
        ('{"a": 1}', "", '{\n  "a": 1\n}'),
        ("plain", "text/plain", "plain"),
        ("", "text/plain", "(HTTP 200, an empty answer)"),
        ("caf\xe9".encode("latin-1"), "text/plain; charset=iso-8859-1", "café"),
        ("caf\xe9".encode("latin-1"), "text/plain; charset=nonsense", "caf\N{REPLACEMENT CHARACTER}"),
        ('<meta charset="latin-1">caf\xe9'.encode("latin-1"), "text/html", "café"),
        ("<svg/>", "image/svg+xml", "<svg/>"),
    ],
)
async def test_other_texts_are_read_as_they_are(call: Call, body: str | bytes, kind: str, text: str) -> None:
    assert (await fetched(call, answer(body, kind))).text == text


async def test_a_request_is_sent_as_asked(call: Call) -> None:
    for headers in ({"X-One": "1"}, '{"X-One": "1"}'):
        http = Http(silence=2)
        async with provider(answer("ok", status=201)) as server:
            got = await call(Fetch(http), url=server.url, method="put", body="é", headers=headers)
            assert got.text == "ok"
            (asked,) = server.requests
            assert (asked.method, asked.headers["x-one"], asked.body) == ("PUT", "1", "é".encode())
        await http.aclose()


async def test_a_picture_is_seen(call: Call) -> None:
    got = await fetched(call, answer(PNG, "application/octet-stream"))
    assert [type(block) for block in got.result.content] == [Image]


async def test_binary_is_named_and_kept(call: Call) -> None:
    namespace: dict[str, object] = {}
    got = await fetched(call, answer(b"PK\3\4\0\0", "application/zip"), namespace)
    assert got.text.startswith("application/zip, 6 bytes: not text.\nKept as notebook variable `fetch_1`")
    assert namespace["fetch_1"] == b"PK\3\4\0\0"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer("gone " * 1_000, status=404), "HTTP 404: Not Found\n" + ("gone " * 1_000)[:2_000].rstrip()),
        (answer('{"e":1}', "application/json", 422), 'HTTP 422: Unprocessable Entity\n{\n  "e": 1\n}'),
        (answer("", status=599), "HTTP 599:"),
        (answer(b"\0\1", "x/y", 500), "HTTP 500: Internal Server Error"),
    ],
)
async def test_a_refusal_is_told_with_what_the_server_says(call: Call, given: Answer, said: str) -> None:
    with pytest.raises(ToolError) as failed:
        await fetched(call, given)
    assert str(failed.value) == said


async def test_a_long_answer_is_cut_where_the_environment_says(call: Call) -> None:
    got = await fetched(call, answer("é" * 1_000), environ={"FETCH_MAX_SIZE": "101"})
    assert got.text == "é" * 50 + "\n… 1.9 kB left out …"
    long = await fetched(call, answer("x" * 300_000))
    assert long.result.handle == "fetch_1"
    assert len(str(long.namespace["fetch_1"])) == 262_144 + len("\n… 37.9 kB left out …")
    with pytest.raises(ToolError, match="FETCH_MAX_SIZE"):
        await fetched(call, answer("x"), environ={"FETCH_MAX_SIZE": "big"})


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x/", "/etc/passwd", "http://", "http://[", "http://x:99999/", "javascript:1", "",
     "http://x/ y", "http://x/\r\nHost: y", "data:text/plain,x", "gopher://x"],
)  # fmt: skip
async def test_only_the_web_is_fetched(call: Call, url: str) -> None:
    def never() -> Http:
        raise AssertionError("nothing is to be sent")

    tool = Fetch(never)
    context = ToolContext(lambda _: None, {}, InlineRunner())
    for attempt in (call(tool, url=url), tool.preview({"url": url}, context)):
        with pytest.raises(ToolError, match="is not an address that can be fetched"):
            await attempt


@pytest.mark.parametrize("headers", ["x", "[1]", '{"a": [1]}', '"text"'])
async def test_headers_that_are_none_are_refused(call: Call, headers: str) -> None:
    with pytest.raises(ToolError, match="headers is an object of texts"):
        await call(Fetch(Http()), url="http://127.0.0.1:9/", headers=headers)


@pytest.mark.parametrize("arguments", [{"method": "NO WAY"}, {"headers": {"a\nb": "c"}}, {}])
async def test_what_the_network_refuses_is_told_in_a_line(call: Call, arguments: dict[str, object]) -> None:
    http = Http(connect=2)
    with pytest.raises(ToolError) as failed:
        await call(Fetch(http), url="http://127.0.0.1:9/", **arguments)
    assert "\n" not in str(failed.value)
    await http.aclose()


async def test_the_preview_shows_the_request() -> None:
    context = ToolContext(lambda _: None, {}, InlineRunner())
    arguments = {"url": "http://x/y", "method": "post", "body": "b", "headers": '{"A": "1"}'}
    shown = await Fetch(Http()).preview(arguments, context)  # type: ignore[arg-type]  # texts are JSON
    assert shown == (Text("```http\nPOST http://x/y\na: 1\n\nb\n```"),)
    assert json.dumps(Fetch(Http()).spec({}).parameters["required"]) == '["url"]'


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8888/api", "http://localhost/", "http://[::1]/", "http://169.254.169.254/"]
)
async def test_the_preview_says_where_an_address_leads_inside(url: str) -> None:
    said, _ = await Fetch(Http()).preview({"url": url}, ToolContext(lambda _: None, {}, InlineRunner()))
    assert said == Text("This is an address of this machine or of its own network.")


async def test_a_name_that_stands_for_this_machine_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked_up(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    context = ToolContext(lambda _: None, {}, InlineRunner())
    with monkeypatch.context() as patched:
        patched.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", looked_up)
        said, _ = await Fetch(Http()).preview({"url": "https://news.example/"}, context)
    assert said == Text("This is an address of this machine or of its own network.")
