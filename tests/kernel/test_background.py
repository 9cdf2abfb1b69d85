"""Runs in the background of a real kernel: they stream under their cell, take turns, and end when they are told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty

import pytest

from tests.kernel.conftest import PATIENCE, Kernel

FOREVER = "'and so on. ' * 4000"
#: Keeps the kernel busy until it is interrupted.
BUSY = "import time; time.sleep(25)"


class Messages:
    """What a kernel sends, by the cell it belongs to."""

    def __init__(self, kernel: Kernel, *cells: str) -> None:
        self._kernel = kernel
        self._cells = cells
        self.seen: dict[str, list[dict[str, object]]] = {cell: [] for cell in cells}

    def until(self, come: Callable[[], bool]) -> None:
        """Take messages until something has come."""
        deadline = time.monotonic() + PATIENCE
        while not come():
            assert time.monotonic() < deadline, self.texts()
            try:
                message = self._kernel.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            cell = message["parent_header"].get("msg_id")
            if cell in self.seen:
                self.seen[cell].append(message)

    def texts(self) -> dict[str, list[str]]:
        """The displays of each cell as text, every state of them."""
        shown = ("display_data", "update_display_data")
        return {
            cell: [_words(m["content"]["data"]) for m in messages if m["msg_type"] in shown]  # type: ignore[index]
            for cell, messages in self.seen.items()
        }

    def shows(self, cell: str, words: str) -> bool:
        """Whether a cell has shown them at any time."""
        return any(words in text for text in self.texts()[cell])

    def over(self, cell: str) -> bool:
        """Whether the cell itself is over."""
        idle = ("status", "idle")
        return any((m["msg_type"], m["content"].get("execution_state")) == idle for m in self.seen[cell])  # type: ignore[attr-defined]


def _words(data: dict[str, object]) -> str:
    return str(data.get("text/markdown") or data.get("text/plain") or data.get("text/html"))


def script(kernel: Kernel, turns: str, pace: float = 0) -> None:
    """Let a scripted model answer."""
    kernel.ok(f"ws.use_model(FakeModel({turns}, pace={pace}))")


def status(kernel: Kernel, name: str) -> str:
    """That of the run in a variable."""
    return kernel.value(f"{name}.status")


def test_a_card_goes_on_under_its_cell_while_another_cell_is_busy(kernel: Kernel) -> None:
    script(kernel, "'one ' * 40, 'two'", 0.02)
    first = kernel.start("%%agent answer << --bg\nGo", "a")
    began = kernel.finish(first)
    assert began.status == "ok"
    assert "Run 1 runs in the background · %agent stop 1 ends it" in str(began.outputs)
    second = kernel.start(BUSY, "b")
    messages = Messages(kernel, first, second)
    messages.until(lambda: messages.shows(first, "ran in the background") and messages.shows(first, "1 round"))
    assert messages.shows(first, "one one")
    assert messages.texts()[second] == []
    assert not messages.over(second)
    kernel.interrupt()
    messages.until(lambda: messages.over(second))
    kernel.client.get_shell_msg(timeout=PATIENCE)
    assert status(kernel, "answer") == "done"


def test_two_at_once_each_under_its_own_cell(kernel: Kernel) -> None:
    script(kernel, "'left ' * 20, 'left ' * 20", 0.02)
    first = kernel.start("%%agent one << --bg\nGo", "a")
    kernel.finish(first)
    second = kernel.start("%%agent two << --bg\nGo too", "b")
    kernel.finish(second)
    messages = Messages(kernel, first, second)
    messages.until(lambda: all(messages.shows(cell, "1 round") for cell in (first, second)))
    assert not messages.shows(first, "Run 2")
    assert not messages.shows(second, "Run 1")
    assert kernel.value("[turn.key for turn in ws.session.turns]") in ("['a', 'b']", "['b', 'a']")
    assert kernel.ok("%agent wait").stdout == "Run 1: done · Go\nRun 2: done · Go too\n"


def test_a_plain_function_waits_for_the_busy_cell_and_its_card_says_so(kernel: Kernel) -> None:
    kernel.ok("import threading, time\ndef where() -> str:\n    'Where.'\n    return threading.current_thread().name")
    script(kernel, "[call('where')], 'done'", 0.05)
    first = kernel.start("%%agent answer << --bg -t where\nGo", "a")
    kernel.finish(first)
    second = kernel.start("time.sleep(1.5)", "b")
    messages = Messages(kernel, first, second)
    messages.until(lambda: messages.shows(first, "where() → MainThread"))
    assert messages.over(second)
    texts = messages.texts()[first]
    waits = next(at for at, text in enumerate(texts) if "waits until the kernel is free to run its tool" in text)
    assert any("○" in text for text in texts[:waits])
    assert not any("●" in text for text in texts[:waits])
    kernel.client.get_shell_msg(timeout=PATIENCE)
    assert kernel.value("answer.result().text") == "done"


def test_functions_run_between_cells_and_print_into_their_own_card(kernel: Kernel) -> None:
    kernel.ok(
        "import asyncio, threading\nlock = asyncio.Lock()\n"
        "def plain() -> str:\n    'Plain.'\n    print('from plain')\n    return threading.current_thread().name\n"
        "async def later() -> str:\n    'Later.'\n    async with lock:\n        return threading.current_thread().name"
    )
    script(kernel, "[call('plain'), call('later')], 'done'")
    first = kernel.start("%%agent answer << --bg -t plain,later\nGo", "a")
    kernel.finish(first)
    messages = Messages(kernel, first)
    messages.until(lambda: messages.shows(first, "2 rounds"))
    assert messages.shows(first, "plain() → MainThread\noutput:\nfrom plain")
    assert messages.shows(first, "later() → MainThread")


@pytest.mark.parametrize("wait", ["%agent wait", "x = 1\n%agent wait", "answer.result()", "await answer"])
def test_an_interrupt_ends_the_waiting_and_not_the_run(kernel: Kernel, wait: str) -> None:
    script(kernel, FOREVER, 0.02)
    kernel.ok("%%agent answer << --bg\nGo", "a")
    waiting = kernel.start(wait, "b")
    messages = Messages(kernel, waiting)
    messages.until(lambda: any(message["msg_type"] == "execute_input" for message in messages.seen[waiting]))
    time.sleep(0.2)  # until it waits: nothing tells
    kernel.interrupt()
    cell = kernel.finish(waiting)
    assert cell.ename == "RunInterrupted"
    assert cell.error == "Waiting was interrupted; run 1 goes on. %agent stop ends what goes on."
    assert status(kernel, "answer") == "streaming"
    assert kernel.ok("%agent stop").stdout == "Stopped 1.\n"
    assert kernel.run("await answer").ename == "RunInterrupted"
    assert status(kernel, "answer") == "interrupted"


def test_an_interrupt_of_another_cell_leaves_it_alone(kernel: Kernel) -> None:
    script(kernel, FOREVER, 0.02)
    kernel.ok("%%agent answer << --bg\nGo", "a")
    sleeping = kernel.start(BUSY, "b")
    messages = Messages(kernel, sleeping)
    messages.until(lambda: any(message["msg_type"] == "execute_input" for message in messages.seen[sleeping]))
    time.sleep(0.2)
    kernel.interrupt()
    assert kernel.finish(sleeping).ename == "KeyboardInterrupt"
    assert status(kernel, "answer") == "streaming"
    kernel.ok("%agent stop all")


def test_an_interrupt_frees_the_kernel_of_a_function_that_hangs(kernel: Kernel) -> None:
    kernel.ok("import time\ndef hang() -> str:\n    'Hang.'\n    print('in it', flush=True)\n    time.sleep(60)")
    script(kernel, "[call('hang')], 'so be it'")
    first = kernel.start("%%agent answer << --bg -t hang\nGo", "a")
    kernel.finish(first)
    messages = Messages(kernel, first)
    messages.until(lambda: messages.shows(first, "in it"))
    kernel.interrupt()
    messages.until(lambda: messages.shows(first, "so be it"))
    assert "the person interrupted the tool" in kernel.value("answer.transcript().messages[-2].content[0].content[0]")


def test_below_a_magic_that_times_the_cell_it_is_the_same(kernel: Kernel) -> None:
    kernel.ok("import threading\ndef where() -> str:\n    'Where.'\n    return threading.current_thread().name")
    script(kernel, "[call('where')], 'done'")
    first = kernel.start("%%time\n%%agent answer << --bg -t where\nGo", "a")
    kernel.finish(first)
    messages = Messages(kernel, first)
    messages.until(lambda: messages.shows(first, "2 rounds"))
    assert messages.shows(first, "where() → MainThread")


def test_a_failure_stands_on_the_card_and_awaiting_raises_it(kernel: Kernel) -> None:
    script(kernel, "__import__('agentnb').errors.RequestRefused('the provider is on fire')")
    first = kernel.start("%%agent answer << --bg\nGo", "a")
    kernel.finish(first)
    messages = Messages(kernel, first)
    messages.until(lambda: messages.shows(first, "✗ the provider is on fire"))
    assert kernel.run("%agent wait").error == "the provider is on fire"
    assert kernel.run("await answer").error == "the provider is on fire"


def test_a_cell_that_runs_again_has_one_run(kernel: Kernel) -> None:
    script(kernel, FOREVER, 0.02)
    kernel.ok("%%agent old << --bg\nGo", "a")
    script(kernel, "'new'")
    kernel.ok("%%agent new << --bg\nGo", "a")
    assert status(kernel, "old") == "interrupted"
    assert kernel.value("new.result().text") == "new"
    assert kernel.value("[turn.messages[-1].text for turn in ws.session.turns]") == "['new']"


def test_unloading_ends_it_and_its_card_says_so(kernel: Kernel) -> None:
    script(kernel, FOREVER, 0.02)
    first = kernel.start("%%agent answer << --bg\nGo", "a")
    kernel.finish(first)
    unloading = kernel.start("%unload_ext agentnb", "b")
    messages = Messages(kernel, first, unloading)
    messages.until(lambda: messages.over(unloading) and messages.shows(first, "interrupted"))
    kernel.client.get_shell_msg(timeout=PATIENCE)
    assert status(kernel, "answer") == "interrupted"


def test_where_nobody_can_be_asked_the_model_is_told_and_the_console_is_left_alone(kernel: Kernel) -> None:
    kernel.ok("def save(path: str) -> str:\n    'Save.'\n    return path\n%tool save")
    kernel.ok("ws.policy.remember('function-save', 'ask')")
    script(kernel, "[call('save', path='a')], 'well'")
    started = kernel.start("%%agent answer << --bg\nSave", "a", stdin=True)  # it could ask, and draws no widget
    kernel.finish(started)
    kernel.ok("%agent wait")
    assert "nobody can be asked here" in kernel.value("answer.transcript().messages[-2].content[0].content[0]")
