"""What goes wrong: the network, the provider, the tools, and the person who stops it."""

from __future__ import annotations

import json
import time

import pytest

from tests.kernel.conftest import Cell, Kernel, ThreadedProvider
from tests.provider import Answer, chunk, document, says, sse


def use(kernel: Kernel, url: str, key: str = "right") -> None:
    """Point the kernel at a provider, with its key in MY_KEY."""
    kernel.ok(f"import os\nos.environ['MY_KEY'] = 'sk-secret-{key}'")
    kernel.ok(f"%model openai:anything --api-base {url} --api-key-name MY_KEY")


def failed(cell: Cell, *words: str) -> None:
    """The cell failed with one line that holds these words, and shows no key."""
    assert cell.status == "error"
    assert cell.error is not None
    assert "\n" not in cell.error
    for word in words:
        assert word in cell.error
    assert "sk-secret" not in json.dumps(cell.outputs) + cell.error + cell.stdout


def test_the_named_key_is_the_authorization(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(says("hello"))
    use(kernel, server.url)
    assert kernel.ok("%%agent\nhi").mime("text/markdown") == ["hello"]
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret-right"
    assert "sk-secret" not in server.requests[0].body.decode()


def test_a_wrong_key_names_the_variable(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(document({"error": {"message": "Incorrect API key provided."}}, 401))
    use(kernel, server.url, "wrong")
    failed(kernel.run("%%agent\nhi"), "MY_KEY")


def test_a_host_that_does_not_answer_is_named(kernel: Kernel) -> None:
    kernel.ok("import os\nos.environ['MY_KEY'] = 'sk-secret'")
    kernel.ok("%model add once openai:any --api-base http://127.0.0.1:9/v1 --api-key-name MY_KEY --retries 0")
    kernel.ok("%model once")
    failed(kernel.run("%%agent\nhi"), "127.0.0.1")


def test_a_refusal_says_what_the_provider_said(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(document({"error": {"message": "The model `x` does not exist", "code": "no"}}, 404))
    use(kernel, server.url)
    failed(kernel.run("%%agent\nhi"), "The model `x` does not exist")


def test_a_busy_provider_is_asked_again_as_it_wishes(kernel: Kernel, remote: ThreadedProvider) -> None:
    busy = document({"error": {"message": "Slow down"}}, 429, headers={"retry-after-ms": "20"})
    server = remote.serve(busy, says("at last"))
    use(kernel, server.url)
    assert kernel.ok("%%agent\nhi").mime("text/markdown") == ["at last"]
    assert len(server.requests) == 2


def test_a_long_wait_is_shown_and_can_be_interrupted(kernel: Kernel, remote: ThreadedProvider) -> None:
    server = remote.serve(document({"error": {"message": "Slow down"}}, 429, headers={"retry-after": "50"}))
    use(kernel, server.url)

    def stop_when_shown(cell: Cell) -> None:
        if "50" in json.dumps(cell.outputs):
            kernel.interrupt()

    cell = kernel.finish(kernel.start("%%agent\nhi"), stop_when_shown)
    failed(cell, "Interrupted")
    assert cell.seconds < 10


def test_a_stream_that_stops_half_way_keeps_its_text(kernel: Kernel, remote: ThreadedProvider) -> None:
    half = Answer([sse(chunk(role="assistant", content=""), chunk(content="half of it"), done=False)], end="cut")
    server = remote.serve(half)
    use(kernel, server.url)
    cell = kernel.run("%%agent\nhi", "a")
    failed(cell)
    assert cell.mime("text/markdown") == ["half of it"]
    assert kernel.value("ws.session.turns[0].messages[-1].text, ws.session.turns[0].messages[-1].finish") == (
        "('half of it', 'error')"
    )
    assert len(server.requests) == 1


def test_an_error_in_the_middle_of_a_stream_is_the_cells_error(kernel: Kernel, remote: ThreadedProvider) -> None:
    broken = Answer([sse(chunk(content="half"), {"error": {"message": "The GPU is on fire", "code": 500}})])
    use(kernel, remote.serve(broken).url)
    cell = kernel.run("%%agent\nhi")
    failed(cell, "The GPU is on fire")
    assert cell.mime("text/markdown") == ["half"]


@pytest.mark.parametrize("head", ["", "%%time\n"], ids=["awaited", "blocked"])
def test_an_interrupt_in_a_silent_wait_ends_the_cell_at_once(
    kernel: Kernel, remote: ThreadedProvider, head: str
) -> None:
    silent = Answer([sse(chunk(content="so far"), done=False)], end="silent")
    server = remote.serve(silent)
    use(kernel, server.url)
    pressed: list[float] = []

    def stop_when_shown(cell: Cell) -> None:
        if not pressed and "so far" in json.dumps(cell.outputs):
            # The wait is quiet by now: everything that was sent is on the screen.
            pressed.append(time.monotonic())
            kernel.interrupt()

    cell = kernel.finish(kernel.start(f"{head}%%agent\nhi", "a"), stop_when_shown)
    took = time.monotonic() - pressed[0]
    failed(cell, "Interrupted")
    assert cell.mime("text/markdown") == ["so far"]
    assert kernel.value("ws.session.turns[0].messages[-1].finish") == "interrupted"
    remote.wait(server.disconnected)
    assert took < 3  # the figure itself is printed by bench/interrupt.py
    assert kernel.value("ws.runs") == "{}"


@pytest.mark.parametrize("head", ["", "async "], ids=["plain", "async"])
def test_a_hanging_tool_can_be_interrupted_and_the_next_run_works(kernel: Kernel, head: str) -> None:
    kernel.ok(f"import time\n{head}def hang() -> str:\n    'Hang.'\n    display('begun')\n    time.sleep(600)")
    kernel.ok('ws.use_model(FakeModel(call("hang"), "never"))')
    pressed: list[Cell] = []

    def stop_when_begun(cell: Cell) -> None:
        if not pressed and {"text/plain": "'begun'"} in cell.outputs:
            pressed.append(cell)
            kernel.interrupt()

    cell = kernel.finish(kernel.start("%%agent -t hang\nGo", "a"), stop_when_begun)
    failed(cell, "Interrupted")
    assert cell.seconds < 10
    kernel.ok('ws.use_model(FakeModel("fine"))')
    assert kernel.ok("%%agent\nAnd now?", "b").mime("text/markdown") == ["fine"]


def test_a_tool_that_raises_is_read_by_the_model_and_shown(kernel: Kernel) -> None:
    kernel.ok("def bad() -> str:\n    'Fail.'\n    raise KeyError('month')")
    kernel.ok('ws.use_model(FakeModel(call("bad"), "I could not."))')
    cell = kernel.ok("%%agent -t bad\nGo")
    assert "KeyError: 'month'" in cell.mime("text/plain")[0]
    assert cell.mime("text/markdown") == ["I could not."]


def test_ten_megabytes_of_prints_and_a_strange_object_leave_a_small_notebook(kernel: Kernel) -> None:
    kernel.ok(
        "class Odd:\n    def __repr__(self): return 'o' * 10_000_000\n"
        "def loud() -> object:\n    'Print a lot.'\n    print('x' * 10_000_000)\n    return Odd()"
    )
    kernel.ok('ws.use_model(FakeModel(call("loud"), "ok"))')
    cell = kernel.ok("%%agent -t loud\nGo")
    assert len(json.dumps(cell.outputs)) < 100_000
    assert kernel.value("type(loud_1).__name__") == "Odd"


LEAVE = {
    "main thread": "def leave() -> str:",
    "async": "async def leave() -> str:",
    "worker thread": "@tool(thread=True)\ndef leave() -> str:",
}


@pytest.mark.parametrize("head", LEAVE.values(), ids=list(LEAVE))
@pytest.mark.parametrize(
    "code", ["%%agent -t leave\nGo", "await Agent(ws.model, tools=[leave]).run('Go')"], ids=["cell", "agent"]
)
def test_sys_exit_in_a_tool_leaves_the_kernel_alive(kernel: Kernel, head: str, code: str) -> None:
    kernel.ok(f"import sys\nfrom agentnb import Agent\n{head}\n    'Leave.'\n    sys.exit(3)")
    kernel.ok('ws.use_model(FakeModel(call("leave"), "still here"))')
    kernel.ok(code)
    assert kernel.value("str(_)") == "still here"


#: A provider whose connection is slow to close, so that there is time to press Stop again.
LINGERING = """
import asyncio
from agentnb import Agent, events
class Lingering:
    name = "fake:lingering"
    async def stream(self, request):
        try:
            yield events.TextDelta("so far")
            print("so far", flush=True)
            await asyncio.sleep(600)
        finally:
            print("closing", flush=True)
            await asyncio.sleep(0.5)
ws.use_model(Lingering())
"""


@pytest.mark.parametrize(
    "code",
    ["%%agent\nGo", "%%time\n%%agent\nGo", "await Agent(ws.model).run('Go')", "Agent(ws.model).run_sync('Go')"],
    ids=["awaited", "blocked", "agent awaited", "agent blocked"],
)
def test_pressing_stop_twice_ends_the_cell_and_not_the_kernel(kernel: Kernel, code: str) -> None:
    kernel.ok(LINGERING)
    pressed: list[str] = []

    def stop_twice(cell: Cell) -> None:
        for sign in ("so far", "closing"):
            if sign in cell.stdout and sign not in pressed:
                pressed.append(sign)
                kernel.interrupt()

    assert kernel.finish(kernel.start(code, "a"), stop_twice).status == "error"
    assert pressed == ["so far", "closing"]
    assert kernel.value("1 + 1") == "2"
    assert kernel.value("ws.runs") == "{}"
