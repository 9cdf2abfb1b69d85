"""What a path or bytes hold: a picture, a sound, a document, text, a listing; never more read than is shown."""

from __future__ import annotations

import os
import pathlib

from agentnb.errors import PromptError, nearest
from agentnb.messages import Audio, Content, File, Text
from agentnb.prompting.budget import CHARS_PER_TOKEN, cut, fence, mark
from agentnb.prompting.pictures import audio_type, image_from_bytes, image_type
from agentnb.prompting.plain import size

_SNIFFED = 512
#: A text file longer than this is read at its two ends only.
_READ_WHOLE = 5_000_000
#: More than any provider takes for a document or a sound.
_LARGEST_MEDIUM = 32_000_000
#: A picture may be larger before it is scaled.
_LARGEST_READ = 200_000_000


def path_blocks(value: pathlib.Path, budget: int) -> tuple[Content, ...]:
    """What the file holds. Raises PromptError where it is missing or cannot be read."""
    try:
        if value.is_dir():
            return (Text(_listing(value, budget * CHARS_PER_TOKEN)),)
        if value.exists() and not value.is_file():
            return (Text(f"{value} (neither a file nor a directory)"),)
        return _file_blocks(value, budget)
    except FileNotFoundError:
        raise PromptError(f"No file {str(value)!r}.{_near(value)} Paths begin at {os.getcwd()!r}.") from None
    except OSError as error:
        raise PromptError(f"{str(value)!r} cannot be read: {error.strerror or error}.") from None


def medium_bytes(value: pathlib.Path) -> bytes:
    """All of a file that is a picture or a sound. Raises PromptError where it is missing, no file, or too large."""
    try:
        if not value.is_file() and value.exists():
            raise PromptError(f"{str(value)!r} is no file. Give the path of a file.")
        if (length := value.stat().st_size) > _LARGEST_READ:
            raise PromptError(f"{str(value)!r} has {size(length)}: {size(_LARGEST_READ)} are the most that is read.")
        return value.read_bytes()
    except FileNotFoundError:
        raise PromptError(f"No file {str(value)!r}.{_near(value)} Paths begin at {os.getcwd()!r}.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in a path
        reason = getattr(error, "strerror", None) or error
        raise PromptError(f"{str(value)!r} cannot be read: {reason}.") from None


def _near(path: pathlib.Path) -> str:
    try:
        return nearest(path.name, [name for name in os.listdir(path.parent) if name != path.name])
    except OSError:
        return ""


def _file_blocks(path: pathlib.Path, budget: int) -> tuple[Content, ...]:
    length = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_SNIFFED)
    if length <= _LARGEST_MEDIUM:
        medium = _medium(path, start)
        if medium is not None:
            return (medium,)
    if not length:
        return (Text(f"{path.name} (empty file)"),)
    text = _text(path, length, budget * CHARS_PER_TOKEN - 60)
    if text is None:
        return (Text(f"{path.name} (binary file, {size(length)})"),)
    return (Text(f"{path.name}, {size(length)}:\n{fence(text, path.suffix[1:])}"),)


def _medium(path: pathlib.Path, start: bytes) -> Content | None:
    if image_type(start):
        return image_from_bytes(path.read_bytes(), path.name)
    if kind := audio_type(start):
        return Audio(path.read_bytes(), kind)
    return File(path.name, path.read_bytes(), "application/pdf") if start.startswith(b"%PDF-") else None


def _text(path: pathlib.Path, length: int, room: int) -> str | None:
    """The file's text cut to `room`, or None where it is not text in UTF-8 (or in UTF-16 with a byte order mark)."""
    with path.open("rb") as file:
        if length <= _READ_WHOLE:
            text = decoded(file.read())
            return None if text is None else cut(text, room)
        half = room // 2
        head = decoded(file.read(half), broken=True)
        file.seek(length - half)
        tail = decoded(file.read(), broken=True)
    if head is None or tail is None:
        return None
    return f"{head}\n{mark(length - 2 * half, length, 'bytes')}\n{tail}"


def decoded(data: bytes, *, broken: bool = False) -> str | None:
    """Text of `data`, or None; `broken` allows for characters cut at either end."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        return None
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        if broken and (error.start < 4 or error.start > len(data) - 4):
            return data.decode(errors="replace").strip("\ufffd")
        return None


def _listing(path: pathlib.Path, room: int) -> str:
    with os.scandir(path) as entries:
        found = sorted(entries, key=lambda entry: (not entry.is_dir(), entry.name))
    title = f"directory {path.name or path}, {len(found)} entries:"
    lines = [title]
    room -= len(title) + 50
    for entry in found:
        line = f"{entry.name}/" if entry.is_dir() else f"{entry.name} ({_length(entry)})"
        if (room := room - len(line) - 1) < 0:
            lines.append(mark(len(found) - len(lines) + 1, len(found), "entries"))
            break
        lines.append(line)
    return "\n".join(lines)


def _length(entry: os.DirEntry[str]) -> str:
    try:
        return size(entry.stat().st_size)
    except OSError:  # a dangling link
        return "broken link"


def bytes_blocks(value: bytes | bytearray | memoryview, budget: int) -> tuple[Content, ...]:
    """A picture or a sound as such, a PDF as a file, UTF-8 as text, anything else by its length."""
    data = bytes(value)
    if image_type(data):
        return (image_from_bytes(data, "Image"),)
    if kind := audio_type(data):
        return (Audio(data, kind),)
    if data.startswith(b"%PDF-"):
        return (File("document.pdf", data, "application/pdf"),)
    text = decoded(data)
    if text is None:
        return (Text(f"{type(value).__name__}, {size(len(data))}, starting with {data[:16].hex(' ')}"),)
    return (Text(cut(text, budget * CHARS_PER_TOKEN)),)
