"""Provenance that travels in the notebook."""

from __future__ import annotations

import json

from inline_snapshot import snapshot

from agentnb import events, messages
from agentnb.messages import Data, Image, Opaque, Text, user
from agentnb.render import Renderer
from agentnb.render.record import RUN_MIME, Provenance, record
from agentnb.transcript import Transcript, fold
from tests.render import samples


def test_the_record_says_how_the_answer_came_about() -> None:
    stream = [
        events.RunStarted("openai:gpt-5-mini"),
        events.MessageAdded(user("How many rows has df?")),
        *samples.call("call_8f3a", "rows", '{"df": "df"}'),
        events.MessageEnd("tool_calls", "chatcmpl-random", "openai:gpt-5-mini"),
        samples.result("call_8f3a", "rows", Data(344), Image(b"png")),
        events.BlockAdded(Opaque("openai", {"id": "random"})),
        events.TextDelta("344."),
        events.Usage(messages.Usage(20, 5)),
        events.MessageEnd("stop"),
        events.RunFinished("done", messages.Usage(20, 5)),
    ]
    made = record(fold(stream), Provenance("How many rows has {{df}}?", {"df": "sha256:ab"}, {"temperature": 0}))
    assert made == snapshot(
        {
            "version": 1,
            "model": "openai:gpt-5-mini",
            "prompt": "How many rows has {{df}}?",
            "variables": {"df": "sha256:ab"},
            "params": {"temperature": 0},
            "outcome": "done",
            "rounds": 2,
            "usage": {"input": 20, "output": 5, "cached": 0, "reasoning": 0},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "How many rows has df?"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_call", "id": "call_1", "name": "rows", "arguments": '{"df": "df"}'}],
                    "finish": "tool_calls",
                },
                {
                    "role": "tool",
                    "content": [
                        {
                            "type": "tool_result",
                            "id": "call_1",
                            "name": "rows",
                            "content": [
                                {"type": "data", "value": 344},
                                {"type": "image", "media_type": "image/png", "bytes": 3},
                            ],
                        }
                    ],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "opaque", "provider": "openai"}, {"type": "text", "text": "344."}],
                    "finish": "stop",
                },
            ],
        }
    )


def test_the_same_run_with_other_ids_gives_the_same_record() -> None:
    def made(call_id: str, message_id: str) -> str:
        stream = [
            events.RunStarted("m:x", run_id=message_id),
            *samples.call(call_id, "f", "{}"),
            events.MessageEnd("tool_calls", message_id),
            samples.result(call_id, "f", Text("1")),
            events.RunFinished("done", messages.Usage()),
        ]
        return json.dumps(record(fold(stream), Provenance()))

    assert made("a", "b") == made("c", "d")


def test_a_long_run_loses_its_middle_and_says_so() -> None:
    stream: list[events.Event] = [events.RunStarted("m:x"), events.MessageAdded(user("begin"))]
    for number in range(300):
        stream += [
            *samples.call(f"c{number}", "f", json.dumps({"x": "y" * 5000})),
            events.MessageEnd("tool_calls"),
            samples.result(f"c{number}", "f", Text("z" * 5000)),
        ]
    stream += [events.TextDelta("end"), events.MessageEnd("stop"), events.RunFinished("done", messages.Usage())]
    made = record(fold(stream), Provenance())
    kept = made["messages"]
    assert isinstance(kept, list)
    assert len(json.dumps(made)) <= 16_000
    assert "begin" in json.dumps(kept[0])
    assert "end" in json.dumps(kept[-1])
    assert made["messages_left_out"] == 602 - len(kept)


def finished(*said: events.Event, prompt: str = "begin") -> Transcript:
    stream = [events.RunStarted("m:x"), events.MessageAdded(user(prompt)), *said]
    return fold([*stream, events.MessageEnd("stop"), events.RunFinished("done", messages.Usage())])


def test_the_record_keeps_what_a_replay_needs() -> None:
    given = Provenance(
        "hi", system="Be brief.", context="minimal", tools=("rows",), schema={"type": "object"}, turns=2, replays="ab12"
    )
    made = record(finished(events.Usage(messages.Usage(1, 1, seconds=2.345)), events.TextDelta("yes")), given)
    assert made["system"] == "Be brief."
    assert made["context"] == "minimal"
    assert made["tools"] == ["rows"]
    assert made["schema"] == {"type": "object"}
    assert made["turns"] == 2
    assert made["replays"] == "ab12"
    assert "cut" not in made


def test_what_differs_from_run_to_run_stands_beside_the_record() -> None:
    took = finished(events.Usage(messages.Usage(1, 1, seconds=2.345)), events.TextDelta("yes"))
    [*_, end] = Renderer(Provenance()).pieces(took, closing=True)
    made = end.make()
    assert "seconds" not in json.dumps(made.data[RUN_MIME])
    assert made.metadata == {RUN_MIME: {"seconds": 2.3}}


def test_prompt_and_answer_are_kept_whole_where_what_is_between_is_cut() -> None:
    calls: list[events.Event] = []
    for number in range(30):
        calls += [
            *samples.call(f"c{number}", "f", json.dumps({"x": "y" * 5000})),
            events.MessageEnd("tool_calls"),
            samples.result(f"c{number}", "f", Text("z" * 5000)),
        ]
    made = record(finished(*calls, events.TextDelta("a" * 3000), prompt="p" * 3000), Provenance("p {{p}}"))
    kept = made["messages"]
    assert isinstance(kept, list)
    assert kept[0] == {"role": "user", "content": [{"type": "text", "text": "p" * 3000}]}
    assert '"cut": true' not in json.dumps([kept[0], kept[-1]])
    assert '"cut": true' in json.dumps(kept)
    assert len(json.dumps(made)) <= 16_000


def test_what_is_not_whole_is_marked() -> None:
    given = Provenance("p" * 9000, params={"body": "b" * 9000}, system="s" * 9000, schema={"title": "t" * 9000})
    made = record(finished(events.TextDelta("a" * 9000), prompt="q" * 9000), given)
    assert made["cut"] == ["prompt", "system", "params", "schema"]
    assert [m["content"][0]["cut"] for m in made["messages"]] == [True, True]  # type: ignore[union-attr, index, call-overload]  # JSON
    assert len(json.dumps(made)) <= 16_000


def test_nothing_makes_it_longer_than_it_may_be() -> None:
    many = {f"{{{{f({number!r} * {'9' * 2000})}}}}": "0" * 64 for number in range(300)}
    tools = tuple("é" * 60 + str(number) for number in range(300))
    said = [events.BlockAdded(Text("é" * 3000)) for _ in range(400)]
    made = record(finished(*said, prompt="é" * 20_000), Provenance("é" * 20_000, many, system="é" * 9000, tools=tools))
    assert len(json.dumps(made)) <= 16_000
