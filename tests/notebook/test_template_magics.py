"""`%%template`, `%template`, and templates in `%%agent`: prompts kept under a name, in both roles."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from agentnb import messages
from agentnb.messages import Message, ToolCall
from agentnb.models.fake import FakeModel
from agentnb.notebook.attended import paused_runs
from agentnb.notebook.complete import Completer
from agentnb.paused import PausedRun
from agentnb.render import RUN_MIME
from tests.notebook.conftest import Notebook

SUM = "%%template sum\nSummarise in {{language}}:\n\n{{text}}"


@pytest.fixture
def model(notebook: Notebook) -> FakeModel:
    """A scripted model that answers."""
    made = FakeModel(*["ok"] * 9)
    notebook.workspace.use_model(made)
    return made


def sent(model: FakeModel) -> Sequence[tuple[str, str]]:
    """The messages of the last request."""
    return [(each.role, each.text) for each in model.requests[-1].messages]


def test_a_template_is_kept_changed_listed_and_shown(notebook: Notebook) -> None:
    assert "No templates yet. %%template NAME" in notebook.says("%template")
    assert notebook.says(SUM) == (
        "sum: version 1, new. Placeholders: {{language}}, {{text}}.\nUse it: %%agent --template sum language=… text=…"
    )
    assert "sum: version 1, unchanged." in notebook.says(SUM)
    assert "sum: version 2, lines: +1 −0. Placeholders: {{language}}, {{text}}, {{n + 1}}." in notebook.says(
        f"{SUM}\n{{{{n + 1}}}}"
    )
    assert "It has no placeholders." in notebook.says("%%template plain\nHi")
    listed = notebook.says("%template list")
    assert all(
        words in listed for words in ("sum", "2", "language, text, n + 1", "Summarise in {{language}}: {{text}}")
    )
    shown = notebook.says("%template show sum --version 1")
    assert shown == "sum · version 1 of 2\nplaceholders: language, text\n\nSummarise in {{language}}:\n\n{{text}}"
    assert notebook.says("%template show --version 2 sum").startswith("sum · version 2\n")
    assert notebook.says("%template show sum").endswith("{{n + 1}}")


def test_its_history_goes_forth_and_back(notebook: Notebook) -> None:
    notebook.says("%%template a\none\ntwo")
    notebook.says("%%template a\none\n2")
    assert "a: version 3, lines: +1 −1." in notebook.says("%template restore a")
    assert "a is gone. %template restore a brings it back." in notebook.says("%template rm a")
    assert "a: version 5, back as it was." in notebook.says("%template restore a")
    lines = notebook.says("%template history a").split("\n")
    assert [line.partition(" · ")[0] for line in lines if line[0] != " "] == [f"version {n}" for n in range(1, 6)]
    assert time.strftime("%Y-") in lines[0]
    assert lines[1:4][-2:] == ["  - two", "  + 2"]
    assert "a: version 6, lines: +1 −1." in notebook.says("%template restore a --version 2")
    assert "a is b now." in notebook.says("%template rename a b")
    assert "2" in notebook.says("%template show b")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%template bad\n{{a", "UsageError|PromptError: Template 'bad': '{{a' is never closed"),
        ("%%template bad\n{{a", "Nothing was kept."),
        ("%%template ../x\na", "'../x' is no name for a template."),
        ("%%template x y\na", "%%template takes one name, not 'x y'."),
        ("%%template\na", "%%template takes one name"),
        ("%%template x\n \n", "has no words. Write them below %%template x."),
        ("%template shwo", "no verb 'shwo'. Did you mean 'show'? See %template --help"),
        ("%template sum", "no verb 'sum'. To see it: %template show sum."),
        ("%template show", "%template show needs the name of a template"),
        ("%template show sum more", "takes the name of a template, and --version N, not 'sum more'"),
        ("%template show sum --version x", "--version takes a whole number"),
        ("%template show sum --version 9", "has no version 9. It has 1 to 1."),
        ("%template show --versoin 1 sum", "no option --versoin. Did you mean '--version'?"),
        ("%template show smu", "There is no template 'smu'. Did you mean 'sum'?"),
        ("%template rm sum nope", "There is no template 'nope'."),
        ("%template rename sum", "needs a name and a new one"),
        ("%template rename sum ../x", "is no name for a template"),
        ("%template use", "%template use needs the name of a template"),
        ("%template use nope", "There is no template 'nope'"),
        ("%template form", "%template form needs the name of a template"),
        ("%template form sum -o 1x", "%template form takes the name of a template, and -o VAR"),
        ("%template history", "%template history needs the name of a template"),
    ],
)
def test_what_is_written_wrongly_is_said_in_a_line(notebook: Notebook, cell: str, said: str) -> None:
    notebook.says(SUM)
    assert said.removeprefix("UsageError|PromptError: ") in notebook.fails(cell)
    assert list(notebook.workspace.templates.names()) == ["sum"]


def test_a_template_is_the_prompt_of_a_cell(notebook: Notebook, model: FakeModel) -> None:
    notebook.says(f"{SUM} {{{{n + 1}}}}")
    notebook.run("text, n = 'All {{of}} it', 1")
    notebook.says("%%agent answer << --template sum language=French")
    assert sent(model) == [("user", "Summarise in French:\n\nAll {{of}} it 2")]
    assert notebook.says("print(answer.text)") == "ok"
    notebook.says('%%agent --template sum language="the \\"Queen\'s\\" own" n={{n * 10}} --session none\nAnd {{n}}.')
    assert sent(model)[-1][1].startswith('Summarise in the "Queen\'s" own:\n\nAll {{of}} it 11\n\nAnd 10.')
    notebook.says("%agent --session none --template sum language=@text text='a b' n=2 And shortly!")
    assert sent(model)[-1][1] == "Summarise in All {{of}} it:\n\na b 3\n\nAnd shortly!"
    notebook.says("%template use sum language=1.10 text=[1] n=0")
    assert sent(model)[-1][1] == "Summarise in 1.10:\n\n[1] 1"


def test_what_stands_below_goes_where_the_template_says(notebook: Notebook, model: FakeModel) -> None:
    notebook.says("%%template ask\nA question: {{input}}\nAnswer {{how}}.")
    notebook.says("%%agent --template ask how=shortly\nWhy {{1 + 1}}?")
    assert sent(model) == [("user", "A question: Why 2?\nAnswer shortly.")]
    assert "no value for {{input}}. Write it below the line, or input=…" in notebook.fails(
        "%%agent --template ask how=shortly"
    )


def test_a_template_is_the_system_prompt_of_a_cell(notebook: Notebook, model: FakeModel) -> None:
    notebook.says("%%template role\nYou are {{who}}.\n{{TOOLS}}")
    notebook.run("def twice(n: int) -> int:\n    'Twice as much.'\n    return 2 * n\n%tool twice")
    notebook.says("%%agent --system-template role who='{{TOOLS}}'\nHi")
    table = "| Tool(s) | Description |\n|---|---|\n| twice | Twice as much. |"
    assert sent(model) == [("system", f"You are {{{{TOOLS}}}}.\n{table}"), ("user", "Hi")]
    notebook.says("%%agent --session none --template role who=me --system-template role who=you TOOLS=none")
    assert sent(model) == [("system", "You are you.\nnone"), ("user", f"You are me.\n{table}")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--template sum", "Template 'sum' has no value for {{language}}, {{text}}. Give language=…"),
        ("--template smu", "There is no template 'smu'. Did you mean 'sum'?"),
        ("--template sum langage=x text=y", "has no placeholder 'langage'. Did you mean 'language'?"),
        ("--template sum language=@txt text=y", "language=@txt: there is no variable 'txt'."),
        ("--template sum language={{txt}} text=y", "language={{txt}}: there is no variable 'txt'."),
        ("--template sum language={{1 / 0}} text=y", "ZeroDivisionError: division by zero"),
        ("--template sum language={{1 +}} text=y", "holds no Python expression"),
        ("--template sum language={x text=y", "is not valid JSON"),
        ("--template sum language='x text=y", "never closed"),
        ("--template sum language = x", "'language = x' is not an option"),
        ("--template", "--template of %%agent needs a value: --template NAME [k=v…]"),
        ("--system-template sum language=x text=y -s z\nHi", "--system and --system-template contradict each other"),
        ("--system-template sum language=x\nHi", "no value for {{text}}"),
        ("--system-template sum language=x text=y", "needs a prompt"),
        ("--template ../../etc/passwd", "is no name for a template"),
    ],
)
def test_whatever_is_wrong_is_said_before_anything_is_sent(
    notebook: Notebook, model: FakeModel, line: str, said: str
) -> None:
    notebook.says(SUM)
    assert said in notebook.fails(f"%%agent {line}" + "\n" * ("\n" not in line))
    assert model.requests == []


def test_a_dry_run_and_the_notebook_file_tell_the_template(notebook: Notebook, model: FakeModel) -> None:
    notebook.says(SUM)
    notebook.says(f"{SUM}!")
    notebook.says("%%template role\nYou are {{who}}.")
    line = "--template sum language=French text=it --system-template role who=me"
    said = notebook.says(f"%%agent --dry-run {line}\nMore.")
    assert "You are me." in said
    assert "Summarise in French:\n\nit!\n\nMore." in said
    assert model.requests == []
    (record,) = notebook.run(f"%%agent {line}\nMore.").mime(RUN_MIME)
    assert isinstance(record, dict)
    assert record["template"] == {"name": "sum", "version": 2}
    assert record["system_template"] == {"name": "role", "version": 1}
    assert record["prompt"] == "Summarise in {{language}}:\n\n{{text}}!\n\nMore."
    assert set(record["variables"]) == {"language", "text"}


def test_hostile_words_stay_words(notebook: Notebook, model: FakeModel) -> None:
    notebook.workspace.templates.put("evil", "<script>alert(1)</script>\x1b[31m {{x}} {{a")
    assert "\x1b" not in notebook.says("%template show evil")
    ran = notebook.run("%template")
    assert "cannot be read" in ran.text
    assert "<script" not in str(ran.mime("text/html"))
    assert "never closed" in notebook.fails("%agent --template evil x=1")
    notebook.says("%%template big\n" + "{x} " * 250_000 + "{{x}}")
    assert "1,000" not in notebook.says("%template list")
    notebook.says("%agent --template big x='<b>{{x}}</b>'")
    assert sent(model)[0][1].endswith("{x} <b>{{x}}</b>")


def test_a_secret_in_a_template_is_not_shown(notebook: Notebook) -> None:
    notebook.says("%%template a\nkey very-secret-123")
    notebook.says("%%template a\nvery-secret-123 key")
    notebook.workspace.mask.add("very-secret-123")  # known only now: else it is not kept
    for line in ("show a", "history a", "list"):
        assert "very-secret" not in notebook.run(f"%template {line}").everything()


def test_without_widgets_a_form_says_what_to_write(notebook: Notebook) -> None:
    notebook.says(SUM)
    assert notebook.says("%template form sum") == (
        "There are no forms here. Write: %%agent --template sum language=… text=…"
    )


def test_tab_knows_templates_and_their_placeholders(notebook: Notebook) -> None:
    notebook.says(SUM)
    notebook.run("words = 1")

    def offered(before: str) -> Sequence[str]:
        return Completer(notebook.workspace).suggest(before, before, 0)

    assert {"show", "use", "sum"} <= set(offered("%template "))
    assert "sum" in offered("%%template ")
    assert offered("%template show ") == ["sum"]
    assert offered("%template restore sum --version ") == ["1"]
    assert offered("%template show sum --") == ["--version"]
    assert offered("%template use sum ") == ["language=", "text="]
    assert offered("%%agent --template ") == ["sum"]
    assert offered("%%agent --system-template sum language=x ") == ["text="]
    assert "@words" in offered("%%agent --template sum language=")
    assert offered("%%agent --template nope ") == ()
    assert "--template" in offered("%%agent --")


def test_a_paused_run_goes_on_without_filling_its_templates_again(notebook: Notebook, model: FakeModel) -> None:
    call = Message("assistant", (ToolCall("c1", "save", "{}"),), finish="tool_calls")
    turn = (messages.user("Filled when it began."), call)
    line = "--template gone x={{undefined}} --system-template gone -t save"
    paused = PausedRun("abcd1234", 1.0, model.name, turn, line=line, system="You are {{who}}.", tools=("save",))
    notebook.run("def save() -> str:\n    'Save it.'\n    return 'saved'\n%tool save")
    paused_runs(notebook.workspace).keep(paused)
    notebook.says("%agent resume")
    assert sent(model)[:2] == [("system", "You are {{who}}."), ("user", "Filled when it began.")]
