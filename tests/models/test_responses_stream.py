from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import CredentialError, ModelError, RequestRefused, StreamBroken
from agentnb.messages import Image, Message, Opaque, Text, Thinking, ToolCall
from agentnb.models.refusal import Source
from agentnb.models.responses_stream import parse_stream
from agentnb.transcript import fold
from tests.contract.responses_script import arguments, call, ends, event, response, says, text

pytestmark = pytest.mark.anyio
THOUGHT: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "encrypted_content": "…",
    "summary": [{"text": "he"}, {"text": "y"}],
}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "ok"}, {"refusal": "!"}],
}
CALL: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "a",
    "name": "f",
    "arguments": '{"x":1}',
    "status": "completed",
}
SEARCH: dict[str, Any] = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
PICTURE: dict[str, Any] = {"type": "image_generation_call", "id": "ig_1", "output_format": "jpeg", "result": "cG5n"}
OUTPUT = [THOUGHT, SEARCH, PICTURE, MESSAGE, CALL]
WHOLE = response(output=OUTPUT)


async def _run(*blocks: bytes, history: tuple[Message, ...] = ()) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    got: list[events.ModelEvent] = []
    try:
        async for each in parse_stream(body(), source=Source("here", "example.org"), model="m", history=history):
            got.append(each)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


async def _message(*blocks: bytes, **options: Any) -> Message:
    got, error = await _run(*blocks, **options)
    assert error is None
    return fold(got).messages[-1]


def _done(index: int, item: object) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


def _thinks(kind: str, piece: str, part: int = 0) -> bytes:
    where = "summary_index" if "summary" in kind else "content_index"
    return event(f"response.{kind}.delta", output_index=0, delta=piece, **{where: part})


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


async def test_text_of_one_read_is_one_event() -> None:
    got, _ = await _run(text("a") + text("b"), text("c"), ends())
    assert got == [
        events.TextDelta("ab"),
        events.TextDelta("c"),
        events.Usage(messages.Usage(5, 2)),
        events.MessageEnd("stop", "resp_1", "here:m"),
    ]


@pytest.mark.parametrize("whole", [_json(WHOLE), b"\xef\xbb\xbf\n" + _json(WHOLE), ends(output=OUTPUT)])
async def test_a_whole_answer_gives_the_same_as_its_items(whole: bytes) -> None:
    message = await _message(*(_done(index, item) for index, item in enumerate(OUTPUT)), ends())
    assert message.content == (
        Thinking("he\n\ny"),
        Opaque("here", THOUGHT),
        Opaque("here", SEARCH),
        Image(b"png", "image/jpeg"),
        Opaque("here", {k: v for k, v in PICTURE.items() if k != "result"}),
        Text("ok!"),
        ToolCall("a", "f", '{"x":1}'),
    )
    assert message.finish == "tool_calls"
    assert await _message(whole) == message
    assert await _message(*(whole[i : i + 7] for i in range(0, len(whole), 7))) == message


async def test_what_came_in_pieces_is_not_given_again() -> None:
    message = await _message(
        _thinks("reasoning_summary_text", "he"),
        _thinks("reasoning_summary_text", "y", 1),
        _thinks("reasoning_text", "the same at length"),
        _done(0, THOUGHT),
        text("o", 1),
        text("k!", 1),
        _done(1, MESSAGE),
        call(2, "a", "f"),
        arguments(2, '{"x"'),
        arguments(2, ":1}"),
        _done(2, CALL),
        ends(output=[THOUGHT, MESSAGE, CALL]),
    )
    assert message.content == (
        Thinking("he\n\ny"),
        Opaque("here", THOUGHT),
        Text("ok!"),
        ToolCall("a", "f", '{"x":1}'),
    )


async def test_an_item_that_ends_after_the_next_began_keeps_its_thoughts() -> None:
    message = await _message(
        _thinks("reasoning_text", "hm"), text("4", 1), _done(1, MESSAGE), _done(0, THOUGHT), ends()
    )
    assert message.content == (Thinking("hm"), Text("4"), Opaque("here", THOUGHT))


async def test_a_server_that_numbers_nothing_is_understood_by_its_ids() -> None:
    made = {"id": "fc", "type": "function_call", "call_id": "a", "name": "f", "arguments": ""}
    message = await _message(
        event("response.output_item.added", item=made),
        event("response.output_text.delta", item_id="msg", delta="hi"),
        event("response.function_call_arguments.delta", item_id="fc", delta="{}"),
        event("response.output_item.done", item={**MESSAGE, "id": "msg"}),
        event("response.output_item.done", item={**made, "arguments": "{}"}),
        ends(output=[{**MESSAGE, "id": "another"}]),
    )
    assert message.content == (ToolCall("a", "f", "{}"), Text("hi"))


async def test_a_refusal_is_shown_as_text() -> None:
    message = await _message(event("response.refusal.delta", output_index=0, delta="I cannot."), ends())
    assert (message.text, message.finish) == ("I cannot.", "stop")


async def test_an_id_that_was_used_before_is_replaced() -> None:
    history = (messages.user("x"), messages.assistant(ToolCall("a", "f")))
    message = await _message(_done(0, CALL), ends(), history=history)
    assert message.calls[0].id not in ("", "a")


@pytest.mark.parametrize("missing", [{"call_id": None, "id": None}, {"arguments": ""}, {"arguments": None}])
async def test_a_call_without_an_id_or_without_arguments_is_whole(missing: dict[str, Any]) -> None:
    message = await _message(_done(0, {**CALL, **missing}), ends())
    assert message.calls[0].id
    assert message.calls[0].arguments == ('{"x":1}' if "id" in missing else "{}")


@pytest.mark.parametrize(
    ("details", "finish"),
    [({"reason": "max_output_tokens"}, "length"), ({"reason": "content_filter"}, "content_filter"), (None, "length")],
)
async def test_an_answer_that_is_incomplete_says_why_and_its_last_call_never_ends(details: Any, finish: str) -> None:
    got, error = await _run(call(0, "a"), arguments(0, '{"x": '), ends(kind="incomplete", incomplete_details=details))
    assert error is None
    assert not any(isinstance(each, events.ToolCallEnd) for each in got)
    assert got[-1] == events.MessageEnd(finish, "resp_1", "here:m")


async def test_a_call_whose_end_does_not_come_ends_with_the_answer() -> None:
    got, _ = await _run(call(0, "a"), ends())
    assert fold(got).messages[-1].calls == (ToolCall("a", "add", "{}"),)
    assert events.ToolCallEnd("a") in got


async def test_counts_hold_what_was_cached_and_thought() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 7},
    }
    got, _ = await _run(text("a"), ends(usage=usage))
    assert fold(got).usage == messages.Usage(9, 8, 3, 7)


FAILED = {"code": "server_error", "message": "Too much"}


@pytest.mark.parametrize(
    "last",
    [
        ends(kind="failed", error=FAILED),
        event("response.failed", response={"status": "failed", "error": FAILED}),
        event("error", code="server_error", message="Too much", param=None, sequence_number=3),
        event("error", error={"type": "server_error", "message": "Too much"}),
        b'event: error\ndata: {"error": {"code": "server_error", "message": "Too much"}}\n\n',
        b'event: error\ndata: {"code": "server_error", "message": "Too much"}\n\n',
        b'data: {"error": {"code": "server_error", "message": "Too much"}}\n\n',
    ],
)
async def test_a_stream_that_turns_into_an_error_keeps_what_came_before(last: bytes) -> None:
    got, error = await _run(text("part") + last)
    assert isinstance(error, StreamBroken)
    assert str(error).startswith("here broke its answer off: Too much. ")
    assert (error.code, error.retryable) == ("server_error", True)
    assert fold(got).text == "part"
    got, error = await _run(last)
    assert isinstance(error, RequestRefused)
    assert got == [each for each in got if isinstance(each, events.Usage)]


@pytest.mark.parametrize("rest", [b"", b"data: [DONE]\n\n", b'event: response.completed\ndata: {"type": "resp'])
async def test_an_answer_that_stops_half_way_is_broken_and_kept(rest: bytes) -> None:
    got, error = await _run(text("a"), rest)
    assert isinstance(error, StreamBroken)
    assert str(error) == "The answer of here at example.org was cut off half-way. Run again."
    assert fold(got).text == "a"


@pytest.mark.parametrize("body", [b"", b"\n\n", b": hm\n\n", b"data: [DONE]\n\n", b"hello"])
async def test_an_answer_with_nothing_in_it_is_broken(body: bytes) -> None:
    got, error = await _run(body)
    assert isinstance(error, StreamBroken)
    assert error.retryable
    assert got == []


async def test_the_last_event_counts_without_its_blank_line() -> None:
    assert (await _message(text("a"), ends().rstrip())).text == "a"


async def test_what_follows_the_end_is_ignored() -> None:
    assert (await _message(says("hello") + text("more"), text("more"))).text == "hello"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "No such model"}}', "here refused the request: No such model."),
        (b'[{"error": {"message": "No such model"}}]', "here refused the request: No such model."),
        (_json(response("failed", error={"message": "No"}, output=[])), "here refused the request: No."),
        (_json(response("queued", output=[])), "here refused the request: the response is queued."),
        (b"<html><title>Welcome</title></html>", "did not answer as a model does, but with: Welcome. Check the base"),
        (b'{"object": "list", "data": []}', "answered without an answer in it. Check the base URL"),
        (b'{"output": [', "did not answer as a model does"),
    ],
)
async def test_a_document_that_is_no_answer_is_refused(body: bytes, says: str) -> None:
    got, error = await _run(body)
    assert isinstance(error, RequestRefused)
    assert says in str(error)
    assert fold(got).messages == ()


async def test_a_key_that_is_refused_in_the_stream_says_so() -> None:
    _, error = await _run(event("error", message="No", status=401))
    assert isinstance(error, CredentialError)


async def test_text_where_json_should_be_is_an_error_that_shows_it() -> None:
    got, error = await _run(text("part") + b"data: Internal Server Error\n\n")
    assert isinstance(error, StreamBroken)
    assert "sent something that is not JSON: Internal Server Error" in str(error)
    assert fold(got).text == "part"


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "response.output_text.delta", "output_index": 0, "delta": 1},
        {"type": "response.output_text.delta", "output_index": [], "item_id": {}, "delta": "x"},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": 1}},
        {"type": "response.output_item.added", "item": None},
        {"type": "response.output_item.done", "output_index": 1, "item": {"type": ["x"]}},
        {"type": "response.output_item.done", "output_index": 1, "item": {"type": "message", "content": "x"}},
        {"type": "response.output_item.done", "output_index": 1, "item": {**PICTURE, "result": "?"}},
        {"type": "response.output_item.done", "output_index": 1, "item": {**THOUGHT, "summary": [1, {"text": 2}]}},
        {"type": "response.function_call_arguments.delta", "output_index": 9, "delta": "{}"},
        {"type": "response.something.new", "delta": {"x": 1}},
        {"type": 5},
        5,
        None,
    ],
)
async def test_odd_events_do_no_harm(odd: Any) -> None:
    message = await _message(b"data: " + _json(odd) + b"\n\n", text("ok", 5), ends())
    assert message.text.endswith("ok")


@pytest.mark.parametrize(
    "odd", [{"output": "x"}, {"output": [1, None]}, {"usage": 5}, {"id": 5}, {"incomplete_details": 5}]
)
async def test_an_odd_end_is_an_end(odd: dict[str, Any]) -> None:
    assert (await _message(text("ok"), ends(**odd))).text == "ok"
