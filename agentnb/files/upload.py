"""Files brought in piece by piece, so that an upload can pause, go on and try again: checked, and whole or not there.

`init` says in which chunks a file comes, `put` takes a chunk or a piece of one, `complete` gives the file its name.
Until then it is `.uploading-ID` beside where it will be; what a kernel that died left there goes after a day.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from agentnb.builtins.folder import Folder
from agentnb.errors import UsageError
from agentnb.files.chunks import MAX_THREADS, PARALLEL_SIZE, Chunk, Plan, divided
from agentnb.files.place import UPLOADING, check_name, free_name, is_full, reason, resolve
from agentnb.prompting.plain import plural, size

#: Bytes that stay free on the disk: a full one stops the notebook as well.
_SPARE = 16 * 1024 * 1024
#: Seconds after which a file that still comes in, and was not touched, has no sender any more.
STALE = 86_400.0
#: So many ended uploads are remembered, for senders that did not hear the answer.
_REMEMBERED = 200

State: TypeAlias = Literal["open", "done", "cancelled"]


class UploadError(UsageError):
    """An upload cannot begin, go on or end. `code` is one of the words of a served upload: UPLOAD_NOT_FOUND, …"""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Received:
    """How many bytes of a chunk are there, from its beginning on; `uploaded` is all of them."""

    received: int
    status: Literal["uploading", "uploaded"]


@dataclass(slots=True)
class _Upload:
    plan: Plan
    file_name: str
    file_size: int
    part: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    received: list[int] = field(default_factory=list)
    state: State = "open"
    path: str = ""


class Uploads:
    """The uploads into one workspace folder. Safe from any thread; every method raises UploadError with its `code`."""

    def __init__(
        self,
        folder: Folder,
        *,
        parallel_size: int = PARALLEL_SIZE,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._parallel_size = parallel_size
        self._free = free
        self._clock = clock
        self._uploads: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def init(self, file_name: str, file_size: int, target_path: str = "") -> Plan:
        """Begin: the file will be in the folder `target_path` of the workspace, which is made where it is missing.

        A file of that name that is there already stays; the new one gets another name.
        """
        if isinstance(file_size, bool) or not isinstance(file_size, int) or file_size < 0:
            raise UploadError("INVALID_REQUEST", "The size of a file is a whole number of bytes, 0 or more.")
        try:
            check_name(file_name)
        except UsageError as error:
            raise UploadError("INVALID_REQUEST", str(error)) from None
        parent = self._target(target_path)
        upload_id = secrets.token_hex(8)
        chunks = divided(file_size, self._parallel_size)
        plan = Plan(upload_id, self._parallel_size, MAX_THREADS, len(chunks), chunks)
        upload = _Upload(plan, file_name, file_size, parent / f"{UPLOADING}{upload_id}", received=[0] * len(chunks))
        with self._told(file_name):
            parent.mkdir(parents=True, exist_ok=True)
            self._sweep(parent)
            if file_size and self._free(parent) < file_size + _SPARE:
                raise UploadError(
                    "NO_SPACE",
                    f"{file_name!r} has {size(file_size)}, and the disk has {size(self._free(parent))} left. "
                    "Make room, then try again.",
                )
            with open(upload.part, "xb"):
                pass
        with self._lock:
            self._uploads[upload_id] = upload
            ended = [key for key, each in self._uploads.items() if each.state != "open"]
            for key in ended[: max(0, len(ended) - _REMEMBERED)]:
                del self._uploads[key]
        return plan

    def _target(self, target_path: str) -> Path:
        parts = target_path.replace("\\", "/").removesuffix("/").split("/") if target_path else []
        wrong = os.path.isabs(target_path) or target_path.startswith("/") or {".", "..", ""} & set(parts)
        try:
            if wrong:
                raise UsageError(
                    f"{target_path[:200]!r} is not a folder from the workspace folder on, without . and .."
                )
            for part in parts:
                check_name(part)
            real = resolve(self.folder, "/".join(parts) or ".")
        except UsageError as error:
            raise UploadError("INVALID_TARGET_PATH", str(error)) from None
        if os.path.exists(real) and not os.path.isdir(real):
            raise UploadError("INVALID_TARGET_PATH", f"{target_path[:200]!r} is a file. Give a folder.")
        return real

    def put(
        self,
        upload_id: str,
        parallel_id: int,
        data: bytes | memoryview,
        *,
        offset: int = 0,
        crc32: int | None = None,
        chunk_size: int | None = None,
        file_size: int | None = None,
    ) -> Received:
        """Take a piece of a chunk: `offset` counts from the chunk's beginning, and may leave no gap.

        `crc32` is of the piece; `chunk_size` and `file_size`, where they are given, must be those of the plan. What
        was sent before may be sent again.
        """
        upload = self._open(upload_id)
        chunk = next((each for each in upload.plan.chunks if each.parallel_id == parallel_id), None)
        if chunk is None:
            raise UploadError("CHUNK_NOT_FOUND", f"{upload.file_name!r} has no chunk {parallel_id!r:.40}.")
        at = upload.plan.chunks.index(chunk)
        _check_sizes(chunk, len(data), offset, chunk_size)
        if file_size is not None and file_size != upload.file_size:
            raise UploadError("CHUNK_SIZE_MISMATCH", f"{upload.file_name!r} began with another size. Send it anew.")
        if crc32 is not None and zlib.crc32(data) != crc32:
            raise UploadError("CHECKSUM_MISMATCH", "A piece was damaged on its way. Send it again.")
        with upload.lock:
            self._check_open(upload)
            if offset > upload.received[at]:
                raise UploadError(
                    "CHUNK_SIZE_MISMATCH",
                    f"A piece is missing: chunk {parallel_id} goes on at {upload.received[at]}, not at {offset}.",
                )
            with self._told(upload.file_name), _writable(upload.part) as file:
                file.seek(chunk.offset + offset)
                file.write(data)
            upload.received[at] = max(upload.received[at], offset + len(data))
            return _received(upload.received[at], chunk)

    def status(self, upload_id: str) -> tuple[Received, ...]:
        """How far each chunk is, in the plan's order: where a sender goes on."""
        upload = self._open(upload_id)
        return tuple(map(_received, upload.received, upload.plan.chunks))

    def complete(self, upload_id: str) -> str:
        """Give the file its name, once all of it is there; its path in the workspace. A second time changes nothing."""
        upload = self._find(upload_id)
        with upload.lock:
            if upload.state == "done":
                return upload.path
            self._check_open(upload)
            missing = sum(chunk.size for chunk in upload.plan.chunks) - sum(upload.received)
            if missing:
                raise UploadError("UPLOAD_NOT_READY", f"{plural(missing, 'byte')} of {upload.file_name!r} are missing.")
            with self._told(upload.file_name):
                with _writable(upload.part) as file:
                    if os.fstat(file.fileno()).st_size != upload.file_size:
                        raise UploadError("CHUNK_SIZE_MISMATCH", f"{upload.file_name!r} was changed on its way in.")
                    os.fsync(file.fileno())
                target = _named(upload.part, upload.file_name)
                self._sweep(upload.part.parent)
            upload.state, upload.path = "done", self.folder.relative(target)
        return upload.path

    def cancel(self, upload_id: str) -> None:
        """Leave nothing of it. One that is complete stays."""
        upload = self._find(upload_id)
        with upload.lock:
            if upload.state == "open":
                upload.state = "cancelled"
                with contextlib.suppress(OSError):
                    upload.part.unlink()

    def _find(self, upload_id: str) -> _Upload:
        with self._lock:
            upload = self._uploads.get(upload_id)
        if upload is None:
            raise UploadError("UPLOAD_NOT_FOUND", "This upload is not known (any more). Begin it anew.")
        return upload

    def _open(self, upload_id: str) -> _Upload:
        upload = self._find(upload_id)
        self._check_open(upload)
        return upload

    def _check_open(self, upload: _Upload) -> None:
        if upload.state == "cancelled":
            raise UploadError("UPLOAD_CANCELLED", f"The upload of {upload.file_name!r} was cancelled. Begin it anew.")
        if upload.state == "done":
            raise UploadError("UPLOAD_NOT_FOUND", f"The upload of {upload.file_name!r} is complete already.")

    def _sweep(self, parent: Path) -> None:
        """Remove what others left in a folder: files that came in and were not touched for a day."""
        with self._lock:
            ours = {each.part for each in self._uploads.values() if each.state == "open"}
        for part in parent.glob(f"{UPLOADING}*"):
            with contextlib.suppress(OSError):
                if part not in ours and self._clock() - part.lstat().st_mtime > STALE:
                    part.unlink()

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What the system refuses, as an UploadError."""
        try:
            yield
        except FileNotFoundError:
            raise UploadError("UPLOAD_NOT_FOUND", f"What came of {name!r} is gone. Begin it anew.") from None
        except OSError as error:
            code = "NO_SPACE" if is_full(error) else "WRITE_FAILED"
            raise UploadError(code, f"{name!r} cannot be written: {reason(error)}") from None


def _check_sizes(chunk: Chunk, length: int, offset: int, chunk_size: int | None) -> None:
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise UploadError("INVALID_REQUEST", "The offset of a piece is a whole number of bytes, 0 or more.")
    if not length or offset + length > chunk.size or chunk_size not in (None, chunk.size):
        raise UploadError(
            "CHUNK_SIZE_MISMATCH",
            f"Chunk {chunk.parallel_id} has {plural(chunk.size, 'byte')}; {length} at {offset} are not of it.",
        )


def _received(count: int, chunk: Chunk) -> Received:
    return Received(count, "uploaded" if count == chunk.size else "uploading")


def _writable(part: Path) -> BinaryIO:
    """A file that comes in, open. Neither it nor a folder above it may have become a symlink meanwhile."""
    if os.path.realpath(part.parent) != str(part.parent):
        raise FileNotFoundError(errno.ENOENT, "its folder is another one now")
    plain = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, plain), "r+b")


def _named(part: Path, name: str) -> Path:
    """Give a whole file its name, or the next that is free: none that is there is written over."""
    while True:
        target = part.with_name(free_name(part.parent, name))
        try:
            os.link(part, target)  # unlike a rename, this fails where the name was taken meanwhile
        except FileExistsError:
            continue
        except OSError:  # a disk without links
            os.rename(part, target)
            return target
        part.unlink()
        return target
