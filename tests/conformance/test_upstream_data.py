"""Recorded folders of another program come in whole: every file, every message, every field that means something."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from agentnb.messages import Message, Text, Thinking, ToolCall, ToolResult
from agentnb.store import Store
from agentnb.store.moved import MovedSession
from agentnb.transfer.runtime_dir import export_directory, import_directory
from tests.conformance.conftest import cases


def trees(pattern: str) -> Mapping[str, str]:
    """The folder of a recording, as its files by path."""
    found: Mapping[str, str] = json.loads(Path(pattern).read_text(encoding="utf-8"))["data_dir_tree"]
    return found


def write(root: Path, tree: Mapping[str, str]) -> Path:
    for name, text in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def said(messages: list[dict[str, object]], moved: MovedSession, runs: list[str]) -> None:
    """Each message of a conversation is there, in order, with its words, thinking, time and results."""
    by_id = {each.run.head.id: each for each in moved.runs}
    here = [each for run in runs for each in by_id[run].said]
    flat = [(s, block) for s in here for block in (s.message.content if s.message.role == "tool" else (s.message,))]
    assert len(flat) == len(messages)
    for (kept, block), theirs in zip(flat, messages, strict=True):
        assert kept.message.role == theirs["role"]
        assert block.text == theirs["content"]  # type: ignore[union-attr]
        assert kept.created == datetime.fromisoformat(str(theirs["timestamp"])).timestamp()
        thinking = [each.text for each in kept.message.content if isinstance(each, Thinking)]
        assert thinking == ([theirs["thinking"]] if "thinking" in theirs else [])
        calls = theirs.get("tool_calls", [])
        assert [call.arguments for call in kept.message.calls] == [each["arguments"] for each in calls]  # type: ignore[attr-defined]
        if isinstance(block, ToolResult):
            assert block.name == theirs["name"]


@pytest.mark.parametrize("path", cases("upstream_api/*golden*.json"))
def test_a_recorded_folder_comes_in_whole(path: Path, tmp_path: Path) -> None:
    tree = trees(str(path))
    store, secrets = Store(tmp_path / "home"), dict[str, str]()
    report = import_directory(
        store, write(tmp_path / "theirs", tree), lambda name, value: secrets.update({name: value})
    )
    assert [note for note in report.notes if not note.startswith("Secrets are kept")] == []
    for entry in json.loads(tree["models.json"]):
        body = store.records.get("model", entry["model_id"]).body
        assert isinstance(body, dict)
        assert {name: body.get(name) for name in entry if name != "api_key"} == {
            name: value for name, value in entry.items() if name != "api_key"
        }
        assert secrets.get(str(body.get("api_key_name")), "") == entry["api_key"]
    for entry in json.loads(tree["tools.json"]):
        assert store.records.get("tool", entry["tool_id"]).body == entry
    for entry in json.loads(tree["prompt_templates.json"]):
        assert store.records.get("template", entry["template_id"]).body == {"content": entry["content"]}
    for name, entry in json.loads(tree["chat_data/index.json"]).items():
        moved, written = store.moving.take(name), json.loads(tree[f"chat_data/{name}/conversation.json"])
        assert (moved.title, moved.tokens) == (entry["title"], entry["last_total_tokens"])
        assert moved.created == datetime.fromisoformat(entry["created_at"]).timestamp()
        assert moved.updated == datetime.fromisoformat(entry["last_inference_at"]).timestamp()
        said(written["messages"], moved, [turn.run for turn in moved.turns])
        took = [message["stat"] for message in written["messages"] if "stat" in message]
        usages = [each.run.usage for each in moved.runs if each.run.head.within is None]
        assert sum(each.input for each in usages) == sum(stat["prompt_tokens"] for stat in took)
        assert sum(each.output for each in usages) == sum(stat["completion_tokens"] for stat in took)
        for sub in (each for each in tree if each.startswith(f"chat_data/{name}/sub_")):
            label = sub.split("/")[2]
            [run] = [each for each in moved.runs if each.run.head.label == label]
            assert run.run.head.within in {turn.run for turn in moved.turns}
            said(json.loads(tree[sub])["messages"], moved, [run.run.head.id])
    store.close()


@pytest.mark.parametrize("path", cases("upstream_api/agent_service_golden.json"))
def test_the_recorded_session_is_what_was_said(path: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    import_directory(store, write(tmp_path / "theirs", trees(str(path))))
    [name] = store.moving.ids()
    messages = store.session(name).history()
    assert len(messages) == 10
    assert [len(turn.messages) for turn in store.session(name).turns] == [3, 2, 5]
    broken, answer = messages[7], messages[8]
    # The recording lost its id and name; the result that follows tells the name.
    assert [(call.name, call.arguments) for call in broken.calls] == [("delegate", "}")]
    assert answer == Message("tool", (ToolResult(broken.calls[0].id, "delegate", (Text("pong"),)),))
    [sub] = [each for each in store.moving.take(name).runs if each.run.head.within]
    assert sub.run.head.call == broken.calls[0].id
    assert isinstance(broken.content[-1], ToolCall)
    store.close()


@pytest.mark.parametrize("path", cases("upstream_api/*golden*.json"))
def test_a_recorded_folder_is_the_same_after_a_way_out_and_in_again(path: Path, tmp_path: Path) -> None:
    store, other = Store(tmp_path / "home"), Store(tmp_path / "other")
    source = write(tmp_path / "theirs", trees(str(path)))
    import_directory(store, source)
    export_directory(store, tmp_path / "out")
    import_directory(other, tmp_path / "out")
    assert [other.moving.take(name) for name in other.moving.ids()] == [
        store.moving.take(name) for name in store.moving.ids()
    ]
    for again in (source, tmp_path / "out"):
        report = import_directory(store, again)
        assert not report.new
        assert not report.changed
    store.close()
    other.close()
