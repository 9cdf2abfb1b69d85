from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb import events, messages
from agentnb.errors import StreamBroken, UsageError
from agentnb.messages import Image, Message, Text, Thinking, ToolCall, ToolResult
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel, call
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio


async def _events(model: FakeModel, *conversation: Message) -> list[events.ModelEvent]:
    async with aclosing(model.stream(Request(conversation or (messages.user("hi"),)))) as stream:
        return [event async for event in stream]


async def _message(model: FakeModel, *conversation: Message) -> Message:
    return fold(await _events(model, *conversation)).messages[-1]


async def test_turns_are_played_one_request_after_the_other() -> None:
    fake = FakeModel("Hello", [Thinking("Hm."), call("add", x=1), call("add", x=2)], "Done")
    assert (await _message(fake)).text == "Hello"
    second = await _message(fake)
    assert second.content == (
        Thinking("Hm."),
        ToolCall("call_1", "add", '{"x":1}'),
        ToolCall("call_2", "add", '{"x":2}'),
    )
    assert second.finish == "tool_calls"
    assert (await _message(fake)).text == "Done"
    assert len(fake.requests) == 3
    with pytest.raises(UsageError, match="fake:script has no turn 4: its script holds 3"):
        await _message(fake)


async def test_an_answer_comes_in_small_pieces_and_stable_counts() -> None:
    got = await _events(FakeModel("Hello world", chunk=4), messages.user("12345678"))
    assert got == snapshot(
        [
            events.TextDelta("Hell"),
            events.TextDelta("o wo"),
            events.TextDelta("rld"),
            events.Usage(messages.Usage(2, 2)),
            events.MessageEnd("stop", "fake_1", "fake:script"),
        ]
    )


async def test_a_turn_may_fail_half_way_or_be_decided_at_the_request() -> None:
    fake = FakeModel(lambda request: f"You said {request.messages[-1].text}", ["half", StreamBroken("gone")])
    assert (await _message(fake, messages.user("boo"))).text == "You said boo"
    got, error = await collect(fake, Request((messages.user("x"),)))
    assert str(error) == "gone"
    assert fold(got).text == "half"


async def test_a_block_that_does_not_stream_is_added_whole() -> None:
    picture = Image(b"png")
    assert (await _message(FakeModel(picture))).content == (picture,)


async def test_a_script_answers_by_words_of_the_last_prompt_and_the_same_again() -> None:
    fake = FakeModel(script={"mean mass": [[call("mean")], "4.2 kg"], "hello": "Hi"})
    asked = messages.user("What is the mean mass?")
    for _ in range(2):
        first = await _message(fake, asked)
        assert first.calls == (ToolCall("call_1", "mean"),)
        answered = Message("tool", (ToolResult("call_1", "mean", (Text("4.2"),)),))
        assert (await _message(fake, asked, first, answered)).text == "4.2 kg"
    assert (
        await _message(fake, asked, first, answered, messages.assistant("4.2 kg"), messages.user("hello"))
    ).text == "Hi"
    with pytest.raises(UsageError, match=r"no answer to 'something else'.* Ask one of: 'mean mass', 'hello'"):
        await _message(fake, messages.user("something else"))
    with pytest.raises(UsageError, match="no turn 2 for 'hello'"):
        await _message(fake, messages.user("hello"), messages.assistant("Hi"))


async def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    turns = [[{"thinking": "Hm."}, {"call": "mean", "arguments": {"n": 3}}], "Four.", [{"text": "a"}, "b"]]
    path.write_text(json.dumps({"mean": turns, "one": "Only this."}))
    fake = FakeModel.load(path)
    asked = messages.user("mean")
    assert fake.name == "fake:script.json"
    assert (await _message(fake, asked)).content == (Thinking("Hm."), ToolCall("call_1", "mean", '{"n":3}'))
    assert (await _message(fake, asked, messages.assistant("x"))).text == "Four."
    assert (await _message(fake, asked, messages.assistant("x"), messages.assistant("y"))).text == "ab"
    assert (await _message(fake, messages.user("one"))).text == "Only this."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "script.json is not JSON"),
        ("[]", "must be an object"),
        ('{"a": [[{"tool": "x"}]]}', "has a turn that is none"),
        ('{"a": [3]}', "has a turn that is none"),
    ],
)
def test_a_script_written_wrongly_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        FakeModel.load(path)


def test_a_missing_script_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No script .*nowhere\.json"):
        FakeModel.load(tmp_path / "nowhere.json")


async def test_a_pace_lets_others_run_between_pieces() -> None:
    got = await _events(FakeModel("Hello", chunk=1, pace=0.0001))
    assert fold(got).text == "Hello"
