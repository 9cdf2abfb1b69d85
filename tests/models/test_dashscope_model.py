"""The dialect whole, against a real server: addresses, headers, refusals."""

from __future__ import annotations

import pytest

from agentnb import messages
from agentnb.errors import CredentialError, RequestRefused, UsageError
from agentnb.events import MessageEnd, TextDelta
from agentnb.messages import Image, Message, ToolResult
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dashscope import DIALECT
from agentnb.models.dialect import Quirks
from agentnb.models.http import Http
from agentnb.models.options import Options
from tests.contract.dashscope_script import USAGE, event, tool_call
from tests.provider import Answer, document, provider
from tests.remote import remote
from tests.streams import collect

pytestmark = pytest.mark.anyio

HI = Request((messages.user("hi"),))
PICTURE = Image(url="https://x/p.png")


@pytest.mark.parametrize(
    ("given", "bases"),
    [
        ("https://dashscope.aliyuncs.com", ["https://dashscope.aliyuncs.com/api/v1", "https://dashscope.aliyuncs.com"]),
        ("https://dashscope.aliyuncs.com/api/v1/", ["https://dashscope.aliyuncs.com/api/v1"]),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ["https://dashscope-intl.aliyuncs.com/api/v1"]),
        ("https://x/api/v1/services/aigc/text-generation/generation", ["https://x/api/v1"]),
        ("http://gate/qwen", ["http://gate/qwen", "http://gate/qwen/api/v1"]),
    ],
)
def test_a_base_url_may_be_given_in_many_ways(given: str, bases: list[str]) -> None:
    assert DIALECT.bases(given)[0] == bases[0]


@pytest.mark.parametrize(
    ("model", "message", "kind"),
    [
        ("qwen-plus", messages.user("hi"), "text"),
        ("qwen-plus", messages.user("hi", PICTURE), "multimodal"),
        ("qwen-plus", Message("tool", (ToolResult("a", "f", (PICTURE,)),)), "multimodal"),
        ("qwen3-vl-plus", messages.user("hi"), "multimodal"),
        ("qwen-vl-max", messages.user("hi"), "multimodal"),
        ("qvq-max", messages.user("hi"), "multimodal"),
        ("qwen3-omni-flash", messages.user("hi"), "multimodal"),
        ("qwen2-audio-instruct", messages.user("hi"), "multimodal"),
        ("qwen3-max", messages.user("hi"), "text"),
    ],
)
def test_media_and_the_names_of_models_choose_the_address(model: str, message: Message, kind: str) -> None:
    path = DIALECT.path(Request((message,)), model, Quirks())
    assert path == f"/services/aigc/{kind}-generation/generation"


async def test_a_request_says_whether_it_streams() -> None:
    whole = {"output": {"choices": [{"finish_reason": "stop", "message": {"content": "hello"}}]}, "usage": USAGE}
    async with provider(Answer([event(content="hello"), event("stop")]), document(whole)) as server:
        http = Http()
        model = remote(
            "qwen-plus",
            http=http,
            base_url=server.url,
            dialect="dashscope",
            key_name="KEY",
            environ={"KEY": "sk-1"},
        )
        streamed, _ = await collect(model, HI)
        once, _ = await collect(model, Request(HI.messages, options=Options(stream=False)))
        await http.aclose()
    assert [e for e in streamed if isinstance(e, TextDelta)] == [e for e in once if isinstance(e, TextDelta)]
    assert isinstance(once[-1], MessageEnd)
    first, second = server.requests
    assert first.path == "/v1/services/aigc/text-generation/generation"
    assert first.headers["authorization"] == "Bearer sk-1"
    assert (first.headers["x-dashscope-sse"], first.headers["accept"]) == ("enable", "text/event-stream")
    assert first.json["parameters"]["incremental_output"] is True
    assert "x-dashscope-sse" not in second.headers
    assert "incremental_output" not in second.json["parameters"]


async def test_a_base_without_its_path_is_found() -> None:
    async with provider(document({}, 404), Answer([event("stop", content="hello")])) as server:
        http = Http()
        base = server.url.removesuffix("/v1") + "/gate"
        got, error = await collect(remote("m", http=http, base_url=base, dialect="dashscope"), HI)
        await http.aclose()
    assert error is None
    assert isinstance(got[-1], MessageEnd)
    assert [asked.path.partition("/services")[0] for asked in server.requests] == ["/gate", "/gate/api/v1"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(401, "InvalidApiKey", CredentialError), (400, "InvalidParameter", RequestRefused)],
)
async def test_a_refusal_is_told_in_its_words(status: int, code: str, kind: type[Exception]) -> None:
    said = {"code": code, "message": "It is wrong.", "request_id": "r"}
    async with provider(document(said, status)) as server:
        http = Http()
        _, error = await collect(remote("m", http=http, base_url=server.url, dialect="dashscope"), HI)
        await http.aclose()
    assert type(error) is kind
    assert isinstance(error, RequestRefused)
    assert (error.status, error.code) == (status, code)
    assert "It is wrong" in str(error)


async def test_an_option_it_has_no_word_for_is_refused_before_anything_is_sent() -> None:
    async with provider(Answer()) as server:
        http = Http()
        model = remote("m", http=http, base_url=server.url, dialect="dashscope")
        _, error = await collect(model, Request(HI.messages, options=Options(frequency_penalty=1.0)))
        await http.aclose()
    assert isinstance(error, UsageError)
    assert "frequency_penalty" in str(error)
    assert server.requests == []


async def test_a_schema_that_is_refused_is_asked_for_by_a_tool() -> None:
    refusal = document({"code": "InvalidParameter", "message": "json_schema is not supported"}, 400)
    call = event(tool_calls=[tool_call('{"n":1}', "a", "final_answer")])
    async with provider(refusal, Answer([call, event("tool_calls")])) as server:
        http = Http()
        model = remote("m", http=http, base_url=server.url, dialect="dashscope")
        request = Request(HI.messages, output=OutputSpec("n", {"type": "object"}))
        got, error = await collect(model, request)
        await http.aclose()
    assert error is None
    assert "".join(e.text for e in got if isinstance(e, TextDelta)) == '{"n":1}'
    assert [set(asked.json["parameters"]) & {"tools", "response_format"} for asked in server.requests] == [
        {"response_format"},
        {"tools"},
    ]
