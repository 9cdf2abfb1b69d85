"""What `%load_ext agentnb` hooks into a shell: here one without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from agentnb.errors import UsageError
from agentnb.models.fake import FakeModel
from agentnb.notebook import extension
from agentnb.notebook.extension import Extension


class Shell(InteractiveShell):
    """Runs cells as a front end sends them."""

    def cell(self, code: str, cell_id: str = "a") -> None:
        """Run a cell that must succeed."""
        self.run_cell(code, store_history=True, cell_id=cell_id).raise_error()


@pytest.fixture
def shell() -> Iterator[Shell]:
    made = Shell.instance(config=Config(HistoryManager={"enabled": False}))
    yield made
    extension.unload(made)
    Shell.clear_instance()


@pytest.fixture
def loaded(shell: Shell) -> Extension:
    made = Extension(shell)
    made.load()
    made.workspace.use_model(FakeModel(*("yes" for _ in range(9))))
    return made


def turns(loaded: Extension) -> list[tuple[str | None, str]]:
    return [(turn.key, turn.messages[0].text) for turn in loaded.workspace.session.turns]


NESTED = "get_ipython().run_cell('x = 1', store_history=False).raise_error()\n"


def test_a_cell_keeps_its_id_though_it_runs_another(shell: Shell, loaded: Extension) -> None:
    shell.cell(f"{NESTED}get_ipython().run_cell_magic('agent', '', 'hi')")
    assert turns(loaded) == [("a", "hi")]


def test_a_magic_that_transforms_its_body_may_come_after_another_cell_in_the_cell(
    shell: Shell, loaded: Extension
) -> None:
    shell.cell(f"{NESTED}get_ipython().run_cell_magic('time', '', '%%agent\\nhi')")
    assert turns(loaded) == [("a", "hi")]


@pytest.mark.usefixtures("loaded")
def test_the_next_cell_awaits_again(shell: Shell) -> None:
    cell = "%%agent --session none\nhi"
    awaited = shell.transform_cell(cell)
    assert awaited.startswith("await ")
    for code in ("1 / 0", "def", NESTED, "get_ipython().run_cell('1 / 0')"):
        shell.run_cell(code, store_history=True)
        assert shell.transform_cell(cell) == awaited


@pytest.mark.usefixtures("loaded")
def test_a_cell_that_ended_without_a_result_has_ended(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    # ipykernel says so of a cell that was stopped before it began.
    shell.events.trigger("pre_run_cell", SimpleNamespace(cell_id="a"))
    shell.events.trigger("post_run_cell", None)
    assert shell.transform_cell("%%agent\nhi").startswith("await ")
    assert capsys.readouterr().out == ""


def test_only_what_failed_is_an_error_to_refer_to(shell: Shell, loaded: Extension) -> None:
    shell.run_cell("1 / 0", store_history=True)
    assert "ZeroDivisionError" in loaded.magics.errors[1]
    shell.run_cell("1", store_history=True)
    assert list(loaded.magics.errors) == [1]


def test_a_model_that_was_written_wrongly_is_not_half_taken(shell: Shell, loaded: Extension) -> None:
    before = loaded.workspace.model
    with pytest.raises(UsageError, match="--params is not valid JSON"):
        shell.cell("%model openai:x -p '{'")
    assert loaded.workspace.model is before


def test_loading_twice_is_loading_once_and_unloading_twice_is_no_error(shell: Shell) -> None:
    hooks = len(shell.input_transformers_cleanup)
    extension.load(shell)
    extension.load(shell)
    assert len(shell.input_transformers_cleanup) == hooks + 1
    extension.unload(shell)
    extension.unload(shell)
    assert len(shell.input_transformers_cleanup) == hooks
    assert shell.find_line_magic("agent") is None
