"""The host's end of the pipe into a sandbox: requests go in, frames come out, and nothing that they say is believed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import orjson

from agentnb.errors import SandboxError
from agentnb.messages import JSON, JSONObject
from agentnb.render.terminal import one_line
from agentnb.sandbox import watch
from agentnb.sandbox.launch import Launch

_START = 30.0
#: Bytes of one frame, and of all frames that answer one request, at most.
_LONGEST, _MOST = 32 << 20, 96 << 20
_COMPLAINT = 4000


class Died(SandboxError):
    """The program of a sandbox has ended, or was ended."""


@dataclass(slots=True)
class _Call:
    frames: asyncio.Queue[JSONObject | None] = field(default_factory=asyncio.Queue)
    taken: int = 0


class Channel:
    """A running program. It answers many requests at once; when it ends, each of them raises Died."""

    def __init__(self, process: Process, transport: asyncio.SubprocessTransport, launch: Launch) -> None:
        self._process = process
        self._transport = transport
        self._launch = launch
        self._calls: dict[int, _Call] = {}
        self._number = 0
        self._why = ""
        self._complaint = b""
        self._answered = False
        self.loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[JSON] = self.loop.create_future()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    @classmethod
    async def open(cls, launch: Launch) -> Channel:
        """Start the program, and wait until it answers. Raises Died."""
        loop = asyncio.get_running_loop()
        try:
            # What `create_subprocess_exec` does, but with the transport: only it closes pipes that others hold open.
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(1 << 16, loop),
                *launch.argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(launch.env),
                pass_fds=launch.fds,
                cwd="/",
                # ^C in a terminal is the notebook's business.
                start_new_session=True,
            )
        except OSError as error:
            launch.ended()
            raise Died(f"{launch.argv[0]} does not start ({error.strerror or error}).") from None
        channel = cls(Process(transport, protocol, loop), transport, launch)
        try:
            await channel._write(launch.payload)
            await asyncio.wait_for(asyncio.shield(channel._ready), _START)
        except TimeoutError:
            channel._why = "it does not answer"
            raise channel._died() from None
        finally:
            if not channel._ready.done() or channel._ready.exception() is not None:
                await channel.close()
        return channel

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the program runs, and the loop that talks to it."""
        return not (self._tasks[0].done() or self.loop.is_closed())

    async def ask(self, op: str, /, **given: JSON) -> JSON:
        """What the program answers to one request. Raises SandboxError."""
        number, call = await self._begin(op, given)
        try:
            while True:
                frame = await self._next(call)
                if "done" in frame:
                    return frame["done"]
        finally:
            self._calls.pop(number, None)

    async def stream(self, op: str, /, **given: JSON) -> AsyncGenerator[tuple[str, JSONObject], None]:
        """The same for a request that is answered bit by bit: kind and content of each, the last one is `done`.

        Closed before its end, it asks the program to stop what it does.
        """
        number, call = await self._begin(op, given)
        ended = False
        try:
            while not ended:
                try:
                    frame = await self._next(call)
                except SandboxError:
                    ended = True
                    raise
                if ended := "done" in frame:
                    done = frame["done"]
                    yield "done", done if isinstance(done, dict) else {}
                else:
                    content = frame.get("content")
                    yield str(frame.get("kind")), content if isinstance(content, dict) else {}
        finally:
            if ended:
                self._calls.pop(number, None)
            else:
                self._abandon(number, call)

    async def close(self) -> None:
        """End the program, and everything in it."""
        self._kill()
        if self.loop.is_closed():
            self._launch.ended()
            return  # what could be waited for was of a loop that is gone
        await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._transport.close()
        await asyncio.sleep(0)  # its pipes are closed in the loop's next round
        if self._ready.done():
            self._ready.exception()

    def kill(self, why: str) -> None:
        """End the program for this reason, which everyone who waits for it is told."""
        self._why = self._why or why
        self._kill()

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        # Not `Popen.kill`: it would take the exit code away from asyncio, which then says that the child is unknown.
        for pid in [self._process.pid] if self._launch.contained else list(watch.descendants(self._process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _abandon(self, number: int, call: _Call) -> None:
        """Nobody waits for this answer any more; what still comes of it is thrown away."""
        self._number += 1
        stop = self._calls[self._number] = _Call()
        call.frames = stop.frames = _Dropped()
        frame = orjson.dumps({"id": self._number, "op": "stop", "target": number})
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(struct.pack(">I", len(frame)) + frame)

    async def _begin(self, op: str, given: JSONObject) -> tuple[int, _Call]:
        if not self.alive:
            raise self._died()
        self._number += 1
        call = self._calls[self._number] = _Call()
        frame = orjson.dumps({"id": self._number, "op": op, **given})
        await self._write(struct.pack(">I", len(frame)) + frame)
        return self._number, call

    async def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # that it has ended is said where the answer is awaited
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def _next(self, call: _Call) -> JSONObject:
        frame = await call.frames.get()
        if frame is None:
            raise self._died()
        if "error" in frame:
            raise SandboxError(one_line(str(frame["error"]), 500))
        return frame

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                size = struct.unpack(">I", await self._process.stdout.readexactly(4))[0]
                if size > _LONGEST:
                    return self.kill("it sent more than it may")
                self._take(await self._process.stdout.readexactly(size))
        except asyncio.IncompleteReadError:
            pass
        finally:
            await self._end()

    def _take(self, data: bytes) -> None:
        try:
            frame = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self.kill("it sent what is no JSON")
        number = frame.get("id") if isinstance(frame, dict) else None
        if not isinstance(number, int):
            return self.kill("it sent what is no answer")
        if number == 0 and not self._ready.done():
            self._answered = True
            return self._ready.set_result(None)
        call = self._calls.get(number)
        if call is None:
            return None  # of a request that is over
        call.taken += len(data)
        if call.taken > _MOST:
            return self.kill("it sent more than it may")
        call.frames.put_nowait(frame)
        if isinstance(call.frames, _Dropped) and ("done" in frame or "error" in frame):
            del self._calls[number]
        return None

    async def _listen(self) -> None:
        """What the program complains of: the reason, where it does not even start."""
        assert self._process.stderr is not None
        while piece := await self._process.stderr.read(4096):
            self._complaint = (self._complaint + piece)[-_COMPLAINT:]

    async def _end(self) -> None:
        self._kill()
        for call in self._calls.values():
            call.frames.put_nowait(None)
        if not self._ready.done():
            await asyncio.wait({self._tasks[1]}, timeout=1)
            self._ready.set_exception(self._died())
        self._launch.ended()

    def _died(self) -> Died:
        # Later on, it is the code inside that writes there.
        said = "" if self._answered else self._complaint.decode("utf-8", "replace").strip()
        last = one_line(said.rpartition("\n")[2], 300)
        return Died(f"The sandbox ended: {self._why or last or 'it was killed from inside'}.")


class _Dropped(asyncio.Queue[JSONObject | None]):
    """Frames that nobody reads."""

    def put_nowait(self, item: JSONObject | None) -> None:
        pass
