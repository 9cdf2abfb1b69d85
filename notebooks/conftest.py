"""Runs the tutorials as tests (`pytest --nbval`): each on its cassette, each display once, with a history."""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTNB_MODEL", f"replay:cassettes/{item.path.stem}.json")
        patch.setenv("AGENTNB_DISPLAY", "static")
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
