from __future__ import annotations
import json, threading
import pytest
from tests.kernel.conftest import Cell, Kernel
from tests.kernel.test_failures import failed

LEAVE = {
    "main thread": "def leave() -> str:",
    "async": "async def leave() -> str:",
    "worker thread": "@tool(thread=True)\ndef leave() -> str:",
}


@pytest.mark.parametrize("head", LEAVE.values(), ids=list(LEAVE))
@pytest.mark.parametrize("cell", ["%%agent -t leave\nGo", "await Agent(ws.model, tools=[leave]).run('Go')"], ids=["cell", "api"])
def test_sys_exit_in_a_tool_leaves_the_kernel_alive(kernel: Kernel, head: str, cell: str) -> None:
    kernel.ok(f"import sys\nfrom agentnb import Agent\n{head}\n    'Leave.'\n    sys.exit(3)")
    kernel.ok('ws.use_model(FakeModel(call("leave"), "still here"))')
    kernel.ok(cell)
    assert kernel.value("str(_)") == "still here"

SLOW = """
import asyncio
from agentnb import events, Agent
class Slow:
    name = "slow"
    async def stream(self, request):
        try:
            yield events.TextDelta("so far")
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(1)
ws.use_model(Slow())
"""
@pytest.mark.parametrize("code", ["%%agent\nGo", "%%time\n%%agent\nGo", "print('so far', flush=True)\nawait Agent(ws.model).run('Go')", "print('so far', flush=True)\nAgent(ws.model).run_sync('Go')"], ids=["awaited", "blocked", "api", "sync"])
def test_pressing_stop_twice_leaves_the_kernel_alive(kernel: Kernel, code: str) -> None:
    kernel.ok(SLOW)
    pressed = []
    def stop_when_shown(cell: Cell) -> None:
        if not pressed and ("so far" in json.dumps(cell.outputs) + cell.stdout):
            pressed.append(1)
            kernel.interrupt()
            threading.Timer(0.3, kernel.interrupt).start()
    cell = kernel.finish(kernel.start(code, "a"), stop_when_shown)
    assert cell.status == "error"
    assert kernel.value("1 + 1") == "2"


def test_a_busy_async_tool_can_be_interrupted(kernel: Kernel) -> None:
    kernel.ok("import time\nasync def hang() -> str:\n    'Hang.'\n    print('begun', flush=True)\n    time.sleep(20)")
    kernel.ok('ws.use_model(FakeModel(call("hang"), "never"))')
    threading.Timer(1.0, kernel.interrupt).start()
    cell = kernel.run("%%agent -t hang\nGo", "a")
    failed(cell, "Interrupted")
    assert cell.seconds < 10
    kernel.ok('ws.use_model(FakeModel("fine"))')
    assert kernel.ok("%%agent\nAnd now?", "b").mime("text/markdown") == ["fine"]


def test_a_cancelled_cell_stops_its_run(kernel: Kernel) -> None:
    kernel.ok("ws.use_model(FakeModel('word ' * 10_000, pace=0.05))")
    kernel.run("import asyncio\nt = asyncio.ensure_future(ws_run := get_ipython().magics_manager.registry['AgentMagics'].run('', 'Go'))\nawait asyncio.sleep(.3)\nt.cancel()\nawait asyncio.sleep(.5)")
    assert kernel.value("ws.runs") == "{}"
