"""A folder of another program comes in whole, goes out again, and changes nothing the second time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from agentnb.agents import SavedAgents
from agentnb.errors import UsageError
from agentnb.kept_settings import read_model
from agentnb.messages import Audio, Image, Text, Thinking, ToolCall, ToolResult, Usage
from agentnb.store import Store
from agentnb.store.moved import MovedSession
from agentnb.transfer.runtime_dir import export_directory, import_directory
from tests.transfer.conftest import PNG, SID, conversation, said, whole_tree, write_tree


def local(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "theirs", whole_tree())


@pytest.fixture
def secrets() -> dict[str, str]:
    return {}


@pytest.fixture
def moved(store: Store, tree: Path, secrets: dict[str, str]) -> MovedSession:
    import_directory(store, tree, lambda name, value: secrets.update({name: value}))
    return store.moving.take(SID)


def test_messages_come_in_turns_with_all_they_hold(moved: MovedSession) -> None:
    by_id = {each.run.head.id: each for each in moved.runs}
    turns = [by_id[turn.run] for turn in moved.turns]
    assert [[s.message.role for s in turn.said] for turn in turns] == [
        ["system", "user", "assistant"],
        ["user", "assistant", "tool", "assistant"],
        ["user"],
    ]
    look = turns[0].said[1].message.content
    assert look == (Text("Look at this"), Image(PNG, "image/png"), Audio(b"RIFF\0\0\0\0WAVE", "audio/wav"))
    assert turns[0].said[2].message.content == (Thinking("hm"), Text("A dot."))
    assert turns[0].said[2].created == local("2026-04-01T10:00:02")
    assert turns[0].run.usage == Usage(9, 2, seconds=1.5)
    asked, results = turns[1].said[1].message, turns[1].said[2].message
    assert asked.calls == (
        ToolCall("c1", "delegate", '{"task": "count", "model_id": "oa"}'),
        ToolCall("c2", "delegate", '{"task": "sum"}'),
    )
    assert results.content == (
        ToolResult("c1", "delegate", (Text("3"),)),
        ToolResult("c2", "delegate", (Text("Error: no"),), is_error=True),
    )
    assert [turn.run.outcome for turn in turns] == ["done", "done", "interrupted"]


def test_a_template_in_a_message_is_filled_once_and_remembered(moved: MovedSession) -> None:
    run = next(each for each in moved.runs if each.run.head.id == moved.turns[1].run)
    assert run.said[0].message.text == "Sum in German: {{language}} {{missing}}"
    kept = run.run.head.options["agents_runtime"]["messages"]["0"]  # type: ignore[index, call-overload]
    assert kept == {"prompt_template": "sum", "arguments": {"language": "German", "text": "{{language}}"}}


def test_what_belongs_to_a_session_comes_with_it(store: Store, moved: MovedSession) -> None:
    info = store.sessions.get(SID)
    assert (info.title, info.titled_by, info.tokens, info.turns, info.status) == (
        "Dots and sums",
        "person",
        77,
        3,
        "idle",
    )
    assert (info.created, info.updated) == (local("2026-04-01T10:00:00"), local("2026-04-01T10:00:59"))
    summary = store.memory.summary(SID)
    assert summary is not None
    assert (summary.version, summary.upto, summary.text) == (3, 1, "A dot was seen.\n\n---\nand more")
    assert [(e.type, e.content, e.confidence, e.turn) for e in store.memory.entries(SID)] == [
        ("preference", "brief answers", 0.9, 0),
        ("fact", "German", 0.8, 1),
    ]
    assert store.findings.artifact(SID, "plot.png") == PNG
    assert {each.name for each in moved.artifacts} == {"plot.png", "notes.txt", "sub_1775030406000000/artifact-x.txt"}


def test_conversations_of_subagents_are_runs_within_the_one_that_called(moved: MovedSession) -> None:
    within = {each.run.head.label: each.run.head for each in moved.runs if each.run.head.within}
    parent = moved.turns[1].run
    first, second = within["sub_1775030405000000"], within["sub_1775030406000000"]
    assert (first.within, first.call, first.model, first.prompt) == (parent, "c1", "oa", "count")
    assert (second.within, second.call) == (parent, "c2")
    assert within["sub_1775030407000000"].within == second.id


def test_named_things_are_of_use_as_they_come(store: Store, moved: MovedSession) -> None:
    model = read_model(store.records.get("model", "oa").body)  # type: ignore[arg-type]
    assert (model.base, model.api_base, model.api_key_name) == ("openai:m", "https://x.example/v1", "oa")
    assert model.options is not None
    assert (model.options.temperature, model.options.body) == (0.1, {"num_ctx": 4096})
    assert store.records.names("tool") == ["function-add", "mcp-files-read", "skill-demo"]
    assert store.records.get("template", "sum").body == {"content": "Sum in {{language}}: {{text}} {{missing}}"}
    [agent] = SavedAgents(store.records).list()
    assert (agent.nickname, agent.model, agent.tools, agent.system) == ("Ada", "oa", ("function-add",), "You count.")
    assert store.records.get("env", "SUMMARY_MODEL_ID").body == {"value": "oa"}


def test_no_secret_enters_the_store(store: Store, moved: MovedSession, secrets: dict[str, str]) -> None:
    assert secrets == {
        "oa": "sk-very-secret-1",
        "env/FILES_TOKEN": "tok-123456",
        "env/FILES_API_KEY": "k-98765",
        "env/WEB_AUTHORIZATION": "abc.def",
        "env/DB_PASSWORD": "hunter2-long",
    }
    store.close()
    written = b"".join(path.read_bytes() for path in store.path.parent.glob("agentnb.db*"))
    assert not any(secret.encode() in written for secret in secrets.values())
    assert store.records.get("mcp_server", "files").body == {
        "command": "srv",
        "args": ["--token", "${env:FILES_TOKEN}"],
        "env": {"API_KEY": "${env:FILES_API_KEY}"},
    }
    assert store.records.get("mcp_server", "web").body == {
        "url": "https://m.example/mcp",
        "headers": {"Authorization": "Bearer ${env:WEB_AUTHORIZATION}"},
    }
    assert store.records.get("env", "DB_PASSWORD").body == {"secret": True, "place": "file"}


def test_a_second_time_nothing_changes(store: Store, tree: Path, moved: MovedSession) -> None:
    report = import_directory(store, tree, lambda *_: None)
    assert not report.new
    assert not report.changed
    assert store.moving.take(SID) == moved
    assert store.moving.ids() == [SID]


def test_what_goes_out_comes_in_again_as_it_was(
    store: Store, moved: MovedSession, tmp_path: Path, make_store: Callable[[str], Store]
) -> None:
    export_directory(store, tmp_path / "out")
    other = make_store("other")
    report = import_directory(other, tmp_path / "out")
    assert [note for note in report.notes if "asks first" not in note] == []
    assert other.moving.take(SID) == moved
    for kind in ("model", "tool", "mcp_server", "template", "agent", "env"):
        ours = {each.name: each.body for each in store.records.all(kind)}  # type: ignore[arg-type]
        theirs = {each.name: each.body for each in other.records.all(kind)}  # type: ignore[arg-type]
        if kind == "env":  # where a secret is is for each machine to say
            ours = {name: body if "value" in body else {"secret": True} for name, body in ours.items()}  # type: ignore[operator]
        assert theirs == ours
    back = import_directory(store, tmp_path / "out")
    assert not back.new
    assert not back.changed


def test_secrets_go_out_only_on_request(
    store: Store, moved: MovedSession, tmp_path: Path, secrets: dict[str, str]
) -> None:
    export_directory(store, tmp_path / "safe")
    texts = "".join(path.read_text() for path in (tmp_path / "safe").rglob("*.json"))
    assert not any(secret in texts for secret in secrets.values())
    export_directory(store, tmp_path / "open", reveal=secrets.get)
    assert json.loads((tmp_path / "open/models.json").read_text())[0]["api_key"] == "sk-very-secret-1"
    assert json.loads((tmp_path / "open/env.json").read_text())["DB_PASSWORD"] == "hunter2-long"
    servers = json.loads((tmp_path / "open/mcp_servers.json").read_text())["mcpServers"]
    assert servers["web"]["headers"] == {"Authorization": "Bearer abc.def"}


def test_files_are_for_people_and_for_their_owner_alone(store: Store, moved: MovedSession, tmp_path: Path) -> None:
    export_directory(store, tmp_path / "out")
    folder = tmp_path / "out" / "chat_data" / SID
    assert (
        (folder / "summary.md")
        .read_text()
        .startswith(f"---\nsession_id: {SID}\nsummary_version: 3\nsummarized_up_to_turn: 3\n")
    )
    assert '\n  "messages": [\n' in (folder / "conversation.json").read_text()
    assert {path.stat().st_mode & 0o77 for path in (tmp_path / "out").rglob("*")} == {0}


def test_what_a_person_edited_comes_in_beside_what_there_was(store: Store, moved: MovedSession, tmp_path: Path) -> None:
    export_directory(store, tmp_path / "out")
    file = tmp_path / "out" / "chat_data" / SID / "conversation.json"
    file.write_text(file.read_text().replace("A dot.", "A spot."))
    templates = tmp_path / "out" / "prompt_templates.json"
    templates.write_text(templates.read_text().replace("Sum in", "Add up in"))
    report = import_directory(store, tmp_path / "out")
    assert dict(report.changed) == {"session": 1, "template": 1}
    assert store.moving.take(SID) == moved
    [copy] = [each for each in store.moving.ids() if each != SID]
    assert copy.startswith(f"{SID}-")
    assert [each.version for each in store.records.history("template", "sum")] == [1, 2]
    assert not import_directory(store, tmp_path / "out").changed


def test_a_session_that_went_on_here_has_what_came_before(store: Store, tree: Path, moved: MovedSession) -> None:
    store.sessions.revoke(SID, 2)
    assert import_directory(store, tree).same["session"] == 1
    store.sessions.remove(SID)
    report = import_directory(store, tree)
    assert any("was removed here" in note for note in report.notes)
    assert store.moving.ids(removed=True) == [SID]


def test_a_bad_file_names_itself_and_the_rest_comes_in(store: Store, tmp_path: Path) -> None:
    other, bad = "2026-04-02_10-00-00", "2026-04-03_10-00-00"
    root = write_tree(
        tmp_path / "t",
        {
            "models.json": '[{"model_id": "a"',
            "tools.json": "",
            "prompt_templates.json": '[{"template_id": "gruß", "content": "grüße"}, {"content": 1}]'.encode("utf-16"),
            "env.json": "﻿" + json.dumps({"A": "1", "B": None, "": "x"}),
            "mcp_servers.json": [],
            "agents/a.json": "[]",
            "agents/b.json": {"nickname": "B", "tool_ids": 5, "colour": "red"},
            "chat_data/index.json": "{",
            f"chat_data/{SID}/conversation.json": conversation(
                said("user", "hi"), "rubbish", said("assistant", "yes", 1, mood="good"), said("owl", "hoo", 2), vibes=1
            ),
            f"chat_data/{other}/conversation.json": json.dumps([said("user", "grüße")], ensure_ascii=False).encode(
                "gb18030"
            ),
            f"chat_data/{bad}/conversation.json": '{"messages": [{"role": "user"',
            f"chat_data/{bad}/artifact-a": "a",
            "chat_data/..hidden/conversation.json": "{}",
            "chat_data/bad id/conversation.json": conversation(said("user", "x")),
            "notes/plan.txt": "?",
        },
    )
    report = import_directory(store, root)
    assert store.moving.ids() == [SID, other]
    assert [each.text for each in store.session(other).turns[0].messages] == ["grüße"]
    assert [[m.role for m in turn.messages] for turn in store.session(SID).turns] == [["user", "assistant"], ["user"]]
    assert store.records.get("template", "gruß").body == {"content": "grüße"}
    assert [each.name for each in SavedAgents(store.records).list()] == ["b"]
    notes = "\n".join(report.notes)
    for expected in (
        "models.json is not JSON",
        "tools.json is empty",
        "prompt_templates.json is not UTF-8; it was read as utf-16-le",
        "prompt_templates.json: entry 1 is no object with a template_id",
        "env.json: a variable has no name",
        "mcp_servers.json has no object of servers",
        "agents/a.json is no object",
        "agent b: tool_ids was kept, but is not used",
        "agents/b.json has colour",
        "chat_data/index.json is not JSON",
        "message 1 is no object",
        "messages have mood",
        "the role 'owl'",
        "its meta has vibes",
        f"chat_data/{bad}: nothing of this session was imported",
        "'bad id' cannot be the id of a session",
        "Nothing was made of: notes/plan.txt",
    ):
        assert expected in notes
    assert all("\n" not in note for note in report.notes)


def test_links_out_of_the_folder_are_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"SECRET_PLACE": "x"}')
    root = write_tree(tmp_path / "t", {"prompt_templates.json": []})
    os.symlink(tmp_path / "secret.json", root / "env.json")
    os.symlink(tmp_path, root / "agents")
    report = import_directory(store, root)
    assert "agents is a link to another folder; it was left out." in report.notes
    assert store.records.names("env") == []
    assert any("env.json leads out of" in note for note in report.notes)


def test_later_versions_put_subagents_beside(store: Store, tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "t",
        {
            f"chat_data/{SID}/conversation.json": conversation(said("user", "a"), said("assistant", "b", 1)),
            f"chat_data/{SID}-sub_260401_100001/conversation.json": conversation(said("user", "c", 1), session="x"),
        },
    )
    import_directory(store, root)
    assert store.moving.ids() == [SID]
    assert [each.run.head.label for each in store.moving.take(SID).runs if each.run.head.within] == [
        f"{SID}-sub_260401_100001"
    ]


def test_a_place_that_is_none_is_said_in_one_line(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(UsageError, match="Name a folder such as"):
            import_directory(store, place)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="nothing is overwritten"):
        export_directory(store, tmp_path / "full")


def test_variables_that_kernels_get_from_now_on_are_named(store: Store, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "theirs", {"env.json": {"OPENAI_BASE_URL": "https://example.com", "A": "1"}})
    said = str(import_directory(store, folder))
    assert "Every kernel has these variables from now on: A, OPENAI_BASE_URL. %agentenv rm NAME forgets one." in said
    assert "Every kernel" not in str(import_directory(store, folder))
