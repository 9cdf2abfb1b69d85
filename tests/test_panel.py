"""What the sidebar says of a run."""

from __future__ import annotations

from types import SimpleNamespace

from agentnb import events, messages
from agentnb.panel import panel_run
from agentnb.transcript import fold


def step(*more: events.Event) -> str:
    """The step of a run that has called two tools."""
    calls = [events.ToolCallStart(f"c{n}", name) for n, name in enumerate(("save", "look"))]
    ends = [events.ToolCallEnd(f"c{n}") for n in range(2)]
    so_far = fold([events.RunStarted("fake"), *calls, *ends, events.MessageEnd("tool_calls"), *more])
    run = SimpleNamespace(id="r", title="t", model="m", stopping=False, transcript=lambda: so_far)
    return panel_run(run).step  # type: ignore[arg-type]  # a Run, as far as a panel looks


def test_a_person_who_is_asked_comes_before_what_runs() -> None:
    running = events.ToolStarted("c1")
    assert step(running) == "runs look"
    assert step(running, events.ApprovalRequested(("c0",))) == "asks you: save"


def test_once_they_have_answered_the_tool_runs() -> None:
    assert step(events.ApprovalRequested(("c0",)), events.ToolStarted("c0")) == "runs save"
    answer = messages.ToolResult("c0", "save", is_error=True)
    assert step(events.ApprovalRequested(("c0",)), events.ToolResult(answer)) == "asks the model"
