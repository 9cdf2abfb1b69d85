"""`%%sandbox` and `%sandbox`: cells run apart, shown below, interrupted; files in and out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from agentnb.notebook import sandbox_magics
from agentnb.notebook.complete import Completer
from agentnb.notebook.errand import wait_for
from agentnb.sandbox import bwrap
from agentnb.sandbox.sandboxes import Wanted
from tests.notebook.conftest import Notebook, Ran, opened
from tests.sandbox.conftest import jupyter_server


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A notebook whose sandbox is the same for all of these tests: kernels take a while to start."""
    if why := bwrap.unavailable():
        pytest.skip(why)
    with pytest.MonkeyPatch.context() as patch, opened(tmp_path_factory.mktemp("notebook"), patch) as notebook:
        yield notebook


def test_a_cell_runs_apart_from_the_notebook_and_shows_what_it_gives(book: Notebook) -> None:
    book.run("secret = 'of the notebook'")
    ran = book.run("%%sandbox\nprint('hello')\n'secret' in globals(), 6 * 7")
    assert ran.error is None
    assert ran.text == "hello\n\n(False, 42)"


def test_variables_stay_from_cell_to_cell_and_apart_in_contexts(book: Notebook) -> None:
    book.run("%%sandbox\nx = 5")
    assert book.says("%%sandbox\nx") == "5"
    assert book.fails("%%sandbox --context other\nx") == snapshot("SandboxError: NameError: name 'x' is not defined")


def test_the_built_in_python_runs_there_for_an_agent(book: Notebook) -> None:
    book.run("from agentnb import Agent, FakeModel\nfrom agentnb.models.fake import call")
    book.run("from agentnb.builtins.python import Python\nws = %agentnb\nsecret = 'of the notebook'")
    book.run("there = Python(where='sandbox', interpreter=ws.sandbox_tools.interpret)")
    book.run("turns = [call('python', code='y = 6'), call('python', code='y * 7, \"secret\" in globals()'), 'ok']")
    book.run("agent = Agent(FakeModel(*turns), tools=[there], approve='auto')")
    assert book.says("print(agent.run_sync('x').messages[4].content[0].text)") == "(42, False)"


def test_a_plot_is_shown_below_the_cell(book: Notebook) -> None:
    ran = book.run("%%sandbox\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()")
    assert ran.error is None
    assert len(ran.mime("image/png")) == 1


def test_what_could_run_in_the_page_is_not_shown(book: Notebook) -> None:
    ran = book.run("%%sandbox\nfrom IPython.display import HTML\nHTML('<script>evil()</script>')")
    assert [sorted(data) for data in ran.displays] == [["text/plain"]]
    assert "evil" not in ran.everything()


def test_an_error_fails_the_cell_with_one_line(book: Notebook) -> None:
    ran = book.run("%%sandbox\n1 / 0")
    assert str(ran.error) == "ZeroDivisionError: division by zero"


def test_the_value_comes_into_a_variable(book: Notebook) -> None:
    for code, value in (("{'a': [1, 2]}", {"a": [1, 2]}), ("print('only printed')", "only printed\n"), ("1j", "1j")):
        assert book.run(f"%%sandbox -o got\n{code}").error is None
        assert book.shell.user_ns["got"] == value


def test_shell_commands_and_files_in_and_out(book: Notebook) -> None:
    Path("data.csv").write_text("a,b\n1,2\n")
    said = book.says("%%sandbox --shell --in data.csv --out-file made.txt\nwc -l < data.csv\necho done > made.txt")
    assert said == "2"
    assert Path("made.txt").read_text() == "done\n"
    assert "data.csv  8 bytes" in book.says("%sandbox files")
    assert book.says("%sandbox upload data.csv") == "Copied in: data.csv"
    assert book.says("%sandbox download made.txt") == "Copied out: made.txt"
    assert "no file 'nothing.csv' here" in book.fails("%sandbox upload nothing.csv")


def test_a_file_never_leaves_this_folder_by_its_name(book: Notebook) -> None:
    book.run("%%sandbox --shell\nmkdir -p deep; echo x > deep/file.txt")
    assert book.says("%sandbox download deep/../deep/file.txt") == "Copied out: file.txt"
    assert Path("file.txt").exists()


def test_code_that_takes_too_long_is_stopped(book: Notebook) -> None:
    assert book.fails("%%sandbox --timeout 0.5\nwhile True: pass") == snapshot(
        "SandboxError: Timeout: stopped after 0.5 s"
    )


def _interrupted(after: float, run: Callable[[], Ran]) -> tuple[Ran, float]:
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    ran = run()
    timer.cancel()
    return ran, time.monotonic() - begun


def test_the_stop_button_stops_the_code_and_keeps_the_sandbox(book: Notebook) -> None:
    book.run("%%sandbox\nkept = 'here'")
    ran, took = _interrupted(0.5, lambda: book.run("%%sandbox\nwhile True: pass"))
    assert type(ran.error).__name__ == "RunInterrupted"
    assert took < 1.5
    assert book.says("%%sandbox\nkept") == "'here'"


def test_status_lists_and_stop(book: Notebook) -> None:
    assert book.says("%sandbox").startswith("bubblewrap (usual): ")
    assert "main  /home/sandbox" in book.says("%sandbox list")
    book.run("%%sandbox --shell\necho still > stays.txt")
    assert book.says("%sandbox stop") == snapshot("Stopped. Files stay; the next cell or call starts it again.")
    assert book.says("%sandbox status") == "bubblewrap (usual): not running"
    assert book.says("%%sandbox --shell\ncat stays.txt") == "still"
    book.says("%sandbox restart")
    assert "stays.txt" not in book.says("%sandbox files")


def test_an_unsafe_sandbox_is_used_only_where_it_is_asked_for(book: Notebook) -> None:
    assert "unsafe" not in book.says("%sandbox")
    assert book.says("%%sandbox --unsafe --shell\necho here") == "here"
    assert "a plain subprocess (unsafe): 0 contexts" in book.says("%sandbox")
    assert book.says("%sandbox use --unsafe").startswith("Cells and tools use a plain subprocess (unsafe)")
    assert book.workspace.toolbox.all()["sandbox_run_code"].traits.approval == "ask"  # type: ignore[attr-defined]
    book.says("%sandbox use")
    assert book.workspace.toolbox.all()["sandbox_run_code"].traits.approval == "always"  # type: ignore[attr-defined]


def test_its_tools_are_offered_once_they_are_switched_on(book: Notebook) -> None:
    assert "sandbox_run_code" not in book.workspace.toolbox.enabled()
    assert book.says("%sandbox on") == "Models are offered the sandbox."
    assert "sandbox_run_code" in book.workspace.toolbox.enabled()
    book.says("%sandbox off")
    assert "sandbox_run_code" not in book.workspace.toolbox.enabled()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("%%sandbox --nettwork\n1", "no option --nettwork. Did you mean '--network'?"),
        ("%%sandbox print(1)\n1", "takes its code from the lines below"),
        ("%%sandbox --memory lots\n1", "--memory takes a size such as 512MB or 2GB"),
        ("%%sandbox --memory 1MB\n1", "at least 100MB"),
        ("%%sandbox --network --unsafe\n1", "--network and --unsafe do not go together"),
        ("%%sandbox --remote ftp://x\n1", "A Jupyter server has an address such as"),
        ("%%sandbox --context ../x\n1", "A context is named with letters"),
        ("%%sandbox -o 1x\n1", "--out takes the name of a variable"),
        ("%%sandbox --timeout soon\n1", "--timeout takes a number greater than 0"),
        ("%sandbox stopp", "Did you mean 'stop'?"),
        ("%sandbox kill all", "%sandbox kill does not take 'all'"),
        ("%sandbox kill 999999", "no process 999999 was started here"),
    ],
)
def test_what_is_written_wrongly_says_so_in_one_line(book: Notebook, code: str, said: str) -> None:
    assert said in book.fails(code)


def test_without_bubblewrap_one_line_says_what_to_do(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(vars(book.workspace.sandboxes), "unavailable", bwrap.unavailable())
    assert book.fails("%%sandbox --memory 999MB\n1") == snapshot(
        "UsageError: bubblewrap is not installed. Install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: \
dnf install bubblewrap). Or run it unprotected, in a plain subprocess: %%sandbox --unsafe."
    )


def test_models_are_not_offered_a_sandbox_that_cannot_be(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(book.workspace.sandboxes), "unavailable", "bubblewrap is not installed.")
    monkeypatch.setattr(book.workspace.sandboxes, "usual", Wanted(memory=998_000_000))
    assert "bubblewrap is not installed" in book.fails("%sandbox on")
    assert "sandbox_run_code" not in book.workspace.toolbox.enabled()


def test_a_jupyter_server_runs_cells_with_the_token_of_a_variable(
    book: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with jupyter_server(tmp_path) as (url, token):
        monkeypatch.setenv("LAB_TOKEN", token)
        ran = book.run(
            f"%%sandbox --remote {url} --token LAB_TOKEN\nprint('{token}'); open('there.txt', 'w').write('x')"
        )
        assert ran.error is None
        assert token not in ran.everything()
        assert (tmp_path / "there.txt").read_text() == "x"
        assert book.says(f"%sandbox use --remote {url} --token LAB_TOKEN") == f"Cells and tools use {url} from now on."
        assert "there.txt  1 bytes" in book.says("%sandbox files")
        assert book.workspace.toolbox.all()["sandbox_run_code"].traits.approval == "ask"  # type: ignore[attr-defined]
        said = book.fails(f"%%sandbox --remote {url} --token NO_SUCH_VARIABLE\n1")
        assert "the token is missing or wrong. Put it into a variable: --token VARIABLE" in said
        book.says("%sandbox use")
        for wanted in list(book.workspace.sandboxes.all()):
            if wanted.kind == "remote":
                wait_for(book.workspace, lambda wanted=wanted: book.workspace.sandboxes.drop(wanted))
    assert "does not answer" in book.fails(f"%%sandbox --remote {url}\n1")


def test_tab_works_in_both_magics(book: Notebook) -> None:
    completer = Completer(book.workspace)
    assert "--network" in completer.suggest("%%sandbox --ne", "%%sandbox --ne", 0)
    assert "download" in completer.suggest("%sandbox do", "%sandbox do", 0)
    assert completer.suggest("%%sandbox", "pri", 1) == ()


def test_tab_offers_verbs_options_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.csv").touch()
    assert "restart" in sandbox_magics.suggest([], "re")
    assert "--network" in sandbox_magics.suggest([], "--n")
    assert "--in" not in sandbox_magics.suggest(["use"], "--")
    assert list(sandbox_magics.suggest(["--in"], "h")) == ["here.csv"]
    assert list(sandbox_magics.suggest(["upload"], "h")) == ["here.csv"]
    assert sandbox_magics.suggest(["stop"], "") == ()
