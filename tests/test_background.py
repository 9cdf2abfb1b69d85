"""A run in the background as a value, outside a notebook."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

from agentnb.background import BackgroundRun, BackgroundRuns
from agentnb.bridge import settled
from agentnb.errors import UsageError
from agentnb.jobs import Job, Run
from agentnb.messages import user
from agentnb.models.fake import FakeModel
from agentnb.result import Result
from agentnb.workspace import Workspace


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    space = Workspace()
    yield space
    space.close()


def begun(workspace: Workspace, runs: BackgroundRuns, *, words: str = "Oslo.", pace: float = 0) -> BackgroundRun:
    """A run that goes on, and is known to `runs`."""
    agent = workspace.agent(model=FakeModel(words, pace=pace), tools=())
    run: Run = workspace.run(agent, user("Which city?"))

    async def watch() -> Result:
        await settled(run.done).wait()
        run.done.result()
        return agent.result(run.transcript())

    job = Job(workspace.background, watch)
    run.start()
    job.start()
    return runs.add(run, job, cell=None, label="In [1]", typed=False)


def test_a_thread_of_the_persons_may_wait_for_it(workspace: Workspace) -> None:
    run = begun(workspace, BackgroundRuns(workspace.background))
    texts: list[str] = []
    thread = threading.Thread(target=lambda: texts.append(str(run.result(5))))
    thread.start()
    thread.join(5)
    assert texts == ["Oslo."]


def test_a_loop_on_another_thread_may_await_it(workspace: Workspace) -> None:
    run = begun(workspace, BackgroundRuns(workspace.background), pace=0.01)
    answers: list[object] = []

    async def wait() -> None:
        with anyio.fail_after(5):
            answers.append(await run)

    thread = threading.Thread(target=lambda: anyio.run(wait))
    thread.start()
    thread.join(5)
    assert [str(answer) for answer in answers] == ["Oslo."]


def test_on_its_own_thread_it_is_awaited_and_never_blocks(workspace: Workspace) -> None:
    run = begun(workspace, BackgroundRuns(workspace.background), words="slow " * 100, pace=0.02)

    async def block() -> object:
        return run.result()

    job = Job(workspace.background, block)
    job.start()
    with pytest.raises(UsageError, match="await the run instead"):
        job.done.result(5)
    run.stop()


def test_those_that_ended_long_ago_are_forgotten(workspace: Workspace) -> None:
    runs = BackgroundRuns(workspace.background)
    for _ in range(60):
        begun(workspace, runs).result(5)
    assert len(runs.list()) == 51
    assert runs.list()[-1].id == "60"
    with pytest.raises(UsageError, match="No background run is called '1'"):
        runs.find("1")


def test_it_is_read_when_somebody_has_taken_its_result(workspace: Workspace) -> None:
    run = begun(workspace, BackgroundRuns(workspace.background))
    read: list[str] = []
    run.read = lambda: read.append(run.id)
    run.result(5)
    assert read == ["1"]
    assert run._repr_mimebundle_()["text/markdown"] == "Oslo."
    assert run._repr_html_() is None
