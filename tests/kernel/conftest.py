"""A real ipykernel, started once per worker; every test gets it empty."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from queue import Empty

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

from tests.provider import Answer, Asked, Provider, provider

#: Seconds after which a cell that has not ended fails its test.
PATIENCE = 30.0


@dataclass
class Cell:
    """What a cell left behind, as a notebook file would keep it, and every message on the way."""

    outputs: list[dict[str, object]] = field(default_factory=list)
    messages: list[dict[str, object]] = field(default_factory=list)
    error: str | None = None
    ename: str | None = None
    status: str = ""
    seconds: float = 0.0
    stdout: str = ""

    def mime(self, kind: str) -> list[str]:
        """The data of one MIME type over all displays, in order."""
        return [str(out[kind]) for out in self.outputs if kind in out]


class Kernel:
    """Drives a kernel as a front end does."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self.manager = KernelManager()
        quiet = ["--IPKernelApp.log_level=ERROR"]  # TCP on loopback is fine here
        self.manager.start_kernel(env={**os.environ, **(env or {})}, extra_arguments=quiet)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def start(self, code: str, cell_id: str | None = None, *, stdin: bool = False) -> str:
        """Send a cell; returns the message id. With `stdin` it may ask the person, who is `answer`."""
        session = self.client.session
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": stdin,
            "stop_on_error": False,
        }
        message = session.msg("execute_request", content)
        if cell_id is not None:
            message["metadata"]["cellId"] = cell_id
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(self, msg_id: str, watch: Callable[[Cell], object] | None = None) -> Cell:
        """Collect what the cell does until it is idle; `watch` is called after every message."""
        cell, began, displays = Cell(), time.monotonic(), {}
        while True:
            if time.monotonic() - began > PATIENCE:
                self.manager.interrupt_kernel()
                raise AssertionError(f"The cell did not end. So far: {cell.outputs} {cell.stdout}")
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            cell.messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            self._take(cell, message, displays)
            if watch is not None:
                watch(cell)
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == msg_id:
                break
        cell.status = reply["content"]["status"]
        cell.seconds = time.monotonic() - began
        return cell

    @staticmethod
    def _take(cell: Cell, message: dict[str, object], displays: dict[str, int]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "stream":
            cell.stdout += content["text"]
        elif kind == "error":
            cell.error, cell.ename = content["evalue"], content["ename"]
        elif kind in ("display_data", "execute_result"):
            display_id = content.get("transient", {}).get("display_id")
            if display_id:
                displays[display_id] = len(cell.outputs)
            cell.outputs.append(content["data"])
        elif kind == "update_display_data":
            at = displays.get(content["transient"]["display_id"])
            if at is not None:
                cell.outputs[at] = content["data"]

    def run(self, code: str, cell_id: str | None = None) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.start(code, cell_id))

    def answer(self, text: str) -> str:
        """Answer what the cell asks; returns the question."""
        question = self.client.get_stdin_msg(timeout=PATIENCE)["content"]["prompt"]
        self.client.input(text)
        return str(question)

    def ok(self, code: str, cell_id: str | None = None) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code, cell_id)
        assert cell.status == "ok", f"{cell.ename}: {cell.error}\n{cell.stdout}"
        return cell

    def value(self, expression: str) -> str:
        """What an expression prints."""
        return self.ok(f"print(({expression}))").stdout.rstrip("\n")

    def interrupt(self) -> None:
        """The stop button."""
        self.manager.interrupt_kernel()

    def stop(self) -> None:
        """Shut it down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(autouse=True, scope="module")
def _loop() -> Iterator[None]:
    """The loop that jupyter_client makes for this thread, and leaves to nobody."""
    yield
    ensure_event_loop().close()


@pytest.fixture(scope="module")
def _kernel() -> Iterator[Kernel]:
    kernel = Kernel({"AGENTNB_DISPLAY": "live", "AGENTNB_CONTEXT": "none"})
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(_kernel: Kernel) -> Kernel:
    """A kernel with agentnb loaded, and nothing else."""
    _kernel.ok("%reset -f")
    _kernel.ok("%load_ext agentnb\n%unload_ext agentnb\n%load_ext agentnb")
    _kernel.ok("from agentnb import FakeModel, tool\nfrom agentnb.models.fake import call\nws = %agentnb")
    return _kernel


class ThreadedProvider:
    """A scripted provider on a loop of its own, for kernels: see `tests/provider.py`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open: list[AbstractAsyncContextManager[Provider]] = []

    def serve(self, *answers: Answer | Callable[[Asked], Answer]) -> Provider:
        """Serve these answers; returns the running provider."""
        manager = provider(*answers)
        self._open.append(manager)
        return asyncio.run_coroutine_threadsafe(manager.__aenter__(), self._loop).result(5)

    def wait(self, event: asyncio.Event, seconds: float = 5) -> None:
        """Wait for one of the provider's events."""
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(event.wait(), seconds), self._loop).result(seconds + 1)

    def close(self) -> None:
        """Stop serving."""
        for manager in self._open:
            asyncio.run_coroutine_threadsafe(manager.__aexit__(None, None, None), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def remote() -> Iterator[ThreadedProvider]:
    """Providers for the kernel to talk to."""
    threaded = ThreadedProvider()
    yield threaded
    threaded.close()
