from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb import messages
from agentnb.messages import Audio, Data, File, Image, Message, Opaque, Text, Thinking, ToolCall, ToolResult, ToolSpec
from agentnb.models.base import OutputSpec, Request
from agentnb.models.canonical import canonical, digest, fingerprint
from agentnb.models.options import Options

WHOLE = Request(
    (
        messages.system("Be brief."),
        Message("user", (Text("Look."), Image(b"png", alt="a cat"), Image(url="https://x/y.png")), name="Ana"),
        Message(
            "assistant",
            (
                Thinking("Hm.", signature="s1", extra={"id": "rs_1"}),
                ToolCall("toolu_9", "mean", '{"b": 2, "a": 1.0}', {"id": "fc_1"}),
                ToolCall("toolu_7", "mean", "{not json"),
                Opaque("anthropic", {"type": "redacted_thinking", "data": "xyz"}),
            ),
            id="msg_1",
            model="anthropic:claude",
            finish="tool_calls",
        ),
        Message(
            "tool",
            (
                ToolResult("toolu_7", "mean", (Text("no"),), is_error=True),
                ToolResult("toolu_9", "mean", (Data({"m": 2.0}), Audio(b"wav"), File("a.pdf", b"pdf")), handle="_r1"),
            ),
        ),
    ),
    (ToolSpec("mean", "The mean.", {"type": "object", "properties": {"a": {"minimum": 1.0}}}),),
    "required",
    Options(temperature=0.0, stop=("x",), stream=False, cache="5m", headers={"x-key": "1"}, query={"key": "1"}),
    OutputSpec("city", {"type": "object"}),
)


def test_a_request_has_one_form() -> None:
    assert canonical(WHOLE, name="openai:m") == snapshot(
        {
            "model": "openai:m",
            "messages": [
                {"role": "system", "content": [{"text": "Be brief."}]},
                {
                    "role": "user",
                    "name": "Ana",
                    "content": [
                        {"text": "Look."},
                        {
                            "image": "8f8cbb7dcf46e0bc7d53265749a6c17d116093a6ba95e442764060c76fd4a86c",
                            "media_type": "image/png",
                            "alt": "a cat",
                        },
                        {"image": "https://x/y.png", "media_type": "image/png"},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"thinking": "Hm."},
                        {"call": "call_1", "name": "mean", "arguments": {"b": 2, "a": 1}},
                        {"call": "call_2", "name": "mean", "arguments": "{not json"},
                        {"opaque": "anthropic", "type": "redacted_thinking"},
                    ],
                },
                {
                    "role": "tool",
                    "content": [
                        {"result": "call_2", "name": "mean", "content": [{"text": "no"}], "is_error": True},
                        {
                            "result": "call_1",
                            "name": "mean",
                            "content": [
                                {"data": {"m": 2}},
                                {
                                    "audio": "61e25c2cdda1758ce167dbeb7e6d776c5cd6c2f12168f190ef0dca674ff60e6c",
                                    "media_type": "audio/wav",
                                },
                                {
                                    "file": "c35b21d6ca39aa7cc3b79a705d989f1a6e88b99ab43988d74048799e3db926a3",
                                    "media_type": "application/octet-stream",
                                    "name": "a.pdf",
                                },
                            ],
                        },
                    ],
                },
            ],
            "tools": [
                {
                    "name": "mean",
                    "description": "The mean.",
                    "parameters": {"type": "object", "properties": {"a": {"minimum": 1}}},
                }
            ],
            "tool_choice": "required",
            "options": {"temperature": 0, "stop": ["x"]},
            "output": {"name": "city", "description": "", "schema": {"type": "object"}},
        }
    )


def test_its_digest_is_the_same_in_every_version() -> None:
    assert digest(WHOLE) == snapshot("8bfc831a305f3f62d5127440097730659315abc7ef5ab932b31c106e563b8558")
    assert digest(Request((messages.user("hi"),))) == snapshot(
        "1ffd67ef22187fd0e1b5e809a0117c372166d2067cec3c1ff94027e956974a03"
    )


def test_its_digest_is_the_same_in_every_process() -> None:
    code = (
        "from agentnb import messages; from agentnb.models.base import Request; "
        "from agentnb.models.canonical import digest; print(digest(Request((messages.user('hi'),))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.strip() == digest(Request((messages.user("hi"),)))


def test_ids_and_signatures_make_no_difference() -> None:
    def conversation(call_id: str, message_id: str, signature: str) -> Request:
        said = (Thinking("Hm.", signature), ToolCall(call_id, "add", '{"x":1}'))
        return Request(
            (
                Message("assistant", said, message_id, "openai:m", "tool_calls"),
                Message("tool", (ToolResult(call_id, "add", (Text("1"),)),)),
            )
        )

    assert digest(conversation("call_a", "m1", "s1")) == digest(conversation("call_b", "m2", "s2"))


@pytest.mark.parametrize(
    "other",
    [
        replace(WHOLE, messages=WHOLE.messages[:-1]),
        replace(WHOLE, tools=()),
        replace(WHOLE, tool_choice="auto"),
        replace(WHOLE, options=Options(temperature=0.5)),
        replace(WHOLE, output=None),
        replace(WHOLE, messages=(replace(WHOLE.messages[0], role="user"), *WHOLE.messages[1:])),
    ],
)
def test_what_is_asked_makes_one(other: Request) -> None:
    assert digest(other) != digest(WHOLE)


def test_the_model_makes_one() -> None:
    assert len({digest(WHOLE), digest(WHOLE, name="openai:a"), digest(WHOLE, name="openai:b")}) == 3


def test_numbers_and_keys_are_written_in_one_way() -> None:
    one = Request((), options=Options(temperature=1.0, body={"a": 1, "b": [2.0]}))
    other = Request((), options=Options(temperature=1, body={"b": [2], "a": 1.0}))
    assert digest(one) == digest(other)


def test_odd_texts_and_numbers_have_a_digest() -> None:
    deep = ToolCall("1", "f", "[" * 100_000)
    tool = ToolSpec("f", "", {"at": Path("a")})  # type: ignore[dict-item]  # what is no JSON
    odd = Request((messages.user("\ud800 \x00 é"), messages.assistant(deep, Data([float("nan"), 10**30]))), (tool,))
    assert len(digest(odd)) == 64
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
