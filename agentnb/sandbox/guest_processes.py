"""Processes, as the program inside a sandbox runs them. Standard library only: its source is sent there."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from agentnb.sandbox.guest_files import Refused

#: Characters of a process's output that are kept: the last ones.
KEPT = 200_000
#: Processes that are remembered after they have ended.
REMEMBERED = 200
_PIECE = 1 << 16
#: Seconds for the last output after the end.
_DRAIN = 0.3


class Running:
    """A shell command with a process group of its own, and the end of what it wrote."""

    def __init__(self, command: str, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self.process = process
        self.output = ""
        self._followers: list[Callable[[str], None]] = []
        self.done = asyncio.ensure_future(self._read())

    async def _read(self) -> int:
        reading = asyncio.ensure_future(self._pump())
        code = await self.process.wait()
        # What it left running in the background may hold the pipe for ever.
        await asyncio.wait({reading}, timeout=_DRAIN)
        return code

    async def _pump(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        assert self.process.stdout is not None
        while piece := await self.process.stdout.read(_PIECE):
            self._add(decoder.decode(piece))
        self._add(decoder.decode(b"", True))

    def _add(self, text: str) -> None:
        self.output = (self.output + text)[-KEPT:]
        for follower in self._followers:
            follower(text)

    def follow(self, follower: Callable[[str], None]) -> None:
        """Call this with every piece that it writes."""
        self._followers.append(follower)

    def end(self) -> None:
        """Kill it, and what it has started."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def about(self, *, output: bool = False) -> dict[str, Any]:
        """What is told of it."""
        code = self.process.returncode
        said = {"pid": self.process.pid, "command": self.command, "running": code is None, "code": code}
        return {**said, "output": self.output} if output else said


class Processes:
    """Those that were started here."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._known: dict[int, Running] = {}

    async def begin(self, command: str, cwd: str | None) -> Running:
        """Start a shell command. Raises OSError where the system refuses."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            command,
            cwd=cwd or self._home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return Running(command, process)

    async def start(self, command: str, cwd: str | None) -> dict[str, Any]:
        """Start one, and remember it."""
        running = await self.begin(command, cwd)
        self._known[running.process.pid] = running
        for pid in [pid for pid, each in self._known.items() if each.done.done()][:-REMEMBERED]:
            del self._known[pid]
        return running.about()

    def list(self) -> list[dict[str, Any]]:
        """All that are remembered."""
        return [running.about() for running in self._known.values()]

    def get(self, pid: int) -> dict[str, Any]:
        """One, with its output."""
        return self._find(pid).about(output=True)

    async def kill(self, pid: int) -> dict[str, Any]:
        """End one, and wait until it has."""
        running = self._find(pid)
        running.end()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(running.done), 5)
        return running.about(output=True)

    def end(self) -> None:
        """Kill them all."""
        for running in self._known.values():
            running.end()

    def _find(self, pid: int) -> Running:
        if pid not in self._known:
            raise Refused(f"no process {pid} was started here")
        return self._known[pid]
