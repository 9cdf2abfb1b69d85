from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.messages import Image, Message, Opaque, Text, Thinking, ToolCall
from agentnb.models.dialect import Quirks
from agentnb.models.openai_stream import parse_stream
from agentnb.models.refusal import Source
from agentnb.transcript import fold
from tests.provider import chunk, sse, tool_call

pytestmark = pytest.mark.anyio


async def _run(
    *blocks: bytes, quirks: Quirks | None = None, history: tuple[Message, ...] = ()
) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    got: list[events.ModelEvent] = []
    source = Source("openai", "example.org")
    try:
        async for event in parse_stream(body(), source=source, model="m", quirks=quirks or Quirks(), history=history):
            got.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


async def _message(*chunks: object, **options: Any) -> Message:
    got, error = await _run(sse(*chunks), **options)
    assert error is None
    return fold(got).messages[-1]


async def _calls(*deltas: list[Any], finish: str = "tool_calls") -> list[tuple[str, str, str]]:
    message = await _message(*(chunk(tool_calls=delta) for delta in deltas), chunk(finish))
    return [(c.id, c.name, c.arguments) for c in message.calls]


async def test_text_of_one_read_is_one_event() -> None:
    words = [chunk(content=w) for w in ("a", "b", "c")]
    got, _ = await _run(sse(chunk(role="assistant", content=""), *words, done=False), sse(*words, chunk("stop")))
    assert got == [
        events.TextDelta("abc"),
        events.TextDelta("abc"),
        events.MessageEnd("stop", "c1", "openai:m"),
    ]


async def test_fragments_of_one_kind_are_joined_and_kinds_keep_their_order() -> None:
    got, _ = await _run(
        sse(
            chunk(reasoning="h"),
            chunk(reasoning="m"),
            chunk(content="a"),
            chunk(tool_calls=[tool_call(0, '{"x"', "c", "add")]),
            chunk(tool_calls=[tool_call(0, ":1}")]),
            chunk("tool_calls"),
        )
    )
    assert got[:-1] == [
        events.ThinkingDelta("hm"),
        events.TextDelta("a"),
        events.ToolCallStart("c", "add"),
        events.ToolCallArgs("c", '{"x":1}'),
        events.ToolCallEnd("c"),
    ]


@pytest.mark.parametrize(
    ("delta", "thinking"),
    [
        ({"reasoning_content": "hm"}, "hm"),
        ({"reasoning": "hm"}, "hm"),
        ({"reasoning": "hm", "reasoning_content": "hm"}, "hm"),
        ({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hm"),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}, "hm"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "hm"),
        ({"reasoning": {"odd": 1}}, ""),
    ],
)
async def test_reasoning_is_found_wherever_it_is_and_counted_once(delta: dict[str, Any], thinking: str) -> None:
    message = await _message(chunk(**delta), chunk("stop"))
    assert "".join(b.text for b in message.content if isinstance(b, Thinking)) == thinking


async def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "b"}]
    assert (await _message(chunk(content=parts), chunk("stop"))).text == "ab"


async def test_reasoning_details_are_put_together_to_be_sent_back() -> None:
    message = await _message(
        chunk(reasoning_details=[{"type": "reasoning.text", "text": "he", "index": 0, "format": "f"}]),
        chunk(reasoning_details=[{"type": "reasoning.text", "text": "y", "index": 0, "format": None}]),
        chunk(reasoning_details=[{"type": "reasoning.text", "text": "", "signature": "s", "index": 0}]),
        chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "index": 1}]),
        chunk("stop", content="ok"),
    )
    assert message.content[-1] == Opaque(
        "openai",
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hey", "index": 0, "format": "f", "signature": "s"},
                {"type": "reasoning.encrypted", "data": "x", "index": 1},
            ]
        },
    )


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("<think>a<b</think>\n\nok</think>", (Thinking("a<b"), Text("ok</think>"))),
        ("\n<think>never closed </th", (Thinking("never closed </th"),)),
        ("plain <think>x", (Text("plain <think>x"),)),
        ("<thin", (Text("<thin"),)),
    ],
)
async def test_reasoning_between_tags_is_told_apart_where_a_provider_writes_it_so(
    text: str, content: tuple[Any, ...], step: int
) -> None:
    pieces = [chunk(content=text[i : i + step]) for i in range(0, len(text), step)]
    assert (await _message(*pieces, chunk("stop"), quirks=Quirks(think_tags=True))).content == content
    assert (await _message(*pieces, chunk("stop"))).text == text


async def test_a_refusal_is_shown_as_text() -> None:
    message = await _message(chunk(content=None, refusal="I can"), chunk(refusal="not."), chunk("stop"))
    assert (message.text, message.finish) == ("I cannot.", "stop")


async def test_other_choices_are_left_out() -> None:
    assert (
        await _message(chunk(content="a"), chunk(content="B", index=1), chunk("stop"), chunk("length", index=1))
    ).text == "a"


async def test_counts_are_the_last_ones_given_wherever_they_are() -> None:
    def used(n: int) -> dict[str, Any]:
        return {"prompt_tokens": n, "completion_tokens": 2, "prompt_tokens_details": None}

    groq = {**chunk("stop", usage=None), "x_groq": {"usage": used(3)}}
    for last, expected in ((groq, 3), (chunk("stop", usage=used(4)), 4)):
        got, _ = await _run(sse(chunk(content="a", usage=used(1)), last, {"choices": [], "usage": None}))
        assert [e.usage for e in got if isinstance(e, events.Usage)] == [messages.Usage(expected, 2)]


async def test_calls_are_told_apart_by_their_number() -> None:
    assert await _calls(
        [tool_call(0, "", "a", "f"), tool_call(1, "", "b", "g")],
        [tool_call(1, '{"y"')],
        [tool_call(0, '{"x":1}')],
        [tool_call(1, ":2}")],
    ) == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        # The name comes again with every fragment.
        ([[tool_call(0, '{"x"', "a", "add")], [tool_call(0, ":1}", "a", "add")]], [("a", "add", '{"x":1}')]),
        # Arguments null, empty, absent or an object.
        ([[tool_call(0, None, "a", "f")]], [("a", "f", "{}")]),
        ([[tool_call(0, "", "a", "f")], [tool_call(0, "{}")]], [("a", "f", "{}")]),
        ([[{"index": 0, "id": "a", "function": {"name": "f", "arguments": None}}]], [("a", "f", "{}")]),
        ([[{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]], [("a", "f", '{"x":1}')]),
        # No number: another id is another call, no id adds to the last.
        (
            [
                [{"id": "a", "function": {"name": "f", "arguments": '{"x"'}}],
                [{"function": {"arguments": ":1}"}}],
                [{"id": "b", "function": {"name": "g", "arguments": "{}"}}],
            ],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
        ),
        # One number for all.
        (
            [[tool_call(0, "{}", "a", "f")], [tool_call(0, '{"y":', "b", "g")], [tool_call(0, "1}")]],
            [("a", "f", "{}"), ("b", "g", '{"y":1}')],
        ),
        # Numbers with gaps.
        ([[tool_call(2, "{}", "a", "f")], [tool_call(7, "{}", "b", "g")]], [("a", "f", "{}"), ("b", "g", "{}")]),
    ],
)
async def test_calls_come_whole_however_a_server_sends_them(deltas: Any, expected: Any) -> None:
    assert await _calls(*deltas) == expected


async def test_calls_without_ids_get_some() -> None:
    deltas = [
        [{"function": {"name": "f", "arguments": "{}"}, "id": ""}],
        [{"function": {"name": "g", "arguments": "{}"}}],
    ]
    for way in (deltas, [[*deltas[0], *deltas[1]]]):
        calls = await _calls(*way)
        assert [(name, arguments) for _, name, arguments in calls] == [("f", "{}"), ("g", "{}")]
        assert len({call_id for call_id, _, _ in calls}) == 2
        assert all(call_id.startswith("call_") for call_id, _, _ in calls)


async def test_an_id_that_was_used_before_is_replaced() -> None:
    history = (messages.user("x"), messages.assistant(ToolCall("0", "f")))
    message = await _message(chunk(tool_calls=[tool_call(0, "{}", "0", "f")]), chunk("tool_calls"), history=history)
    assert message.calls[0].id not in ("", "0")


async def test_what_else_a_call_carries_is_kept() -> None:
    signed = {**tool_call(0, "{}", "a", "f"), "extra_content": {"google": {"thought_signature": "s"}}}
    message = await _message(chunk(tool_calls=[signed]), chunk("stop"))
    assert message.calls[0].extra == {"extra_content": {"google": {"thought_signature": "s"}}}


async def test_a_call_in_the_old_style_is_a_call() -> None:
    message = await _message(chunk(function_call={"name": "f", "arguments": "{}"}), chunk("function_call"))
    assert [(c.name, message.finish) for c in message.calls] == [("f", "tool_calls")]


@pytest.mark.parametrize(
    ("finish", "with_call", "ours"),
    [
        ("stop", True, "tool_calls"),
        ("", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("length", True, "length"),
        ("content_filter", False, "content_filter"),
        (None, False, "stop"),
    ],
)
async def test_the_calls_decide_how_an_answer_ended(finish: str | None, with_call: bool, ours: str) -> None:
    first = chunk(tool_calls=[tool_call(0, "{}", "a", "f")]) if with_call else chunk(content="a")
    assert (await _message(first, chunk(finish))).finish == ours


async def test_a_call_that_was_cut_off_never_ends() -> None:
    got, error = await _run(sse(chunk(tool_calls=[tool_call(0, '{"x": "lo', "a", "f")]), chunk("length")))
    assert error is None
    assert not any(isinstance(e, events.ToolCallEnd) for e in got)
    assert got[-1] == events.MessageEnd("length", "c1", "openai:m")


async def test_an_answer_ends_well_without_its_last_blank_line_or_without_done() -> None:
    for body in (
        sse(chunk(content="a"), done=False) + b"data: [DONE]",
        sse(chunk(content="a"), chunk("stop"), done=False),
        sse(chunk(content="a"), chunk("stop"), done=False).rstrip(),
    ):
        got, error = await _run(body)
        assert error is None
        assert fold(got).text == "a"


async def test_what_follows_done_is_ignored() -> None:
    got, error = await _run(sse(chunk(content="a"), chunk("stop")) + sse({"error": "late"}), sse(chunk(content="b")))
    assert error is None
    assert fold(got).text == "a"


async def test_an_answer_that_stops_half_way_is_broken_and_kept() -> None:
    got, error = await _run(sse(chunk(content="a"), done=False), b'data: {"choices": [{"del')
    assert isinstance(error, StreamBroken)
    assert str(error) == "The answer of openai at example.org was cut off half-way. Run again."
    assert fold(got).text == "a"


@pytest.mark.parametrize("body", [b"", b"\n\n", b": hm\n\n", b"data: [DONE]\n\n", b"hello"])
async def test_an_answer_with_nothing_in_it_is_broken(body: bytes) -> None:
    got, error = await _run(body)
    assert isinstance(error, StreamBroken)
    assert error.retryable
    assert got == []


@pytest.mark.parametrize(
    "last",
    [
        sse({"error": {"message": "Too much", "code": 400}}),
        sse({"error": "Too much", "status_code": 400}),
        b'event: error\ndata: {"error": {"message": "Too much", "status_code": 400}}\n\n',
        b'event: error\ndata: {"message": "Too much", "status": 400}\n\n',
        sse({**chunk("stop", content=""), "error": {"code": 400, "message": "Too much"}}),
        sse({"object": "error", "message": "Too much", "code": 400}),
        sse([{"error": {"code": 400, "message": "Too much"}}]),
    ],
)
async def test_a_stream_that_turns_into_an_error_keeps_what_came_before(last: bytes) -> None:
    got, error = await _run(sse(chunk(content="part"), done=False) + last)
    assert isinstance(error, StreamBroken)
    assert str(error).startswith("openai broke its answer off: Too much. ")
    assert error.status == 400
    assert fold(got).text == "part"
    got, error = await _run(last)
    assert isinstance(error, RequestRefused)
    assert got == []


async def test_text_where_json_should_be_is_an_error_that_shows_it() -> None:
    got, error = await _run(sse(chunk(content="part"), done=False) + b"data: Internal Server Error\n\n")
    assert isinstance(error, StreamBroken)
    assert str(error).startswith("openai at example.org sent something that is not JSON: Internal Server Error. ")
    assert error.retryable
    assert fold(got).text == "part"


async def test_pictures_come_wherever_a_server_puts_them() -> None:
    made = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,cG5n"}}
    broken = {"image_url": {"url": "data:image/png;base64,cG5"}}
    message = await _message(
        chunk(content="see", images=[made, {"image_url": "https://x/y.png"}, broken, {"image_url": 1}, "odd"]),
        chunk(content=[{"type": "text", "text": "and"}, made]),
        chunk("stop"),
    )
    assert message.content == (
        Text("see"),
        Image(b"png", "image/jpeg"),
        Image(url="https://x/y.png"),
        Text("and"),
        Image(b"png", "image/jpeg"),
    )


async def test_what_was_read_from_and_put_into_a_cache_is_counted() -> None:
    async def used(**usage: Any) -> messages.Usage:
        got, _ = await _run(sse(chunk("stop", usage={"prompt_tokens": 9, **usage})))
        return fold(got).usage

    assert await used(prompt_tokens_details={"cached_tokens": 3, "cache_write_tokens": 4}) == messages.Usage(
        9, cached=3, written=4
    )
    assert await used(prompt_cache_hit_tokens=5) == messages.Usage(9, cached=5)
    assert await used(cached_tokens=6) == messages.Usage(9, cached=6)


async def test_a_bad_payload_does_not_join_with_its_neighbour() -> None:
    got, error = await _run(sse(chunk(content="a"), done=False) + b'data: {"choices": [\n\ndata: ]}\n\n')
    assert isinstance(error, StreamBroken)
    assert fold(got).text == "a"


async def test_a_vendor_that_gives_up_in_a_finish_reason_is_broken() -> None:
    _, error = await _run(sse(chunk(content="a"), chunk("error")))
    assert isinstance(error, StreamBroken)


async def test_a_whole_document_is_an_answer_too() -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "", "type": "function", "function": {"name": "g", "arguments": '{"x":1}'}},
    ]
    message = {"role": "assistant", "content": "hi", "reasoning": "hm", "tool_calls": calls, "refusal": None}
    body = {
        "id": "w",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3},
    }
    raw = json.dumps(body).encode()
    got, error = await _run(b"\n ", *(raw[i : i + 7] for i in range(0, len(raw), 7)))
    assert error is None
    folded = fold(got).messages[-1]
    assert folded.content[:3] == (Thinking("hm"), Text("hi"), ToolCall("a", "f", "{}"))
    assert (folded.calls[1].name, folded.calls[1].arguments, folded.finish) == ("g", '{"x":1}', "tool_calls")
    assert fold(got).usage.input == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "No such model"}}', "openai refused the request: No such model."),
        (b'[{"error": {"message": "No such model"}}]', "openai refused the request: No such model."),
        (b"<html><title>Welcome</title></html>", "did not answer as a model does, but with: Welcome. Check the base"),
        (b'{"object": "list", "data": []}', "answered without an answer in it. Check the base URL"),
        (b'{"choices": [', "did not answer as a model does"),
    ],
)
async def test_a_document_that_is_no_answer_is_refused(body: bytes, says: str) -> None:
    got, error = await _run(body)
    assert got == []
    assert isinstance(error, RequestRefused)
    assert says in str(error)


async def test_an_id_is_new_however_long_ago_it_was_used() -> None:
    between = [messages.user("x"), messages.assistant("y")] * 100
    history = (messages.user("x"), messages.assistant(ToolCall("0", "f")), *between)
    message = await _message(chunk(tool_calls=[tool_call(0, "{}", "0", "f")]), chunk("tool_calls"), history=history)
    assert message.calls[0].id != "0"
