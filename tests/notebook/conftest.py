"""A shell without a kernel, with agentnb loaded, nobody's keys, and what each cell leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from agentnb.models.providers import load_providers
from agentnb.notebook.extension import Extension
from agentnb.workspace import Workspace
from tests.kernel.conftest import ThreadedProvider


@dataclass(frozen=True)
class Ran:
    """What a cell showed, and the error that it raised."""

    stdout: str
    displays: list[dict[str, object]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """All of it, as a terminal shows it."""
        return "\n".join([self.stdout, *(str(data.get("text/plain", "")) for data in self.displays)]).strip()

    def mime(self, kind: str) -> list[object]:
        """What was shown of one MIME type."""
        return [data[kind] for data in self.displays if kind in data]

    def everything(self) -> str:
        """All that stays in the notebook file."""
        return f"{self.stdout}{self.displays}{self.error}"


class Notebook:
    """Runs cells in a shell that has agentnb loaded."""

    def __init__(self, shell: InteractiveShell, extension: Extension) -> None:
        self.shell = shell
        self.extension = extension

    @property
    def workspace(self) -> Workspace:
        return self.extension.workspace

    def run(self, code: str, cell_id: str = "a") -> Ran:
        """Run a cell."""
        with capture_output() as captured:
            result = self.shell.run_cell(code, store_history=True, cell_id=cell_id)
        shown = [dict(output.data) for output in captured.outputs]
        return Ran(captured.stdout, shown, result.error_before_exec or result.error_in_exec)

    def says(self, code: str) -> str:
        """What a cell says that succeeds."""
        ran = self.run(code)
        assert ran.error is None, ran.error
        return ran.text

    def fails(self, code: str) -> str:
        """The one line of a cell that fails."""
        ran = self.run(code)
        assert ran.error is not None, ran.text
        assert "\n" not in str(ran.error)
        return f"{type(ran.error).__name__}: {ran.error}"


@contextmanager
def opened(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook whose person lives in a folder and has no keys, until the block ends."""
    variables = {name for row in load_providers().values() for name in (row.key, row.base_url_name, *row.key_names)}
    for name in variables & set(os.environ):
        patch.delenv(str(name))
    for name, value in (("HOME", str(folder)), ("KEYRING", "off"), ("DISPLAY", "static"), ("CONTEXT", "none")):
        patch.setenv(f"AGENTNB_{name}", value)
    patch.chdir(folder)
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}), colors="nocolor")
    extension = Extension(shell)
    extension.load()
    yield Notebook(shell, extension)
    extension.unload()
    InteractiveShell.clear_instance()


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    with opened(tmp_path, monkeypatch) as book:
        yield book


@pytest.fixture
def remote() -> Iterator[ThreadedProvider]:
    """Providers for the cells to talk to."""
    threaded = ThreadedProvider()
    yield threaded
    threaded.close()
