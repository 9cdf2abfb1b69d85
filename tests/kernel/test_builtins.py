"""`python` in a real kernel: where it runs, what it shows, and that it can be stopped and undone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from jupyter_core.utils import ensure_event_loop

from tests.kernel.conftest import Cell, Kernel

RUN = "%%agent --approve auto -t python\nGo"


def script(kernel: Kernel, code: str) -> None:
    """Let a scripted model call python."""
    kernel.ok(f"ws.use_model(FakeModel(call('python', code={code!r}), 'done'))")


def test_code_runs_on_the_main_thread_and_its_figures_are_in_the_card_alone(kernel: Kernel) -> None:
    code = (
        "import threading, matplotlib.pyplot as plt\n"
        "plt.plot([1, 2]); plt.show()\nplt.figure(); plt.plot([2, 1])\nthreading.current_thread().name"
    )
    script(kernel, code)
    cell = kernel.ok(RUN)
    assert kernel.value("[b.type for b in _.messages[2].content[0].content]") == "['image', 'text', 'image', 'text']"
    assert kernel.value("_.messages[2].content[0].content[1].text") == "MainThread"
    assert len([out for out in cell.outputs if "image/png" in out]) == 2


def test_top_level_await_shares_the_kernels_loop(kernel: Kernel) -> None:
    kernel.ok("import asyncio\nloop = asyncio.get_running_loop()")
    script(kernel, "await asyncio.sleep(0)\nasyncio.get_running_loop() is loop")
    kernel.ok(RUN)
    assert kernel.value("_.messages[2].content[0].text") == "true"


def stopped_once_begun(kernel: Kernel, cell: str, begun: Path) -> Cell:
    """A cell that is interrupted as soon as what it runs writes to the pipe `begun`."""
    os.mkfifo(begun)

    def press() -> None:
        begun.read_text()
        kernel.interrupt()
        ensure_event_loop().close()  # that jupyter_client made for this thread

    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    ended = kernel.finish(kernel.start(cell, "a"))
    presser.join(5)
    return ended


@pytest.mark.parametrize("head", ["", "await asyncio.sleep(0)\n"], ids=["plain", "awaiting"])
def test_a_loop_without_an_end_is_interrupted_and_undone(kernel: Kernel, tmp_path: Path, head: str) -> None:
    kernel.ok("import asyncio, pathlib\nn = 0")
    begun = tmp_path / "begun"
    script(kernel, f"{head}n = 1\npathlib.Path({str(begun)!r}).write_text('now')\nwhile True: pass")
    cell = stopped_once_begun(kernel, RUN, begun)
    assert cell.ename == "RunInterrupted"
    assert cell.seconds < 10
    assert kernel.value("n") == "1"
    assert "Restored n." in kernel.ok("%agent undo").stdout
    assert kernel.value("n") == "0"


def test_a_shell_command_is_stopped_with_its_cell(kernel: Kernel, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    command = f"sleep 600 & echo $! > {tmp_path}/pid; echo now > {begun}; sleep 600"
    kernel.ok(f"ws.use_model(FakeModel(call('bash', command={command!r}), 'done'))")
    cell = stopped_once_begun(kernel, "%%agent --approve auto -t bash\nGo", begun)
    assert cell.ename == "RunInterrupted"
    assert cell.seconds < 10
    assert kernel.value("ws.runs") == "{}"
    pid = (tmp_path / "pid").read_text().strip()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("code", ["exit()", "quit()", "import sys; sys.exit(1)"])
def test_code_that_exits_does_not_take_the_kernel_along(kernel: Kernel, code: str) -> None:
    script(kernel, code)
    kernel.ok(RUN)
    assert "SystemExit" in kernel.value("_.messages[2].content[0].text")
    assert kernel.value("type(exit).__name__") == "ZMQExitAutocall"
