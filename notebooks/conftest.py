"""Runs the tutorials as tests (`pytest --nbval`): each on its cassette, each display once, with a history."""

from __future__ import annotations

import tempfile
from collections.abc import Generator

import pytest

_HOME = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """What a tutorial keeps goes into a folder of its own."""
    folder = tempfile.TemporaryDirectory(prefix="agentnb-tutorials-")
    config.stash[_HOME] = folder.name
    config.add_cleanup(folder.cleanup)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTNB_MODEL", f"replay:cassettes/{item.path.stem}.json")
        patch.setenv("AGENTNB_DISPLAY", "static")
        for kind in ("CONFIG", "DATA"):
            patch.setenv(f"XDG_{kind}_HOME", f"{item.config.stash[_HOME]}/{item.path.stem}/{kind}")
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    from nbval.kernel import RunningKernel

    def execute(self: RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
        return self.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

    with pytest.MonkeyPatch.context() as patch:
        # Front ends number cells and keep them in `In`; nbval does not.
        patch.setattr(RunningKernel, "execute_cell_input", execute)
        return (yield)
