"""Records read back, the damaged and the hostile among them."""

from __future__ import annotations

import json

import pytest

from agentnb import events, messages
from agentnb.errors import UsageError
from agentnb.messages import JSON, Data, Image, Text, ToolResult, Usage, user
from agentnb.render.record import Provenance, record
from agentnb.render.recorded import read_record
from agentnb.transcript import Transcript, fold
from tests.render import samples


def asked(*prompt: str | messages.Block, answer: str = "344.") -> Transcript:
    """A run with a call in it."""
    return fold(
        [
            events.RunStarted("openai:gpt-5-mini"),
            events.MessageAdded(user(*prompt)),
            *samples.call("c", "rows", '{"df": "df"}'),
            events.MessageEnd("tool_calls"),
            events.ToolResult(ToolResult("c", "rows", (Text("344"),))),
            events.TextDelta(answer),
            events.Usage(Usage(20, 5, seconds=1.26, usd=0.5)),
            events.MessageEnd("stop"),
            events.RunFinished("done", Usage()),
        ]
    )


def test_what_was_recorded_is_read_back() -> None:
    given = Provenance(
        "How many has {{df}}?", {"df": "ab"}, {"temperature": 0}, "Be brief.", "none", ("rows",), {"type": "object"}
    )
    read = read_record(json.loads(json.dumps(record(asked("How many has df?"), given))))
    assert read.model == "openai:gpt-5-mini"
    assert read.prompt == read.head == "How many has {{df}}?"
    assert read.sent == (Text("How many has df?"),)
    assert (read.text, read.whole) == ("344.", True)
    assert read.usage == Usage(20, 5, usd=0.5)
    assert (read.calls, read.tools, read.rounds, read.outcome) == (("rows",), ("rows",), 2, "done")
    assert (read.variables, read.params) == ({"df": "ab"}, {"temperature": 0})
    assert (read.system, read.context, read.schema) == ("Be brief.", "none", {"type": "object"})


def test_a_prompt_that_was_cut_or_masked_or_had_a_picture_is_not_taken_for_the_whole() -> None:
    for prompt in ("x" * 9000, "my key is [key]", Image(b"png"), Data("x" * 9000), Image(url="file:///etc/passwd")):
        assert read_record(record(asked("See:", prompt), Provenance("See: {{x}}"))).sent is None
    assert read_record(record(asked(Data({"a": 1})), Provenance())).sent == (Data({"a": 1}),)


def test_what_is_cut_is_none_rather_than_half_of_it() -> None:
    given = Provenance("p" * 9000, params={"body": "b" * 9000}, system="s" * 9000, schema={"title": "t" * 9000})
    read = read_record(record(asked("hi", answer="a" * 9000), given))
    assert (read.prompt, read.params, read.system, read.schema, read.whole) == (None, None, None, None, False)
    assert read.head.startswith("ppp")


def test_a_record_of_before_is_read_too() -> None:
    old: JSON = {"version": 1, "model": "m:x", "prompt": "hi", "outcome": "done", "usage": {}, "messages": []}
    assert read_record(old).tools is None


def test_a_record_of_a_newer_version_says_so() -> None:
    with pytest.raises(UsageError, match="written by a newer agentnb"):
        read_record({"version": 2, "messages": "unheard of"})


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {"version": "1"},
        {"version": 1, "model": 3},
        {"version": 1, "prompt": ["a"]},
        {"version": 1, "messages": {}},
        {"version": 1, "messages": [3]},
        {"version": 1, "messages": [{"role": "assistant", "content": "x"}]},
        {"version": 1, "messages": [{"role": "assistant", "content": [3]}]},
        {"version": 1, "messages": [{"role": "assistant", "content": [{"type": "text", "text": {}}]}]},
        {"version": 1, "tools": "rows"},
        {"version": 1, "tools": [1]},
        {"version": 1, "params": []},
        {"version": 1, "variables": "x"},
        {"version": 1, "usage": {"input": -1}},
        {"version": 1, "usage": {"input": 10**400}},
        {"version": 1, "usage": {"usd": float("nan")}},
        {"version": 1, "usage": {"usd": 10**400}},
        {"version": 1, "usage": {"seconds": True}},
        {"version": 1, "rounds": 1.5},
        {"version": 1, "prompt": "x" * 100_000},
        {"version": 1, "schema": json.loads('{"a":' * 300 + "1" + "}" * 300)},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_no_agentnb_wrote_is_refused_in_a_line(value: JSON) -> None:
    with pytest.raises(UsageError) as caught:
        read_record(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
