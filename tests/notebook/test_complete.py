"""Tab in our magics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from IPython.core.completer import CompletionContext

from agentnb.agents import SavedAgent
from agentnb.notebook.complete import Completer, matcher
from agentnb.tools.definitions import ToolConfig
from agentnb.tools.saved import SavedTools
from agentnb.workspace import Workspace


def weigh(n: int) -> int:
    """Weigh."""
    return n


class City:
    """A type of the notebook's."""


def workspace(home: Path) -> Workspace:
    """A notebook with a few things in it."""
    names = {"weigh": weigh, "penguins": [1], "_hidden": 1, "City": City, "SCHEMA": {"type": "object"}}
    environ = {"AGENTNB_HOME": str(home), "AGENTNB_KEYRING": "off", "GROQ_API_KEY": "sk-secret-1"}
    made = Workspace(names, environ=environ)
    made.models.alias("tutor", "openai:gpt-4o")
    made.agents.save(SavedAgent("bob"))
    made.environment.set("REGION", "eu")
    made.store.records.put("mcp_server", "files", {"command": "serve"})
    SavedTools(home / "tools").save([(ToolConfig("function-kept", "kept"), "def kept(): ...")])
    return made


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%%agent --", "--model"),
        ("%%agent -m ", "local:qwen2.5-coder-0.5b"),
        ("%%agent --model=x -t ", "weigh"),
        ("%%agent --session ", "none"),
        ("%agent -f ", "markdown"),
        ("%model ", "openai:"),
        ("%model ", "alias"),
        ("%model ", "tutor"),
        ("%model ", "local:smollm2-135m"),
        ("%model gr", "grok:"),
        ("%model openai:", "openai:gpt-4o"),
        ("%model x --api", "--api-base"),
        ("%model list ", "openai"),
        ("%model test ", "tutor"),
        ("%model rm ", "tutor"),
        ("%model pull ", "smollm2-135m"),
        ("%model add fast ", "anthropic:"),
        ("%model add fast openai:x --fallback groq:a, ", "tutor"),
        ("%model add fast openai:x --balance groq:", "groq:openai/gpt-oss-20b"),
        ("%model add fast openai:x --", "--timeout"),
        ("%model add fast openai:x --cache ", "memory"),
        ("%model alias new ", "tutor"),
        ("%%agent -m openai:gpt", "openai:gpt-4o"),
        ("%%agent --model=", "openai:"),
        ("%%agent --schema ", "City"),
        ("%%agent --schema list[", "City"),
        ("%%agent --schema ", "SCHEMA"),
        ("%%agent --schema ", "bool"),
        ("%%agent -i penguins ", "penguins"),
        ("%%agent --audio ", "penguins"),
        ("%%agent -m openai:x --api-key-name ", "groq"),
        ("%credential ", "disable"),
        ("%credential add ", "mistral"),
        ("%credential add work --", "--from-env"),
        ("%credential add work --provider ", "mistral"),
        ("%credential add work --type ", "jwt"),
        ("%credential add work --from-env ", "GROQ_API_KEY"),
        ("%credential test ", "groq"),
        ("%agent ", "save"),
        ("%agent use ", "bob"),
        ("%agent use ", "--none"),
        ("%agent show ", "bob"),
        ("%agent rm ", "bob"),
        ("%agent export ", "bob"),
        ("%%agent --as ", "bob"),
        ("%%agent --as ", "none"),
        ("%model save ", "tutor"),
        ("%mcp add ", "files"),
        ("%agentenv ", "detect"),
        ("%agentnb ", "export"),
        ("%agentenv rm ", "REGION"),
        ("%agentenv list ", "--known"),
        ("%usage ", "model"),
        ("%usage ", "cap"),
        ("%usage cap ", "none"),
        ("%session ", "new"),
        ("%tool ", "show"),
        ("%tool weigh ", "weigh"),
        ("%tool show ", "bash"),
        ("%tool show built", "builtin-bash"),
        ("%tool off ", "built-in"),
        ("%tool on bash ", "python"),
        ("%tool rename ", "bash"),
        ("%tool approve bash ", "never"),
        ("%tool approve bash ask --", "--notebook"),
        ("%tool load ", "own.py"),
        ("%tool load ./", "./folder/"),
        ("%tool load own", "own.py"),
        ("%tool load ", "kept"),
        ("%tool forget ", "kept"),
        ("%tool save ", "bash"),
        ("%tool save bash ", "bash"),
        ("%tool import ", "--yes"),
        ("%tool import ", "tools.json"),
        ("%tool export ", "tools.json"),
        ("%tool export tools.json ", "kept"),
        ("%tool openapi ", "tools.json"),
        ("%tool openapi tools.json --", "--server"),
        ("%tool form ", "bash"),
        ("%tool call ", "bash"),
        ("%tool call bash ", "command="),
        ("%tool call bash command=", "@penguins"),
        ("%tool call bash command=@pen", "@penguins"),
        ("%tool call bash -f ", "json"),
        ("%tool call bash --", "--out"),
        ("%%agent -t ", "built-in"),
        ("%%agent\nHow heavy is {{pen", "penguins"),
        ("%%agent\nHow heavy is {{max(pen", "penguins"),
    ],
)
def test_what_may_stand_at_the_cursor_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, offered: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.py", "tools.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    completer = Completer(workspace(tmp_path))
    *above, line = cell.split("\n")
    assert offered in completer.suggest(above[0] if above else line, line, len(above))


@pytest.mark.parametrize(
    "cell", ["print(pen", "%%agent\nHow heavy is pen", "%%agent\n{{a}} pen", "%timeit pen", "%usage cell "]
)
def test_elsewhere_we_stay_out_of_the_way(cell: str) -> None:
    completer = Completer(Workspace({"penguins": [1]}))
    *above, line = cell.split("\n")
    assert completer.suggest(above[0] if above else line, line, len(above)) == ()


def test_hidden_names_are_not_offered() -> None:
    names = Completer(Workspace({"_hidden": 1, "seen": 2})).suggest("%%agent", "{{", 1)
    assert list(names) == ["seen"]


def test_only_what_can_be_a_tool_is_offered_and_ids_only_once_something_is_written() -> None:
    completer = Completer(Workspace({"weigh": lambda mass: mass, "Any": Any, "Literal": Literal, "City": Workspace}))
    offered = completer.suggest("%tool ", "%tool ", 0)
    assert "weigh" in offered
    assert not {"Any", "Literal", "City"} & set(offered)
    assert "builtin-bash" not in completer.suggest("%tool show ", "%tool show ", 0)


def test_a_file_of_keys_that_cannot_be_read_breaks_no_tab(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("not = [toml")
    made = Workspace({}, environ={"AGENTNB_HOME": str(tmp_path)})
    assert Completer(made).suggest("%model list ", "%model list ", 0) == ()


@pytest.mark.parametrize(
    ("line", "token", "found", "fragment"),
    [
        ("%model openai:gpt-4.1-m", "m", ["openai:gpt-4.1-mini"], "openai:gpt-4.1-m"),
        ("%model --par", "par", ["--params"], "--par"),
        ("%%agent --schema list[Ci", "Ci", ["City"], "Ci"),
        ("%%agent --schema dict[str, Ci", "Ci", ["City"], "Ci"),
        ("%agent Hi {{max(pen", "pen", ["penguins"], "pen"),
        ("%model nothing-like-it", "it", [], "nothing-like-it"),
    ],
)
def test_a_name_is_completed_as_a_whole(tmp_path: Path, line: str, token: str, found: list[str], fragment: str) -> None:
    context = CompletionContext(token=token, full_text=line, cursor_position=len(line), cursor_line=0, limit=None)
    answer = matcher(workspace(tmp_path))(context)
    assert [each.text for each in answer["completions"]] == found
    assert answer["matched_fragment"] == fragment
