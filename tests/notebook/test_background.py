"""`%%agent --bg` in a shell without a kernel: its verbs, its value, and cards that wait for `%agent wait`."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from agentnb.background import BackgroundRun
from agentnb.errors import RequestRefused, RunInterrupted
from agentnb.models.fake import FakeModel, Turn, call
from agentnb.notebook import background
from agentnb.notebook.complete import Completer
from tests.notebook.conftest import Notebook

#: So slow that only stopping ends it.
FOREVER = "and so on. " * 400


def use(notebook: Notebook, *turns: Turn, pace: float = 0) -> FakeModel:
    """Let a scripted model answer."""
    model = FakeModel(*turns, pace=pace)
    notebook.workspace.use_model(model)
    return model


def run_of(notebook: Notebook, name: str = "it") -> BackgroundRun:
    """The run in a variable."""
    found = notebook.shell.user_ns[name]
    assert isinstance(found, BackgroundRun)
    return found


def test_the_cell_says_one_line_and_waiting_shows_the_card_in_its_own_cell(notebook: Notebook) -> None:
    use(notebook, "Oslo.")
    assert notebook.says("%%agent it << --bg\nWhich city?") == snapshot(
        "Run 1 goes on in the background: %agent wait 1 shows what comes of it, %agent stop 1 ends it."
    )
    waited = notebook.run("%agent wait", "b")
    assert waited.mime("text/markdown") == ["Oslo."]
    assert waited.displays[-1]["application/vnd.agentnb.run+json"]["prompt"] == "Which city?"  # type: ignore[index]
    assert waited.stdout == ""
    assert notebook.says("%agent wait") == "No run goes on in the background."


def test_the_variable_is_a_future_and_so_is_the_underscore(notebook: Notebook) -> None:
    use(notebook, "Oslo.")
    notebook.says("%%agent it << --bg\nWhich city?")
    assert notebook.shell.user_ns["_"] is run_of(notebook)
    assert notebook.says("result = await it\nprint(result.text)") == "Oslo."
    assert notebook.says("print(it.result().text, it.done(), it.status, it.text)") == "Oslo. True done Oslo."
    assert repr(run_of(notebook)) == "BackgroundRun(1, done: 'Oslo.')"


def test_with_a_schema_the_instance_comes_of_it(notebook: Notebook) -> None:
    use(notebook, "[1, 2]")
    notebook.says("%agent --bg --schema list[int] -o it Count")
    assert notebook.says("print(await it, it.result())") == "[1, 2] [1, 2]"


def test_it_knows_what_was_said_before_it_began_and_its_turn_comes_when_it_ends(notebook: Notebook) -> None:
    model = use(notebook, "one", "two", "three")
    notebook.run("%%agent\nfirst", "a")
    notebook.run("%%agent --bg -o it\nsecond", "b")
    notebook.run("%agent wait", "c")
    notebook.run("%%agent\nthird", "d")
    assert [len(request.messages) for request in model.requests] == [1, 3, 5]
    assert [turn.key for turn in notebook.workspace.session.turns] == ["a", "b", "d"]


def test_a_run_that_stands_alone_leaves_no_turn(notebook: Notebook) -> None:
    use(notebook, "one")
    notebook.says("%%agent --bg --session none -o it\nfirst")
    notebook.says("%agent wait")
    assert notebook.workspace.session.turns == []


@pytest.mark.parametrize("wait", ["await it", "it.result()", "%agent wait", "%agent wait 1", "x = 1\n%agent wait"])
def test_the_notebooks_functions_run_while_somebody_waits(notebook: Notebook, wait: str) -> None:
    notebook.says("import threading\ndef where() -> str:\n    'Where.'\n    return threading.current_thread().name")
    notebook.says("async def later() -> str:\n    'Later.'\n    return threading.current_thread().name")
    use(notebook, [call("where"), call("later")], "done")
    notebook.says("%%agent --bg -t where,later -o it\nGo")
    notebook.says(wait)
    told = run_of(notebook).transcript().messages[-2].content
    assert [result.content[0].text for result in told] == ["MainThread", "MainThread"]  # type: ignore[union-attr]


def test_a_failure_is_raised_by_whoever_waits_once_for_all_and_by_id_again(notebook: Notebook) -> None:
    use(notebook, RequestRefused("the provider is on fire"))
    notebook.says("%%agent it << --bg\nGo")
    assert notebook.fails("%agent wait") == "RequestRefused: the provider is on fire"
    assert notebook.says("%agent wait") == "No run goes on in the background."
    assert notebook.fails("%agent wait 1") == "RequestRefused: the provider is on fire"
    assert notebook.fails("await it") == "RequestRefused: the provider is on fire"
    assert notebook.fails("it.result()") == "RequestRefused: the provider is on fire"
    assert run_of(notebook).status == "error"
    assert "on fire" in repr(run_of(notebook))
    assert notebook.fails("%%agent\nSum up {{it}}") == snapshot(
        "PromptError: {{it}}: run 1 ended without an answer (the provider is on fire). Run its cell again. "
        "Nothing was sent."
    )


def test_what_fails_before_it_is_sent_fails_the_cell(notebook: Notebook) -> None:
    model = use(notebook, "never")
    assert "there is no variable 'nothing'" in notebook.fails("%%agent --bg\n{{nothing}}")
    assert "--max-cost takes an amount" in notebook.fails("%%agent --bg --max-cost much\nGo")
    assert model.requests == []
    assert "No run was begun in the background. %%agent --bg begins one." in notebook.says("%agent list")


def test_in_a_prompt_it_is_its_answer_once_there_is_one(notebook: Notebook) -> None:
    use(notebook, FOREVER, pace=0.05)
    notebook.says("%%agent it << --bg\nGo")
    assert notebook.fails("%%agent\nSum up {{it}}") == snapshot(
        "PromptError: {{it}}: run 1 still goes on in the background. Run %agent wait 1, then this. Nothing was sent."
    )
    notebook.says("%agent stop")
    use(notebook, "short")
    notebook.run("%%agent it << --bg\nGo", "b")
    notebook.says("it.result()")
    model = use(notebook, "summed")
    notebook.run("%%agent --session none\nSum up {{it}}", "c")
    assert "short" in model.requests[0].messages[0].text


def test_stopping_keeps_what_there_is(notebook: Notebook) -> None:
    use(notebook, FOREVER, pace=0.02)
    notebook.says("%%agent it << --bg\nGo")
    with pytest.raises(TimeoutError, match=r"Run 1 goes on after 0.2 s\."):
        run_of(notebook).result(timeout=0.2)
    assert run_of(notebook).status == "streaming"
    assert run_of(notebook).text
    assert "streaming for" in repr(run_of(notebook))
    assert "streaming for" in (run_of(notebook)._repr_html_() or "")
    assert notebook.says("%agent stop 1") == "Stopped 1."
    with pytest.raises(RunInterrupted):
        run_of(notebook).result(timeout=5)
    assert notebook.says("%agent stop 1") == "Run 1 has ended already: interrupted."
    assert notebook.workspace.session.turns[0].messages[-1].text.startswith("and so on.")
    assert "interrupted" in notebook.run("%agent wait").text  # its card; what a person stopped is no failure


def test_it_must_be_clear_which_run_is_stopped(notebook: Notebook) -> None:
    use(notebook, FOREVER, FOREVER, pace=0.05)
    assert notebook.says("%agent stop") == "No run goes on in the background."
    notebook.run("%%agent --bg\nGo", "a")
    assert "'7'. There is only 1." in notebook.fails("%agent stop 7")
    notebook.run("%%agent --bg\nGo", "b")
    assert notebook.fails("%agent stop") == snapshot(
        "UsageError: Several runs go on: 1, 2. Say which, or %agent stop all."
    )
    assert notebook.fails("%agent stop 7").startswith("UsageError: No background run is called '7'. There are 1, 2.")
    assert notebook.fails("%agent wait 7").startswith("UsageError: No background run is called '7'.")
    assert notebook.says("%agent stop all") == "Stopped 1, 2."


def test_a_cell_that_runs_again_ends_its_earlier_run(notebook: Notebook) -> None:
    use(notebook, FOREVER, "at once", pace=0.02)
    notebook.run("%%agent first << --bg\nGo", "a")
    notebook.workspace.use_model(FakeModel("at once"))
    notebook.run("%%agent second << --bg\nGo", "a")
    assert run_of(notebook, "first").status == "interrupted"
    notebook.run("%agent wait", "b")
    assert [turn.messages[-1].text for turn in notebook.workspace.session.turns] == ["at once"]
    assert [run.id for run in notebook.extension.magics.background.runs.list()] == ["2"]


def test_the_list_says_how_far_each_is(notebook: Notebook) -> None:
    use(notebook, "done", FOREVER, pace=0.02)
    notebook.run("%%agent --bg\nWhich <b>city</b>?", "a")
    notebook.says("%agent wait 1")
    notebook.run("%%agent --bg\nGo on", "b")
    shown = notebook.run("%agent list").displays[-1]
    rows = [line.split() for line in str(shown["text/plain"]).splitlines()]
    assert rows[0] == ["id", "status", "prompt", "model", "seconds", "cell"]
    assert [row[:2] for row in rows[1:]] == [["1", "done"], ["2", "streaming"]]
    assert "<b>" not in str(shown["text/html"])
    assert [run.title for run in notebook.workspace.state().runs] == ["Go on"]
    notebook.says("%agent stop")


def test_unloading_ends_what_goes_on(notebook: Notebook) -> None:
    use(notebook, FOREVER, pace=0.05)
    notebook.says("%%agent it << --bg\nGo")
    notebook.extension.magics.background.close()
    assert run_of(notebook).status == "interrupted"


def test_in_a_terminal_waiting_writes_what_would_have_streamed(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTNB_DISPLAY", "text")
    use(notebook, "Oslo.")
    assert notebook.says("%%agent it << --bg\nWhich city?").startswith("Run 1 goes on in the background")
    assert notebook.says("%agent wait").startswith("Oslo.\n")


def test_without_a_widget_nobody_is_asked_and_the_model_is_told(notebook: Notebook) -> None:
    notebook.says("def save(path: str) -> str:\n    'Save.'\n    return path\n%tool save")
    notebook.workspace.policy.remember("function-save", "ask")
    use(notebook, call("save", path="a"), "well")
    notebook.says("%%agent --bg -o it\nSave it")
    notebook.says("%agent wait")
    (refused,) = run_of(notebook).transcript().messages[-2].content
    assert "nobody can be asked here" in refused.content[0].text  # type: ignore[union-attr]


def test_a_prompt_that_begins_like_a_verb_is_a_prompt() -> None:
    assert background.wanted("list", None) == ("list", "")
    assert background.wanted(" stop all ", None) == ("stop", "all")
    assert background.wanted("wait 12", None) == ("wait", "12")
    for prompt in ("list the files", "stop it", "wait for me", "wait1", "list 1", "stop 1 2", "stop -1"):
        assert background.wanted(prompt, None) is None
    assert background.wanted("", "list") is None


def test_tab_knows_the_verbs_and_what_goes_on(notebook: Notebook) -> None:
    completer = Completer(notebook.workspace, lambda: ["3"])
    assert {"list", "resume", "stop", "undo", "wait"} <= set(completer.suggest("", "%agent ", 0))
    assert completer.suggest("", "%agent stop ", 0) == ["3", "all"]
    assert completer.suggest("", "%%agent ", 0) == ()
    assert "--bg" in completer.suggest("", "%%agent --", 0)


def test_a_function_of_one_run_may_wait_for_another(notebook: Notebook) -> None:
    notebook.says("def count() -> int:\n    'Count.'\n    return 7")
    notebook.says("def ask() -> str:\n    'Ask the other.'\n    return one.result(5).text")
    use(notebook, call("count"), "seven")
    notebook.run("%%agent --bg -t count -o one\nCount", "a")
    use(notebook, call("ask"), "it says seven")
    notebook.run("%%agent --bg -t ask -o two\nAsk", "b")
    notebook.says("%agent wait 2")
    told = run_of(notebook, "two").transcript().messages[-2].content
    assert [result.content[0].text for result in told] == ["seven"]  # type: ignore[union-attr]
