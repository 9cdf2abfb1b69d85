"""A notebook goes on where a kernel stopped, however that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Cell, Kernel

SETUP = "%load_ext agentnb\nfrom agentnb import FakeModel\nws = %agentnb"
HEARD = "[m.text for m in model.requests[-1].messages]"


@pytest.fixture
def kernels(tmp_path: Path) -> Iterator[Callable[[], Kernel]]:
    """Kernels of one notebook, one after the other."""
    started: list[Kernel] = []

    def start() -> Kernel:
        environ = {
            "AGENTNB_HOME": str(tmp_path / "home"),
            "JPY_SESSION_NAME": str(tmp_path / "n.ipynb"),
            "AGENTNB_CONTEXT": "none",
        }
        started.append(Kernel(environ))
        started[-1].ok(SETUP)
        return started[-1]

    yield start
    for kernel in started:
        kernel.stop()


class _SeenEnoughError(Exception):
    """Stops watching a cell."""


def _seen_enough(cell: Cell) -> None:
    # More than a second of it: the last one may be lost.
    if any(len(text) > 1500 for text in cell.mime("text/markdown")):
        raise _SeenEnoughError


def use(kernel: Kernel, script: str) -> None:
    kernel.ok(f"model = FakeModel({script})\nws.use_model(model)")


def test_a_killed_kernel_loses_nothing_that_was_said(kernels: Callable[[], Kernel]) -> None:
    first = kernels()
    use(first, "'I am Ann.'")
    first.ok("%%agent\nWho are you?", "a")
    use(first, "'word ' * 2000, pace=0.01")
    with pytest.raises(_SeenEnoughError):
        first.finish(first.start("%%agent\nTalk.", "b"), _seen_enough)
    first.manager.signal_kernel(9)
    second = kernels()
    use(second, "'Bee.'")
    said = second.ok("%%agent\nAnd now?", "c")
    assert said.stdout.startswith("Going on with “Who are you?” (2 turns). %session new begins another.")
    heard = second.value(HEARD)
    assert heard.startswith("['Who are you?', 'I am Ann.', 'Talk.', 'word word")
    assert heard.endswith("'And now?']")


def test_running_the_cells_again_in_a_new_kernel_says_everything_once(kernels: Callable[[], Kernel]) -> None:
    for _ in range(2):
        kernel = kernels()
        use(kernel, "'one', 'two'")
        assert kernel.ok("%%agent\nFirst", "a").stdout == ""
        assert kernel.ok("%%agent\nSecond", "b").stdout == ""
        assert kernel.value(HEARD) == "['First', 'one', 'Second']"
        assert kernel.value("len(ws.session.turns)") == "2"


def test_a_session_goes_on_in_a_notebook_without_cell_ids(kernels: Callable[[], Kernel]) -> None:
    first = kernels()
    use(first, "'one'")
    first.ok("%%agent\nFirst")
    second = kernels()
    use(second, "'two'")
    assert "Going on with “First” (1 turn)" in second.ok("%%agent\nSecond").stdout
    assert second.value(HEARD) == "['First', 'one', 'Second']"
