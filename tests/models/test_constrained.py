from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Audio, Data, File, Image, JSONObject, Message, Text, Thinking, ToolCall, ToolResult
from agentnb.models.base import OutputSpec, Request
from agentnb.models.constrained import (
    RESULT_BUDGET,
    answer_prompt,
    chat_prompt,
    current_turn,
    cut,
    decide_prompt,
    next_step,
    output_prompt,
    read_text,
)

WEATHER = messages.ToolSpec(
    "weather",
    "The weather of a city.\n\nMore words.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name."},
            "unit": {"enum": ["C", "F"]},
        },
        "required": ["city"],
    },
)
NOW = messages.ToolSpec("now", "The time.", {"type": "object", "properties": {}})
ASK = messages.user("How warm is Oslo?")
CALL = Message("assistant", (ToolCall("c1", "weather", '{"city": "Oslo"}'),), finish="tool_calls")
#: Characters of prompt that fit: three to a token, less what is kept free for the answer.
CONTEXT = 1024
ROOM = 3 * (CONTEXT - 768)


def result(text: str, *, name: str = "weather", failed: bool = False) -> Message:
    return Message("tool", (ToolResult("c1", name, (Text(text),), is_error=failed),))


def said(prompt_messages: Sequence[JSONObject]) -> list[str]:
    return [f"{m['role']}: {m['content']}" for m in prompt_messages]


@pytest.mark.parametrize("one_tool", [True, False])
@pytest.mark.parametrize(
    ("turn", "tools", "choice", "step"),
    [
        ([ASK], (), "auto", "chat"),
        ([ASK], (), "required", "chat"),
        ([ASK], (WEATHER,), "none", "chat"),
        ([ASK], (WEATHER,), "auto", "decide"),
        ([ASK], (WEATHER,), "weather", "decide"),
        ([ASK, CALL, result("3")], (), "auto", "answer"),
        ([ASK, CALL, result("3")], (WEATHER,), "none", "answer"),
        ([ASK, CALL, result("3")], (WEATHER,), "required", "decide"),
        ([ASK, CALL, result("no", failed=True)], (WEATHER,), "auto", "decide"),
        ([ASK, CALL, result("3"), ASK], (WEATHER,), "auto", "decide"),
        ([ASK, CALL, result("3"), ASK], (), "auto", "chat"),
        ([], (), "auto", "chat"),
    ],
)
def test_the_next_step_follows_from_the_turn_so_far(
    turn: list[Message], tools: tuple[messages.ToolSpec, ...], choice: str, step: str, one_tool: bool
) -> None:
    assert next_step(Request(tuple(turn), tools, choice), one_tool=one_tool) == step


def test_a_model_of_one_tool_answers_after_it_where_others_may_go_on() -> None:
    request = Request((ASK, CALL, result("3")), (WEATHER,))
    assert next_step(request, one_tool=True) == "answer"
    assert next_step(request, one_tool=False) == "decide"


def test_a_loop_ends_where_a_call_repeats_itself() -> None:
    again = Message("assistant", (ToolCall("c2", "weather", '{"city": "Oslo"}'),), finish="tool_calls")
    other = Message("assistant", (ToolCall("c2", "weather", '{"city": "Bergen"}'),), finish="tool_calls")
    for call, step in ((again, "answer"), (other, "decide")):
        request = Request((ASK, CALL, result("3"), call, result("3")), (WEATHER,))
        assert next_step(request, one_tool=False) == step


def test_only_a_model_of_one_tool_is_pushed_towards_it() -> None:
    request = Request((ASK,), (WEATHER,))
    assert [word for word, _ in decide_prompt(request, context=4096).bias] == ["reply"]
    assert decide_prompt(request, context=4096, one_tool=False).bias == ()
    required = Request((ASK,), (WEATHER,), "required")
    assert decide_prompt(required, context=4096).bias == ()


def test_a_failed_call_is_tried_again_once() -> None:
    failed = (CALL, result("no", failed=True))
    assert next_step(Request((ASK, *failed), (WEATHER,)), one_tool=True) == "decide"
    assert next_step(Request((ASK, *failed, *failed), (WEATHER,)), one_tool=True) == "answer"


def test_the_turn_begins_with_the_last_user_message() -> None:
    assert current_turn([ASK, CALL, result("3")]) == [ASK, CALL, result("3")]
    assert current_turn([ASK, messages.assistant("3"), ASK]) == [ASK]
    assert current_turn([]) == []


def test_a_chat_is_what_people_and_model_said() -> None:
    conversation = (
        messages.system("Be brief."),
        messages.user("hi"),
        Message("assistant", (Thinking("hm"), ToolCall("c1", "now"), Text("Hello!"))),
        result("ignored"),
        messages.system("Be kind."),
        messages.user("how are you?"),
    )
    prompt = chat_prompt(Request(conversation), context=4096)
    assert prompt.schema is None
    assert said(prompt.messages) == snapshot(
        [
            """\
system: Be brief.

Be kind.\
""",
            "user: hi",
            "assistant: Hello!",
            "user: how are you?",
        ]
    )


def test_an_answer_is_asked_for_with_the_results_in_words() -> None:
    conversation = (messages.system("Be brief."), messages.user("hi"), messages.assistant("Hello!"), ASK, CALL)
    prompt = answer_prompt(Request((*conversation, result("3 degrees")), (WEATHER,)), context=4096)
    assert prompt.schema is None
    assert said(prompt.messages) == snapshot(
        [
            "system: Be brief.",
            "user: hi",
            "assistant: Hello!",
            """\
user: The weather of a city (city Oslo):
3 degrees

How warm is Oslo?
Answer in one or two plain sentences, giving each value with its name and unit.\
""",
        ]
    )


def test_a_failed_result_says_so() -> None:
    prompt = answer_prompt(Request((ASK, CALL, result("no such city", failed=True)), (WEATHER,)), context=4096)
    asked = said(prompt.messages)[-1]
    assert "The weather of a city (city Oslo) failed: no such city" in asked
    assert asked.endswith("Say in one plain sentence what went wrong.")


def test_a_flat_object_is_read_as_a_list_and_anything_else_as_it_is() -> None:
    listed = answer_prompt(Request((ASK, CALL, result('{"day": 3.5, "night": null}')), (WEATHER,)), context=4096)
    assert "The weather of a city (city Oslo):\n- day: 3.5\n- night: null\n" in said(listed.messages)[-1]
    for text in ('{"day": {"low": 3}}', "[3, 5]", "{}", "3 degrees"):
        prompt = answer_prompt(Request((ASK, CALL, result(text)), (WEATHER,)), context=4096)
        assert f"(city Oslo):\n{text}\n" in said(prompt.messages)[-1]


def test_a_tool_that_is_gone_is_still_named() -> None:
    call = messages.assistant(messages.ToolCall("c1", "tide_table", "not JSON"), finish="tool_calls")
    prompt = answer_prompt(Request((ASK, call, result("low at 3", name="tide_table"))), context=4096)
    assert "tide table:\nlow at 3\n" in said(prompt.messages)[-1]


def test_a_decision_is_asked_for_with_rules_examples_and_the_conversation_in_json() -> None:
    conversation = (messages.system("Be brief."), messages.user("hi"), messages.assistant("Hello!"), ASK, CALL)
    prompt = decide_prompt(Request((*conversation, result("3 degrees")), (WEATHER, NOW)), context=4096)
    assert said(prompt.messages) == snapshot(
        [
            """\
system: Be brief.
Decide, as one JSON object. To use a tool: {"tool": NAME, "arguments": {...}}.
If no tool helps (greetings, thanks, general knowledge): {"reply": TEXT}.
Numbers and facts about the user's data come only from a tool: you do not know them.
Tools:
- weather(city: string (Its name), unit?: "C"|"F"): The weather of a city
- now(): The time\
""",
            "user: Hi!",
            'assistant: {"reply": "Hello! How can I help you?"}',
            "user: Tell me a short poem.",
            'assistant: {"reply": "Roses are red, violets are blue."}',
            "user: What is the capital of Japan?",
            'assistant: {"reply": "The capital of Japan is Tokyo."}',
            "user: The weather of a city: city example",
            'assistant: {"tool": "weather", "arguments": {"city": "example"}}',
            "user: The time",
            'assistant: {"tool": "now", "arguments": {}}',
            "user: hi",
            'assistant: {"reply": "Hello!"}',
            "user: How warm is Oslo?",
            'assistant: {"tool": "weather", "arguments": {"city": "Oslo"}}',
            "user: weather returned: 3 degrees",
        ]
    )


def test_every_example_and_every_past_decision_is_json() -> None:
    prompt = decide_prompt(Request((ASK, CALL, result("3"), ASK), (WEATHER, NOW)), context=4096)
    decisions = [json.loads(str(m["content"])) for m in prompt.messages if m["role"] == "assistant"]
    assert [sorted(decision) for decision in decisions].count(["arguments", "tool"]) == 3


def test_a_decision_chooses_between_all_tools_and_a_reply() -> None:
    schema = decide_prompt(Request((ASK,), (WEATHER, NOW)), context=4096).schema
    assert schema is not None
    assert choices(schema) == ["weather", "now", "reply"]


def test_a_required_tool_leaves_no_reply() -> None:
    prompt = decide_prompt(Request((ASK,), (WEATHER, NOW), "required"), context=4096)
    assert prompt.schema is not None
    assert choices(prompt.schema) == ["weather", "now"]
    assert "reply" not in "".join(said(prompt.messages))


def test_a_named_tool_is_the_only_choice() -> None:
    prompt = decide_prompt(Request((ASK,), (WEATHER, NOW), "now"), context=4096)
    assert prompt.schema is not None
    assert choices(prompt.schema) == ["now"]
    assert "weather" not in "".join(said(prompt.messages)[:-1])


def test_a_named_tool_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"No tool is called 'wether'\. Did you mean 'weather'\? There are: weather, now"
    ):
        decide_prompt(Request((ASK,), (WEATHER, NOW), "wether"), context=4096)


def choices(schema: JSONObject) -> list[str]:
    found = schema.get("anyOf", [schema])
    return [choice["properties"].get("tool", {"const": "reply"})["const"] for choice in found]


def turns(*texts: str) -> tuple[Message, ...]:
    """A conversation of these texts, a person's first."""
    return tuple(messages.assistant(t) if i % 2 else messages.user(t) for i, t in enumerate(texts))


def test_what_fits_is_kept_whole() -> None:
    conversation = turns("a" * 200, "b" * 200, "c" * (ROOM - 400))
    assert len(chat_prompt(Request(conversation), context=CONTEXT).messages) == 3


def test_the_oldest_is_left_out_first_and_an_answer_with_its_question() -> None:
    conversation = turns("a" * 200, "b" * 200, "c" * 200, "d" * 200, "e" * 200)
    assert [m[-1] for m in said(chat_prompt(Request(conversation), context=CONTEXT).messages)] == ["c", "d", "e"]
    assert [m[-1] for m in said(chat_prompt(Request(conversation), context=CONTEXT + 67).messages)] == ["c", "d", "e"]
    assert len(chat_prompt(Request(conversation), context=CONTEXT + 134).messages) == 5


def test_the_system_message_and_the_question_are_never_left_out() -> None:
    conversation = (messages.system("s" * ROOM), *turns("a", "b", "c" * ROOM))
    assert [m[-1] for m in said(chat_prompt(Request(conversation), context=CONTEXT).messages)] == ["s", "c"]


def test_a_long_loop_keeps_its_question_and_the_newest_results() -> None:
    rounds = [m for i in range(9) for m in (CALL, result(f"{i}" * 300))]
    request = Request((messages.user("before"), messages.assistant("yes"), ASK, *rounds), (WEATHER,))
    prompt = said(decide_prompt(request, context=1536).messages)
    shown = prompt[prompt.index("user: How warm is Oslo?") + 1 :]
    assert shown[-1] == f"user: weather returned: {'8' * 300}"
    assert 2 < len(shown) < 18
    assert sum(map(len, prompt)) < 3 * (1536 - 768) + 10 * len(prompt)
    assert "user: before" not in prompt


def test_even_where_nothing_fits_the_newest_result_is_kept() -> None:
    prompt = said(decide_prompt(Request((ASK, CALL, result("3"), CALL, result("4")), (WEATHER,)), context=800).messages)
    assert prompt[-2:] == ["user: How warm is Oslo?", "user: weather returned: 4"]


def test_a_long_result_is_cut_in_the_middle_and_says_so() -> None:
    prompt = answer_prompt(Request((ASK, CALL, result("a" * 5000 + "z" * 5000))), context=4096)
    shown = str(prompt.messages[-1]["content"])
    assert f"a\n[… {10_000 - RESULT_BUDGET} characters left out …]\nz" in shown
    assert len(shown) < RESULT_BUDGET + 250


def test_results_share_the_budget() -> None:
    calls = Message("assistant", tuple(ToolCall(f"c{i}", "now") for i in range(3)))
    results = Message("tool", tuple(ToolResult(f"c{i}", "now", (Text(f"{i}" * 2000),)) for i in range(3)))
    shown = str(answer_prompt(Request((ASK, calls, results)), context=4096).messages[-1]["content"])
    assert [shown.count(f"{i}" * 100) for i in range(3)] == [4, 4, 4]
    assert shown.count("[… 1500 characters left out …]") == 3


@pytest.mark.parametrize("budget", range(12))
def test_a_cut_text_keeps_exactly_its_budget(budget: int) -> None:
    text = "0123456789"
    shown = cut(text, budget)
    if budget >= len(text):
        assert shown == text
        return
    head, mark, tail = shown.split("\n")
    assert mark == f"[… {len(text) - budget} characters left out …]"
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) == budget


def test_what_this_model_cannot_read_is_named() -> None:
    blocks = (Text("look:"), Image(b"x"), Audio(b"x"), File("a.pdf", b"x"), Data({"ü": 1}), Thinking("secret"))
    assert read_text(blocks) == snapshot("""\
look:
[image: this model reads text only]
[audio: this model reads text only]
[file a.pdf: this model reads text only]
{"ü": 1}\
""")


CITY = OutputSpec(
    "City", {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "title": "City"}
)


def test_json_of_a_schema_is_asked_for_by_its_shape_and_held_to_by_its_grammar() -> None:
    prompt = output_prompt(Request((messages.user("Bern?"),), output=CITY), "chat", context=4096)
    assert prompt.schema == {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]} | {
        "additionalProperties": False
    }
    assert not prompt.decides
    assert (
        prompt.messages[0]["content"] == 'Answer as JSON of this form, with the real values: {"name": "<name: string>"}'
    )


def test_between_tools_the_structured_answer_is_one_of_the_choices() -> None:
    prompt = output_prompt(Request((messages.user("Bern?"),), (WEATHER,), output=CITY), "decide", context=4096)
    assert prompt.decides
    assert prompt.schema is not None
    assert choices(prompt.schema) == ["weather", "final_answer"]


REPORT = messages.ToolSpec("penguin-report", "Facts.", {"type": "object", "properties": {}})


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Look into the penguin report.", True),
        ("Use penguin_report, please", True),
        ("What do penguins report?", False),
        ("A report on the penguin", False),
        ("What time is it now?", False),
    ],
)
def test_a_question_that_names_a_tool_of_several_words_is_one_for_that_tool(question: str, named: bool) -> None:
    prompt = decide_prompt(Request((messages.user(question),), (NOW, WEATHER, REPORT)), context=8192)
    assert ("penguin-report" in str(prompt.schema) and "weather" not in str(prompt.schema)) == named
    assert ("reply" not in str(prompt.schema)) == named


def test_a_tool_that_was_named_is_not_asked_for_again_once_it_has_answered() -> None:
    said = (
        messages.user("Look into the penguin report."),
        Message("assistant", (ToolCall("c1", "penguin-report"),), finish="tool_calls"),
        Message("tool", (ToolResult("c1", "penguin-report", (Text("…"),)),)),
    )
    prompt = decide_prompt(Request(said, (NOW, REPORT)), context=8192, one_tool=False)
    assert "reply" in str(prompt.schema)
