"""A person is asked during a run, in a real kernel: by input(), not at all, and again after a restart."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Cell, Kernel

SETUP = """
%load_ext agentnb
from agentnb import FakeModel, tool
from agentnb.models.fake import call
ws = %agentnb
saved = []
@tool
def save(path: str, words: str = "") -> str:
    '''Save words to a file.'''
    saved.append((path, words))
    return f"saved {path}"
ws.policy.remember("function-save", "ask")
told = lambda: ws.session.turns[-1].messages[-2].content[0].text
def script(*turns):
    ws.use_model(FakeModel(*turns))
"""
WIDGET = "application/vnd.jupyter.widget-view+json"
SCRIPT = 'script([call("save", path="a.md", words="hello")], "Done.")'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def _asking(home: Path) -> Iterator[Kernel]:
    kernel = Kernel({"AGENTNB_DISPLAY": "live", "AGENTNB_HOME": str(home), "JPY_SESSION_NAME": "/work/report.ipynb"})
    yield kernel
    kernel.stop()


@pytest.fixture
def asking(_asking: Kernel) -> Kernel:
    """A kernel with a tool that wants a person's word."""
    _asking.ok("%reset -f")
    _asking.ok("%load_ext agentnb\n%unload_ext agentnb")
    _asking.ok(SETUP)
    return _asking


def ask(kernel: Kernel, *answers: str, code: str = "%%agent\nsave it") -> tuple[Cell, list[str]]:
    """Run a cell as a person at a terminal does; what it showed, and what was asked."""
    started = kernel.start(code, "a", stdin=True)
    prompts = [kernel.answer(answer) for answer in answers]
    cell = kernel.finish(started)
    assert cell.status == "ok", cell.error
    return cell, prompts


def test_a_client_without_stdin_has_the_call_refused_at_once_and_the_model_told(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    cell = asking.ok("%%agent\nsave it")
    assert cell.seconds < 2
    assert asking.value("saved") == "[]"
    assert "nobody can be asked here" in asking.value("told()")
    assert "Done." in cell.mime("text/markdown")


def test_input_approves_where_no_front_end_draws_the_widget(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    cell, (prompt,) = ask(asking, "a")
    assert prompt == "[a]pprove, [e]dit arguments, [d]eny, always in this [s]ession, always in this n[o]tebook? "
    assert 'words = "hello"' in cell.stdout
    assert asking.value("saved") == "[('a.md', 'hello')]"
    assert cell.mime(WIDGET) == []


def test_input_edits_field_by_field(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    _, prompts = ask(asking, "e", "b.md", "", code="%%time\n%%agent\nsave it")
    assert prompts[1:] == ["  path (text, needed) [a.md]: ", "  words (text) [hello]: "]
    assert asking.value("saved") == "[('b.md', 'hello')]"
    assert "The person changed the arguments" in asking.value("told()")


def test_input_denies_with_a_reason_that_the_model_reads(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    ask(asking, "d", "not on a Friday", code="%%time\n%%agent\nsave it")
    assert asking.value("saved") == "[]"
    assert asking.value("told()").endswith("They said: not on a Friday")


def test_always_is_asked_once(asking: Kernel) -> None:
    asking.ok('script([call("save", path="a")], [call("save", path="b")], "Done.")')
    _, prompts = ask(asking, "s", code="%%time\n%%agent\nsave both")
    assert len(prompts) == 1
    assert asking.value("[path for path, _ in saved]") == "['a', 'b']"


def test_approve_never_and_auto_ask_nobody(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    asking.ok("%%agent --approve never\nsave it")
    assert asking.value("saved") == "[]"
    asking.ok(SCRIPT)
    asking.ok("%%agent --approve auto\nsave it")
    assert asking.value("len(saved)") == "1"


class Browser:
    """Clicks as a front end does that draws widgets."""

    def __init__(self, kernel: Kernel, **reply: object) -> None:
        self.kernel = kernel
        self.reply = reply
        self.model: str | None = None
        self.interrupted = 0.0
        self.shown: list[dict[str, object]] = []

    def __call__(self, cell: Cell) -> None:
        """Watch the cell's messages; draw the first widget, and answer."""
        message = cell.messages[-1]
        if self.model is None and message["msg_type"] == "display_data" and WIDGET in message["content"]["data"]:
            self.model = message["content"]["data"][WIDGET]["model_id"]
            self.shown = [dict(out) for out in cell.outputs]
            self.send(type="ready")
            if self.reply:
                self.send(type="reply", **self.reply)
            else:
                self.kernel.interrupt()
                self.interrupted = time.monotonic()

    def send(self, **content: object) -> None:
        data = {"method": "custom", "content": content}
        message = self.kernel.client.session.msg("comm_msg", {"comm_id": self.model, "data": data})
        self.kernel.client.shell_channel.send(message)


def click(kernel: Kernel, **reply: object) -> tuple[Cell, Browser]:
    browser = Browser(kernel, **reply)
    cell = kernel.finish(kernel.start("%%agent\nsave it", "a", stdin=True), browser)
    closed = [m for m in cell.messages if m["msg_type"] == "comm_close"]
    assert browser.model in [m["content"]["comm_id"] for m in closed]
    assert cell.mime(WIDGET) == []
    return cell, browser


def test_a_click_approves_while_the_cell_awaits_and_leaves_a_trace(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    cell, browser = click(asking, choice="approve")
    assert cell.status == "ok"
    assert asking.value("saved") == "[('a.md', 'hello')]"
    # What led to the question stands above it.
    assert "save(path='a.md'" in html.unescape(str(browser.shown[-2]))
    assert "✓ Allow save? → you: Approve" in "\n".join(cell.mime("text/plain"))


def test_a_click_sends_only_what_the_person_changed(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    cell, _ = click(asking, choice="edit", changed={"path": "c.md"}, cleared=["words"])
    assert cell.status == "ok"
    assert asking.value("saved") == "[('c.md', '')]"
    assert "words: left out" in "\n".join(cell.mime("text/plain"))


def test_an_interrupt_takes_the_widget_away_at_once_and_says_how_to_go_on(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    cell, browser = click(asking)
    assert time.monotonic() - browser.interrupted < 2
    assert cell.ename == "RunInterrupted"
    assert "%agent resume" in str(cell.error)
    assert "■ Allow save? → not answered" in "\n".join(cell.mime("text/plain"))
    asking.ok("script('Good.')")
    ask(asking, "a", code="%agent resume")
    assert asking.value("saved") == "[('a.md', 'hello')]"


def test_an_interrupt_while_input_is_open_ends_the_run_at_once(asking: Kernel) -> None:
    asking.ok(SCRIPT)
    started = asking.start("%%time\n%%agent\nsave it", "a", stdin=True)
    asking.client.get_stdin_msg(timeout=30)
    asking.interrupt()
    cell = asking.finish(started)
    assert cell.ename == "RunInterrupted"
    assert "%agent resume" in str(cell.error)
    assert asking.value("saved") == "[]"


def test_a_run_that_waits_survives_a_restart_of_its_kernel(home: Path) -> None:
    env = {"AGENTNB_DISPLAY": "live", "AGENTNB_HOME": str(home), "JPY_SESSION_NAME": "/work/restarted.ipynb"}
    first = Kernel(env)
    try:
        first.ok(SETUP)
        first.ok('script("Hello.")')
        first.ok("%%agent\nfirst words", "one")
        first.ok(SCRIPT)
        first.start("%%agent answer << --max-rounds 3\nsave it", "two", stdin=True)
        first.client.get_stdin_msg(timeout=30)
        first.manager.shutdown_kernel()  # as a server does it: an interrupt first
    finally:
        first.stop()
    kept = [json.loads(path.read_bytes()) for path in (home / "paused").glob("*.json")]
    (ours,) = [run for run in kept if run["notebook"] == "/work/restarted.ipynb"]
    assert ours["cell"] == "two"
    second = Kernel(env)
    try:
        second.ok("%load_ext agentnb")
        assert "Run the cells that define it" in str(second.run("%agent resume").error)
        second.ok(SETUP)
        second.ok('script("Done, after all.")')
        cell, prompts = ask(second, "a", code="%agent resume")
        assert len(prompts) == 1
        assert cell.mime("text/markdown") == ["Done, after all."]
        assert second.value("answer.text") == "Done, after all."
        assert second.value("saved") == "[('a.md', 'hello')]"
        assert second.value("[t.key for t in ws.session.turns]") == "['one', 'two']"
        assert second.value("[m.role for m in ws.model.requests[0].messages]").count("user") == 2
        assert "No run of this notebook waits" in str(second.run("%agent resume").error)
    finally:
        second.stop()
