"""The kernel's end of the sidebar, spoken to as the sidebar does."""

from __future__ import annotations

import time
import uuid
from queue import Empty

from tests.kernel.conftest import Kernel


class Panel:
    """Opens a comm as the sidebar does, and remembers the last state."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.comm_id = uuid.uuid4().hex
        self._send("comm_open", {"comm_id": self.comm_id, "target_name": "agentnb", "data": {}})

    def _send(self, kind: str, content: dict[str, object]) -> None:
        client = self.kernel.client
        client.shell_channel.send(client.session.msg(kind, content))

    def say(self, **data: object) -> None:
        self._send("comm_msg", {"comm_id": self.comm_id, "data": data})

    def wait(self, condition: object, seconds: float = 10) -> dict[str, object]:
        """The first state from now on that fits."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                message = self.kernel.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.comm_id:
                state = message["content"]["data"]
                if condition(state):
                    return state
        raise AssertionError("no such state came")


def test_a_panel_that_comes_is_told_the_state(kernel: Kernel) -> None:
    kernel.ok("@tool\ndef f() -> int:\n    'Count.'\n    return 1\nws.use_model(FakeModel('hi'))")
    panel = Panel(kernel)
    panel.say(type="hello")
    state = panel.wait(lambda state: state["type"] == "state")
    assert state["model"] == "fake:script"
    assert state["tools"] == [{"name": "f", "description": "Count.", "enabled": True}]
    assert state["runs"] == []


def test_a_switch_in_the_panel_reaches_the_next_run(kernel: Kernel) -> None:
    kernel.ok("@tool\ndef f() -> int:\n    'Count.'\n    return 1\nws.use_model(FakeModel('hi'))")
    panel = Panel(kernel)
    panel.say(type="set_tool", name="f", enabled=False)
    panel.wait(lambda state: state["tools"] and not state["tools"][0]["enabled"])
    kernel.ok("%%agent\nhi")
    assert kernel.value("ws.model.requests[0].tools") == "()"


def test_stop_ends_an_awaiting_cell(kernel: Kernel) -> None:
    kernel.ok("ws.use_model(FakeModel('word ' * 100_000, pace=0.01))")
    panel = Panel(kernel)
    cell = kernel.start("%%agent\ntalk", "a")
    state = panel.wait(lambda state: state["runs"] and state["runs"][0]["step"] == "answers")
    assert state["runs"][0]["title"] == "talk"
    panel.say(type="stop", run_id=state["runs"][0]["run_id"])
    ran = kernel.finish(cell)
    assert ran.status == "error"
    assert "Interrupted" in (ran.error or "")


def test_what_a_panel_of_another_version_says_does_no_harm(kernel: Kernel) -> None:
    panel = Panel(kernel)
    panel.say(type="dance")
    panel.say(type="set_tool", name="gone", enabled=True)
    panel.say(type="hello")
    assert panel.wait(bool)["tools"] == []


def test_an_answer_that_comes_after_unloading_wakes_nobody(kernel: Kernel) -> None:
    loading = kernel.ok("%unload_ext agentnb\n%load_ext agentnb\nws = %agentnb")
    invited = next(m["content"]["comm_id"] for m in loading.messages if m["msg_type"] == "comm_open")
    unloading = kernel.ok("%unload_ext agentnb")
    assert [m["content"]["comm_id"] for m in unloading.messages if m["msg_type"] == "comm_close"] == [invited]
    client = kernel.client
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": invited, "data": {"type": "hello"}}))
    assert kernel.value("[t.name for t in __import__('threading').enumerate() if t.name == 'agentnb']") == "[]"
    kernel.ok("%load_ext agentnb")
