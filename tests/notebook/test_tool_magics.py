"""`%tool`: tools from everywhere, what a person says of them, and calls by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentnb.notebook.tool_magics import VERBS, help_text
from agentnb.toolbox import Toolbox
from tests.notebook.conftest import Notebook
from tests.test_toolbox import Server

ADD = "def add(a: int, b: int = 2) -> str:\n    '''Add two numbers.\n\n    More.'''\n    return str(a + b)\n"
FILE = "def size(text: str) -> str:\n    'Say the size.'\n    return f'{len(text)} characters'\n"


@pytest.fixture
def add(notebook: Notebook) -> Notebook:
    """A notebook with one tool."""
    notebook.run(ADD)
    notebook.says("%tool add")
    return notebook


def toolbox(notebook: Notebook) -> Toolbox:
    return notebook.workspace.toolbox


# Lists


def test_what_is_on_stands_above_what_is_off_and_needs_no_hint(notebook: Notebook) -> None:
    notebook.says("%tool on inspect")
    said = notebook.says("%tool")
    assert said.index("inspect") < said.index("27 tools")
    assert "No tools yet" not in said


def test_the_tools_are_a_table_by_source(add: Notebook) -> None:
    Path("own.py").write_text(FILE)
    add.says("%tool load own.py")
    said = add.says("%tool").splitlines()
    assert said[0].split() == ["tool", "source", "approval", "what", "it", "does"]
    assert said[1].split() == ["on", "add", "notebook", "always", "Add", "two", "numbers."]
    assert said[2].split()[:3] == ["on", "size", "own.py"]
    assert "off 10 tools built-in python, bash, fetch, …" in [" ".join(line.split()) for line in said]
    assert said[-1].startswith("Of a source that is off: %tool list SOURCE shows its tools")
    assert [line.split()[:2] for line in add.says("%tool list built-in").splitlines()[1:3]] == [
        ["off", "python"],
        ["off", "bash"],
    ]
    assert "No tool 'bult-in'. Did you mean 'built-in'?" in add.fails("%tool list bult-in")


def test_a_notebook_without_tools_of_its_own_is_told_how_to_make_one(notebook: Notebook) -> None:
    assert "No tools yet of this notebook." in notebook.says("%tool list")


def test_one_tool_is_shown_with_what_the_model_is_told_and_what_it_is_not(add: Notebook) -> None:
    add.says("%tool rename add plus")
    said = add.says("%tool show plus")
    for part in ("plus: Add two numbers.", "function-add", "notebook", "always", "%tool call plus a=…", '"integer"'):
        assert part in said
    assert add.says("%tool show function-add") == said


def test_the_help_names_every_verb(notebook: Notebook) -> None:
    said = notebook.says("%tool --help")
    assert all(f"%tool {verb}" in said for verb in VERBS)
    assert notebook.says("%tool rename --help") == help_text(["rename"])
    assert max(map(len, said.splitlines())) <= 130


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("list", "saved", "openapi")])
def test_a_verb_without_what_it_needs_says_so(notebook: Notebook, verb: str) -> None:
    assert f"%tool {verb} needs " in notebook.fails(f"%tool {verb}")


def test_a_function_that_is_named_as_a_verb_can_be_a_tool(notebook: Notebook) -> None:
    notebook.run("def save() -> str:\n    'Save.'\n    return 'saved'")
    assert notebook.says("%tool save") == "save: ready as a tool."
    assert "save" in toolbox(notebook).enabled()


def test_a_verb_that_is_misspelled_is_recognised(add: Notebook) -> None:
    assert "As a verb: 'rename'?" in add.fails("%tool renme add plus")


# What a person says


def test_a_verb_that_is_misspelled_alone_is_recognised_too(notebook: Notebook) -> None:
    assert str(notebook.run("%tool lst").error) == "No function 'lst' in this notebook. As a verb: 'list'?"


def test_tools_are_switched_by_name_source_and_pattern(add: Notebook) -> None:
    assert add.says("%tool off add") == "add: not offered for now."
    assert toolbox(add).enabled() == {}
    add.says("%tool on 'a*' built-in")
    assert {"add", "bash"} <= set(toolbox(add).enabled())
    assert "No tool 'ad'. Did you mean 'add'?" in add.fails("%tool off ad")


def test_taking_several_away_says_what_became_of_each(add: Notebook) -> None:
    said = add.says("%tool rm add, nothing bash")
    assert said == "deleted: add\nnot found: nothing\nskipped (still there, and switched off): bash"
    assert "No tools nothing, more" in add.fails("%tool rm nothing more")


def test_a_tool_gets_another_name(add: Notebook) -> None:
    assert add.says("%tool rename add plus") == "add is plus from now on."
    assert list(toolbox(add).enabled()) == ["plus"]
    assert "OLD NEW" in add.fails("%tool rename plus")


def test_whether_a_call_asks_is_said_shown_and_taken_back(add: Notebook) -> None:
    assert add.says("%tool approve add") == "add: always"
    assert add.says("%tool approve add never") == "add: never"
    assert add.workspace.policy.rule("function-add") == "never"
    assert "never (yours)" in add.says("%tool")
    assert add.fails("%tool call add a=1") == "ToolError: add is not allowed here. It was not run."
    assert add.says("%tool approve add default") == "add: always"
    assert add.workspace.policy.rule("function-add") is None


def test_a_rule_may_outlive_the_kernel_where_the_notebook_is_known(
    add: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "until the kernel ends" in add.says("%tool approve add ask --notebook")
    monkeypatch.setenv("JPY_SESSION_NAME", "/work/report.ipynb")
    assert "in this notebook also after a restart" in add.says("%tool approve add ask --notebook")


def test_a_rule_holds_also_for_the_second_of_two_tools_with_one_id(add: Notebook) -> None:
    toolbox(add).add_toolset(Server("a-b", ["c"]))
    toolbox(add).add_toolset(Server("a", ["b-c"]))
    assert toolbox(add).get("b-c").id == "mcp-a-b-c_2"
    add.says("%tool approve b-c never")
    assert add.fails("%tool call b-c") == "ToolError: b-c is not allowed here. It was not run."
    assert add.says("%tool approve c") == "c: ask"


def test_a_rule_holds_for_all_tools_of_a_source(add: Notebook) -> None:
    said = add.says("%tool approve built-in never").splitlines()
    assert "bash: never" in said
    assert "python: never" in said
    assert "As a rule: 'always'?" in add.fails("%tool approve add allways")
    assert "no option --notbook. Did you mean '--notebook'?" in add.fails("%tool approve add ask --notbook")
    assert "takes a tool and one of always, ask, never, default" in add.fails("%tool approve ask")


# Files


def test_a_function_of_a_file_is_a_tool_and_is_read_again(notebook: Notebook) -> None:
    Path("own.py").write_text(FILE)
    assert notebook.says("%tool load own.py::size") == "size: ready as a tool."
    assert notebook.says("%tool call size text=abc") == (
        "Out[2]: '3 characters'\n\n✓ size(text='abc') → 3 characters\ncalled directly"
    )
    Path("own.py").write_text(FILE.replace("characters", "letters"))
    notebook.says("%tool load own.py::size")
    assert "3 letters" in notebook.says("%tool call size text=abc")
    assert toolbox(notebook).get("size").id == "function-size"


def test_a_path_with_spaces_is_quoted(notebook: Notebook) -> None:
    Path("my own.py").write_text(FILE)
    assert notebook.says("%tool load 'my own.py'::size") == "size: ready as a tool."


def test_a_file_that_cannot_be_loaded_is_one_line(notebook: Notebook) -> None:
    Path("own.py").write_text("import nothing_there\n")
    said = notebook.fails("%tool load own.py")
    assert "own.py, line 1: ModuleNotFoundError: No module named 'nothing_there'. No tool was loaded." in said


def test_a_saved_tool_comes_back_in_another_notebook(add: Notebook) -> None:
    add.run("FACTOR = 10\ndef tenfold(n: int) -> str:\n    'Tenfold.'\n    return str(n * FACTOR)")
    add.says("%tool tenfold")
    assert add.says("%tool save add tenfold") == "add, tenfold: saved. In any notebook: %tool load add tenfold"
    assert [line.split()[:2] for line in add.says("%tool saved").splitlines()[1:3]] == [
        ["add", "here"],
        ["tenfold", "here"],
    ]
    add.says("%tool rm add tenfold")
    add.run("del add, tenfold, FACTOR")
    assert add.says("%tool load tenfold") == "tenfold: ready as a tool."
    assert add.run("%tool call -o got tenfold n=4".replace("-o got tenfold n=4", "tenfold n=4 -o got")).error is None
    assert add.shell.user_ns["got"] == "40"
    assert add.says("%tool forget tenfold") == "tenfold: no longer saved."
    assert "No saved tool 'tenfold'" in add.fails("%tool load tenfold")


def test_only_functions_are_saved(notebook: Notebook) -> None:
    assert "only functions are saved" in notebook.fails("%tool save bash")


def test_a_bundle_is_given_away_and_runs_only_once_it_was_allowed(add: Notebook) -> None:
    add.run("def touched() -> str:\n    'Touch.'\n    return 'yes'")
    add.says("%tool touched")
    assert (
        add.says("%tool export tools.json add touched")
        == "add, touched: in tools.json. Elsewhere: %tool import tools.json"
    )
    bundle = json.loads(Path("tools.json").read_text())
    bundle["files"]["function-touched.py"] += "\nimport pathlib\npathlib.Path('touched').touch()\n"
    Path("tools.json").write_text(json.dumps(bundle))
    add.says("%tool rm add touched")
    shown = add.says("%tool import tools.json")
    assert "pathlib.Path('touched').touch()" in shown
    assert "Nothing was run, and nothing kept." in shown
    assert not Path("touched").exists()
    assert "add" not in toolbox(add).all()
    assert add.says("%tool import tools.json --yes") == "add, touched: ready as tools."
    assert Path("touched").exists()
    assert {"add", "touched"} <= set(toolbox(add).enabled())
    assert "(replaces the one you have saved)" in add.says("%tool import tools.json")


def test_a_bundle_does_not_write_over_what_is_none(add: Notebook) -> None:
    Path("data.json").write_text("{}")
    assert "holds no list of tools" in add.fails("%tool export data.json add")
    assert Path("data.json").read_text() == "{}"
    assert "%tool export takes a file" in add.fails("%tool export add add")


def test_a_bundle_shows_no_other_files_of_this_machine(notebook: Notebook) -> None:
    Path("id_rsa").write_text("the private key")
    listed = [
        {"type": "function", "name": "f", "function_name": "f", "function_file_path": str(Path("id_rsa").absolute())}
    ]
    Path("tools.json").write_text(json.dumps(listed))
    said = notebook.fails("%tool import tools.json")
    assert "is no Python file" in said
    assert "private" not in said


def test_code_of_a_bundle_cannot_hide_from_the_terminal(add: Notebook) -> None:
    add.says("%tool export tools.json add")
    bundle = json.loads(Path("tools.json").read_text())
    bundle["files"]["function-add.py"] = "import os\x1b[2K\r# harmless\n"
    Path("tools.json").write_text(json.dumps(bundle))
    shown = add.says("%tool import tools.json")
    assert "\x1b" not in shown
    assert "(holds characters that nobody sees: beware)" in shown
    assert "import os␛[2K␍# harmless" in shown


# Calls


def test_a_call_by_hand_is_shown_as_a_models_and_gives_its_value(add: Notebook) -> None:
    ran = add.run("%tool call add a=1")
    assert ran.error is None
    assert ran.text == "Out[3]: '3'\n\n✓ add(a=1) → 3\ncalled directly"
    assert add.shell.user_ns["_"] == "3"


def test_a_call_by_hand_is_part_of_the_conversation(add: Notebook) -> None:
    add.run("%tool call add a=1", "one")
    add.run("%tool call add a=2", "one")
    [turn] = add.workspace.session.turns
    assert [message.role for message in turn.messages] == ["user", "assistant", "tool"]
    assert turn.messages[1].calls[0].arguments == '{"a": 2}'


@pytest.mark.parametrize(
    "line",
    [
        "%tool call got << add a=1 b=3",
        "%tool got << call add a=1 b=3",
        "%tool call add a=1 b=3 -o got",
        '%tool call add {"a": 1, "b": 3} --out=got',
        "%tool call function-add b=3 a={{one}} -o got",
        "%tool call add a=@one b={{one + 2}} -o got",
        "%%capture\n%tool call add a=1 b=3 -o got",
        "if True:\n    %tool call add a=1 b=3 -o got",
    ],
)
def test_the_arguments_and_the_variable_are_written_in_many_ways(add: Notebook, line: str) -> None:
    add.run("one = 1")
    ran = add.run(line)
    assert ran.error is None
    assert add.shell.user_ns["got"] == "4"


def test_a_call_may_be_assigned_and_timed(add: Notebook) -> None:
    assert add.run("x = %tool call add a=1").error is None
    assert add.shell.user_ns["x"] == "3"
    timed = add.run("%%time\n%tool call add a=1")
    assert timed.error is None
    assert "✓ add(a=1) → 3" in timed.text


def test_a_text_of_several_lines_is_shown_as_lines_and_is_the_last_value(notebook: Notebook) -> None:
    notebook.run("def verse() -> str:\n    'A verse.'\n    return 'one\\n\\x1b[31mtwo'\n")
    notebook.says("%tool verse")
    ran = notebook.run("%tool call verse")
    assert ran.stdout.endswith("one\ntwo\n")
    assert notebook.says("print(repr(_))") == "'one\\n\\x1b[31mtwo'"


def test_words_are_texts_where_a_text_is_wanted(notebook: Notebook) -> None:
    head = "def echo(text: str, more: list[int] = [], flag: bool = False) -> str:"
    notebook.run(f"{head}\n    'E.'\n    return repr((text, more, flag))")
    notebook.says("%tool echo")
    for line, said in (
        ("text=007", "('007', [], False)"),
        ("text=null", "('null', [], False)"),
        ('text="two words" more=[1, 2] flag=true', "('two words', [1, 2], True)"),
        ("text='it is \"so\"'", "('it is \"so\"', [], False)"),
        ('text={{"a" + {"b": {}}.__class__.__name__}}', "('adict', [], False)"),
        ("text=a=b", "('a=b', [], False)"),
        ("text=", "('', [], False)"),
    ):
        notebook.run(f"%tool call echo {line} -o got")
        assert notebook.shell.user_ns["got"] == said, line


def test_an_object_of_the_notebook_is_passed_by_its_name(notebook: Notebook) -> None:
    notebook.run("import fractions\nhalf = fractions.Fraction(1, 2)\nthird = object()")
    notebook.run("class Box:\n    def __init__(self, n): self.n = n\nbox = Box(3)")
    notebook.run("def open_box(box: Box) -> Box:\n    'Open.'\n    return Box(box.n + 1)")
    notebook.says("%tool open_box")
    ran = notebook.run("%tool call open_box box=@box -o got")
    assert ran.error is None
    assert "open_box(box='box')" in ran.text
    assert notebook.shell.user_ns["got"].n == 4
    assert notebook.shell.user_ns["got"] is notebook.shell.user_ns["open_box_1"]
    assert notebook.run("%tool call open_box box={{Box(7)}} -o got").error is None
    assert notebook.shell.user_ns["got"].n == 8
    assert "box_1" not in notebook.shell.user_ns  # lent for the time of the call
    assert "no variable 'bx'" in notebook.fails("%tool call open_box box=@bx")


def test_a_result_is_read_as_json(notebook: Notebook) -> None:
    notebook.run("def say(text: str) -> str:\n    'Say.'\n    return text")
    notebook.says("%tool say")
    notebook.run(
        """whole = '{"a": [1]}'\nfenced = 'So:\\n```json\\n[1, 2]\\n```\\nand\\n```json\\n[3]\\n```'\nbare = '3'"""
    )
    assert notebook.run("%tool call say text=@whole -f json").error is None
    assert notebook.shell.user_ns["_"] == {"a": [1]}
    notebook.run("%tool call say text=@fenced -f json -o got")
    assert notebook.shell.user_ns["got"] == [1, 2]
    assert "Result is not valid JSON: it has no object and no list, but '3'." in notebook.fails(
        "%tool call say text=@bare --format json"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("add a=x", "ToolError: add: Argument 'a': "),
        ("add", "ToolError: add: Argument 'a' is missing."),
        ("boom", "ToolError: boom: ValueError: two lines"),
        ("liar", "ToolError: liar: I failed"),
        ("ad a=1", "UsageError: No tool 'ad'. Did you mean 'add'?"),
        ("add [1]", "UsageError: The arguments of a tool must be a JSON object, not '[1]'."),
        ('add "a"', "UsageError: The arguments of a tool must be a JSON object"),
        ("add {'a': 1}", "is not valid JSON"),
        ("add a", "are not valid JSON"),
        ("add a=1 b", "UsageError: %tool call cannot read 'b'."),
        ("add a=[1", "is not valid JSON"),
        ("add a={{1 +}}", "holds no Python expression"),
        ("add a={{nothing}}", "there is no variable 'nothing'"),
        ("add a=1 -f yaml", "--format 'yaml' is not known to %tool call"),
        ("add a=1 --frmat json", "no option --frmat. Did you mean '--format'?"),
        ("add a=1 -o 3x", "no name of one"),
        ("add a=1 -o", "needs a value"),
        ("add a='x", "never closed"),
        ("-f json", "needs the name of a tool"),
    ],
)
def test_a_call_that_fails_fails_the_cell_with_one_line(add: Notebook, line: str, said: str) -> None:
    add.run("def boom() -> str:\n    'B.'\n    raise ValueError('two\\nlines')")
    add.run("def liar() -> str:\n    'L.'\n    return 'Error: I failed'")
    add.says("%tool boom liar")
    assert said in add.fails(f"%tool call {line}")
    assert said in add.fails(f"x = %tool call {line}")


def test_what_a_tool_says_can_do_no_harm_and_holds_no_secret(notebook: Notebook) -> None:
    notebook.workspace.mask.add("hunter2-secret")
    notebook.run("def evil() -> str:\n    'Evil \\x1b[2J.'\n    raise ValueError('\\x1b[2J hunter2-secret')")
    notebook.says("%tool evil")
    for cell in ("%tool call evil", "tools.evil()", "%tool show evil", "%tool"):
        ran = notebook.run(cell)
        assert "hunter2" not in ran.everything(), cell
        assert "\x1b[2J" not in f"{ran.text}{ran.mime('text/html')}{ran.error}", cell


def test_a_call_that_asks_is_refused_where_nobody_can_be_asked(add: Notebook) -> None:
    add.says("%tool approve add ask")
    assert "it needs a person's approval, and nobody can be asked here" in add.fails("%tool call add a=1")
    add.says("%tool approve add always")
    assert add.run("%tool call add a=1").error is None


def test_the_help_of_a_call_is_its_own(notebook: Notebook) -> None:
    assert notebook.says("%tool call --help") == help_text(["call"])


# Python


def test_tools_are_functions_by_their_names(add: Notebook) -> None:
    ran = add.run("got = tools.add(1, b=4)")
    assert ran.error is None
    assert add.shell.user_ns["got"] == "5"
    assert ran.text == "✓ add(a=1, b=4) → 5\ncalled directly"
    assert add.run("assert tools['function-add'](a=1) == '3'").error is None
    assert add.workspace.session.turns == []  # code is no conversation


def test_the_variable_tools_is_hidden_and_is_taken_away_with_the_extension(notebook: Notebook) -> None:
    assert "tools" in notebook.shell.user_ns
    assert "tools" in notebook.shell.user_ns_hidden
    mine = notebook.shell.user_ns["tools"]
    assert mine is notebook.workspace.tools
    notebook.extension.unload()
    assert "tools" not in notebook.shell.user_ns
    notebook.shell.user_ns["tools"] = "the person's own"
    notebook.extension.load()
    assert notebook.shell.user_ns["tools"] == "the person's own"


def test_a_form_where_there_is_no_front_end_says_what_to_write(add: Notebook) -> None:
    assert add.says("%tool form add") == "There are no forms here. Write: %tool call add a=…"
    assert "%tool form takes the name of a tool" in add.fails("%tool form add b c")
    assert "No tool 'ad'" in add.fails("%tool form ad")
