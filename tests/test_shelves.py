"""What a workspace keeps for other notebooks: models, servers, and what a saved agent finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agentnb.agents import SavedAgent
from agentnb.errors import UsageError
from agentnb.models.fake import FakeModel
from agentnb.models.options import Options
from agentnb.models.preset import PresetModel
from agentnb.tools.definitions import ToolConfig
from agentnb.workspace import Workspace


class Person:
    """Starts kernels that share a folder."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self._stack = stack

    def start(self, **environ: str) -> Workspace:
        made = Workspace({}, environ={"AGENTNB_HOME": str(self.home), "AGENTNB_KEYRING": "off", **environ})
        self._stack.callback(made.close)
        self._stack.callback(made.store.close)
        return made


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with ExitStack() as stack:
        yield Person(tmp_path, stack)


def test_a_kept_model_is_made_when_it_is_asked_for(person: Person) -> None:
    first = person.start()
    first.add_model("fast", "openai:gpt-5-mini", {"retries": "3"}, options=Options(temperature=0))
    first.alias_model("quick", "fast")
    first.keep_model("fast")
    first.keep_model("quick")
    later = person.start()
    assert later.models.names() == {"fast": "made when asked for", "quick": "fast"}
    assert later.made_models["fast"].words == "openai:gpt-5-mini, retries 3"
    assert isinstance(later.open_model("quick"), PresetModel)
    later.keep_model("fast")  # again
    later.forget_model("quick")
    assert list(person.start().models.names()) == ["fast"]


def test_a_kept_model_does_not_stand_in_for_a_provider(person: Person) -> None:
    first = person.start()
    for name in ("openai:gpt-5-mini", "local:qwen2.5-coder-0.5b"):
        body = {"base": "openai:gpt-5", "api_base": "https://elsewhere.example/v1", "api_key_name": "OPENAI_API_KEY"}
        first.store.records.put("model", name, body)
    assert person.start().models.names() == {}
    first.add_model("openai:mine", "openai:gpt-5-mini", {})
    with pytest.raises(UsageError, match="is what a provider's model is called"):
        first.keep_model("openai:mine")


def test_only_what_was_made_here_is_kept(person: Person) -> None:
    workspace = person.start()
    workspace.models.register("mine", FakeModel("x"))
    with pytest.raises(UsageError, match="was not made here"):
        workspace.keep_model("mine")
    with pytest.raises(UsageError, match="No model is registered"):
        workspace.forget_model("nope")


def test_kept_models_that_stand_for_each_other_end_in_an_error(person: Person) -> None:
    records = person.start().store.records
    records.put("model", "a", {"base": "b"})
    records.put("model", "b", {"base": "a"})
    records.put("model", "c", {"alias": "d"})
    records.put("model", "d", {"alias": "c"})
    workspace = person.start()
    for name in ("a", "b"):
        with pytest.raises(UsageError, match="stands for itself"):
            workspace.open_model(name)
    with pytest.raises(UsageError):
        workspace.open_model("c:x")


def test_a_model_that_cannot_be_read_does_not_hide_the_others(person: Person) -> None:
    records = person.start().store.records
    records.put("model", "bad", {"base": "openai:x", "options": {"nonsense": 1}})
    records.put("model", "good", {"base": "openai:x"})
    workspace = person.start()
    assert "good" in workspace.models.names()
    workspace.open_model("good")


def test_a_kept_server_is_had_when_it_is_looked_up(person: Person) -> None:
    first = person.start(API_TOKEN="t0p-secret")
    first.mcp.add("files", {"command": "serve", "env": {"API_TOKEN": "${env:API_TOKEN}"}})
    assert first.keep_server("files") == ["API_TOKEN"]
    later = person.start()
    assert not later.mcp.servers
    with pytest.raises(UsageError, match="API_TOKEN, which is not set"):
        later.server("files")
    last = person.start(API_TOKEN="t0p-secret")
    assert last.server("files").settings.env == {"API_TOKEN": "t0p-secret"}
    assert last.mask("t0p-secret") == "[key]"
    assert last.forget_server("files")
    assert not last.forget_server("files")


def test_an_imported_server_takes_its_key_from_the_credentials(person: Person) -> None:
    workspace = person.start()
    workspace.store.records.put("mcp_server", "s", {"command": "x", "env": {"A": "${credential:work}"}})
    with pytest.raises(UsageError, match="credential 'work' is not here"):
        workspace.server("s")
    workspace.credentials.add("work", "service", "api_key", {"key": "hunter2-hunter2"})
    assert workspace.server("s").settings.env == {"A": "hunter2-hunter2"}


def test_what_an_agent_names_is_loaded_when_it_is_used(person: Person) -> None:
    workspace = person.start()
    workspace.saved_tools.save([(ToolConfig("function-f", "f"), "def f():\n    'F.'\n")])
    workspace.store.records.put("mcp_server", "files", {"command": "serve"})
    workspace.models.register_factory("fake-.*", lambda name: FakeModel("yes", name=name))
    workspace.agents.save(SavedAgent("bob", "fake-1", tools=("f", "files"), system="Hi"))
    agent = workspace.saved_agent("bob")
    assert (agent.name, list(agent.tools), agent.system, agent.model.name) == ("bob", ["f"], "Hi", "fake-1")
    assert [toolset.name for toolset in agent.toolsets] == ["files"]


def test_a_broken_store_leaves_the_models_of_providers(person: Person) -> None:
    (person.home / "agentnb.db").write_text("this is no database, and long enough not to look like an empty one" * 40)
    workspace = person.start()
    workspace.load_environment()
    assert workspace.open_model("local:smollm2-135m").name == "local:smollm2-135m"
