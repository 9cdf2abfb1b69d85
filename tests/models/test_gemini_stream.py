from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.messages import Audio, File, Image, Message, Opaque, Text, Thinking
from agentnb.models.base import Request
from agentnb.models.gemini import format_request, parse_stream
from agentnb.models.refusal import Source
from agentnb.transcript import fold
from tests.contract.gemini_script import call, chunk
from tests.provider import sse

pytestmark = pytest.mark.anyio
SIGNED: dict[str, Any] = {"thoughtSignature": "c2ln"}
END = chunk(finish="STOP")


async def _run(*blocks: bytes, history: tuple[Message, ...] = ()) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    got: list[events.ModelEvent] = []
    source = Source("gemini", "example.org", secrets=("AIza-secret",))
    try:
        async for event in parse_stream(body(), source=source, model="m", history=history):
            got.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


def _sse(*chunks: object) -> bytes:
    return sse(*chunks, done=False)


async def _message(*chunks: object, **options: Any) -> Message:
    got, error = await _run(_sse(*chunks), **options)
    assert error is None
    return fold(got).messages[-1]


async def _parts_back(*parts: object) -> list[dict[str, Any]]:
    """The parts that the provider gets back of a message that had these."""
    message = await _message(*(chunk(part) for part in parts), END)
    body = format_request(Request((messages.user("q"), message)), model="gemini-2.5-pro")
    back: list[dict[str, Any]] = json.loads(body)["contents"][1]["parts"]
    return back


async def _fails(*blocks: bytes) -> tuple[str, ModelError]:
    got, error = await _run(*blocks)
    assert error is not None
    assert not any(isinstance(event, events.MessageEnd) for event in got)
    assert "\n" not in str(error)
    return fold(got).text, error


async def test_text_of_one_read_is_one_event() -> None:
    words = [chunk(word) for word in ("a", "b", "c")]
    got, _ = await _run(_sse(*words), _sse(*words, END))
    assert got == [
        events.TextDelta("abc"),
        events.TextDelta("abc"),
        events.Usage(messages.Usage(5, 2)),
        events.MessageEnd("stop", "r1", "gemini:m"),
    ]


async def test_thoughts_come_before_the_text_and_apart_from_it() -> None:
    thoughts = [chunk({"text": text, "thought": True}) for text in ("Let me ", "think.")]
    got, _ = await _run(_sse(*thoughts, chunk("Four."), END))
    assert got[:2] == [events.ThinkingDelta("Let me think."), events.TextDelta("Four.")]


async def test_calls_are_whole_and_get_ids_of_their_own() -> None:
    first = await _message(chunk(call("add", x=1), call("add", x=2)), END)
    assert [c.arguments for c in first.calls] == ['{"x":1}', '{"x":2}']
    assert first.finish == "tool_calls"
    again = await _message(chunk({"functionCall": {"name": "add", "id": "c1"}}), END, history=(first,))
    assert [(c.id, c.arguments) for c in again.calls] == [("c1", "{}")]
    same = await _message(chunk({"functionCall": {"name": "add", "id": "c1"}}), END, history=(first, again))
    assert len({c.id for message in (first, again, same) for c in message.calls}) == 4


@pytest.mark.parametrize(
    ("parts", "back"),
    [
        # Gemini's last part, as it streams: no text, and the signature.
        (["Hel", "lo.", {"text": "", **SIGNED}], [{"text": "Hello."}, {"text": "", **SIGNED}]),
        ([{"text": "Hello.", **SIGNED}], [{"text": "Hello.", **SIGNED}]),
        (["Hel", {"text": "lo.", **SIGNED}, " Bye."], [{"text": "Hel"}, {"text": "lo.", **SIGNED}, {"text": " Bye."}]),
        ([{"text": "a", **SIGNED}, {"text": "a", **SIGNED}], [{"text": "a", **SIGNED}] * 2),
        ([{"text": "Hm.", "thought": True, **SIGNED}], [{"text": "Hm.", "thought": True, **SIGNED}]),
        ([{"text": "Hm.", "thought": True}, "Hi"], [{"text": "Hi"}]),
        (
            [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, **SIGNED}],
            [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, **SIGNED}],
        ),
        ([{"executableCode": {"code": "1"}, **SIGNED}], [{"executableCode": {"code": "1"}, **SIGNED}]),
        ([{"toolCall": {"id": "t"}}, "x", {"new": 1}], [{"toolCall": {"id": "t"}}, {"text": "x"}, {"new": 1}]),
        ([SIGNED, "x"], [SIGNED, {"text": "x"}]),
    ],
)
async def test_every_part_goes_back_as_it_came_with_its_own_signature(
    parts: list[object], back: list[dict[str, Any]]
) -> None:
    assert await _parts_back(*parts) == back


async def test_the_signature_of_a_call_stays_with_it() -> None:
    message = await _message(chunk({**call("add", x=1), **SIGNED}, call("add", x=2)), END)
    assert [c.extra for c in message.calls] == [SIGNED, None]


async def test_media_and_what_only_the_provider_knows_keep_their_place() -> None:
    def medium(kind: str) -> dict[str, object]:
        return {"inlineData": {"mimeType": kind, "data": base64.b64encode(b"x").decode()}}

    code: dict[str, Any] = {"executableCode": {"language": "PYTHON", "code": "1"}}
    kinds = (medium("image/png"), medium("audio/wav"), medium("application/pdf"))
    message = await _message(chunk("a", code, "b", *kinds), END)
    assert message.content == (
        Text("a"),
        Opaque("gemini", code),
        Text("b"),
        Image(b"x", "image/png"),
        Audio(b"x", "audio/wav"),
        File("answer.pdf", b"x", "application/pdf"),
    )


async def test_pictures_among_the_thoughts_are_not_the_answer() -> None:
    thought: dict[str, Any] = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
    message = await _message(chunk(thought, {"text": "Hm", "thought": True}), END)
    assert message.content == (Opaque("gemini", thought), Thinking("Hm"))


async def test_tokens_of_thoughts_and_tools_are_counted() -> None:
    counts = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 20,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 80,
    }
    got, _ = await _run(_sse(chunk("a"), {**END, "usageMetadata": counts}))
    assert fold(got).usage == messages.Usage(120, 15, cached=80, reasoning=5)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("SOMETHING_NEW", "stop"),
    ],
)
async def test_why_it_stopped(reason: str, finish: str) -> None:
    assert (await _message(chunk("a", finish=reason))).finish == finish


async def test_an_answer_of_nothing_but_thoughts_ends() -> None:
    body = {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}], "responseId": "r"}
    got, error = await _run(json.dumps(body).encode())
    assert (got, error) == ([events.MessageEnd("length", "r", "gemini:m")], None)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
async def test_a_call_that_nobody_can_read_may_be_tried_again(reason: str) -> None:
    end: dict[str, Any] = chunk(finish=reason)
    end["candidates"][0]["finishMessage"] = "Malformed function call: print(\nadd)"
    text, error = await _fails(_sse(end))
    assert (text, type(error), error.retryable, error.code) == ("", RequestRefused, True, reason)
    assert "Malformed function call: print( add)" in str(error)
    text, error = await _fails(_sse(chunk("half"), end))
    assert (text, type(error), error.retryable) == ("half", StreamBroken, True)


async def test_a_blocked_prompt_names_the_reason() -> None:
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "The prompt was\nunsafe."}
    _, error = await _fails(_sse({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 4}}))
    assert isinstance(error, RequestRefused)
    assert (error.code, error.retryable) == ("SAFETY", False)
    assert str(error).startswith("gemini blocked the prompt (SAFETY): The prompt was unsafe. ")


REFUSAL = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "body",
    [
        _sse(chunk("half"), REFUSAL),
        _sse(chunk("half")) + json.dumps(REFUSAL, indent=2).encode(),
        _sse(chunk("half")) + json.dumps([REFUSAL], indent=2).encode() + b"\n",
        _sse(chunk("half"))[:-1] + json.dumps(REFUSAL).encode(),
        _sse(chunk("half")).replace(b"\n", b"\r\n") + json.dumps(REFUSAL, indent=2).replace("\n", "\r\n").encode(),
        _sse(chunk("half")).replace(b"\n", b"\r") + json.dumps(REFUSAL).encode(),
        json.dumps([chunk("half"), REFUSAL]).encode(),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_an_error_midway_keeps_what_came_before_it(body: bytes, size: int) -> None:
    text, error = await _fails(*(body[i : i + size] for i in range(0, len(body), size)))
    assert (text, type(error), error.status, error.retryable) == ("half", StreamBroken, 503, True)
    assert "The model is overloaded" in str(error)


async def test_an_error_that_is_all_there_is_is_a_refusal() -> None:
    _, error = await _fails(json.dumps([REFUSAL], indent=2).encode())
    assert (type(error), error.status) == (RequestRefused, 503)


@pytest.mark.parametrize(
    "body",
    [
        _sse(chunk("half")),
        _sse(chunk("half")) + b'data: {"candidates": [{"cont',
        b"[" + json.dumps(chunk("half")).encode() + b',{"candidates": [{"cont',
        json.dumps([chunk("half")]).encode(),
    ],
)
async def test_an_answer_that_is_cut_off_fails_with_what_came_before_it(body: bytes) -> None:
    text, error = await _fails(body)
    assert (text, type(error), error.retryable) == ("half", StreamBroken, True)
    assert "cut off" in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty answer"),
        (b"\n\n: ping\n\n", "empty answer"),
        (b"{}", "empty answer"),
        (b'{"candidates": "no"}', "empty answer"),
        (b"<html><title>502 Bad Gateway</title></html>", "502 Bad Gateway"),
        (b"  \n<!DOCTYPE html><h1>Sign in</h1>", "Sign in"),
        (b'{"candidates": [{"content"', "cut off"),
        (b"data: nonsense\n\n", "nonsense"),
        (b'data: ["nonsense"]\n\n', "nonsense"),
        (b'{"error": "AIza-secret is wrong"}', "[key] is wrong"),
        (b'{"error": ' + b'{"a":' * 2000 + b"}" * 2001, "cut off"),
    ],
)
async def test_what_is_no_answer_is_an_error_that_says_so(body: bytes, words: str) -> None:
    text, error = await _fails(body)
    assert text == ""
    assert words in str(error)
    assert "AIza-secret" not in str(error)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        {"candidates": None},
        {"candidates": [None]},
        {"candidates": [{"content": None}]},
        {"candidates": [{"content": {"parts": None}}]},
        {"candidates": [{"content": {"parts": [None, {}, 7, "x", {"text": 7}, {"functionCall": 7}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": 7}}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": 7}}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "other"}]}, "index": 1}]},
        {"candidates": [{"content": {"parts": [{"text": "c"}]}}], "usageMetadata": "none"},
        {"usageMetadata": {"promptTokenCount": "5"}},
    ],
)
async def test_odd_chunks_do_no_harm(odd: object) -> None:
    got, error = await _run(_sse(chunk("a"), odd, chunk("b"), END))
    assert error is None
    assert fold(got).text in ("ab", "acb")


async def test_a_medium_that_cannot_be_decoded_is_an_error() -> None:
    _, error = await _fails(_sse(chunk({"inlineData": {"mimeType": "image/png", "data": "AAA"}}), END))
    assert "image/png" in str(error)


async def test_arguments_that_are_nested_beyond_reason_reach_no_tool() -> None:
    nested = json.loads('{"a":' * 300 + "1" + "}" * 300)
    (made,) = (await _message(chunk(call("f", **nested)), END)).calls
    with pytest.raises(json.JSONDecodeError):
        json.loads(made.arguments)


async def test_an_end_mark_of_other_dialects_is_passed_over() -> None:
    got, error = await _run(_sse(chunk("a"), END) + b"data: [DONE]\n\n")
    assert error is None
    assert fold(got).text == "a"


async def test_streamed_and_whole_are_the_same_events() -> None:
    parts = ["Hi", {"text": "", **SIGNED}, {"functionCall": {"name": "f", "args": {}, "id": "c"}, **SIGNED}]
    whole = json.dumps(chunk(*parts, finish="STOP"), indent=2).encode()
    assert await _run(whole) == await _run(_sse(*(chunk(part) for part in parts), END))
