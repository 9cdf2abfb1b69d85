"""The files that messages name: read where a provider takes bytes only, written for what a tool gave as bytes."""

from __future__ import annotations

import mimetypes
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

from agentnb.errors import UsageError
from agentnb.messages import Audio, Block, File, Image, Message, Text, ToolResult

Kind: TypeAlias = Literal["image", "audio", "video", "file"]
Medium: TypeAlias = Image | Audio | File

_SUBTYPES = {"jpg": "jpeg", "svg": "svg+xml", "tif": "tiff"}
_SUFFIXES = {"jpeg": "jpg", "mpeg": "mp3", "x-wav": "wav", "quicktime": "mov", "svg+xml": "svg"}


class Files(Protocol):
    """Where the files are that messages name."""

    def read(self, address: str) -> bytes | None:
        """The bytes of a file; None for what is no file's address."""

    def save(self, data: bytes, media_type: str) -> str:
        """The address of a new file with these bytes."""


class LocalFiles:
    """The files of this machine; new ones are temporary ones that stay until somebody removes them."""

    def read(self, address: str) -> bytes | None:
        """The bytes at a path or a file: address. Raises UsageError where no picture, sound, film or PDF is."""
        scheme = address.partition(":")[0].lower()
        if scheme == "file":
            address = unquote(urlsplit(address).path)
        elif scheme == "data" or "://" in address:
            return None
        told = mimetypes.guess_type(address)[0] or ""
        if not (told.startswith(("image/", "audio/", "video/")) or told == "application/pdf"):
            # A tool's answer, too, may name a file: a key of the person's must not leave as a "picture".
            raise UsageError(f"{address!r} is not the name of a picture, a sound, a film or a PDF. Give its bytes.")
        try:
            return Path(address).read_bytes()
        except (OSError, ValueError) as reason:
            raise UsageError(f"{address!r} cannot be read ({reason}). Check the path, or give the bytes.") from None

    def save(self, data: bytes, media_type: str) -> str:
        """The path of a new temporary file."""
        subtype = media_type.partition("/")[2].partition(";")[0].strip().lower()
        suffix = _SUFFIXES.get(subtype, subtype)
        # A server may call its media anything: only a plain word becomes part of a path.
        end = f".{suffix}" if suffix.isalnum() else ""
        with tempfile.NamedTemporaryFile(suffix=end, delete=False) as file:
            file.write(data)
        return file.name


def kind_of(medium: Medium) -> Kind:
    """What messages call it."""
    match medium:
        case Image():
            return "image"
        case Audio():
            return "audio"
        case File(media_type=media_type):
            return "video" if media_type.startswith("video/") else "file"


def with_bytes(message: Message, files: Files) -> Message:
    """The message with the bytes of the files that it names. Raises UsageError where one cannot be read."""
    return replace(message, content=tuple(_with_bytes(block, files) for block in message.content))


def shown(medium: Medium, files: Files) -> Medium | Text:
    """What a tool gave, with the bytes of its file, or why it is not there: no person chose it, and the run goes on."""
    try:
        return _loaded(medium, files)
    except UsageError as reason:
        return Text(f"({reason})")


def _with_bytes(block: Block, files: Files) -> Block:
    match block:
        case Image() | Audio() | File():
            return _loaded(block, files)
        case ToolResult(content=content):
            media = (Image, Audio, File)
            return replace(block, content=tuple(shown(b, files) if isinstance(b, media) else b for b in content))
    return block


def _loaded(medium: Medium, files: Files) -> Medium:
    if medium.url is None or (data := files.read(medium.url)) is None:
        return medium
    kind, suffix = kind_of(medium), medium.url.rpartition(".")[2].lower()
    told = kind != "file" and suffix.isalnum()
    media_type = f"{kind}/{_SUBTYPES.get(suffix, suffix)}" if told else medium.media_type
    return replace(medium, data=data, url=None, media_type=media_type)
