"""The program inside a sandbox: it answers requests that come in on its standard input, one JSON a frame.

Its source, with that of the `guest_*` modules, is sent into the sandbox when that starts (see `launch`): nothing of
agentnb has to be installed there, only ipykernel and jupyter_client. It may be killed or lied to by the code that it
runs; whoever talks to it believes nothing (see `channel`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import struct
import sys
import tarfile
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from agentnb.sandbox.guest_files import Files, Refused
from agentnb.sandbox.guest_kernels import GRACE, Kernel, Stop
from agentnb.sandbox.guest_processes import Processes

Request: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[dict[str, Any]], None]


class Guest:
    """Everything that runs in one sandbox."""

    def __init__(self, home: str, private: str, everywhere: bool, send: Send) -> None:
        self.home = home
        self._private = private
        self._send = send
        self._files = Files(home, everywhere)
        self._processes = Processes(home)
        self._kernels: dict[str, Kernel] = {}
        self._stops: dict[int, Stop] = {}
        self._packed = b""

    async def answer(self, request: Request) -> None:
        """Do what is asked, and say how it went."""
        number = request.pop("id")
        try:
            result = await self._do(number, request.pop("op"), request)
        except Refused as error:
            self._send({"id": number, "error": str(error)})
        except Exception as error:  # whoever asked would wait for ever
            # Most of them are of the system: a full disk, no more processes, a file that is not there.
            named = getattr(error, "filename", None)
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self._send({"id": number, "error": f"{named}: {said}" if isinstance(named, str) else said})
        else:
            self._send({"id": number, "done": result})

    async def _do(self, number: int, op: str, given: Request) -> Any:
        match op.partition("."):
            case ("files", _, name):
                return getattr(self._files, name)(**given)
            case ("processes", _, name):
                done = getattr(self._processes, name)(**given)
                return await done if isinstance(done, Coroutine) else done
            case ("execute", _, _):
                return await self._execute(number, **given)
        done = getattr(self, f"do_{op}")(**given)
        return await done if isinstance(done, Coroutine) else done

    def do_contexts(self) -> list[dict[str, Any]]:
        """The kernels there are."""
        return [self._about(kernel) for kernel in self._kernels.values()]

    async def do_create(self, name: str, cwd: str | None) -> dict[str, Any]:
        """Start a kernel."""
        if name in self._kernels:
            raise Refused(f"there is a context {name!r} already")
        kernel = await self._start(name, cwd)
        return self._about(kernel)

    async def do_delete(self, name: str) -> None:
        """End a kernel."""
        if name not in self._kernels:
            raise Refused(f"there is no context {name!r}")
        await self._kernels.pop(name).end()

    def do_stop(self, target: int | None = None, context: str | None = None) -> None:
        """Stop a run, or what runs in a context."""
        kernel = self._kernels.get(context or "")
        stop = self._stops.get(target or 0) or (kernel.stop if kernel else None)
        if stop is not None:
            stop.ask("Interrupted", "stopped by the person")

    async def do_archive(self) -> int:
        """Pack all files, to be fetched in pieces; returns the size in bytes."""
        self._packed = await asyncio.to_thread(_packed, self.home)
        return len(self._packed)

    def do_piece(self, offset: int, size: int) -> str:
        """A piece of what was packed."""
        return base64.b64encode(self._packed[offset : offset + size]).decode()

    async def do_restore(self, data: str, last: bool) -> None:
        """Files as they were packed, piece by piece."""
        self._packed += base64.b64decode(data)
        if last:
            packed, self._packed = self._packed, b""
            await asyncio.to_thread(_unpack, packed, self.home)

    async def _start(self, name: str, cwd: str | None) -> Kernel:
        place = self._files.place(cwd or ".")
        os.makedirs(place, exist_ok=True)
        kernel = self._kernels[name] = Kernel(name, place, self._private)
        try:
            async with kernel.lock:
                await kernel.start()
        finally:
            if not await kernel.alive():
                self._kernels.pop(name, None)
                await kernel.end()
        return kernel

    async def _execute(
        self, number: int, code: str, language: str, context: str | None, seconds: float, limit: int, value: bool
    ) -> None:
        def emit(kind: str, content: dict[str, Any]) -> None:
            self._send({"id": number, "kind": kind, "content": content})

        stop = self._stops[number] = Stop(seconds, limit)
        kernel = self._kernels.get(context or "")
        try:
            if language == "shell":
                await self._shell(code, kernel, stop, emit)
                return
            if kernel is None:
                kernel = await self._start(context or f"run-{number}", None)
                stop.begin()
            await kernel.execute(code, stop, emit, value=value)
        finally:
            self._stops.pop(number, None)
            if context is None and (gone := self._kernels.pop(f"run-{number}", None)):
                await gone.end()

    async def _shell(
        self, code: str, kernel: Kernel | None, stop: Stop, emit: Callable[[str, dict[str, Any]], None]
    ) -> None:
        running = await self._processes.begin(code, _folder_of(kernel))

        def follow(text: str) -> None:
            if kept := stop.admit(text):
                emit("stream", {"name": "stdout", "text": kept})

        running.follow(follow)
        while not running.done.done() and not stop.check():
            await asyncio.wait({running.done}, timeout=0.1)
        running.end()
        await asyncio.wait({running.done}, timeout=GRACE)
        if stop.check():
            emit("stopped", {"name": stop.reason[0], "message": stop.reason[1]} if stop.reason else {})
        elif running.process.returncode:
            emit("error", {"ename": f"Exit code {running.process.returncode}", "evalue": "", "traceback": []})

    def _about(self, kernel: Kernel) -> dict[str, Any]:
        return {"name": kernel.name, "cwd": _folder_of(kernel), "busy": kernel.lock.locked()}

    async def end(self) -> None:
        """End everything."""
        self._processes.end()
        for kernel in list(self._kernels.values()):
            await kernel.end()


def _packed(folder: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        tar.add(folder, arcname=".")
    return out.getvalue()


def _unpack(packed: bytes, folder: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        tar.extractall(folder, filter="tar")


def _folder_of(kernel: Kernel | None) -> str | None:
    """Where a kernel is now: shell commands begin there."""
    if kernel is None:
        return None
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{kernel.pid}/cwd")
    return kernel.cwd


async def serve(config: dict[str, Any]) -> None:
    """Answer requests until the input ends."""
    # What a stray print writes must not get between the frames.
    out = os.dup(1)
    os.dup2(2, 1)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", 0))

    def send(message: dict[str, Any]) -> None:
        # Blocks where nobody reads: so a flood is slowed down, and not kept.
        data = json.dumps(message, default=str).encode()
        view = memoryview(struct.pack(">I", len(data)) + data)
        while view:
            view = view[os.write(out, view) :]

    os.makedirs(config["home"], exist_ok=True)
    os.chdir(config["home"])
    guest = Guest(config["home"], config["private"], config["everywhere"], send)
    tasks: set[asyncio.Task[None]] = set()
    send({"id": 0, "done": sys.version.split()[0]})
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            size = struct.unpack(">I", await reader.readexactly(4))[0]
            task = asyncio.ensure_future(guest.answer(json.loads(await reader.readexactly(size))))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    await guest.end()


def main(config: dict[str, Any]) -> None:
    """Run until whoever started it goes away."""
    asyncio.run(serve(config))
