"""Files and processes as the program inside a sandbox serves them: requests go to it, answers are checked."""

from __future__ import annotations

import builtins
from base64 import b64decode, b64encode
from collections.abc import Awaitable
from typing import Protocol

from agentnb.errors import SandboxError
from agentnb.messages import JSON, JSONObject
from agentnb.render.terminal import clean, one_line
from agentnb.sandbox.base import MIB, Context, Entry, Kind, Process

#: Bytes that go through the pipe in one frame.
PIECE = MIB
_KINDS: tuple[Kind, ...] = ("file", "directory", "link", "other")


class Ask(Protocol):
    """Sends a request into the sandbox."""

    def __call__(self, op: str, /, **given: JSON) -> Awaitable[JSON]: ...


class ServedFiles:
    """The files that the program sees."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def read(self, path: str, limit: int = 64 * MIB) -> bytes:
        data, size = b"", 1
        while len(data) < size:
            answer = _object(await self._ask("files.read", path=path, offset=len(data), size=min(PIECE, limit + 1)))
            piece, size = decoded(answer.get("data")), _whole(answer.get("size"))
            if size > limit or len(data) + len(piece) > limit:
                raise SandboxError(f"{path} has {size:,} bytes, more than the {limit:,} that are read at once.")
            data += piece
            if len(piece) < PIECE:
                break
        return data

    async def write(self, path: str, data: bytes) -> None:
        for offset in range(0, max(len(data), 1), PIECE):
            piece = b64encode(data[offset : offset + PIECE]).decode()
            await self._ask("files.write", path=path, data=piece, append=offset > 0)

    async def list(self, path: str = ".") -> builtins.list[Entry]:
        found = await self._ask("files.list", path=path)
        return [parse_entry(each) for each in found] if isinstance(found, list) else []

    async def stat(self, path: str) -> Entry:
        return parse_entry(await self._ask("files.stat", path=path))

    async def mkdir(self, path: str) -> None:
        await self._ask("files.mkdir", path=path)

    async def move(self, source: str, target: str) -> None:
        await self._ask("files.move", source=source, target=target)

    async def remove(self, path: str) -> None:
        await self._ask("files.remove", path=path)


class ServedProcesses:
    """The processes that the program started."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def start(self, command: str, cwd: str | None = None) -> Process:
        return parse_process(await self._ask("processes.start", command=command, cwd=cwd))

    async def list(self) -> builtins.list[Process]:
        found = await self._ask("processes.list")
        return [parse_process(each) for each in found] if isinstance(found, list) else []

    async def get(self, pid: int) -> Process:
        return parse_process(await self._ask("processes.get", pid=pid))

    async def kill(self, pid: int) -> Process:
        return parse_process(await self._ask("processes.kill", pid=pid))


def decoded(value: JSON) -> bytes:
    """Bytes, from base64. Raises SandboxError for anything else."""
    try:
        return b64decode(value if isinstance(value, str) else "?", validate=True)
    except ValueError:
        raise SandboxError("The sandbox answered what makes no sense.") from None


def parse_context(value: JSON) -> Context:
    """What is said of a context."""
    said = _object(value)
    return Context(one_line(str(said.get("name")), 64), one_line(str(said.get("cwd")), 1000), said.get("busy") is True)


def parse_entry(value: JSON) -> Entry:
    """What is said of a file."""
    said = _object(value)
    kind = next((kind for kind in _KINDS if kind == said.get("kind")), _KINDS[-1])
    modified = said.get("modified")
    when = float(modified) if isinstance(modified, (int, float)) else 0.0
    return Entry(one_line(str(said.get("path")), 4000), kind, _whole(said.get("size")), when)


def parse_process(value: JSON) -> Process:
    """What is said of a process."""
    said = _object(value)
    code = said.get("code")
    return Process(
        _whole(said.get("pid")),
        one_line(str(said.get("command")), 2000),
        said.get("running") is True,
        code if isinstance(code, int) else None,
        clean(str(said.get("output") or "")),
    )


def _object(value: JSON) -> JSONObject:
    if not isinstance(value, dict):
        raise SandboxError("The sandbox answered what makes no sense.")
    return value


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
