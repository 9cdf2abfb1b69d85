"""Jupyter kernels, as the program inside a sandbox runs them. Its source is sent there; it needs jupyter_client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from agentnb.sandbox.guest_files import Refused

if TYPE_CHECKING:
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

#: Seconds between two looks at whether a run must stop.
_TICK = 0.1
#: Seconds that interrupted code has to come to its end before its kernel is killed.
GRACE = 1.0
_START = 60.0
#: Forked processes of one kernel, more than any pool of workers has.
_MOST_COPIES = 64
#: Bytes of one message of a kernel that are taken in; a longer one is dropped by the socket.
_LONGEST = 64 << 20
#: The value of the last line as JSON; evaluated by the kernel itself, after the code.
_VALUE = "__import__('json').dumps(_)"

#: What a kernel prints it collects for 0.2 s, without a limit: hand it over every megabyte, and wait until it is sent.
_START_FILE = """
def _bound():
    import sys
    def bounded(stream):
        write, waiting = stream.write, [0]
        def wrapped(text):
            count = write(text)
            waiting[0] += count or 0
            if waiting[0] > 1 << 20:
                waiting[0] = 0
                stream.flush()
            return count
        stream.write = wrapped
    bounded(sys.stdout)
    bounded(sys.stderr)
_bound()
del _bound
"""

Emit = Callable[[str, dict[str, Any]], None]


class Stop:
    """How a run is told to end early, from outside or by its own limits."""

    def __init__(self, timeout: float, limit: int) -> None:
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._limit = limit
        self._left = limit
        self.reason: tuple[str, str] | None = None

    def begin(self) -> None:
        """Count the time from now on: that of starting a kernel is not the code's."""
        self._deadline = time.monotonic() + self._timeout

    def ask(self, name: str, message: str) -> None:
        """End it for this reason; the first one counts."""
        self.reason = self.reason or (name, message)

    def check(self) -> bool:
        """Whether it must end."""
        if time.monotonic() > self._deadline:
            self.ask("Timeout", f"stopped after {self._timeout:g} s")
        return self.reason is not None

    def admit(self, text: str) -> str:
        """As much of an output as may still be shown."""
        kept = text[: max(0, self._left)]
        self._left -= len(text)
        if self._left < 0:
            self.ask("OutputLimit", f"stopped after {self._limit / 1e6:.3g} MB of output")
        return kept


class Kernel:
    """One kernel, which runs one piece of code after the other."""

    def __init__(self, name: str, cwd: str, folder: str) -> None:
        self.name = name
        self.cwd = cwd
        self.lock = asyncio.Lock()
        self.stop: Stop | None = None
        self._folder = folder
        self._manager: AsyncKernelManager | None = None
        self._client: AsyncKernelClient | None = None

    @property
    def pid(self) -> int | None:
        """The process, where it runs."""
        process = getattr(getattr(self._manager, "provisioner", None), "process", None)
        return process.pid if process is not None else None

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises Refused where it does not."""
        import zmq.asyncio
        from jupyter_client.manager import AsyncKernelManager

        place = tempfile.mkdtemp(dir=self._folder)
        self._manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{place}/k")
        self._manager.connection_file = f"{place}/c.json"
        Path(f"{place}/start.py").write_text(_START_FILE, "utf-8")
        arguments = [f"--IPKernelApp.exec_files={place}/start.py"]
        await self._manager.start_kernel(cwd=self.cwd, extra_arguments=arguments)
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.MAXMSGSIZE, _LONGEST)
        self._client = self._manager.client(context=context)
        self._client.start_channels()
        try:
            await self._client.wait_for_ready(timeout=_START)
        except RuntimeError as error:
            await self.end()
            raise Refused(f"the kernel does not start: {str(error)[:500]}") from None

    async def end(self) -> None:
        """Kill it, and what it has started."""
        pid = self.pid
        if self._client is not None:
            self._client.stop_channels()
            self._client.context.destroy(linger=0)
        if self._manager is not None and pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(self._manager.shutdown_kernel(now=True), 5)
        self._manager = self._client = None

    async def alive(self) -> bool:
        """Whether its process is there."""
        return self._manager is not None and bool(await self._manager.is_alive())

    async def execute(self, code: str, stop: Stop, emit: Emit, *, value: bool) -> None:
        """Run code; what it gives is emitted as messages of Jupyter's kinds."""
        async with self.lock:
            self.stop = stop
            try:
                if not await self.alive():
                    await self.end()
                    await self.start()
                await self._execute(code, stop, emit, value=value)
            finally:
                self.stop = None

    async def _execute(self, code: str, stop: Stop, emit: Emit, *, value: bool) -> None:
        client = self._client
        assert client is not None
        asked = {"value": _VALUE} if value else {}
        run = client.execute(code, allow_stdin=False, stop_on_error=False, user_expressions=asked)
        reply = asyncio.ensure_future(_reply(client, run))
        seen: set[str] = set()
        try:
            async for kind, content in self._messages(client, run, reply, stop):
                seen.add(kind)
                _forward(kind, content, stop, emit)
            if "execute_result" in seen and value and reply.done():
                emit("value", reply.result().get("user_expressions", {}).get("value", {}))
        finally:
            reply.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reply
            if stop.reason or "error" in seen:
                for pid in _copies(self.pid):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
        if stop.reason is not None:
            emit("stopped", {"name": stop.reason[0], "message": stop.reason[1]})

    async def _messages(
        self, client: AsyncKernelClient, run: str, reply: asyncio.Future[Any], stop: Stop
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """What comes of a run until the code has ended, or its kernel has."""
        kill_at, lost_at = 0.0, 0.0
        while True:
            if stop.check() and not kill_at:
                kill_at = time.monotonic() + GRACE
                assert self._manager is not None
                await self._manager.interrupt_kernel()
            if 0 < kill_at < time.monotonic():
                await self.end()
                yield "died", {"why": "it did not stop when asked; its kernel was ended, variables are gone"}
                return
            message = await _next(client)
            if message is None:
                if len(_copies(self.pid)) > _MOST_COPIES:
                    # They share the kernel's sockets, and take its messages: it cannot go on.
                    await self.end()
                    stop.ask("ProcessLimit", f"it started more than {_MOST_COPIES} copies of itself")
                    yield "died", {"why": "its kernel was ended, variables are gone"}
                    return
                if not await self.alive():
                    await self.end()
                    yield "died", {"why": "its kernel died; variables are gone"}
                    return
                # A kernel that floods its sockets loses messages, the one that says "idle" among them.
                lost_at = lost_at or (time.monotonic() + 1 if reply.done() else 0.0)
                if 0 < lost_at < time.monotonic():
                    return
            elif message["parent_header"].get("msg_id") == run:
                if message["content"].get("execution_state") == "idle":
                    await asyncio.wait({reply}, timeout=1)
                    return
                yield message["msg_type"], message["content"]


def _copies(kernel: int | None) -> list[int]:
    """What a kernel forked of itself, and what therefore believes to be the kernel."""
    found: list[int] = []
    if kernel is None or not sys.platform.startswith("linux"):
        return found
    with contextlib.suppress(OSError):
        own = Path(f"/proc/{kernel}/cmdline").read_bytes()
        for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
            with contextlib.suppress(OSError):
                if pid != kernel and os.getpgid(pid) == kernel and Path(f"/proc/{pid}/cmdline").read_bytes() == own:
                    found.append(pid)
    return found


async def _next(client: AsyncKernelClient) -> dict[str, Any] | None:
    try:
        message: dict[str, Any] = await client.iopub_channel.get_msg(timeout=_TICK)
    except Empty:
        return None
    return message


async def _reply(client: AsyncKernelClient, run: str) -> dict[str, Any]:
    while True:
        message = await client.shell_channel.get_msg(timeout=None)
        if message["parent_header"].get("msg_id") == run:
            content: dict[str, Any] = message["content"]
            return content


def _forward(kind: str, content: dict[str, Any], stop: Stop, emit: Emit) -> None:
    if kind == "stream":
        if text := stop.admit(str(content["text"])):
            emit(kind, {"name": content["name"], "text": text})
    elif kind == "error":
        emit(kind, {key: content.get(key) for key in ("ename", "evalue", "traceback")})
    elif kind == "died":
        emit(kind, content)
    elif kind in ("display_data", "execute_result"):
        said = json.dumps(content["data"], default=str)
        if len(stop.admit(said)) == len(said):
            emit(kind, {"data": content["data"]})
