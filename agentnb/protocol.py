"""What the kernel and the sidebar tell each other over the comm; `extension/src/protocol.ts` is generated from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: The comm target; the panel opens one, and the kernel opens one when the extension is loaded.
COMM_TARGET = "agentnb"


@dataclass(frozen=True, slots=True)
class PanelTool:
    """A tool as the panel lists it."""

    name: str
    description: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class PanelRun:
    """A run in progress: its prompt's first words, the step it is at ("thinking", "runs mean_mass"), its round."""

    run_id: str
    title: str
    model: str
    step: str
    round: int
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class PanelState:
    """Kernel to panel: everything the panel shows. Sent whole at every change, at most ten times a second.

    `last` is the last finished run in one line ("done · 2 rounds · 312 tokens"), `error` why it failed; `session` is
    the conversation that the notebook talks in, which its file keeps.
    """

    model: str
    tools: tuple[PanelTool, ...]
    runs: tuple[PanelRun, ...]
    last: str | None = None
    error: str | None = None
    session: str | None = None
    type: Literal["state"] = "state"


@dataclass(frozen=True, slots=True)
class Hello:
    """Panel to kernel: send me the state."""

    type: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class StopRun:
    """Panel to kernel: stop this run (every run, where it is None)."""

    run_id: str | None = None
    type: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class SetTool:
    """Panel to kernel: offer this tool to the model, or not."""

    name: str
    enabled: bool
    type: Literal["set_tool"] = "set_tool"


FromPanel: TypeAlias = Hello | StopRun | SetTool
