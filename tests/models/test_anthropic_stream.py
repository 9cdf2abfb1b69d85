from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import CredentialError, ModelError, RequestRefused, StreamBroken
from agentnb.messages import JSON, Message, Opaque, Text, Thinking, ToolCall
from agentnb.models.anthropic_stream import parse_stream
from agentnb.models.refusal import Source
from agentnb.transcript import fold
from tests.contract.anthropic_script import begin, delta, end, sse, start, stop, tool, words

pytestmark = pytest.mark.anyio


async def _run(*blocks: bytes, history: tuple[Message, ...] = ()) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    got: list[events.ModelEvent] = []
    try:
        async for event in parse_stream(body(), source=Source("anthropic", "example.org"), model="m", history=history):
            got.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


async def _content(*chunks: dict[str, Any]) -> tuple[messages.Block, ...]:
    got, error = await _run(sse(start(), *chunks, *end()))
    assert error is None
    return fold(got).messages[-1].content


def _ended(got: list[events.ModelEvent]) -> list[str]:
    return [event.call_id for event in got if isinstance(event, events.ToolCallEnd)]


async def test_text_of_one_read_is_one_event() -> None:
    first, *rest = (start(), *words("a", "b", "c", "d"), *end(input_tokens=7))
    got, _ = await _run(sse(first, *rest[:3]), sse(*rest[3:]))
    assert got == [
        events.TextDelta("ab"),
        events.TextDelta("cd"),
        events.Usage(messages.Usage(7, 2)),
        events.MessageEnd("stop", "msg_1", "anthropic:m"),
    ]


async def test_thoughts_words_and_calls_keep_their_order() -> None:
    got, _ = await _run(
        sse(
            start(),
            begin(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="h"),
            delta(0, "thinking_delta", thinking="m"),
            {"type": "ping"},
            delta(0, "signature_delta", signature="sig"),
            stop(0),
            *words("a", index=1),
            *tool(2, "c", '{"x"', ":1}"),
            *end("tool_use"),
        )
    )
    assert got[:-2] == [
        events.ThinkingDelta("hm", "sig"),
        events.TextDelta("a"),
        events.ToolCallStart("c", "add"),
        events.ToolCallArgs("c", '{"x":1}'),
        events.ToolCallEnd("c"),
    ]
    assert isinstance(got[-1], events.MessageEnd)
    assert got[-1].finish == "tool_calls"


async def test_a_signature_belongs_to_its_own_thought_and_the_last_one_counts() -> None:
    chunks = (
        begin(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="first"),
        delta(0, "signature_delta", signature="old"),
        delta(0, "signature_delta", signature="one"),
        stop(0),
        begin(1, "thinking", thinking="", signature=""),
        delta(1, "signature_delta", signature="two"),
        stop(1),
    )
    assert await _content(*chunks) == (Thinking("first", "one"), Thinking("", "two"))
    got, _ = await _run(*(sse(chunk) for chunk in (start(), *chunks, *end())))
    assert fold(got).messages[-1].content == (Thinking("first", "one"), Thinking("", "two"))


async def test_blocks_are_told_apart_by_their_index() -> None:
    first, second = tool(0, "a", '{"x":', "1}"), tool(1, "b", '{"x":2', "}")
    mixed = [each for pair in zip(first, second, strict=True) for each in pair]
    calls = await _content(*mixed)
    assert calls == (ToolCall("a", "add", '{"x":1}'), ToolCall("b", "add", '{"x":2}'))


@pytest.mark.parametrize("pieces", [(), ("",), ("", " "), ("{", "}")])
async def test_a_call_without_arguments_has_an_empty_object(pieces: tuple[str, ...]) -> None:
    chunks = (
        begin(0, "tool_use", id="c", name="now", input={}),
        *(delta(0, "input_json_delta", partial_json=piece) for piece in pieces),
        stop(0),
    )
    got, _ = await _run(sse(start(), *chunks, *end("tool_use")))
    (call,) = fold(got).messages[-1].calls
    assert json.loads(call.arguments) == {}
    assert _ended(got) == ["c"]


async def test_arguments_in_the_start_of_a_block_count_where_no_pieces_come() -> None:
    got, _ = await _run(
        sse(start(), begin(0, "tool_use", id="c", name="add", input={"x": 1}), stop(0), *end("tool_use"))
    )
    assert fold(got).messages[-1].calls == (ToolCall("c", "add", '{"x":1}'),)
    assert _ended(got) == ["c"]


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
@pytest.mark.parametrize("last", [tool(1, "b", '{"x"'), tool(1, "b"), tool(1, "b", '{"x"')[:-1]])
async def test_a_call_that_was_cut_off_never_ends(reason: str, last: tuple[dict[str, Any], ...]) -> None:
    got, error = await _run(sse(start(), *tool(0, "a", '{"x":1}'), *last, *end(reason)))
    assert error is None
    assert _ended(got) == ["a"]
    assert fold(got).messages[-1].finish in ("length", "content_filter")


@pytest.mark.parametrize(
    ("given", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
        (None, "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
async def test_reasons_to_stop_are_ours(given: str | None, finish: str) -> None:
    got, _ = await _run(sse(start(), *words("a"), *end(given)))
    assert fold(got).messages[-1].finish == finish


async def test_calls_decide_that_an_answer_is_one_of_calls() -> None:
    got, _ = await _run(sse(start(), *tool(0, "a", "{}"), *end("end_turn")))
    assert fold(got).messages[-1].finish == "tool_calls"


async def test_ids_that_are_missing_or_were_used_before_are_made_new() -> None:
    history = (messages.assistant(ToolCall("a", "add")),)
    calls = (*tool(0, "a", "{}"), *tool(1, "b", "{}"), *tool(2, "b", "{}"), *tool(3, "", "{}"))
    got, _ = await _run(sse(start(), *calls, *end("tool_use")), history=history)
    ids = [call.id for call in fold(got).messages[-1].calls]
    assert len(set(ids)) == 4
    assert "a" not in ids
    assert ids[1] == "b"
    assert _ended(got) == ids


async def test_counts_are_totals_and_the_input_is_what_was_read_written_and_new() -> None:
    first = start(cache_read_input_tokens=100, cache_creation_input_tokens=20)
    last = end(output_tokens=50, cache_read_input_tokens=None, output_tokens_details={"thinking_tokens": 30})
    got, _ = await _run(sse(first, *words("a"), *last))
    assert fold(got).usage == messages.Usage(input=125, output=50, cached=100, reasoning=30, written=20)


async def test_blocks_of_the_providers_own_are_kept_whole() -> None:
    content = await _content(
        begin(0, "redacted_thinking", data="x"),
        stop(0),
        begin(1, "server_tool_use", id="s", name="web_search", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"query":'),
        delta(1, "input_json_delta", partial_json=' "é"}'),
        stop(1),
        begin(2, "compaction", content=None),
        delta(2, "compaction_delta", content="So far: "),
        delta(2, "compaction_delta", content="nothing.", encrypted=None),
        stop(2),
        begin(3, "something_new", text="a", parts=[1]),
        delta(3, "text_delta", text="b"),
        delta(3, "odd_delta", parts=[2], count=3),
        stop(3),
    )
    assert [block.payload for block in content if isinstance(block, Opaque)] == [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "é"}},
        {"type": "compaction", "content": "So far: nothing."},
        {"type": "something_new", "text": "ab", "parts": [2], "count": 3},
    ]
    assert {block.provider for block in content if isinstance(block, Opaque)} == {"anthropic"}


async def test_citations_follow_the_words_they_are_for() -> None:
    cited: dict[str, JSON] = {"type": "char_location", "cited_text": "…"}
    content = await _content(
        *words("So: "),
        begin(1, "text", text="", citations=[]),
        delta(1, "citations_delta", citation=cited),
        delta(1, "text_delta", text="it "),
        delta(1, "citations_delta", citation={**cited, "start_char_index": 1}),
        delta(1, "text_delta", text="rained"),
        stop(1),
        *words(".", index=2),
    )
    assert content == (
        Text("So: it rained"),
        Opaque(
            "anthropic",
            {"type": "text", "text": "it rained", "citations": [cited, {**cited, "start_char_index": 1}]},
        ),
        Text("."),
    )


async def test_what_says_who_made_a_call_goes_with_it() -> None:
    content = await _content(
        begin(0, "tool_use", id="c", name="add", input={}, caller={"type": "direct"}),
        delta(0, "input_json_delta", partial_json="{}"),
        stop(0),
    )
    assert content == (ToolCall("c", "add", "{}", {"caller": {"type": "direct"}}),)


async def test_a_whole_document_gives_the_same_events() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "a", "citations": None},
        {"type": "tool_use", "id": "c", "name": "add", "input": {"x": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "tool_use", "id": "d", "name": "now", "input": {}},
    ]
    document = {"type": "message", "id": "msg_1", "content": content, "stop_reason": "tool_use", "usage": {}}
    blocks = [
        each
        for i, block in enumerate(content)
        for each in ({"type": "content_block_start", "index": i, "content_block": block}, stop(i))
    ]
    streamed = sse(start(), *blocks, *end("tool_use"))
    for body in ([json.dumps(document).encode()], [b" \n", json.dumps(document, indent=1).encode()], [streamed]):
        got, error = await _run(*body)
        assert error is None
        assert [event for event in got if not isinstance(event, events.Usage)] == [
            events.ThinkingDelta("hm", "sig"),
            events.TextDelta("a"),
            events.ToolCallStart("c", "add"),
            events.BlockAdded(Opaque("anthropic", content[3])),
            events.ToolCallStart("d", "now"),
            events.ToolCallArgs("c", '{"x":1}'),
            events.ToolCallEnd("c"),
            events.ToolCallArgs("d", "{}"),
            events.ToolCallEnd("d"),
            events.MessageEnd("tool_calls", "msg_1", "anthropic:m"),
        ]


async def test_the_last_call_of_a_document_that_was_cut_off_never_ends() -> None:
    calls = [{"type": "tool_use", "id": i, "name": "add", "input": {"x": 1}} for i in ("a", "b")]
    got, _ = await _run(json.dumps({"content": calls, "stop_reason": "max_tokens"}).encode())
    assert _ended(got) == ["a"]


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}


@pytest.mark.parametrize(
    "body",
    [sse(OVERLOADED), sse(start(), OVERLOADED), json.dumps(OVERLOADED).encode(), sse(OVERLOADED).rstrip()],
)
async def test_an_error_before_the_first_word_is_a_refusal(body: bytes) -> None:
    got, error = await _run(body)
    assert not [event for event in got if not isinstance(event, events.Usage)]
    assert isinstance(error, RequestRefused)
    assert (error.code, error.retryable) == ("overloaded_error", True)
    assert "Overloaded" in str(error)


@pytest.mark.parametrize(
    "last",
    [
        sse(OVERLOADED),
        b"event: error\ndata: Overloaded\n\n",
        b'data: {"error":"Overloaded"}\n\n',
        b'data: "Overloaded"\n\n',
    ],
)
async def test_an_error_after_it_breaks_the_answer_off_with_what_was_said(last: bytes) -> None:
    got, error = await _run(sse(start(), *words("half")[:2]) + last + sse(*end()))
    assert isinstance(error, StreamBroken)
    assert "Overloaded" in str(error)
    assert fold(got).text == "half"
    assert not [event for event in got if isinstance(event, events.MessageEnd)]


async def test_an_error_of_the_key_asks_for_a_key() -> None:
    _, error = await _run(
        sse({"type": "error", "error": {"type": "authentication_error", "message": "No", "status": 401}})
    )
    assert isinstance(error, CredentialError)


@pytest.mark.parametrize(
    ("body", "kind", "words_said"),
    [
        (b"", StreamBroken, "empty answer"),
        (b" \n", StreamBroken, "empty answer"),
        (sse({"type": "ping"}), StreamBroken, "empty answer"),
        (sse(start()), StreamBroken, "cut off half-way"),
        (sse(start(), *words("half")[:2]), StreamBroken, "cut off half-way"),
        (sse(start(), *words("half")), StreamBroken, "cut off half-way"),
        (sse(start(), *tool(0, "c", '{"x"')[:-1]), StreamBroken, "cut off half-way"),
        (b'{"type":"message","content":[{"ty', StreamBroken, "cut off half-way"),
        (b"<html><title>Sign in</title></html>", RequestRefused, "but with: Sign in"),
        (b'{"choices":[]}', RequestRefused, "without an answer in it"),
        (b'{"content":"text"}', RequestRefused, "without an answer in it"),
        (b'{"detail":"Not here"}', RequestRefused, "Not here"),
        (b'[{"error":{"message":"Listed"}}]', RequestRefused, "Listed"),
        (b"event: x\ndata: nonsense\n\n", RequestRefused, "nonsense"),
    ],
)
async def test_an_answer_that_is_none_says_what_it_is(body: bytes, kind: type[ModelError], words_said: str) -> None:
    got, error = await _run(body)
    assert type(error) is kind
    assert words_said in str(error)
    assert "\n" not in str(error)
    assert not _ended(got)
    assert not [event for event in got if isinstance(event, events.MessageEnd)]


async def test_an_answer_that_gave_its_reason_is_whole_without_its_last_event() -> None:
    body = sse(start(), *words("a"), end()[0])
    for cut in (body, body.rstrip(), body + b"data: [DONE]\n\n"):
        got, error = await _run(cut)
        assert error is None
        assert fold(got).messages[-1].finish == "stop"


async def test_padding_unknown_events_and_what_follows_the_end_do_not_matter() -> None:
    body = sse(start(), {"type": "something_new", "error": None}, *words("a"), *end(), *words("b"))
    padded = body.replace(b"}\n\n", b"}     \n\n").replace(b'"}\n', b'"    }\n')
    got, error = await _run(b"data: 3\n\ndata: null\n\n" + padded)
    assert error is None
    assert fold(got).text == "a"


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "content_block_delta", "index": 0},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 3}},
        {"type": "content_block_delta", "index": [], "delta": {"type": "text_delta", "text": None}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta"}},
        {"type": "content_block_start", "index": 7},
        {"type": "content_block_start", "index": 8, "content_block": "odd"},
        {"type": "content_block_stop", "index": 9},
        {"type": "message_start", "message": 3},
        {"type": "message_delta", "delta": 3, "usage": 3},
        {"type": "message_delta", "delta": {"stop_reason": 3}, "usage": {"output_tokens": "many"}},
        {"type": ["odd"]},
    ],
)
async def test_odd_events_are_passed_over(odd: dict[str, Any]) -> None:
    head = json.dumps(odd).encode()
    text = words("a", "b")
    got, error = await _run(sse(start(), *text[:2]) + b"data: " + head + b"\n\n" + sse(*text[2:], *end()))
    assert error is None
    assert fold(got).text == "ab"


async def test_a_block_without_a_start_is_of_the_kind_that_its_pieces_are() -> None:
    assert await _content(delta(0, "thinking_delta", thinking="hm"), delta(1, "text_delta", text="a")) == (
        Thinking("hm"),
        Text("a"),
    )
