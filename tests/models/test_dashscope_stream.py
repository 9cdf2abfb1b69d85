from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import CredentialError, ModelError, RequestRefused, StreamBroken
from agentnb.messages import Audio, File, Image, Message, Thinking, ToolCall
from agentnb.models.dashscope import parse_stream
from agentnb.models.refusal import Source
from agentnb.transcript import fold
from tests.contract.dashscope_script import USAGE, event, frame, tool_call

pytestmark = pytest.mark.anyio

SOURCE = Source("dashscope", "example.org", "DASHSCOPE_API_KEY")


async def _run(*blocks: bytes, history: tuple[Message, ...] = ()) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    return await _parsed(body(), history)


async def _parsed(
    body: AsyncIterator[bytes], history: tuple[Message, ...] = ()
) -> tuple[list[events.ModelEvent], ModelError | None]:
    got: list[events.ModelEvent] = []
    try:
        async for one in parse_stream(body, source=SOURCE, model="m", history=history):
            got.append(one)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


async def _message(*blocks: bytes, **options: Any) -> Message:
    got, error = await _run(*blocks, **options)
    assert error is None
    return fold(got).messages[-1]


def _texts(*pieces: str, tokens: bool = True) -> list[bytes]:
    usage = [{**USAGE, "output_tokens": n if tokens else 2} for n in range(1, len(pieces) + 1)]
    return [event(content=piece, usage=use) for piece, use in zip(pieces, usage, strict=True)]


async def test_events_become_text_usage_and_one_end() -> None:
    got, _ = await _run(*_texts("a", "b", "c"), event("stop"))
    assert got == [
        events.TextDelta("a"),
        events.TextDelta("b"),
        events.TextDelta("c"),
        events.Usage(messages.Usage(5, 2)),
        events.MessageEnd("stop", "r1", "dashscope:m"),
    ]


async def test_a_stream_means_the_same_however_it_is_cut() -> None:
    call = [tool_call("", "a", "add"), tool_call("", "b", "add")]
    body = b"".join(
        [
            *(event(reasoning_content=t) for t in ("hm", "…é")),
            *_texts("x", "y", "y", "yy"),
            event(tool_calls=call),
            event(tool_calls=[tool_call('{"x":'), tool_call('{"x":')]),
            event(tool_calls=[tool_call("1}"), tool_call("2}")]),
            event("tool_calls"),
        ]
    )
    whole, _ = await _run(body)
    for size in (1, 2, 7, 100):
        cut, error = await _run(*(body[i : i + size] for i in range(0, len(body), size)))
        assert error is None
        assert fold(cut) == fold(whole)
    message = fold(whole).messages[-1]
    assert message.content == (
        Thinking("hm…é"),
        messages.Text("xyyyy"),
        ToolCall("a", "add", '{"x":1}'),
        ToolCall("b", "add", '{"x":2}'),
    )


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (("H", "He", "Hel", "Hello there"), "Hello there"),
        (("Hello", "Hello there"), "Hello there"),
        (("Hello", "Hello", "Hello there", "Hello there"), "Hello there"),
        (("你", "你好", "你好吗"), "你好吗"),
        (("a", "ab", "abc", "a", "abcd"), "abcd"),
        # Pieces that look alike for a while.
        (("ha", "ha", "!"), "haha!"),
        (("ha", "haha", "hahaha", "!"), "hahahahahaha!"),
        (("-",) * 12, "-" * 12),
        (("1", "10", "0"), "1100"),
        (("\n", "\n\n", "x"), "\n\n\nx"),
        (("ha", "ha"), "haha"),
        (("", "a", "b"), "ab"),
    ],
)
async def test_text_that_is_sent_whole_each_time_is_told_from_pieces(pieces: tuple[str, ...], text: str) -> None:
    message = await _message(*_texts(*pieces), event("stop"))
    assert message.text == text


async def test_an_event_without_new_tokens_that_repeats_the_text_adds_nothing() -> None:
    message = await _message(event(content="Hi"), event("stop", content="Hi"))
    assert message.text == "Hi"


async def test_reasoning_and_calls_that_are_sent_whole_each_time_are_told_once() -> None:
    def call(arguments: str) -> list[object]:
        return [tool_call(arguments, "a", "add")]

    message = await _message(
        event(reasoning_content="I"),
        event(reasoning_content="I", content="Let"),
        event(reasoning_content="I", content="Let me"),
        event(reasoning_content="I", content="Let me", tool_calls=call("")),
        event(reasoning_content="I", content="Let me", tool_calls=call('{"x"')),
        event("tool_calls", reasoning_content="I", content="Let me", tool_calls=call('{"x":1}')),
    )
    assert message.content == (Thinking("I"), messages.Text("Let me"), ToolCall("a", "add", '{"x":1}'))
    assert message.finish == "tool_calls"


async def test_what_was_held_back_is_kept_when_the_connection_breaks() -> None:
    async def body() -> AsyncIterator[bytes]:
        for block in _texts("ha", "ha", "ha"):
            yield block
        raise StreamBroken("closed", retryable=True)

    got, error = await _parsed(body())
    assert "closed" in str(error)
    assert fold(got).text == "hahaha"


async def test_content_in_parts_is_text_and_media() -> None:
    message = await _message(
        event(content=[{"text": "see"}]),
        event(content=[{"text": "see this"}, {"image": "https://x/p.png"}]),
        event(
            "stop",
            content=[
                {"text": "see this"},
                {"image": "https://x/p.png"},
                {"image": "data:image/gif;base64,R0lG"},
                {"audio": {"data": "UklGRg=="}},
                {"video": "https://x/v.mp4"},
                {"box": 1},
                None,
            ],
        ),
    )
    assert message.content == (
        messages.Text("see this"),
        Image(media_type="image/png", url="https://x/p.png"),
        Image(b"GIF", "image/gif"),
        Audio(b"RIFF", "audio/wav"),
        File("video", media_type="video/mp4", url="https://x/v.mp4"),
    )


@pytest.mark.parametrize("streamed", [True, False])
async def test_whole_answers_are_the_same_events(streamed: bool) -> None:
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "r",
        "tool_calls": [tool_call("{}", "i", "f", index=0)],
    }
    usage = {
        "input_tokens": 9,
        "output_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    output = {"choices": [{"finish_reason": "tool_calls", "message": message}]}
    document = {"status_code": 200, "code": "", "message": "", "request_id": "r", "output": output, "usage": usage}
    body = frame(document) if streamed else json.dumps(document).encode()
    got, error = await _run(body)
    assert error is None
    assert got == [
        events.ThinkingDelta("r"),
        events.TextDelta("a"),
        events.ToolCallStart("i", "f"),
        events.ToolCallArgs("i", "{}"),
        events.ToolCallEnd("i"),
        events.Usage(messages.Usage(9, 4, cached=3, reasoning=2)),
        events.MessageEnd("tool_calls", "r", "dashscope:m"),
    ]


async def test_text_without_a_message_is_read_too() -> None:
    assert (await _message(frame({"output": {"text": "a", "finish_reason": "null"}}), event("stop"))).text == "a"
    assert (await _message(json.dumps({"output": {"text": "a", "finish_reason": "stop"}}).encode())).text == "a"


async def test_calls_without_an_index_go_by_their_place_and_repeated_ids_are_replaced() -> None:
    history = (messages.assistant(ToolCall("a", "add")),)
    message = await _message(event(tool_calls=[tool_call('{"x":1}', "a", "add")]), event("tool_calls"), history=history)
    assert message.calls[0].id != "a"
    assert message.calls[0].arguments == '{"x":1}'
    message = await _message(
        event(tool_calls=[tool_call("{", "a", "add")]),
        event(tool_calls=[tool_call("}")]),
        event(tool_calls=[tool_call("{}", "b", "add")]),
        event("stop"),
    )
    assert [(c.id, c.arguments) for c in message.calls] == [("a", "{}"), ("b", "{}")]
    assert message.finish == "tool_calls"


async def test_a_call_that_the_limit_cut_off_never_ends() -> None:
    got, error = await _run(event(tool_calls=[tool_call('{"x', "a", "add")]), event("length"))
    assert error is None
    assert not any(isinstance(one, events.ToolCallEnd) for one in got)
    assert isinstance(got[-1], events.MessageEnd)
    assert got[-1].finish == "length"


@pytest.mark.parametrize(
    ("body", "kind", "status", "retryable"),
    [
        (
            frame({"code": "Throttling.RateQuota", "message": "slow"}, kind="error", status=429),
            RequestRefused,
            429,
            True,
        ),
        (frame({"code": "Throttling", "message": "slow"}), RequestRefused, 429, True),
        (frame({"code": "InvalidApiKey", "message": "no"}, kind="error", status=401), CredentialError, 401, False),
        (frame({"code": "InternalError.Algo", "message": "oh"}, kind="error", status=500), RequestRefused, 500, True),
        (b'{"code":"InvalidParameter","message":"bad","request_id":"r"}', RequestRefused, None, False),
        (frame("out of order", kind="error", status=503), RequestRefused, None, False),
        (frame({"code": 400, "message": "bad"}), RequestRefused, 400, False),
        (b"event:error\ndata:{}\n\n", RequestRefused, None, False),
        (b'data:{"code":"Throttling","message":"slow"}', RequestRefused, 429, True),
    ],
)
async def test_an_error_on_a_200_is_an_error(
    body: bytes, kind: type[ModelError], status: int | None, retryable: bool
) -> None:
    got, error = await _run(body)
    assert got == []
    assert type(error) is kind
    assert error is not None
    assert (error.status, error.retryable) == (status, retryable)


async def test_an_error_in_the_middle_keeps_what_came() -> None:
    failed = frame({"code": "DataInspectionFailed", "message": "unsafe", "request_id": "r"}, kind="error", status=400)
    got, error = await _run(*_texts("half"), failed, event(content="more"))
    assert fold(got).text == "half"
    assert isinstance(error, StreamBroken)
    assert "unsafe" in str(error)
    assert (error.status, error.code) == (400, "DataInspectionFailed")


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", StreamBroken, "empty answer"),
        (b"\n\n", StreamBroken, "empty answer"),
        (b": ping\n\n", StreamBroken, "empty answer"),
        (event(content="half"), StreamBroken, "cut off"),
        (event(content="half") + b'data:{"output":{"cho', StreamBroken, "cut off"),
        (b"<html><title>Sign in</title></html>", RequestRefused, "Sign in"),
        (b"[]", RequestRefused, "no reason"),
        (b"\xef\xbb\xbf {}", RequestRefused, "did not answer as a model"),
        (b'{"output":null}', RequestRefused, "did not answer as a model"),
        (b'{"output":', RequestRefused, "did not answer as a model"),
        (frame("so sorry"), RequestRefused, "so sorry"),
        (frame(None), StreamBroken, "empty answer"),
        (frame({"output": {"choices": [None]}}), StreamBroken, "empty answer"),
    ],
)
async def test_what_is_no_answer_is_an_error_with_its_own_words(body: bytes, kind: type[ModelError], said: str) -> None:
    _, error = await _run(body)
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize(
    "message",
    [
        {"content": 3},
        {"content": [[]]},
        {"content": [{"image": {}}]},
        {"content": [{"image": "%%"}]},
        {"reasoning_content": {}},
        {"tool_calls": {}},
        {"tool_calls": [1, {"function": 2}, {"index": "x", "function": {"arguments": [1]}}]},
    ],
)
async def test_odd_values_do_no_harm(message: dict[str, Any]) -> None:
    _, error = await _run(event(**message), event("stop", usage=[]))
    assert error is None
