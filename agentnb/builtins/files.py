"""`read_file`, `write_file`, `edit_file`: each change of a file is shown before it is made, and can be undone."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import BinaryIO, ClassVar

from agentnb.builtins.declared import BuiltIn
from agentnb.builtins.diffs import LEFT_OUT, unified
from agentnb.builtins.folder import Folder
from agentnb.builtins.picture import picture
from agentnb.builtins.undo import Undo
from agentnb.errors import ToolError
from agentnb.messages import Content, JSONObject, Text
from agentnb.prompting.pictures import image_type
from agentnb.prompting.plain import plural, size
from agentnb.sniff import SNIFFED, media_type
from agentnb.tools.base import Approval, ToolContext, ToolReturn

#: Lines of a file that are read where no limit is given, and characters: of all of them, and of one.
_LINES, _ROOM, _WIDE = 2_000, 40_000, 2_000
_NOT_ALL = "Not all of this change is shown below, for it is long: read the whole of it under Edit, or deny it."
#: So many files that a person was asked about are remembered.
_QUESTIONS = 64
#: Bytes: of a file that is edited or written, of a picture, and of what is looked through to find a line.
EDITED, _PICTURE, _SCANNED = 10_000_000, 50_000_000, 500_000_000


class ReadFile(BuiltIn):
    """Reads text, with line numbers, and pictures."""

    name = "read_file"
    approval: ClassVar[Approval] = "always"

    def __init__(self, folder: Folder) -> None:
        self.parallel = True
        self._folder = folder

    async def run(self, context: ToolContext, path: str, offset: int = 1, limit: int = _LINES) -> ToolReturn:  # noqa: ARG002
        """Read a file of the workspace folder: text with line numbers, or a picture.

        Args:
            path: The file, from the workspace folder on.
            offset: The first line to read, counted from 1.
            limit: How many lines to read at most.
        """
        if offset < 1 or limit < 1:
            raise ToolError("offset and limit are whole numbers from 1 on")
        return ToolReturn(await asyncio.to_thread(self._read, path, offset, limit))

    def _read(self, path: str, offset: int, limit: int) -> tuple[Content, ...]:
        with self._folder.reading(path) as file:
            head = file.read(8_192)
            if image_type(head[:SNIFFED]):
                return (picture(head + file.read(_PICTURE), path),)
            if kind := _binary(head):
                length = size(os.fstat(file.fileno()).st_size)
                raise ToolError(f"{path!r} is no text but {kind}, {length}. Use python to read it.")
            file.seek(0)
            return (Text(_numbered(file, path, offset, limit)),)


def _binary(head: bytes) -> str | None:
    """What kind of binary a file is by its beginning; None for text."""
    return media_type(head[:SNIFFED]) or ("binary data" if b"\0" in head else None)


def _numbered(file: BinaryIO, path: str, offset: int, limit: int) -> str:
    lines: list[str] = []
    number, room = 0, _ROOM
    while line := _line(file, path):
        number += 1
        if number < offset:
            continue
        text = f"{number:>6}\t{line.rstrip()}"
        if len(lines) == limit or len(text) > room:
            lines.append(f"… more lines follow: read on with offset={number} …")
            break
        lines.append(text)
        room -= len(text)
    if not lines:
        has = "is empty" if number == 0 else f"has {plural(number, 'line')}, so line {offset} is beyond its end"
        return f"({path} {has})"
    return "\n".join(lines)


def _line(file: BinaryIO, path: str) -> str:
    """The next line, cut where it is too wide; empty at the end."""
    piece = file.readline(4 * _WIDE)
    whole, total = piece, len(piece)
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(1_000_000)
        total += len(piece)
        if file.tell() > _SCANNED:
            raise ToolError(f"{path!r} is too long to look through: {size(_SCANNED)} were. Use python or search_files.")
    text = whole.decode("utf-8", "replace")
    left_out = total - len(whole)
    return f"{text[:_WIDE]} … line goes on …\n" if left_out or len(text) > _WIDE + 1 else text


class WriteFile(BuiltIn):
    """Writes whole files."""

    name = "write_file"

    def __init__(self, folder: Folder, undo: Undo) -> None:
        self._folder = folder
        self._undo = undo
        self._seen = _Seen()

    async def run(self, context: ToolContext, path: str, content: str) -> ToolReturn:
        """Write a text file of the workspace folder: a new one, or in place of all that is in it.

        Args:
            path: The file, from the workspace folder on; folders are made as needed.
            content: All that the file shall hold.
        """
        old, new = await asyncio.to_thread(_before, self._folder, path), _encoded(content, path)
        self._seen.check(context, path, old)
        await asyncio.to_thread(write, self._folder, self._undo, path, old, new, self.name)
        what = "Created" if old is None else "Replaced"
        return ToolReturn((Text(f"{what} {path}: {plural(content.count(chr(10)) + 1, 'line')}, {size(len(new))}."),))

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """What would change, as a diff."""
        given = self.checked(arguments, context)
        path, content = str(given["path"]), str(given["content"])
        _encoded(content, path)
        old = await asyncio.to_thread(_before, self._folder, path)
        self._seen.note(context, path, old)
        if old is not None and _binary(old[:8_192]):
            return (Text(f"{path} is no text, {size(len(old))}; all of it would be replaced by:\n{content[:_ROOM]}"),)
        return _shown_diff(path, None if old is None else old.decode("utf-8", "replace"), content)


class EditFile(BuiltIn):
    """Replaces a piece of a file."""

    name = "edit_file"

    def __init__(self, folder: Folder, undo: Undo) -> None:
        self._folder = folder
        self._undo = undo
        self._seen = _Seen()

    async def run(self, context: ToolContext, path: str, old: str, new: str, all: bool = False) -> ToolReturn:  # noqa: A002
        """Replace a piece of a text file of the workspace folder. Read the file first.

        Args:
            path: The file, from the workspace folder on.
            old: The text to replace, exactly as it is in the file, with enough around it to be there only once.
            new: The text to put in its place.
            all: Replace it everywhere, however often it is there.
        """
        before, after, count = await asyncio.to_thread(self._edited, path, old, new, all)
        self._seen.check(context, path, before)
        await asyncio.to_thread(write, self._folder, self._undo, path, before, after, self.name)
        return ToolReturn((Text(f"Edited {path}: {plural(count, 'place')} changed."),))

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        """What would change, as a diff. Raises ToolError where `old` is not there, or not only once."""
        given = self.checked(arguments, context)
        path, everywhere = str(given["path"]), bool(given.get("all"))
        old, new = str(given["old"]), str(given["new"])
        before, after, _ = await asyncio.to_thread(self._edited, path, old, new, everywhere)
        self._seen.note(context, path, before)
        return _shown_diff(path, before.decode(), after.decode())

    def _edited(self, path: str, old: str, new: str, everywhere: bool) -> tuple[bytes, bytes, int]:
        """The file before and after, and in how many places they differ."""
        before = self._folder.read(path, EDITED)
        try:
            text = before.decode()
        except UnicodeDecodeError:
            raise ToolError(f"{path!r} is no UTF-8 text, so it cannot be edited. Use python.") from None
        if not old:
            raise ToolError("old is empty: give the text to replace, or use write_file")
        if old not in text and "\r\n" in text:
            old, new = (piece.replace("\r\n", "\n").replace("\n", "\r\n") for piece in (old, new))
        if old == new:
            raise ToolError("old and new are the same: nothing would change")
        count = text.count(old)
        if count == 0:
            raise ToolError(f"old is not in {path!r}. It must match exactly, spaces and line ends too: read the file.")
        if count > 1 and not everywhere:
            raise ToolError(f"old is in {path!r} {count} times. Give more of what is around it, or all=true.")
        return before, _encoded(text.replace(old, new), path), count


class _Seen:
    """What files held when a person was shown what a call would change in them: it is done to that, or not at all."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], bytes] = {}

    def note(self, context: ToolContext, path: str, held: bytes | None) -> None:
        """Remember it for this call."""
        self._held[context.call_id, path] = _digest(held)
        while len(self._held) > _QUESTIONS:  # those that were refused
            del self._held[next(iter(self._held))]

    def check(self, context: ToolContext, path: str, holds: bytes | None) -> None:
        """Raises ToolError where the file is another by now."""
        seen = self._held.pop((context.call_id, path), None)
        if seen is not None and seen != _digest(holds):
            raise ToolError(
                f"{path!r} was changed by something else while the person was asked, so nothing was written. "
                "Read it again."
            )


def _digest(held: bytes | None) -> bytes:
    return b"" if held is None else hashlib.sha256(held).digest()


def _encoded(content: str, path: str) -> bytes:
    try:
        data = content.encode()
    except UnicodeEncodeError:
        raise ToolError(f"the content for {path!r} has characters that no file can hold (lone surrogates)") from None
    if len(data) > EDITED:
        raise ToolError(f"{path!r} would have {size(len(data))}; {size(EDITED)} are the most. Use python.")
    return data


def _before(folder: Folder, path: str) -> bytes | None:
    """What a file holds; None where there is none."""
    return folder.read(path, EDITED) if folder.exists(path) else None


def _shown_diff(path: str, old: str | None, new: str) -> tuple[Content, ...]:
    diff = unified(path, old, new)
    shown = Text(diff or f"{path} holds this already: nothing would change.")
    # Said first: nobody reads to the end of what is long.
    return (Text(_NOT_ALL), shown) if LEFT_OUT in diff else (shown,)


def write(folder: Folder, undo: Undo, path: str, old: bytes | None, new: bytes, tool: str) -> None:
    """Write a file whose content was `old`, and remember how to take that back. Raises ToolError."""
    if _before(folder, path) != old:
        raise ToolError(f"{path!r} was changed by something else meanwhile. Read it again.")
    folder.write(path, new)
    undo.push(FileStep(folder, path, old, hashlib.sha256(new).digest(), f"{tool} ({path})"))


class FileStep:
    """A file that was written: what it held before, and the digest of what was written."""

    def __init__(self, folder: Folder, path: str, old: bytes | None, written: bytes, label: str) -> None:
        self.label = label
        # The folder as it is now: the kernel may go to another.
        self._folder = Folder(folder.root)
        self._path = path
        self._old = old
        self._written = written

    def undo(self) -> list[str]:
        """Put the file back, unless something else has changed it since."""
        try:
            now = _before(self._folder, self._path)
            if now is None or hashlib.sha256(now).digest() != self._written:
                return [f"Left {self._path} alone, because it has changed since."]
            if self._old is None:
                self._folder.remove(self._path)
                return [f"Removed {self._path}."]
            self._folder.write(self._path, self._old)
        except ToolError as error:
            return [f"{self._path} could not be put back: {error}."]
        return [f"Put back {self._path} as it was."]
