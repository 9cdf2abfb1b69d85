"""Who is asked: by what the front end allows, by what the environment says, and one question at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest

from agentnb.errors import UsageError
from agentnb.masking import Mask
from agentnb.notebook.asking import choose
from agentnb.notebook.asking.choose import NotebookAsker, Way, notebook_asker
from agentnb.notebook.asking.widget import WIDGET_MIME
from agentnb.tools.base import Choice, InlineRunner, Question, Reply
from agentnb.workspace import Workspace

ASKED = Question("Allow it?", choices=(Choice("approve", "Approve", "primary"), Choice("deny", "Deny", "danger")))


@dataclass
class Screen:
    """A front end that keeps what it was shown, and may answer as soon as a widget is there."""

    answer: Callable[[choose.AskWidget], object] | None = None
    shown: dict[str, dict[str, object]] = field(default_factory=dict)
    history: list[tuple[str, bool]] = field(default_factory=list)
    text: str = ""
    widget: choose.AskWidget | None = None

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        assert update == (display_id in self.shown)
        self.shown[display_id] = data
        self.history.append((display_id, WIDGET_MIME in data))
        if WIDGET_MIME in data and self.answer is not None:
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        assert self.answer is not None
        assert self.widget is not None
        self.answer(self.widget)

    def write(self, text: str) -> None:
        self.text += text

    @property
    def widgets(self) -> list[str]:
        """Displays that still hold a widget."""
        return [display_id for display_id, data in self.shown.items() if WIDGET_MIME in data]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_SETTLE", 0.0)
    monkeypatch.setattr(choose, "_DRAWN", 0.01)
    monkeypatch.setattr(choose, "_PROMISED", 0.01)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()

    def keep(*args: object, **options: object) -> choose.AskWidget:
        made.widget = AskWidget(*args, **options)  # type: ignore[arg-type]  # what it was called with
        return made.widget

    AskWidget = choose.AskWidget  # noqa: N806  # the class
    monkeypatch.setattr(choose, "AskWidget", keep)
    return made


def asker(screen: Screen, way: Way = "widget", *, promised: bool = False) -> NotebookAsker:
    made = NotebookAsker(InlineRunner(), screen, way=way, mask=Mask(), promised=promised)
    made.awaits = True
    return made


def says(**message: object) -> Callable[[choose.AskWidget], object]:
    return lambda widget: widget._receive(None, message, [])


@pytest.mark.anyio
async def test_a_click_answers_and_leaves_a_trace_without_a_widget(screen: Screen) -> None:
    screen.answer = says(type="reply", choice="approve")
    asked = asker(screen)
    told: list[bool] = []
    asked.waiting = told.append
    assert await asked.ask(ASKED) == Reply("approve")
    assert told == [True, False]
    (display,) = screen.shown.values()
    assert display["text/plain"] == "✓ Allow it? → you: Approve"
    assert screen.widgets == []


@pytest.mark.anyio
async def test_where_nothing_is_drawn_input_asks(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "a")
    asked = asker(screen)
    assert await asked.ask(ASKED) == Reply("approve")
    assert screen.text == "? Allow it?\n"
    assert screen.widgets == []
    await asked.ask(ASKED)
    assert len(screen.shown) == 1  # it is not tried again in this run


@pytest.mark.anyio
async def test_a_widget_that_was_promised_and_is_not_drawn_is_nobody(screen: Screen) -> None:
    assert await asker(screen, promised=True).ask(ASKED) is None
    assert screen.widgets == []


@pytest.mark.anyio
async def test_a_blocked_cell_is_asked_by_input(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "d")
    blocked = asker(screen)
    blocked.awaits = False
    assert await blocked.ask(ASKED) == Reply("deny")
    assert screen.shown == {}


@pytest.mark.anyio
async def test_a_front_end_that_refuses_input_is_nobody(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(prompt: str) -> str:
        raise RuntimeError("raw_input was called, but this frontend does not support input requests.")

    monkeypatch.setattr("builtins.input", refused)
    assert await asker(screen, "input").ask(ASKED) is None


@pytest.mark.anyio
async def test_nobody_is_asked_nothing(screen: Screen) -> None:
    assert await asker(screen, "nobody").ask(ASKED) is None
    assert screen.shown == {}


@pytest.mark.anyio
async def test_a_run_that_is_stopped_takes_the_widget_away_and_does_not_say_that_it_was_answered(
    screen: Screen,
) -> None:
    asked = asker(screen)
    told: list[bool] = []
    asked.waiting = told.append
    drawn = asyncio.Event()

    def draw(widget: choose.AskWidget) -> None:
        says(type="ready")(widget)
        drawn.set()

    screen.answer = draw
    with anyio.fail_after(5):
        task = asyncio.create_task(asked.ask(ASKED))
        await drawn.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (display,) = screen.shown.values()
    assert display["text/plain"] == "■ Allow it? → not answered"
    assert told == [True]


@pytest.mark.anyio
async def test_questions_are_asked_one_after_the_other(screen: Screen) -> None:
    screen.answer = says(type="reply", choice="approve")
    asked = asker(screen)
    with anyio.fail_after(5):
        await asyncio.gather(asked.ask(ASKED), asked.ask(ASKED))
    (first, _), (_, closed), (second, drawn), _ = screen.history
    assert (first != second, closed, drawn) == (True, False, True)


class Kernel:
    """A kernel whose front end allows input, or not."""

    def __init__(self, allow_stdin: bool | None) -> None:
        self._content = {} if allow_stdin is None else {"allow_stdin": allow_stdin}

    def get_parent(self, channel: str) -> dict[str, object]:
        assert channel == "shell"
        return {"content": self._content}


class Shell:
    """A shell in a kernel, or without one."""

    display_pub = None

    def __init__(self, kernel: Kernel | None = None) -> None:
        if kernel is not None:
            self.kernel = kernel


class Terminal(Shell):
    """IPython in a terminal, by its name."""


Terminal.__name__ = "TerminalInteractiveShell"


def way(shell: Shell, monkeypatch: pytest.MonkeyPatch, **environ: str) -> tuple[str, bool]:
    workspace = Workspace({}, environ=environ)
    monkeypatch.setattr("sys.stdin", type("Tty", (), {"isatty": lambda *_: isinstance(shell, Terminal)})())
    made = notebook_asker(shell, workspace, InlineRunner())  # type: ignore[arg-type]  # a shell, as far as it is asked
    return made._way, made._promised


@pytest.mark.parametrize(
    ("shell", "environ", "expected"),
    [
        (Shell(Kernel(True)), {}, "widget"),
        (Shell(Kernel(False)), {}, "nobody"),
        (Shell(Kernel(None)), {}, "nobody"),
        (Shell(Kernel(True)), {"AGENTNB_DISPLAY": "static"}, "nobody"),
        (Shell(Kernel(True)), {"AGENTNB_DISPLAY": "static", "AGENTNB_ASK": "Input "}, "input"),
        (Shell(Kernel(False)), {"AGENTNB_ASK": "widget"}, "widget"),
        (Shell(Kernel(True)), {"AGENTNB_ASK": "nobody"}, "nobody"),
        (Terminal(), {}, "input"),
        (Shell(), {}, "nobody"),
    ],
)
def test_the_front_end_and_the_environment_decide(
    shell: Shell, environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ipykernel

    monkeypatch.setattr(ipykernel, "version_info", (7, 4, 0))
    assert way(shell, monkeypatch, **environ) == (expected, "AGENTNB_ASK" in environ)


def test_an_older_kernel_takes_no_clicks_while_a_cell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import ipykernel

    monkeypatch.setattr(ipykernel, "version_info", (6, 31, 0))
    assert way(Shell(Kernel(True)), monkeypatch) == ("input", False)


def test_a_way_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="AGENTNB_ASK='widgets' is not known"):
        way(Shell(), monkeypatch, AGENTNB_ASK="widgets")
