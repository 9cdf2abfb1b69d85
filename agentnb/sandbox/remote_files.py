"""The files of a Jupyter server, as its contents API gives them."""

from __future__ import annotations

import builtins
import contextlib
from base64 import b64decode, b64encode
from datetime import datetime
from pathlib import PurePosixPath

from agentnb.errors import SandboxError
from agentnb.messages import JSONObject
from agentnb.render.terminal import one_line
from agentnb.sandbox.base import MIB, Entry, Kind
from agentnb.sandbox.jupyter_server import Server

_KINDS: dict[str, Kind] = {"directory": "directory", "file": "file", "notebook": "file"}


class RemoteFiles:
    """The files of a server, as its contents API gives them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def read(self, path: str, limit: int = 64 * MIB) -> bytes:
        entry = await self.stat(path)
        if entry.kind != "file":
            raise SandboxError(f"{path} is not a file")
        if entry.size > limit:
            raise SandboxError(f"{path} has {entry.size:,} bytes, more than the {limit:,} that are read at once.")
        found = await self._server.request("GET", f"contents/{_place(path)}?type=file&format=base64&content=1")
        content = found.get("content") if isinstance(found, dict) else None
        return b64decode(content) if isinstance(content, str) else b""

    async def write(self, path: str, data: bytes) -> None:
        place = _place(path)
        if "/" in place:
            await self.mkdir(place.rpartition("/")[0])
        body: JSONObject = {"type": "file", "format": "base64", "content": b64encode(data).decode()}
        await self._server.request("PUT", f"contents/{place}", body)

    async def list(self, path: str = ".") -> builtins.list[Entry]:
        found = await self._server.request("GET", f"contents/{_place(path)}?content=1")
        inside = found.get("content") if isinstance(found, dict) else None
        if not isinstance(inside, list):
            raise SandboxError(f"{path} is not a folder")
        return sorted((_entry(each) for each in inside if isinstance(each, dict)), key=lambda each: each.path)

    async def stat(self, path: str) -> Entry:
        found = await self._server.request("GET", f"contents/{_place(path)}?content=0")
        return _entry(found if isinstance(found, dict) else {})

    async def mkdir(self, path: str) -> None:
        parts = PurePosixPath(_place(path)).parts
        for count in range(1, len(parts) + 1):
            await self._server.request("PUT", f"contents/{'/'.join(parts[:count])}", {"type": "directory"})

    async def move(self, source: str, target: str) -> None:
        place = _place(target)
        if "/" in place:
            await self.mkdir(place.rpartition("/")[0])
        await self._server.request("PATCH", f"contents/{_place(source)}", {"path": place})

    async def remove(self, path: str) -> None:
        place = _place(path)
        if not place:
            raise SandboxError("the home folder itself stays")
        if (await self.stat(place)).kind == "directory":
            for entry in await self.list(place):
                await self.remove(entry.path)
        await self._server.request("DELETE", f"contents/{place}")


def _place(path: str) -> str:
    """A path below the server's folder. Raises SandboxError for one that leaves it."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".")]
    if ".." in parts or "\0" in path or any(mark in path for mark in "?#"):
        raise SandboxError(f"{path[:200]!r} is no path below the server's folder")
    return "/".join(parts)


def _entry(said: JSONObject) -> Entry:
    size, when = said.get("size"), 0.0
    with contextlib.suppress(ValueError):
        when = datetime.fromisoformat(str(said.get("last_modified"))).timestamp()
    kind = _KINDS.get(str(said.get("type")), "other")
    return Entry(one_line(str(said.get("path")), 4000), kind, size if isinstance(size, int) else 0, when)
