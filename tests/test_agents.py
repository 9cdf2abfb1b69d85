"""Agents under a name: what is kept of them, what never is, and what they lack elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentnb.agents import Around, SavedAgent, SavedAgents, problems
from agentnb.errors import UsageError
from agentnb.masking import Mask
from agentnb.messages import JSON
from agentnb.store import Store

FULL = SavedAgent(
    "bob",
    "openai:gpt-5-mini",
    tools=("top", "time"),
    skills=("pdf",),
    system="Be brief.",
    template="report",
    arguments={"city": "Rome", "n": 3},
    options={"temperature": 0.5},
    approve="never",
    max_rounds=3,
    max_cost=0.5,
    context="none",
    description="Reports.",
    nickname="Bob",
    avatar="b.png",
    myself_view="curt",
)


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[SavedAgents]:
    store = Store(tmp_path)
    yield SavedAgents(store.records, Mask("hunter2-hunter2"))
    store.close()


def test_all_there_is_of_an_agent_comes_back(agents: SavedAgents) -> None:
    saved = agents.save(FULL, datetime(2026, 1, 2, 3, tzinfo=UTC))
    assert saved.last_modified == "2026-01-02T03:00:00+00:00"
    assert agents.get("bob") == saved
    assert SavedAgent.read(FULL.body()) == FULL


def test_no_tools_is_not_the_tools_of_the_notebook() -> None:
    assert SavedAgent.read(SavedAgent("a", tools=()).body()).tools == ()
    assert SavedAgent.read(SavedAgent("a").body()).tools is None


def test_the_newest_is_listed_first_and_removing_keeps_what_can_be_restored(agents: SavedAgents) -> None:
    for name in ("one", "two", "three"):
        agents.save(SavedAgent(name))
    assert [each.name for each in agents.list()] == ["three", "two", "one"]
    agents.remove("two")
    assert "two" not in agents.names()
    assert agents.restore("two").name == "two"
    assert agents.rename("two", "zwei").name == "zwei"
    with pytest.raises(UsageError, match="agent 'one' already"):
        agents.rename("zwei", "one")


def test_a_name_that_there_is_not_names_the_nearest_and_the_next_step(agents: SavedAgents) -> None:
    agents.save(SavedAgent("reporter"))
    with pytest.raises(UsageError, match=r"no agent 'reportr'\. Did you mean 'reporter'\?.*%agent save reportr"):
        agents.get("reportr")


@pytest.mark.parametrize("name", ["", "../x", "none", "a b", "-x", "x" * 65])
def test_what_cannot_be_a_name_is_none(agents: SavedAgents, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name an agent"):
        agents.save(SavedAgent(name))


@pytest.mark.parametrize(
    "agent",
    [
        SavedAgent("a", system="The password is hunter2-hunter2."),
        SavedAgent("a", system="Use sk-abcdefghijklmnopqrstuvwxyz."),
        SavedAgent("a", api_key_name="sk-abcdefghijklmnopqrstuvwxyz"),
        SavedAgent("a", options={"body": {"auth": "sk-abcdefghijklmnopqrstuvwxyz"}}),
        SavedAgent("a", arguments={"key": "hunter2-hunter2"}),
    ],
)
def test_an_agent_with_a_key_in_it_is_not_kept(agents: SavedAgents, agent: SavedAgent) -> None:
    with pytest.raises(UsageError, match="A key stands in the") as caught:
        agents.save(agent)
    assert "hunter2" not in str(caught.value)
    assert not agents.names()


def test_headers_and_query_are_never_kept(agents: SavedAgents) -> None:
    agents.save(SavedAgent("a", options={"headers": {"x": "1"}, "query": {"k": "v"}, "seed": 1}))
    assert agents.get("a").options == {"seed": 1}
    assert SavedAgent.read({"name": "a", "options": {"headers": {"x": "1"}}}).options == {}


def test_the_file_of_another_program_is_read_and_what_is_its_own_is_kept() -> None:
    body: JSON = {
        "agent_id": "2501",
        "model_id": "openai:gpt-4o",
        "tool_ids": ["function-top"],
        "template_id": "helper",
        "template_arguments": {"lang": "English"},
        "system_prompt": "",
        "nickname": "Helper",
        "avatar": "a.png",
        "myself_view": "kind",
        "last_modified": 1700000000,
        "unknown": 1,
    }
    agent = SavedAgent.read({**body, "agent_id": "helper-1"})
    assert (agent.name, agent.model, agent.tools, agent.system) == (
        "helper-1",
        "openai:gpt-4o",
        ("function-top",),
        None,
    )
    assert (agent.system_template, agent.system_arguments) == ("helper", {"lang": "English"})
    assert (agent.nickname, agent.avatar, agent.myself_view) == ("Helper", "a.png", "kind")
    assert agent.last_modified == "2023-11-14T22:13:20+00:00"
    assert SavedAgent.read(body).name == "2501"


def test_what_was_imported_and_is_no_agent_does_not_hide_the_others(tmp_path: Path) -> None:
    store = Store(tmp_path)
    agents = SavedAgents(store.records)
    agents.save(SavedAgent("good"))
    store.records.put("agent", "bad one", {"tool_ids": 3})
    assert {each.name for each in agents.list()} == {"good", "bad one"}
    assert "cannot be used" in str(next(each for each in agents.list() if each.name == "bad one").description)
    store.close()


@pytest.mark.parametrize(
    ("field", "value", "needed"),
    [
        ("tools", "top", "a list of texts"),
        ("tools", [1], "a list of texts"),
        ("options", [], "an object"),
        ("max_rounds", -1, "a text or a number"),
        ("max_rounds", True, "a text or a number"),
        ("model", 3, "a text or a number"),
        ("approve", "yes", "one of ask, auto, never"),
    ],
)
def test_a_field_of_another_kind_is_named(field: str, value: JSON, needed: str) -> None:
    with pytest.raises(UsageError, match=f"agent's {field} .*{needed}"):
        SavedAgent.read({"name": "a", field: value})


def test_what_is_missing_is_named_with_the_nearest_and_the_next_step() -> None:
    around = Around(
        tools=["topp"],
        skills=["pdfs"],
        templates=["reports"],
        model=lambda name: f"No {name}.",
    )
    found = "\n".join(problems(FULL, around))
    assert "no tool 'top' here. Did you mean 'topp'?" in found
    assert "no tool 'time' here" in found
    assert "no skill 'pdf' here. Did you mean 'pdfs'? Load it: %skill load DIR." in found
    assert "no template 'report'. Did you mean 'reports'? Make it: %%template report" in found
    assert "model cannot be opened: No openai:gpt-5-mini. Or take another: %%agent --as bob -m MODEL" in found


def test_where_all_is_there_nothing_is_missing_but_perhaps_a_key() -> None:
    around = Around(tools=["top"], sources=["time"], skills=["pdf"], templates=["report"], key=lambda _: "No key.")
    assert problems(FULL, around) == ["No key."]
    assert problems(SavedAgent("a", tools=("time*",)), Around()) == []


@pytest.mark.parametrize("field", ["arguments", "system_arguments", "template_arguments"])
def test_what_an_argument_is_called_is_a_name_and_holds_no_code(field: str) -> None:
    with pytest.raises(UsageError, match="the names of placeholders"):
        SavedAgent.read({"name": "a", field: {'x={{open("it") #': {"a": {}}}})
