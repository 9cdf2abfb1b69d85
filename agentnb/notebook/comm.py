"""The kernel's end of the sidebar: sends the workspace's state, takes its wishes.

Handlers may run on any thread (front ends deliver comm messages over subshells): they only hand over to
the workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentnb import codec
from agentnb.errors import AgentnbError
from agentnb.protocol import COMM_TARGET, FromPanel, Hello, PanelState, SetTool, StopRun
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from comm.base_comm import BaseComm
    from IPython.core.interactiveshell import InteractiveShell


class Panel:
    """Every sidebar that shows this kernel's workspace."""

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        self._in_kernel = hasattr(shell, "kernel")
        self._workspace = workspace
        self._comms: dict[str, BaseComm] = {}
        self._invited: BaseComm | None = None
        self._listening = False
        self._last: PanelState | None = None

    def open(self) -> None:
        """Be there for panels that come, and call on one that waits already. Without a kernel there are none."""
        if self._in_kernel:
            import comm

            comm.get_comm_manager().register_target(COMM_TARGET, lambda new, _: self._join(new))
            # To a panel that waits already; where there is none, nobody answers, and nothing more is sent.
            self._invited = comm.create_comm(target_name=COMM_TARGET)
            self._invite(self._invited)

    def close(self) -> None:
        """Take leave of all panels."""
        if self._in_kernel:
            import comm

            manager = comm.get_comm_manager()
            manager.targets.pop(COMM_TARGET, None)
        for each in filter(None, (*self._comms.values(), self._invited)):  # closing what is closed does nothing
            each.close()
        self._comms.clear()

    def _invite(self, new: BaseComm) -> None:
        def answered(message: Mapping[str, object]) -> None:
            self._join(new)
            self._received(message)

        new.on_msg(answered)
        new.on_close(lambda _: self._leave(new))

    def _join(self, new: BaseComm) -> None:
        self._comms[new.comm_id] = new
        self._last = None
        new.on_msg(lambda message: self._received(message))
        new.on_close(lambda _: self._leave(new))
        if not self._listening:  # a kernel that no panel looks at builds no states
            self._listening = True
            self._workspace.listen(self._send)
        self._workspace.changed()

    def _leave(self, gone: BaseComm) -> None:
        self._comms.pop(gone.comm_id, None)

    def _send(self, state: PanelState) -> None:
        if state == self._last:
            return
        self._last = state
        data = codec.dump(state)
        for each in list(self._comms.values()):
            each.send(data)

    def _received(self, message: Mapping[str, object]) -> None:
        content = message.get("content")
        try:
            wish = codec.load(FromPanel, content.get("data") if isinstance(content, Mapping) else None)
        except ValueError:
            return  # a panel of another version says something new: not understanding it is no error
        match wish:
            case Hello():
                self._last = None
                self._workspace.changed()
            case StopRun(run_id=run_id):
                self._workspace.stop(run_id)
            case SetTool(name=name, enabled=enabled):
                try:
                    self._workspace.toolbox.enable(name, enabled)
                except AgentnbError:
                    self._workspace.changed()  # the tool is gone; so will the panel see
