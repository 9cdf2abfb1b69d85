"""What a panel shows of runs, in the words of its protocol."""

from __future__ import annotations

from agentnb import render
from agentnb.jobs import Run
from agentnb.protocol import PanelRun
from agentnb.transcript import Transcript


def panel_run(run: Run) -> PanelRun:
    so_far = run.transcript()
    return PanelRun(run.id, run.title, run.model, _step(so_far), max(1, so_far.rounds), run.stopping)


def _step(run: Transcript) -> str:
    """What a run is doing, in two words."""
    if run.waiting:
        return run.waiting
    calls = [(call.name, run.tools[call.id].status) for m in run.messages for call in m.calls if call.id in run.tools]
    # A person first: the run waits for them, whatever else goes on.
    if asked := [name for name, status in calls if status == "asked"]:
        return f"asks you: {', '.join(asked)}"
    if running := [name for name, status in calls if status == "running"]:
        return f"runs {', '.join(running)}"
    last = run.messages[-1] if run.messages else None
    if last is None or last.role != "assistant" or last.finish is not None or not last.content:
        return "asks the model"
    match last.content[-1].type:
        case "thinking":
            return "thinks"
        case "tool_call":
            return f"calls {last.calls[-1].name}"
        case _:
            return "answers"


def last_line(run: Transcript) -> str:
    """How the last run ended, and what it took."""
    words = [run.outcome or "stopped", f"{run.rounds} round{'s' if run.rounds != 1 else ''}"]
    return " · ".join([*words, f"{run.usage.total:,} tokens", *filter(None, [render.money(run.usage.usd)])])
