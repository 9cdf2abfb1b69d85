"""The transport to a server that we start: its own process group, long lines in linear time, its last words kept.

The SDK's own reads a line of 100 MB in quadratic time, logs each line that is not JSON, and leaves behind what a
server has started where that ends in time by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import ToolError
from agentnb.mcp import groups
from agentnb.mcp.settings import Settings

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams
    from mcp.shared.message import SessionMessage as Carried
    from mcp_types import JSONRPCMessage

#: Bytes of the longest line a server may send; and between two answers, of messages and of what is none.
LONGEST_LINE, MOST_NOISE, MOST_JUNK = 256 * 2**20, 64 * 2**20, 16 * 2**20
#: Seconds that a server has to end by itself after its input was closed.
_ENDS_BY_ITSELF = 1.0
_CHUNK = 2**18
#: One half of a character beyond the first 65,536, written without the other.
_LONE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F][\da-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F][\da-fA-F]{2}"
)
_LAST_WORDS = 20


class Process:
    """A server's process as the SDK's transport; `groups` holds the groups that must not outlive the kernel.

    `ended` is set when nothing more will come from it; `trouble` says what it did, where it did something wrong.
    """

    def __init__(self, settings: Settings, running: set[int]) -> None:
        self._settings = settings
        self._running = running
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[contextlib.AbstractContextManager[object]] = []
        self._said: deque[str] = deque(maxlen=_LAST_WORDS)
        self.ended = asyncio.Event()
        self.trouble = ""

    @property
    def pid(self) -> int | None:
        """Its process, and the group that it leads."""
        return self._process.pid if self._process else None

    def last_words(self) -> str:
        """The last line that it wrote to its standard error, or an empty text."""
        return next((line for line in reversed(self._said) if line.strip()), "")

    def fate(self) -> str:
        """What became of it: "exited (code 1): last line"."""
        code = self._process.returncode if self._process else None
        if self.trouble:
            said = self.trouble
        elif code is None:
            said = "closed its output"
        else:
            said = f"exited (code {code})" if code >= 0 else f"was killed (signal {-code})"
        return f"{said}: {words}" if (words := self.last_words()) else said

    async def __aenter__(self) -> TransportStreams:
        import anyio
        from mcp.shared.message import SessionMessage

        settings = self._settings
        self._process = await _start(settings)
        self._running.add(self._process.pid)
        # Without bounds towards the server: one that does not read must not hold up a cancellation.
        sent, to_send = anyio.create_memory_object_stream[SessionMessage](math.inf)
        arriving, arrived = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        self._streams = [sent, to_send, arriving, arrived]
        self._tasks = [
            asyncio.create_task(self._read(self._process, arriving)),
            asyncio.create_task(self._write(self._process, to_send)),
            asyncio.create_task(self._listen(self._process)),
        ]
        return arrived, sent

    async def __aexit__(self, *error: object) -> None:
        process = self._process
        if process is None:
            return
        try:
            if process.stdin:
                process.stdin.close()
            await _exited(process, _ENDS_BY_ITSELF)
        finally:
            try:
                # Also where it has ended by itself: what it has started may live on.
                await groups.end(process.pid)
                await _exited(process, _ENDS_BY_ITSELF)
            finally:
                self._running.discard(process.pid)
                await self._let_go(process)

    async def settled(self) -> None:
        """Wait until its end is known, for a moment at most: the pipe closes before the process is reaped."""
        if self._process:
            await _exited(self._process, _ENDS_BY_ITSELF)

    async def _let_go(self, process: asyncio.subprocess.Process) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            stream.__exit__(None, None, None)
        # A process that left the group may hold a pipe open; asyncio has no public way to close its end.
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()
        await asyncio.sleep(0)

    async def _read(
        self, process: asyncio.subprocess.Process, arriving: MemoryObjectSendStream[Carried | Exception]
    ) -> None:
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp_types import JSONRPCError, JSONRPCResponse

        assert process.stdout is not None  # it is a pipe
        noise = junk = 0
        try:
            async for line in _lines(process.stdout):
                junk += len(line)
                if (message := _message(line)) is not None:
                    junk, noise = junk - len(line), noise + len(line)
                    if isinstance(message, JSONRPCResponse | JSONRPCError):
                        noise = junk = 0
                    await arriving.send(SessionMessage(message))
                if junk > MOST_JUNK or noise > MOST_NOISE:
                    raise ToolError(f"floods its output: {max(junk, noise) / 1e6:,.0f} MB that answer nothing")
        except ToolError as error:
            self.trouble = str(error)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the session has ended
        finally:
            arriving.close()
            self.ended.set()

    async def _write(self, process: asyncio.subprocess.Process, to_send: MemoryObjectReceiveStream[Carried]) -> None:
        assert process.stdin is not None  # it is a pipe
        with contextlib.suppress(OSError):  # it has ended, or closed its input: then it cannot be asked any more
            async for message in to_send:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode("utf-8", "replace") + b"\n")
                await process.stdin.drain()
        self.ended.set()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # it is a pipe
        async for line in _lines(process.stderr, cut=True):
            self._said.append(line[:500].decode("utf-8", "replace").rstrip())


async def _start(settings: Settings) -> asyncio.subprocess.Process:
    """Start the server. Raises ToolError that says why it cannot be."""
    assert settings.command is not None  # the settings of a process
    try:
        return await asyncio.create_subprocess_exec(
            settings.command,
            *settings.args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(settings.env),
            cwd=Path(settings.cwd).expanduser() if settings.cwd else None,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ToolError(_cannot_start(settings, error)) from error


def _cannot_start(settings: Settings, error: Exception) -> str:
    if settings.cwd and not Path(settings.cwd).expanduser().is_dir():
        return f"cannot start: there is no folder {settings.cwd!r} (its cwd)"
    if isinstance(error, FileNotFoundError):
        return f"cannot start: no command {settings.command!r}. Install it, or give its full path"
    return f"cannot start {settings.command!r}: {getattr(error, 'strerror', None) or error}"


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """The short list that servers inherit, with the notebook's own programs found first, as by %pip; then its own."""
    from mcp.client.stdio import get_default_environment

    env = get_default_environment()
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return env | dict(own)


async def _lines(stream: asyncio.StreamReader, *, cut: bool = False) -> AsyncGenerator[bytes, None]:
    """The lines of a stream. Raises ToolError for one that is too long, or leaves out what it has too much (`cut`)."""
    pieces: list[bytes] = []
    size = 0
    while chunk := await stream.read(_CHUNK):
        first, *rest = chunk.split(b"\n")
        pieces.append(first)
        size += len(first)
        if rest:
            yield b"".join(pieces)
            for line in rest[:-1]:
                yield line
            pieces, size = [rest[-1]], len(rest[-1])
        if cut and size > _CHUNK:
            pieces, size = pieces[:1], len(pieces[0])
        elif size > LONGEST_LINE:
            raise ToolError(f"sent a line of more than {LONGEST_LINE / 2**20:.0f} MiB")
    if pieces != [b""] and pieces:
        yield b"".join(pieces)


def _message(line: bytes) -> JSONRPCMessage | None:
    """The message of a line; None for anything else, as servers print what they like."""
    if not line[:80].lstrip().startswith(b"{"):
        return None
    with contextlib.suppress(ValueError):
        return _parsed(line)
    with contextlib.suppress(ValueError):
        # In bad UTF-8, or with half a character in it, it is still an answer that somebody waits for.
        return _parsed(_LONE.sub(r"\\ufffd", line.decode("utf-8", "replace")))
    return None


def _parsed(text: bytes | str) -> JSONRPCMessage:
    from mcp_types import jsonrpc_message_adapter
    from pydantic_core import from_json

    # First the JSON alone: the adapter would parse it for each kind of message, a second for 100 MB.
    return jsonrpc_message_adapter.validate_python(from_json(text), by_name=False)


async def _exited(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether it ends in time. Its `wait` would wait for the pipes too, which others may hold open."""
    for _ in range(int(seconds / 0.01)):
        if process.returncode is not None:
            return True
        await asyncio.sleep(0.01)
    return process.returncode is not None
