from __future__ import annotations

from typing import Any

import orjson
import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.errors import UsageError
from agentnb.messages import Message, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_options import THINKING
from agentnb.models.openai_request import format_request
from agentnb.models.options import Options, Thinking

ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"x": {"type": "integer"}}})
ASKED: tuple[Thinking, ...] = ("off", "on", "low", "max", 2_000, 50_000)


def _body(*conversation: Message, quirks: Quirks | None = None, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(format_request(Request(conversation, **options), model="m", quirks=quirks))
    return body


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_a_tool_choice_is_sent_only_with_tools(choice: str, sent: object) -> None:
    assert _body(messages.user("x"), tools=(ADD,), tool_choice=choice).get("tool_choice") == sent
    if choice != "add":
        assert "tool_choice" not in _body(messages.user("x"), tool_choice=choice)


@pytest.mark.parametrize(("tools", "names"), [((ADD,), "add"), ((), "none")])
def test_a_tool_that_is_not_there_cannot_be_chosen(tools: tuple[ToolSpec, ...], names: str) -> None:
    with pytest.raises(UsageError, match=f"There is no tool 'ad' to choose.*The tools of this request: {names}"):
        _body(messages.user("x"), tools=tools, tool_choice="ad")


@pytest.mark.parametrize("choice", ["required", "add"])
def test_no_call_is_demanded_where_none_can_be(choice: str) -> None:
    with pytest.raises(UsageError, match="No tool call can be demanded of zai"):
        _body(messages.user("x"), tools=(ADD,), tool_choice=choice, quirks=Quirks("zai", forced=False))


def test_every_option_is_sent_in_the_dialects_words() -> None:
    options = Options(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_tokens=100,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        seed=7,
        stop=("END",),
        thinking="high",
        parallel_tool_calls=False,
        cache="1h",
    )
    body = _body(messages.user("x"), tools=(ADD,), options=options, quirks=Quirks(max_tokens="max_completion_tokens"))
    kept = {"model", "stream", "stream_options", "tools", "messages"}
    assert {name: value for name, value in body.items() if name not in kept} == snapshot(
        {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "seed": 7,
            "stop": ["END"],
            "max_completion_tokens": 100,
            "reasoning_effort": "high",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
            "parallel_tool_calls": False,
        }
    )
    assert "parallel_tool_calls" not in _body(messages.user("x"), options=options)


def _thinks(style: str, thinking: Thinking) -> dict[str, Any]:
    body = _body(options=Options(thinking=thinking), quirks=Quirks("p", thinking=style, stream_options=False))
    return {name: value for name, value in body.items() if name not in ("model", "stream", "messages")}


@pytest.mark.parametrize("style", THINKING)
def test_each_way_of_thinking_says_what_is_asked(style: str) -> None:
    expected = {
        "effort": snapshot(
            [
                {"reasoning_effort": "none"},
                {"reasoning_effort": "medium"},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "max"},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "high"},
            ]
        ),
        "groq": snapshot(
            [
                {"reasoning_effort": "none"},
                {},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "max"},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "high"},
            ]
        ),
        "openrouter": snapshot(
            [
                {"reasoning": {"enabled": False}},
                {"reasoning": {"enabled": True}},
                {"reasoning": {"effort": "low"}},
                {"reasoning": {"effort": "max"}},
                {"reasoning": {"max_tokens": 2000}},
                {"reasoning": {"max_tokens": 50000}},
            ]
        ),
        "together": snapshot(
            [
                {"reasoning": {"enabled": False}},
                {"reasoning": {"enabled": True}},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "max"},
                {"reasoning_effort": "low"},
                {"reasoning_effort": "high"},
            ]
        ),
        "enable_thinking": snapshot(
            [
                {"enable_thinking": False},
                {"enable_thinking": True},
                {"enable_thinking": True, "thinking_budget": 4096},
                {"enable_thinking": True},
                {"enable_thinking": True, "thinking_budget": 2000},
                {"enable_thinking": True, "thinking_budget": 50000},
            ]
        ),
        "type": [{"thinking": {"type": "disabled"}}, *[{"thinking": {"type": "enabled"}}] * 5],
        "type_effort": snapshot(
            [
                {"thinking": {"type": "disabled"}},
                {"thinking": {"type": "enabled"}},
                {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
                {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
                {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
                {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            ]
        ),
        "adaptive": [{"thinking": {"type": "disabled"}}, *[{"thinking": {"type": "adaptive"}}] * 5],
        "template": snapshot(
            [
                {"chat_template_kwargs": {"enable_thinking": False}},
                {"chat_template_kwargs": {"enable_thinking": True}},
                {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}},
                {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "max"}},
                {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"}},
                {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}},
            ]
        ),
    }
    assert [_thinks(style, thinking) for thinking in ASKED] == expected[style]


def test_no_thinking_in_tokens_is_no_thinking() -> None:
    assert [_thinks(style, 0) for style in THINKING] == [_thinks(style, "off") for style in THINKING]


def test_an_unknown_way_of_thinking_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"p has no way of thinking called 'hard'\. There are: effort, groq"):
        _thinks("hard", "on")


def test_what_a_provider_runs_itself_goes_beside_our_tools() -> None:
    options = Options(thinking="on", body={"tools": [{"type": "web"}], "reasoning": {"exclude": True}})
    body = _body(messages.user("x"), tools=(ADD,), options=options, quirks=Quirks(thinking="openrouter"))
    assert [tool["type"] for tool in body["tools"]] == ["function", "web"]
    assert body["reasoning"] == {"enabled": True, "exclude": True}


def test_a_schema_is_strict_where_it_can_be() -> None:
    def format_of(**schema: Any) -> Any:
        output = OutputSpec("A city!", {"type": "object", **schema}, "Where it is.")
        return _body(messages.user("x"), output=output)["response_format"]

    assert format_of(properties={"x": {"type": "integer"}}) == snapshot(
        {
            "type": "json_schema",
            "json_schema": {
                "name": "A_city_",
                "description": "Where it is.",
                "schema": {
                    "type": "object",
                    "properties": {"x": {"type": "integer"}},
                    "required": ["x"],
                    "additionalProperties": False,
                },
                "strict": True,
            },
        }
    )
    assert format_of()["json_schema"]["strict"] is False
