from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from agentnb import Agent, events, messages
from agentnb.errors import (
    AgentnbError,
    BudgetExceeded,
    ConnectionFailed,
    CredentialError,
    MissingExtra,
    ModelError,
    RequestRefused,
    StreamBroken,
    UsageError,
)
from agentnb.messages import Image, Opaque, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import Model, OutputSpec, Request
from agentnb.models.cassette import CassetteModel
from agentnb.models.fake import FakeModel, Turn, call
from agentnb.models.options import Options
from agentnb.transcript import fold
from tests.streams import collect

pytestmark = pytest.mark.anyio
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})


def _ask(text: str = "hi", **parts: Any) -> Request:
    return Request((messages.user(text),), **parts)


async def _record(path: Path, *turns: Turn, asked: Request | None = None, **options: Any) -> list[Any]:
    """What a recording shows while it records."""
    model = CassetteModel(FakeModel(*turns), path, mode="record", **options)
    return [await collect(model, asked or _ask()) for _ in turns]


async def _text(model: Model, request: Request | None = None) -> str:
    got, error = await collect(model, request or _ask())
    assert error is None
    return fold(got).text


async def test_a_recording_replays_as_the_same_message(tmp_path: Path) -> None:
    turn: Turn = [
        Thinking("Let me see.\nYes.", "signed", {"id": "rs"}),
        "I add these two.\n\nThen I am done.",
        call("add", x=1),
        call("add", x=2),
        Opaque("openai", {"encrypted": "x", "data": "sk-0123456789abcdefghij"}),
        Image(b"\xff\x00png"),
    ]
    ((recorded, _),) = await _record(tmp_path / "c.json", turn)
    replay = CassetteModel(None, tmp_path / "c.json", mode="replay")
    replayed, error = await collect(replay, _ask())
    assert error is None
    assert fold(replayed).messages == fold(recorded).messages
    assert fold(replayed).usage == replace(fold(recorded).usage, usd=0.0)
    assert replay.name == "fake:script"
    texts = [event.text for event in replayed if isinstance(event, events.TextDelta)]
    assert max(map(len, texts)) == 16


async def test_the_file_is_one_that_people_read(tmp_path: Path) -> None:
    model = CassetteModel(FakeModel([call("add", x=1)], "It is\n1 é."), tmp_path / "c.json", mode="record")
    first = _ask("Add 1.", tools=(ADD,), options=Options(temperature=0.0, headers={"authorization": "Bearer secret"}))
    got, _ = await collect(model, first)
    answer = messages.Message("tool", (messages.ToolResult("call_1", "add", (Text("1"),)),))
    await collect(model, replace(first, messages=(*first.messages, *fold(got).messages, answer)))
    text = (tmp_path / "c.json").read_text("utf-8")
    assert "é" in text
    assert "secret" not in text
    assert json.loads(text) == snapshot(
        {
            "cassette": 1,
            "model": "fake:script",
            "exchanges": [
                {
                    "digest": "67fc21ddfc5127ee2bf6af6dc5080f30631598eccaefb5555009e5a165ddd975",
                    "request": {
                        "messages": [{"role": "user", "content": [{"text": "Add 1."}]}],
                        "tools": [
                            {
                                "name": "add",
                                "description": "Adds.",
                                "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
                            }
                        ],
                        "tool_choice": "auto",
                        "options": {"temperature": 0},
                    },
                    "events": [
                        {"type": "tool_call_start", "call_id": "call_1", "name": "add"},
                        {"type": "tool_call_args", "call_id": "call_1", "delta": '{"x":1}'},
                        {"type": "tool_call_end", "call_id": "call_1"},
                        {"type": "usage", "usage": {"input": 1, "output": 2}},
                        {"type": "message_end", "finish": "tool_calls", "message_id": "fake_1", "model": "fake:script"},
                    ],
                },
                {
                    "digest": "106848ce21459537f54789213bfedd6b137c471989500d964f44ca0185543db3",
                    "request": {
                        "messages": [
                            "1 as before",
                            {
                                "role": "assistant",
                                "content": [{"call": "call_1", "name": "add", "arguments": {"x": 1}}],
                            },
                            {
                                "role": "tool",
                                "content": [{"result": "call_1", "name": "add", "content": [{"text": "1"}]}],
                            },
                        ],
                        "tools": "as before",
                        "tool_choice": "as before",
                        "options": "as before",
                    },
                    "events": [
                        {"type": "text_delta", "text": ["It is\n", "1 é."]},
                        {"type": "usage", "usage": {"input": 4, "output": 2}},
                        {"type": "message_end", "finish": "stop", "message_id": "fake_3", "model": "fake:script"},
                    ],
                },
            ],
        }
    )


async def test_the_same_request_gets_its_recordings_in_turn_then_the_last_again(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "One", "Two")
    replay = CassetteModel(None, tmp_path / "c.json", mode="replay")
    assert [await _text(replay) for _ in range(4)] == ["One", "Two", "Two", "Two"]


async def test_auto_asks_only_for_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "c.json"
    assert await _text(CassetteModel(FakeModel("One"), path)) == "One"
    fake = FakeModel("Two")
    model = CassetteModel(fake, path)
    assert [await _text(model), await _text(model, _ask("else")), await _text(model)] == ["One", "Two", "One"]
    assert len(fake.requests) == 1
    both = CassetteModel(None, path, mode="replay")
    assert [await _text(both, _ask("else")), await _text(both)] == ["Two", "One"]


async def test_what_was_just_recorded_is_answered_from_the_record(tmp_path: Path) -> None:
    model = CassetteModel(FakeModel("One"), tmp_path / "c.json")
    assert [await _text(model), await _text(model)] == ["One", "One"]


async def test_a_new_recording_replaces_the_old_one(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "One", "Two")
    await _record(tmp_path / "c.json", "Three")
    assert await _text(CassetteModel(None, tmp_path / "c.json", mode="replay")) == "Three"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("Nothing there.", retryable=True),
        RequestRefused("Busy.", status=429, code="busy", retryable=True, retry_after=1.5),
        CredentialError("No key.", status=401),
        ModelError("No."),
        UsageError("It has no option 'seed'."),
        BudgetExceeded("Too dear."),
    ],
)
async def test_an_error_is_replayed_as_that_error(tmp_path: Path, error: AgentnbError) -> None:
    await _record(tmp_path / "c.json", error)
    _, replayed = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    assert type(replayed) is type(error)
    assert str(replayed) == str(error)
    assert vars(replayed) == vars(error)


async def test_an_error_of_another_kind_is_replayed_as_the_nearest(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", MissingExtra("It", "extra"))
    _, replayed = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    assert type(replayed) is UsageError


async def test_an_answer_that_broke_off_is_replayed_with_its_beginning(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", ["Hel", StreamBroken("Gone.")])
    got, error = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    assert fold(got).text == "Hel"
    assert isinstance(error, StreamBroken)


async def test_what_nobody_heard_to_its_end_is_not_recorded(tmp_path: Path) -> None:
    model = CassetteModel(FakeModel("One and more", "Two"), tmp_path / "c.json", mode="record")
    async with aclosing(model.stream(_ask())) as stream:
        await anext(stream)
    assert not (tmp_path / "c.json").exists()
    await _text(model)
    assert await _text(CassetteModel(None, tmp_path / "c.json", mode="replay")) == "Two"


async def test_recordings_at_once_are_kept_in_the_order_of_asking(tmp_path: Path) -> None:
    going = [asyncio.Event() for _ in range(3)]

    class Waits:
        name = "fake:waits"

        async def stream(self, request: Request) -> AsyncGenerator[events.ModelEvent, None]:
            await going[int(request.messages[0].text)].wait()
            yield events.TextDelta(f"Answer {request.messages[0].text}")
            yield events.MessageEnd("stop")

    model = CassetteModel(Waits(), tmp_path / "c.json", mode="record")
    runs = [asyncio.create_task(_text(model, _ask(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    for number in (2, 0, 1):
        going[number].set()
        await runs[number]
    kept = json.loads((tmp_path / "c.json").read_text())["exchanges"]
    assert [exchange["events"][0]["text"] for exchange in kept] == ["Answer 0", "Answer 1", "Answer 2"]


async def test_keys_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    key, other = "sk-proj-" + "a1B2" * 8, "hush-hush"
    asked = _ask(f"My key is {key}, my word {other}.")
    turns: list[Turn] = [[f"{key} and {other}", call("login", key=key)], RequestRefused(f"Wrong key {key}, {other}.")]
    await _record(tmp_path / "c.json", *turns, asked=asked, mask=lambda text: text.replace(other, "[word]"))
    text = (tmp_path / "c.json").read_text()
    assert key not in text
    assert other not in text
    replay = CassetteModel(
        None, tmp_path / "c.json", mode="replay", mask=lambda text: text.replace("whisper", "[word]")
    )
    same = _ask(f"My key is sk-{'x' * 20}, my word whisper.")
    got, error = await collect(replay, same)
    assert error is None
    assert fold(got).text == "[key] and [word]"


async def test_times_are_not_recorded(tmp_path: Path) -> None:
    class Timed:
        name = "fake:timed"

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            yield events.Usage(messages.Usage(3, 4, seconds=1.5, first=0.5, usd=0.25))
            yield events.MessageEnd("stop")

    await collect(CassetteModel(Timed(), tmp_path / "c.json", mode="record"), _ask())
    got, _ = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    # What was paid then is not paid again.
    assert fold(got).usage == messages.Usage(3, 4, usd=0.0)


async def test_a_replay_can_take_its_time(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await _record(tmp_path / "c.json", "Hello")
    replay = CassetteModel(None, tmp_path / "c.json", mode="replay", pace=0.5, chunk=3, sleep=sleep)
    assert await _text(replay) == "Hello"
    assert slept == [0.5] * 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            Request((messages.system("Be brief."), messages.user("How many pigeons are there?"))),
            """message 2 differs: '{"text": "How many pigeons are there?"}]}' """
            """instead of '{"text": "How many penguins are there?"}]}'""",
        ),
        (Request((messages.system("Be brief."),)), "it has 1 message, the recorded one has 2"),
        (
            Request((messages.system("Be brief."), messages.user("How many penguins are there?")), tools=(ADD,)),
            "the tools differ: not recorded add",
        ),
        (
            Request(
                (messages.system("Be brief."), messages.user("How many penguins are there?")),
                options=Options(seed=1),
                output=OutputSpec("n", {}),
            ),
            """the options: '{"seed": 1}' instead of none; """
            """the schema of the answer: '{"name": "n", "description": "", "schema": {}}' instead of none""",
        ),
    ],
)
async def test_a_request_that_is_not_there_is_told_what_differs(tmp_path: Path, asked: Request, said: str) -> None:
    known = Request((messages.system("Be brief."), messages.user("How many penguins are there?")))
    await _record(tmp_path / "c.json", "344", asked=known)
    _, error = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), asked)
    assert isinstance(error, UsageError)
    assert str(error) == (
        f"This request is not in the cassette c.json: {said}. Record it again: "
        "CassetteModel(model, 'c.json', mode='record')."
    )


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ((), "only recorded add"),
        ((ToolSpec("mul", "Multiplies.", {}),), "not recorded mul, only recorded add"),
        ((replace(ADD, description="Sums."),), "changed add"),
    ],
)
async def test_tools_that_differ_are_named(tmp_path: Path, tools: tuple[ToolSpec, ...], said: str) -> None:
    await _record(tmp_path / "c.json", "Hi", asked=_ask(tools=(ADD,)))
    _, error = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask(tools=tools))
    assert f"the tools differ: {said}" in str(error)


async def test_a_difference_in_the_middle_of_a_long_text_is_seen(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "Hi", asked=_ask("x" * 5000 + "a" + "x" * 5000))
    assert len((tmp_path / "c.json").read_text()) < 2000
    _, error = await collect(
        CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask("x" * 5000 + "b" + "x" * 5000)
    )
    assert "message 1 differs: " in str(error)
    assert "sha256" in str(error)


async def test_the_nearest_request_is_the_one_that_begins_alike(tmp_path: Path) -> None:
    model = CassetteModel(FakeModel("A", "B"), tmp_path / "c.json", mode="record")
    await collect(model, Request((messages.user("one"), messages.user("two"), messages.user("three"))))
    await collect(model, Request((messages.user("other"), messages.user("two"), messages.user("four"))))
    asked = Request((messages.user("one"), messages.user("two"), messages.user("four")))
    _, error = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), asked)
    assert "message 3 differs" in str(error)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "The cassette c.json is damaged: it is not JSON (Expecting value: line 1 column 1 (char 0))."),
        ('{"cassette": 1, "model": "m", "exch', "The cassette c.json is damaged: it is not JSON (Unterminated"),
        ("[" * 100_000, "The cassette c.json is damaged: it is not JSON (maximum recursion"),
        ("\udcff", "The cassette c.json is damaged: it is not JSON ('utf-8'"),
        ("[]", "c.json is not a cassette. Check the path, or record one."),
        ('{"cassette": "1"}', "c.json is not a cassette."),
        ('{"cassette": 2, "model": 7}', "The cassette c.json was written by a newer agentnb (its form is 2, this one"),
    ],
)
def test_a_file_that_is_no_cassette_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "c.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        CassetteModel(None, tmp_path / "c.json", mode="replay")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "exchange",
    [
        7,
        {},
        {"digest": "d", "request": {}, "events": [7]},
        {"digest": "d", "request": {}, "events": [{"type": "other"}]},
        {"digest": "d", "request": {}, "events": [], "error": {"kind": "OSError", "message": ""}},
        {"digest": "d", "request": {}, "events": [], "error": {"kind": "ModelError", "message": "", "status": "x"}},
        {"digest": "d", "request": {"messages": ["x as before"]}, "events": []},
    ],
)
async def test_an_exchange_that_is_damaged_is_named(tmp_path: Path, exchange: object) -> None:
    await _record(tmp_path / "c.json", "Hi")
    document = json.loads((tmp_path / "c.json").read_text())
    document["exchanges"].append(exchange)
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"^Exchange 2 of the cassette c.json is damaged: .*Record it again\.$"):
        CassetteModel(None, tmp_path / "c.json", mode="replay")


def test_a_cassette_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No cassette at '.*c\.json': No such file or directory\. Check the path"):
        CassetteModel(None, tmp_path / "c.json", mode="replay")


async def test_a_cassette_of_another_model_is_refused(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "Hi")
    with pytest.raises(UsageError, match="was recorded with fake:script, not with fake:other"):
        CassetteModel(FakeModel(name="fake:other"), tmp_path / "c.json")


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _, error = await collect(CassetteModel(FakeModel("Hi"), tmp_path / "file" / "c.json", mode="record"), _ask())
    assert isinstance(error, UsageError)
    assert "cannot be written" in str(error)


def test_modes_are_three_and_recording_takes_a_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes a model"):
        CassetteModel(None, tmp_path / "c.json")
    with pytest.raises(UsageError, match="no mode 'play'"):
        CassetteModel(FakeModel(), tmp_path / "c.json", mode="play")  # type: ignore[arg-type]  # that is the mistake


async def test_an_empty_cassette_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"cassette": 1, "model": "fake:script", "exchanges": []}')
    _, error = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    assert str(error).startswith("The cassette c.json is empty.")


async def test_a_tool_choice_that_differs_is_named(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "Hi", asked=_ask(tools=(ADD,)))
    replay = CassetteModel(None, tmp_path / "c.json", mode="replay")
    _, error = await collect(replay, _ask(tools=(ADD,), tool_choice="none"))
    assert "the tool choice: 'none' instead of 'auto'" in str(error)


async def test_a_run_with_tools_replays_from_its_cassette(tmp_path: Path) -> None:
    ran: list[int] = []

    def add(x: int) -> int:
        """Add one."""
        ran.append(x)
        return x + 1

    fake = FakeModel([Thinking("Hm."), call("add", x=1), call("add", x=2)], "They are 2 and 3.")
    recorded = await Agent(CassetteModel(fake, tmp_path / "c.json"), tools=[add]).run("Add one to 1 and 2.")
    replay = CassetteModel(None, tmp_path / "c.json", mode="replay")
    for _ in range(2):
        replayed = await Agent(replay, tools=[add]).run("Add one to 1 and 2.")
        assert replayed.text == recorded.text == "They are 2 and 3."
        assert replayed.messages == recorded.messages
        assert replayed.usage.total == recorded.usage.total > 0
    assert sorted(ran) == [1, 1, 1, 2, 2, 2]


KEY = "sk-proj-" + "a1B2" * 8


@pytest.mark.parametrize(
    "block",
    [
        ToolResult("1", "f", (messages.Data({"token": KEY}),)),
        ToolResult("1", "f", (messages.Data({KEY: 1}),)),
        ToolCall("1", "f", json.dumps({"data": KEY})),
    ],
)
async def test_a_key_in_data_is_in_no_file(tmp_path: Path, block: messages.Block) -> None:
    await _record(tmp_path / "c.json", "Hi", asked=Request((messages.assistant(block),)))
    assert KEY not in (tmp_path / "c.json").read_text()


async def test_a_key_in_pieces_of_calls_that_arrive_at_once_is_in_no_file(tmp_path: Path) -> None:
    class Says:
        name = "fake:says"

        async def stream(self, _: Request) -> AsyncGenerator[events.ModelEvent, None]:
            yield events.ToolCallStart("a", "f")
            yield events.ToolCallStart("b", "f")
            yield events.ToolCallArgs("a", f'{{"key":"{KEY[:20]}')
            yield events.ToolCallArgs("b", "{")
            yield events.ToolCallArgs("a", f'{KEY[20:]}"}}')
            yield events.ToolCallArgs("b", "}")
            yield events.ToolCallEnd("a")
            yield events.ToolCallEnd("b")
            yield events.MessageEnd("tool_calls")

    await collect(CassetteModel(Says(), tmp_path / "c.json", mode="record"), _ask())
    assert KEY[20:] not in (tmp_path / "c.json").read_text()
    got, _ = await collect(CassetteModel(None, tmp_path / "c.json", mode="replay"), _ask())
    assert [each.arguments for each in fold(got).messages[0].calls] == ['{"key":"[key]"}', "{}"]


async def test_a_secret_that_is_one_of_our_words_breaks_no_recording(tmp_path: Path) -> None:
    await _record(tmp_path / "c.json", "Hi", mask=lambda text: text.replace("finish", "[key]").replace("role", "[key]"))
    assert json.loads((tmp_path / "c.json").read_text())["exchanges"][0]["events"][-1]["finish"] == "stop"


@pytest.mark.parametrize(
    "error",
    [CredentialError("No key."), ConnectionFailed("Nothing there.", retryable=True), BudgetExceeded("Too dear.")],
)
async def test_an_error_that_can_be_cured_is_asked_for_again(tmp_path: Path, error: AgentnbError) -> None:
    _, raised = await collect(CassetteModel(FakeModel(error), tmp_path / "c.json"), _ask())
    assert raised is error
    assert await _text(CassetteModel(FakeModel("Hi"), tmp_path / "c.json")) == "Hi"


async def test_an_error_that_stays_is_kept(tmp_path: Path) -> None:
    await collect(CassetteModel(FakeModel(RequestRefused("Too long.", status=400)), tmp_path / "c.json"), _ask())
    _, error = await collect(CassetteModel(FakeModel("Hi"), tmp_path / "c.json"), _ask())
    assert str(error) == "Too long."


async def test_a_request_without_messages_in_a_file_is_added_to(tmp_path: Path) -> None:
    odd = {"digest": "d", "request": {}, "events": []}
    (tmp_path / "c.json").write_text(json.dumps({"cassette": 1, "model": "fake:script", "exchanges": [odd]}))
    assert await _text(CassetteModel(FakeModel("Hi"), tmp_path / "c.json")) == "Hi"


def test_a_home_that_there_is_not_is_no_traceback() -> None:
    with pytest.raises(UsageError, match="No cassette at '~nobody-of-this-name"):
        CassetteModel(None, "~nobody-of-this-name/c.json", mode="replay")
