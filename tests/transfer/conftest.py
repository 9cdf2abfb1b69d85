"""Stores in empty folders, and a folder of another program with everything that may be in one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from agentnb.store import Store

#: A picture of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SID = "2026-04-01_10-00-00"
Files: TypeAlias = Mapping[str, object]


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    made: list[Store] = []

    def make(name: str) -> Store:
        made.append(Store(tmp_path / name))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[[str], Store]) -> Store:
    return make_store("home")


def write_tree(root: Path, files: Files) -> Path:
    """A folder with these files: bytes and texts as they are, anything else as JSON."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return root


def said(role: str, content: object = "", second: int = 0, **more: object) -> dict[str, Any]:
    """A message as that program writes it."""
    return {"role": role, "content": content, "timestamp": f"2026-04-01T10:00:{second:02d}", **more}


def conversation(*messages: object, session: str = SID, **meta: object) -> dict[str, Any]:
    """A conversation.json."""
    known = {
        "session_id": session,
        "created_at": "2026-04-01T10:00:00",
        "updated_at": "2026-04-01T10:00:59",
        "turn_count": len(messages),
        "last_total_tokens": 77,
    }
    return {"meta": {**known, **meta}, "messages": list(messages)}


def whole_tree() -> dict[str, object]:
    """Everything that may be there."""
    picture = base64.b64encode(PNG).decode()
    asked = {
        "id": "c1",
        "type": "function",
        "function": {"name": "delegate", "arguments": '{"task": "count", "model_id": "oa"}'},
    }
    again = {"id": "c2", "name": "delegate", "arguments": {"task": "sum"}}
    messages = (
        said("system", "Be brief.", 0),
        said("user", "Look at this", 1, images=[picture], audio=["data:audio/wav;base64,UklGRgAAAABXQVZF"]),
        said(
            "assistant", "A dot.", 2, thinking="hm", stat={"prompt_tokens": 9, "completion_tokens": 2, "total_ms": 1500}
        ),
        said("user", "", 3, prompt_template="sum", arguments={"language": "German", "text": "{{language}}"}),
        said("assistant", "", 4, tool_calls=[asked, again]),
        said("tool", "3", 5, name="delegate", tool_call_id="c1"),
        said("tool", "Error: no", 6, name="delegate", tool_call_id="c2"),
        said("assistant", "Done.", 7),
        said("user", "and now?", 8),
    )
    sub = {"created_at": "2026-04-01T10:00:05", "parent_session_id": SID}
    return {
        "models.json": [
            {
                "model_id": "oa",
                "api_base": "https://x.example/v1",
                "model_name": "m",
                "api_key": "sk-very-secret-1",
                "model_type": "llm",
                "api_protocol": "openai",
                "generate_params": {"temperature": 0.1, "num_ctx": 4096},
            },
        ],
        "tools.json": [
            {
                "tool_id": "function-add",
                "tool_type": "function",
                "name": "add",
                "description": "Add",
                "parameters": {"type": "object", "properties": {}},
                "function_file_path": "/x/t.py",
                "function_name": "add",
            },
            {
                "tool_id": "mcp-files-read",
                "tool_type": "mcp",
                "name": "read",
                "description": "",
                "parameters": {},
                "mcp_server_name": "files",
                "tool_name": "read",
            },
            {
                "tool_id": "skill-demo",
                "tool_type": "skill",
                "name": "demo",
                "description": "d",
                "parameters": {},
                "skill_dir": "/x/demo",
            },
        ],
        "mcp_servers.json": {
            "mcpServers": {
                "files": {
                    "command": "srv",
                    "args": ["--token", "tok-123456"],
                    "env": {"API_KEY": "k-98765"},
                    "alwaysAllow": ["read"],
                },
                "web": {"url": "https://m.example/mcp", "headers": {"Authorization": "Bearer abc.def"}},
            }
        },
        "prompt_templates.json": [{"template_id": "sum", "content": "Sum in {{language}}: {{text}} {{missing}}"}],
        "env.json": {"SUMMARY_MODEL_ID": "oa", "MAX_TOKENS_IN_CONTEXT": "65536", "DB_PASSWORD": "hunter2-long"},
        "agents/1775037600.json": {
            "agent_id": "1775037600",
            "model_id": "oa",
            "tool_ids": ["function-add"],
            "nickname": "Ada",
            "system_prompt": "You count.",
            "template_arguments": {"a": 1},
            "avatar": "x",
            "last_modified": "2026-03-01T00:00:00",
        },
        "chat_data/index.json": {
            SID: {
                "session_id": SID,
                "title": "Dots and sums",
                "created_at": "2026-04-01T10:00:00",
                "last_inference_at": "2026-04-01T10:00:59",
                "turn_count": 9,
                "last_total_tokens": 77,
            }
        },
        f"chat_data/{SID}/conversation.json": conversation(*messages),
        f"chat_data/{SID}/summary.md": f"---\nsession_id: {SID}\nsummary_version: 3\nsummarized_up_to_turn: 3\n"
        "updated_at: 2026-04-01T10:00:50\n---\n\nA dot was seen.\n\n---\nand more",
        f"chat_data/{SID}/memory.md": "---\nentry_count: 2\n---\n"
        + json.dumps(
            [
                {
                    "entry_type": "preference",
                    "content": "brief answers",
                    "source_turn_index": 0,
                    "confidence": 0.9,
                    "created_at": "2026-04-01T10:00:50",
                },
                {"entry_type": "wish", "content": "German", "source_turn_index": 3, "confidence": 0.8},
            ]
        ),
        f"chat_data/{SID}/artifact-plot.png": PNG,
        f"chat_data/{SID}/artifact-notes.txt": "hello",
        f"chat_data/{SID}/sub_1775030405000000/conversation.json": conversation(
            said("user", "count", 5), said("assistant", "3", 5), session="sub_1", **sub
        ),
        f"chat_data/{SID}/sub_1775030406000000/conversation.json": conversation(
            said("user", "sum", 6), said("assistant", "no", 6), session="sub_2", **sub
        ),
        f"chat_data/{SID}/sub_1775030406000000/artifact-x.txt": "within",
        f"chat_data/{SID}/sub_1775030406000000/sub_1775030407000000/conversation.json": conversation(
            said("user", "deeper", 6), said("assistant", "ok", 6), session="sub_3"
        ),
    }
