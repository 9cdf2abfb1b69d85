from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agentnb import events, messages
from agentnb.errors import ModelError, RequestRefused, StreamBroken
from agentnb.messages import Message
from agentnb.models.ollama import parse_stream
from agentnb.models.refusal import Source
from agentnb.transcript import fold
from tests.contract.ollama_script import call, chunk, lines

pytestmark = pytest.mark.anyio
DONE = chunk(done="stop")


async def _run(*blocks: bytes, history: tuple[Message, ...] = ()) -> tuple[list[events.ModelEvent], ModelError | None]:
    async def body() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block

    got: list[events.ModelEvent] = []
    try:
        async for event in parse_stream(body(), source=Source("ollama", "example.org"), model="m", history=history):
            got.append(event)  # noqa: PERF401  # a comprehension would lose them with the error
    except ModelError as error:
        return got, error
    return got, None


async def _message(*chunks: object, **options: Any) -> Message:
    got, error = await _run(lines(*chunks), **options)
    assert error is None
    return fold(got).messages[-1]


async def _fails(*blocks: bytes) -> tuple[str, ModelError]:
    got, error = await _run(*blocks)
    assert error is not None
    assert not any(isinstance(event, events.MessageEnd) for event in got)
    assert "\n" not in str(error)
    return fold(got).text, error


async def test_text_of_one_read_is_one_event() -> None:
    words = [chunk(word) for word in ("a", "b", "c")]
    got, _ = await _run(lines(*words), lines(*words, DONE))
    assert got == [
        events.TextDelta("abc"),
        events.TextDelta("abc"),
        events.Usage(messages.Usage(5, 2)),
        events.MessageEnd("stop", None, "ollama:m"),
    ]


async def test_thinking_comes_before_the_text_and_apart_from_it() -> None:
    got, _ = await _run(lines(chunk(thinking="Let me "), chunk(thinking="think."), chunk("Four."), DONE))
    assert got[:2] == [events.ThinkingDelta("Let me think."), events.TextDelta("Four.")]


async def test_a_line_may_bring_thinking_text_and_calls_at_once() -> None:
    got, _ = await _run(lines(chunk("b", thinking="a", tool_calls=[call("f")])))
    assert [event.type for event in got] == [
        "thinking_delta",
        "text_delta",
        "tool_call_start",
        "tool_call_args",
        "tool_call_end",
    ]


async def test_calls_keep_their_order_and_get_ids_of_their_own() -> None:
    calls = (call("add", x=1), call("add", x=2))
    first = await _message(chunk(tool_calls=calls), chunk(tool_calls=[call("mul")]), DONE)
    again = await _message(chunk(tool_calls=calls), DONE, history=(first,))
    assert [(c.name, c.arguments) for c in first.calls] == [("add", '{"x":1}'), ("add", '{"x":2}'), ("mul", "{}")]
    assert first.finish == again.finish == "tool_calls"
    assert len({c.id for message in (first, again) for c in message.calls}) == 5


async def test_an_id_that_the_server_gives_is_kept() -> None:
    assert [c.id for c in (await _message(chunk(tool_calls=[{**call("f"), "id": "call_1"}]), DONE)).calls] == ["call_1"]


@pytest.mark.parametrize(
    ("done", "finish"), [("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"), ("new", "stop")]
)
async def test_why_it_stopped(done: str, finish: str) -> None:
    assert (await _message(chunk("a"), chunk(done=done))).finish == finish


async def test_nothing_counts_after_the_end() -> None:
    got, error = await _run(lines(chunk("a"), DONE, chunk("b")), b"garbage")
    assert error is None
    assert fold(got).text == "a"


async def test_a_count_that_is_missing_is_none() -> None:
    last = {key: value for key, value in DONE.items() if key != "prompt_eval_count"}
    got, _ = await _run(lines(chunk("a"), last))
    assert fold(got).usage == messages.Usage(0, 2)


async def test_an_answer_of_a_server_that_never_speaks_of_an_end_ends_with_its_body() -> None:
    line = {"model": "m", "message": {"role": "assistant", "content": "a"}}
    got, error = await _run(lines(line, line))
    assert (fold(got).text, error) == ("aa", None)
    text, error = await _fails(lines(line) + b'{"model": "m", "mess')
    assert (text, type(error)) == ("a", StreamBroken)


@pytest.mark.parametrize(
    "body",
    [
        lines(chunk("half")),
        lines(chunk("half")) + b'{"model": "m", "mess',
        lines(chunk("half"))[:-1],
        lines(chunk("half"), {**chunk(), "done": True, "done_reason": "error"}),
    ],
)
async def test_an_answer_that_is_cut_off_fails_with_what_came_before_it(body: bytes) -> None:
    text, error = await _fails(body)
    assert (text, type(error), error.retryable) == ("half", StreamBroken, True)


@pytest.mark.parametrize(
    "last",
    [
        {"error": "llama runner process has terminated"},
        {**DONE, "done_reason": "error", "error": "llama runner process has terminated"},
    ],
)
async def test_an_error_midway_keeps_what_came_before_it(last: object) -> None:
    text, error = await _fails(lines(chunk("half"), last))
    assert (text, type(error)) == ("half", StreamBroken)
    assert "llama runner process has terminated" in str(error)
    text, error = await _fails(lines(last))
    assert (text, type(error)) == ("", RequestRefused)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty answer"),
        (b"\n\r\n\n", "empty answer"),
        (b"{}\n", "empty answer"),
        (b"<html>\n<title>502 Bad Gateway</title>\n</html>\n", "502 Bad Gateway"),
        (b"404 page not found", "404 page not found"),
        (b"nonsense\n{}\n", "nonsense"),
        (b'"nonsense"\n', "nonsense"),
        (b'data: {"choices": []}\n\n', "did not answer"),
        (b'{"mess', "cut off"),
    ],
)
async def test_what_is_no_answer_is_an_error_that_says_so(body: bytes, words: str) -> None:
    text, error = await _fails(body)
    assert text == ""
    assert words in str(error)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {},
        {"message": None},
        {"message": {"content": None, "tool_calls": None}},
        {"message": {"role": 7, "content": 7, "thinking": 7}, "done": False},
        {"message": {"tool_calls": [None, {}, {"function": 7}, {"function": {"name": ""}}]}},
        {"done": 0, "eval_count": "2"},
    ],
)
async def test_odd_lines_do_no_harm(odd: object) -> None:
    got, error = await _run(lines(chunk("a"), odd, chunk("b"), DONE))
    assert error is None
    assert fold(got).text == "ab"


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("indent", [None, 2])
async def test_streamed_and_whole_are_the_same_events(indent: int | None, end: bytes) -> None:
    whole = json.dumps(chunk("Hi", done="stop", thinking="Hm"), indent=indent).encode() + end
    streamed = await _run(lines(chunk(thinking="Hm"), chunk("Hi"), DONE))
    assert await _run(whole) == streamed
    for size in (1, 7):
        assert await _run(*(whole[i : i + size] for i in range(0, len(whole), size))) == streamed


async def test_blank_lines_between_are_passed_over() -> None:
    got, error = await _run(b"\n", lines(chunk("a")) + b"\r\n \n" + lines(chunk("b"), DONE))
    assert error is None
    assert fold(got).text == "ab"
