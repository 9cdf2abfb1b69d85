"""The kernel's end of the comm, small enough to see through: what the sidebar is tried against without a model.

It is imported by cells of the test notebooks. Like the real one it opens a comm when it is loaded, keeps it, and
answers every message with the whole state.
"""

from __future__ import annotations

import dataclasses
import threading

import comm
from comm.base_comm import BaseComm

from agentnb import codec
from agentnb.protocol import COMM_TARGET, FromPanel, Hello, PanelRun, PanelState, PanelTool, SetTool, StopRun

HOSTILE = "<img src=x onerror=\"document.title='broken into'\"><b>bold</b>"


class Kernel:
    """A state, the panels that see it, and what they asked for."""

    def __init__(self) -> None:
        tools = (
            PanelTool("mean_mass", "Mean body mass of a species of penguin, in grams.", True),
            PanelTool("plot_species", "Scatter plot of two columns, one colour per species.", True),
            PanelTool("save_report", "Write the report to a file in the notebook's folder.", False),
        )
        self.state = PanelState("local:qwen2.5-coder-0.5b", tools, ())
        self.asked: list[FromPanel] = []
        self.stopped = threading.Event()
        self.comms: list[BaseComm] = []
        comm.get_comm_manager().register_target(COMM_TARGET, lambda link, _message: self._join(link))
        self._join(comm.create_comm(target_name=COMM_TARGET, data=self._data()))

    def _data(self) -> object:
        return codec.dump(self.state)

    def _join(self, link: BaseComm) -> None:
        self.comms.append(link)
        link.on_msg(self._receive)

    def _receive(self, message: dict[str, dict[str, object]]) -> None:
        asked = codec.load(FromPanel, message["content"]["data"])
        self.asked.append(asked)
        match asked:
            case Hello():
                self.show()
            case SetTool(name=name, enabled=enabled):
                tools = (dataclasses.replace(t, enabled=enabled) if t.name == name else t for t in self.state.tools)
                self.show(tools=tuple(tools))
            case StopRun():
                self.show(runs=tuple(dataclasses.replace(run, stopping=True) for run in self.state.runs))
                self.stopped.set()

    def show(self, **changes: object) -> None:
        """Change the state and tell every panel."""
        self.state = dataclasses.replace(self.state, **changes)
        for link in self.comms:
            link.send(self._data())

    def start(self, step: str = "runs mean_mass", round_: int = 2) -> None:
        """A run begins."""
        run = PanelRun("r1", "Which species is the heaviest, and by how much?", self.state.model, step, round_)
        self.stopped.clear()
        self.show(runs=(run,), last=None, error=None)

    def end(self, last: str = "done · 2 rounds · 312 tokens", error: str | None = None) -> None:
        """The run ends."""
        self.show(runs=(), last=last, error=error)
