"""JSON of a conversation, as other programs read it."""

from __future__ import annotations

import base64
import json

from inline_snapshot import snapshot

from agentnb.exporting import Conversation, layout
from agentnb.store import Store
from tests.exporting.conftest import HOSTILE, PNG, many


def test_it_has_the_layout_of_a_conversation_file(full: Conversation) -> None:
    picture = base64.b64encode(PNG).decode()
    assert json.loads(layout(full).replace(picture, "PNG")) == snapshot(
        {
            "meta": {
                "session_id": "s1",
                "title": "Sums",
                "created_at": "2026-11-28T06:20:00",
                "updated_at": "2026-11-28T06:21:00",
                "turn_count": 2,
                "last_total_tokens": 120,
            },
            "messages": [
                {
                    "role": "user",
                    "content": "What is 2 + 40?",
                    "timestamp": "2026-11-28T06:20:00",
                    "images": ["data:image/png;base64,PNG"],
                    "prompt_template": "What is {{a}} + 40?",
                },
                {
                    "role": "assistant",
                    "content": "",
                    "timestamp": "2026-11-28T06:21:00",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 40}'}},
                        {
                            "id": "c2",
                            "type": "function",
                            "function": {"name": "delegate", "arguments": '{"task": "look"}'},
                        },
                    ],
                    "thinking": """\
First I add.
Then I say it.\
""",
                },
                {
                    "role": "tool",
                    "content": """\
42 ``` of them
{
  "sum": 42
}\
""",
                    "timestamp": "2026-11-28T06:21:00",
                    "name": "add",
                    "tool_call_id": "c1",
                    "images": ["data:image/png;base64,PNG"],
                },
                {
                    "role": "tool",
                    "content": "nothing there",
                    "timestamp": "2026-11-28T06:21:00",
                    "name": "delegate",
                    "tool_call_id": "c2",
                    "is_error": True,
                    "within": [
                        {
                            "agent": "scout",
                            "model": "openai:small",
                            "messages": [
                                {"role": "user", "content": "look", "timestamp": "2026-11-28T06:21:00"},
                                {
                                    "role": "assistant",
                                    "content": "I **looked**.",
                                    "timestamp": "2026-11-28T06:21:00",
                                    "model": "openai:small",
                                    "stat": {
                                        "prompt_tokens": 0,
                                        "completion_tokens": 0,
                                        "total_tokens": 0,
                                        "total_ms": 0.0,
                                    },
                                },
                            ],
                        }
                    ],
                },
                {
                    "role": "assistant",
                    "content": "It is **42**.",
                    "timestamp": "2026-11-28T06:21:00",
                    "model": "openai:x",
                    "stat": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "total_ms": 0.0},
                },
                {"role": "user", "content": "Go on.", "timestamp": "2026-11-28T06:20:00"},
                {
                    "role": "assistant",
                    "content": "Half of",
                    "timestamp": "2026-11-28T06:21:00",
                    "stat": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "total_ms": 0.0},
                    "outcome": "error",
                    "error": "The connection broke.",
                },
            ],
        }
    )


def test_every_character_of_a_text_is_there(hostile: Conversation) -> None:
    messages = json.loads(layout(hostile))["messages"]
    assert [message["content"] for message in messages] == ["not the same: " + HOSTILE, "", HOSTILE, HOSTILE]
    assert messages[0]["prompt_template"] == HOSTILE
    assert messages[1]["tool_calls"][0]["function"] == {"name": HOSTILE, "arguments": HOSTILE}


def test_turns_are_counted(store: Store) -> None:
    assert json.loads(layout(many(store, 3)))["meta"]["turn_count"] == 3
