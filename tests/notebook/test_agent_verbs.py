"""`%agent save|use|show|rm|rename` and `%%agent --as`: saved agents in a notebook."""

from __future__ import annotations

import pytest

from agentnb.models.fake import FakeModel, call
from agentnb.notebook import agent_verbs
from agentnb.result import Result
from tests.notebook.conftest import Notebook

TOOLS = """
from agentnb import tool

@tool
def top(n: int) -> list:
    "The first n numbers."
    return list(range(n))

@tool
def other() -> str:
    "Another one."
    return "x"
"""


@pytest.fixture(autouse=True)
def answering(notebook: Notebook) -> list[FakeModel]:
    """Models that can be opened by a name, as a saved agent needs them; those that were opened."""
    opened: list[FakeModel] = []

    def open_fake(name: str) -> FakeModel:
        opened.append(FakeModel(*["yes"] * 9, name=name))
        return opened[-1]

    notebook.workspace.models.register_factory("fake-.*", open_fake)
    notebook.run(TOOLS)
    return opened


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("save bob", "save"),
        ("save bob -m x -s 'Be brief'", "save"),
        ("save ../x", "save"),
        ("save --help", "save"),
        ("use bob", "use"),
        ("use --none", "use"),
        ("use", "use"),
        ("show bob", "show"),
        ("rm bob", "rm"),
        ("rename a b", "rename"),
        ("export bob", "export"),
        ("export bob a.json", "export"),
        ("export bob 'a b.json'", "export"),
        ("import a.json --replace --yes", "import"),
        ("save the results", None),
        ("save bob and go", None),
        ("use the last table", None),
        ("use a table, please", None),
        ("show me the rows", None),
        ("rename the columns of df", None),
        ("export it as csv", None),
        ("export df df.csv", None),
        ("import pandas", None),
        ("import pandas and read a.json", None),
        ("saved bob", None),
        ("list", None),
        ("", None),
    ],
)
def test_a_line_is_a_verb_only_where_all_of_it_is(line: str, verb: str | None) -> None:
    found = agent_verbs.wanted(line, None)
    assert (found[0] if found else None) == verb
    assert agent_verbs.wanted(line, "a body") is None


def test_what_no_option_says_is_taken_from_the_notebook(notebook: Notebook) -> None:
    notebook.says("%tool off other")
    notebook.says('%model fake-1 -p \'{"temperature": 0.5, "headers": {"x": "1"}}\'')
    said = notebook.says("%agent save bob")
    assert said.splitlines() == [
        "bob is saved: fake-1, with top. Use it: %%agent --as bob",
        "Headers and query are not kept: they may hold keys.",
    ]
    saved = notebook.workspace.agents.get("bob")
    assert (saved.model, saved.tools, saved.options) == ("fake-1", ("top",), {"temperature": 0.5})


def test_options_are_kept_and_shown(notebook: Notebook) -> None:
    notebook.says("%%template report\nOn {{city}}: {{input}}")
    notebook.says(
        "%agent save bob -m fake-1 -t top -s 'Be brief' --template report city=Rome --max-rounds 3 --max-cost 0.5 "
        "--approve never --context none --max-tokens 50 --description 'for reports'"
    )
    shown = notebook.says("%agent show bob")
    for line in ("model: fake-1", "tools: top", "system: Be brief", "max rounds: 3", "description: for reports"):
        assert line in shown
    assert "lacks" not in shown
    table = notebook.says("%agent list")
    assert "bob" in table
    assert "No run was begun in the background" in table


def test_a_cell_goes_on_as_a_saved_agent_with_its_own_options_over_it(
    notebook: Notebook, answering: list[FakeModel]
) -> None:
    notebook.says("%agent save bob -m fake-1 -t top -s 'Be brief' -p '{\"temperature\": 0.5, \"seed\": 1}'")
    ran = notebook.run("%%agent --as bob\nHi")
    assert ran.error is None
    request = answering[-1].requests[-1]
    assert [spec.name for spec in request.tools] == ["top"]
    assert request.messages[0].text == "Be brief"
    assert request.options.given() == {"temperature": 0.5, "seed": 1}
    [record] = ran.mime("application/vnd.agentnb.run+json")
    assert isinstance(record, dict)
    assert record["agent"] == "bob"
    notebook.says("%%agent --as bob -m fake-2 -t other -s Longer -p '{\"seed\": 2}'\nHi")
    request = answering[-1].requests[-1]
    assert answering[-1].name == "fake-2"
    assert [spec.name for spec in request.tools] == ["other"]
    assert request.messages[0].text == "Longer"
    assert request.options.given() == {"temperature": 0.5, "seed": 2}
    notebook.says("%%agent --as bob --no-tools\nHi")
    assert answering[-1].requests[-1].tools == ()


def test_an_agent_without_tools_has_none(notebook: Notebook, answering: list[FakeModel]) -> None:
    notebook.says("%agent save bob -m fake-1 --no-tools")
    notebook.says("%%agent --as bob\nHi")
    assert answering[-1].requests[-1].tools == ()
    notebook.says("%%agent --as bob -t top\nHi")
    assert [spec.name for spec in answering[-1].requests[-1].tools] == ["top"]


def test_templates_of_an_agent_are_filled(notebook: Notebook, answering: list[FakeModel]) -> None:
    notebook.says("%%template report\nOn {{city}} in {{month}}: {{input}}")
    notebook.says("%%template role\nYou are {{who}}.")
    notebook.run("month = 'May'; town = 'Rome'")
    notebook.says(
        "%agent save bob -m fake-1 --no-tools --template report city=@town month={{month}} "
        "--system-template role who=Bob"
    )
    notebook.run("month = 'June'")
    notebook.says("%%agent --as bob\nGo")
    request = answering[-1].requests[-1]
    assert [message.text for message in request.messages] == ["You are Bob.", "On Rome in June: Go"]
    notebook.says("%%agent --as bob --template report city=Oslo month=7\nGo")
    assert answering[-1].requests[-1].messages[-1].text == "On Oslo in 7: Go"


def test_a_cell_without_prompt_needs_an_agent_with_a_template(notebook: Notebook) -> None:
    notebook.says("%agent save bob -m fake-1 --no-tools")
    assert "has no template for one" in notebook.fails("%%agent --as bob\n")


def test_an_agent_in_use_lies_under_every_cell_until_it_ends(notebook: Notebook, answering: list[FakeModel]) -> None:
    notebook.says("%agent save bob -m fake-1 -t top -s 'Be brief'")
    assert "answers in this notebook from now on" in notebook.says("%agent use bob")
    assert notebook.says("%agent use") == "bob is in use."
    assert "bob (in use)" in notebook.says("%agent list")
    notebook.says("%agent how are you")
    assert answering[-1].requests[-1].messages[0].text == "Be brief"
    assert "Be brief" in notebook.says("%%agent --dry-run\nhi")
    assert "Be brief" not in notebook.says("%%agent --as none --dry-run\nhi")
    notebook.says("%agent rename bob ann")
    assert notebook.says("%agent use") == "ann is in use."
    notebook.says("%agent use --none")
    assert "Be brief" not in notebook.says("%%agent --dry-run\nhi")


def test_what_an_agent_lacks_fails_the_cell_before_anything_is_sent(
    notebook: Notebook, answering: list[FakeModel]
) -> None:
    said = notebook.says("%agent save bob -m fake-1 -t topp --skill nothing")
    assert "no tool 'topp' here. Did you mean 'top'?" in said
    assert "lacks something" in notebook.says("%agent show bob")
    failed = notebook.fails("%%agent --as bob\nHi")
    assert "The agent 'bob' lacks something here. There is no tool 'topp' here." in failed
    assert failed.endswith("Nothing was sent.")
    assert all(not model.requests for model in answering)
    notebook.says("%agent save bob -m fake-1 -t topp")
    notebook.says("%%agent --as bob -t top\nHi")


def test_a_missing_model_and_a_missing_key_are_named(notebook: Notebook) -> None:
    assert "set OPENAI_API_KEY, or %credential add openai" in notebook.says(
        "%agent save bob -m openai:gpt-4o --no-tools"
    )
    said = notebook.says("%agent save bob -m nobody:x --no-tools")
    assert "Its model cannot be opened: Unknown provider 'nobody'." in said


def test_slips_send_nothing_and_say_what_to_do(notebook: Notebook) -> None:
    notebook.says("%agent save bob -m fake-1")
    assert "There is no agent 'bobb'. Did you mean 'bob'?" in notebook.fails("%agent use bobb")
    assert "a prompt like this goes into a %%agent cell" in notebook.fails("%agent show trends")
    assert "no agent 'x'" in notebook.fails("%%agent --as x\nHi")
    assert "needs NAME" in notebook.fails("%agent save")
    assert "needs OLD NEW" in notebook.fails("%agent rename")
    assert "cannot name an agent" in notebook.fails("%agent save ../x")
    assert "cannot name an agent" in notebook.fails("%agent save none")
    assert "go with --model" in notebook.fails("%agent save bob --api-base http://x")
    assert "contradict" in notebook.fails("%agent save bob -t top --no-tools")
    assert "--approve 'yes'" in notebook.fails("%agent save bob --approve yes")
    assert "--context 'all'" in notebook.fails("%agent save bob --context all")
    assert "no option --tol" in notebook.fails("%agent save bob --tol x")
    assert "not valid JSON" in notebook.fails("%agent save bob -p '{'")
    assert "already" in notebook.fails("%agent save ann -m fake-1\n%agent rename ann bob")


def test_a_key_is_not_kept(notebook: Notebook) -> None:
    ran = notebook.run("%agent save bob -s 'key sk-abcdefghijklmnopqrstuvwxyz'")
    assert "A key stands in the system" in str(ran.error)
    assert "sk-abc" not in str(ran.error)


def test_a_removed_agent_is_in_use_no_more_and_comes_back(notebook: Notebook) -> None:
    notebook.says("%agent save bob -m fake-1 -s Brief")
    notebook.says("%agent use bob")
    assert "brings it back" in notebook.says("%agent rm bob")
    assert notebook.says("%agent use") == "No saved agent is in use."
    notebook.workspace.agents.restore("bob")
    notebook.says("%agent use bob")


def test_what_others_wrote_is_shown_without_markup(notebook: Notebook) -> None:
    notebook.says("%agent save bob -m fake-1 --description '<img src=x onerror=1>'")
    html = notebook.run("%agent list").mime("text/html")
    assert "<img" not in str(html)


def test_a_script_has_the_agent_as_well(notebook: Notebook, answering: list[FakeModel]) -> None:
    notebook.says("%agent save bob -m fake-1 -t top -s 'Be brief' --max-rounds 2")
    agent = notebook.workspace.saved_agent("bob")
    assert (agent.name, agent.max_rounds, list(agent.tools)) == ("bob", 2, ["top"])
    result = agent.run_sync("Hi")
    assert isinstance(result, Result)
    assert result.text == "yes"
    assert answering[-1].requests[-1].messages[0].text == "Be brief"
    notebook.says("%agent save bad -m fake-1 -t gone")
    with pytest.raises(Exception, match="lacks something here"):
        notebook.workspace.saved_agent("bad")


def test_a_call_is_made_by_the_agents_tools(notebook: Notebook) -> None:
    notebook.workspace.models.register("calls", FakeModel(call("top", n=2), "done"))
    notebook.says("%agent save bob -m calls -t top")
    assert "top(n=2) → [0, 1]" in notebook.says("%%agent --as bob\nGo")
