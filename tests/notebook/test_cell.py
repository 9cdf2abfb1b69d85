"""One `%%agent` cell from its text to its result, without a kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from agentnb import events
from agentnb.agent import Agent
from agentnb.errors import RequestRefused, RunInterrupted
from agentnb.jobs import Run
from agentnb.messages import Data, Message, ToolResult
from agentnb.models.fake import FakeModel, Turn, call
from agentnb.notebook import show
from agentnb.notebook.cell import CellRun
from agentnb.notebook.display import Display, make_display
from agentnb.notebook.orders import read
from agentnb.session import RunHead
from agentnb.tools.base import ToolReturn
from agentnb.transcript import Folder, Transcript
from agentnb.workspace import Workspace


class Page:
    """A front end that only has standard output."""

    def __init__(self) -> None:
        self.text = ""

    def show(self, data: object, metadata: object, *, display_id: str, update: bool) -> None:  # its names
        raise AssertionError("text needs no displays")

    def write(self, text: str) -> None:
        self.text += text


class Watched(Workspace):
    """Knows every run it began; where it is `hasty`, its panel presses Stop before a run has begun."""

    hasty = False

    def __init__(self) -> None:
        super().__init__({}, environ={})
        self.begun: list[Run] = []

    def run(self, agent: Agent, prompt: Message, history: Sequence[Message] = (), *, head: RunHead) -> Run:
        run = super().run(agent, prompt, history, head=head)
        self.begun.append(run)
        if self.hasty:
            run.stop()
        return run


@pytest.fixture
def workspace() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.close()


def cell(workspace: Workspace, line: str = "", body: str = "Go", *turns: Turn, key: str | None = "a") -> CellRun:
    """A cell that is ready to run; with `turns`, they are what the model says."""
    if turns:
        workspace.use_model(FakeModel(*turns))
    return CellRun(workspace, read(line, body), cell=key)


def text_display() -> Display:
    return make_display("text", Page())


def prompts(workspace: Workspace) -> list[str]:
    return [turn.messages[0].text for turn in workspace.session.turns]


def test_a_run_that_fails_is_kept_and_its_error_has_the_transcript(workspace: Workspace) -> None:
    run = cell(workspace, "", "Go", ["half", RequestRefused("Overloaded.", status=529)])
    with pytest.raises(RequestRefused) as caught:
        run.attend_blocked(text_display())
    assert isinstance(caught.value.transcript, Transcript)
    assert caught.value.transcript.text == "half"
    assert workspace.session.turns[0].messages == caught.value.transcript.messages


def test_a_run_that_was_stopped_before_it_began_leaves_the_turn_that_is_there(workspace: Watched) -> None:
    cell(workspace, "", "first", "one").attend_blocked(text_display())
    workspace.hasty = True
    with pytest.raises(RunInterrupted):
        cell(workspace, "", "again", "never").attend_blocked(text_display())
    assert prompts(workspace) == ["first"]


def test_a_conversation_begins_again_only_when_the_cell_runs(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(workspace, "", "first", "one", "two").attend_blocked(text_display())
    before = workspace.session
    show.dry_run(cell(workspace, "--session new", "second"))
    assert "nothing was sent" in capsys.readouterr().out
    assert workspace.session is before
    cell(workspace, "--session new", "second").attend_blocked(text_display())
    assert workspace.session is not before
    assert prompts(workspace) == ["second"]


def test_a_dry_run_shows_results_that_are_not_text(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def order() -> ToolReturn:
        return ToolReturn((Data({"item": "tea"}),))

    workspace.namespace["order"] = order
    workspace.toolbox.add(["order"])
    cell(workspace, "", "first", [call("order")], "Tea.").attend_blocked(text_display())
    capsys.readouterr()
    show.dry_run(cell(workspace, "", "second", key="b"))
    assert '"item": "tea"' in capsys.readouterr().out


class Broken:
    """A display whose front end is gone."""

    def __init__(self) -> None:
        self._folder = Folder()

    def feed(self, events: Sequence[events.Event]) -> None:
        for event in events:
            self._folder.feed(event)

    def tick(self) -> None:
        raise BrokenPipeError

    def close(self) -> Transcript:
        return self._folder.transcript()


def endless(workspace: Workspace) -> CellRun:
    workspace.use_model(FakeModel("word " * 10_000, pace=0.01))
    return cell(workspace)


def test_a_run_that_nobody_can_see_is_stopped(workspace: Watched) -> None:
    run = endless(workspace)
    with pytest.raises(BrokenPipeError):
        run.attend_blocked(Broken())
    assert isinstance(workspace.begun[0].done.exception(5), RunInterrupted)


@pytest.mark.anyio
async def test_a_cell_that_is_cancelled_takes_its_run_along(workspace: Watched) -> None:
    attending = asyncio.create_task(endless(workspace).attend(text_display()))
    await asyncio.sleep(0)
    attending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attending
    assert isinstance(workspace.begun[0].done.exception(5), RunInterrupted)


def test_a_tool_may_ask_another_agent_in_a_cell_of_its_own(workspace: Workspace) -> None:
    async def inner() -> str:
        """Answer, on the loop of the cell."""
        await asyncio.sleep(0)
        return "inner"

    def ask() -> str:
        """Ask another agent."""
        other = workspace.agent(model=FakeModel(call("inner"), "asked"), tools=workspace.toolbox.pick(["inner"]))
        return other.run_sync("Ask").text

    workspace.namespace.update(ask=ask, inner=inner)
    result = cell(workspace, "-t ask", "Go", call("ask"), "done").attend_blocked(text_display())
    answers = [b.text for m in result.messages for b in m.content if isinstance(b, ToolResult)]
    assert (answers, result.text) == (["asked"], "done")
