"""Pictures, sounds and documents as a provider takes them: sniffed, scaled, fetched where it does not fetch."""

from __future__ import annotations

import asyncio
import base64
import binascii
import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from agentnb import sniff
from agentnb.errors import ModelError, UsageError
from agentnb.messages import Audio, Block, Content, File, Image, Message, Text, ToolResult
from agentnb.models.dialect import Limits
from agentnb.models.pictures import picture_within
from agentnb.models.wire import WireCache

Medium: TypeAlias = Image | Audio | File

#: A picture may be larger where it comes from than what is sent of it.
_MOST_FETCHED = 50_000_000
#: A server that gives a byte now and then would hold a run for ever.
_FETCH_SECONDS = 60
#: Other names of a type.
_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/x-png": "image/png",
    "image/heif": "image/heic",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
}


class Fetched(Protocol):
    """What came from an address."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """All of it."""


class Fetcher(Protocol):
    """Whoever fetches: `models.http.Http`."""

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Fetched:
        """At most `limit` bytes from an address. Raises a ModelError."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What became of a message; None: it stays as it is (a message must not keep itself alive)."""

    message: Message | None


class Fitter:
    """Fits the media of conversations to `limits`: each message once, for as long as it lives."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: WireCache[_Kept] = WireCache()

    async def fit(self, messages: tuple[Message, ...], *, http: Fetcher, model: str) -> tuple[Message, ...]:
        """The messages with media that the limits allow; without media, the same tuple.

        A medium of a person's that cannot be sent raises UsageError (`model` is named in it); one that a tool or a
        model made becomes a line of text that says so.
        """
        if not any(map(_has_media, messages)):
            return messages
        work = _Fitting(self._limits, http, model)
        fitted = [await self._fit_one(message, work) if _has_media(message) else message for message in messages]
        return messages if all(new is old for new, old in zip(fitted, messages, strict=True)) else tuple(fitted)

    async def _fit_one(self, message: Message, work: _Fitting) -> Message:
        known = self._known.get(message, "")
        if known is None:
            content = await work.blocks(message.content, strict=message.role in ("user", "system"))
            changed = replace(message, content=content) if content is not None else None
            known = self._known.keep(message, "", _Kept(changed))
        return known.message or message


async def fitted(messages: tuple[Message, ...], limits: Limits, *, http: Fetcher, model: str) -> tuple[Message, ...]:
    """What `Fitter.fit` gives, for once."""
    return await Fitter(limits).fit(messages, http=http, model=model)


def _has_media(message: Message) -> bool:
    return any(
        isinstance(block, (Image, Audio, File))
        or (isinstance(block, ToolResult) and any(isinstance(part, (Image, Audio, File)) for part in block.content))
        for block in message.content
    )


@dataclass(frozen=True, slots=True)
class _Fitting:
    """One round of it."""

    limits: Limits
    http: Fetcher
    model: str

    async def blocks(self, content: Sequence[Block], *, strict: bool) -> tuple[Block, ...] | None:
        """The blocks fitted; None where nothing changes."""
        out: list[Block] = []
        for block in content:
            match block:
                case Image() | Audio() | File() if strict:
                    out.append(await self._medium(block, trusted=True))
                case Image() | Audio() | File():
                    out.append(await self._or_note(block))
                case ToolResult(content=parts):
                    told = [await self._or_note(p) if isinstance(p, (Image, Audio, File)) else p for p in parts]
                    out.append(block if _same(told, parts) else replace(block, content=tuple(told)))
                case _:
                    out.append(block)
        return None if _same(out, content) else tuple(out)

    async def _or_note(self, block: Medium) -> Content:
        try:
            return await self._medium(block, trusted=False)
        except UsageError as reason:
            # The person did not choose what a tool returns: the model is told, the run goes on.
            return Text(f"({reason})")

    async def _medium(self, block: Medium, *, trusted: bool) -> Medium:
        types = _types(block, self.limits)
        if not types:
            raise UsageError(f"{self.model} takes no {_noun(block)}s. Leave it out, or choose another model.")
        if block.url is not None and not block.data:
            if _is_web(block.url) and _keeps_urls(block, self.limits):
                return block
            block = await self._with_bytes(block, block.url, trusted=trusted)
        if isinstance(block, Image):
            return await self._picture(block)
        return self._checked(block, types)

    async def _picture(self, block: Image) -> Image:
        if not block.data:
            raise UsageError(f"{_named(block)} is empty: there is nothing to send to {self.model}.")
        # Decoding and scaling take a moment, in which other runs go on.
        data, kind = await asyncio.to_thread(picture_within, block.data, self.limits, _named(block), self.model)
        if data is block.data and kind == block.media_type:
            return block
        return replace(block, data=data, media_type=kind)

    def _checked(self, block: Audio | File, types: Sequence[str]) -> Audio | File:
        """A sound or a document, as it is; its type is what its bytes say, else what it is labelled."""
        kind = sniff.media_type(block.data) or block.media_type.partition(";")[0].strip().lower()
        if isinstance(block, Audio):
            # A container of films that somebody says is a sound holds nothing else.
            kind = kind.replace("video/", "audio/")
        accepted = _accepted(kind, types)
        if accepted is None:
            raise UsageError(
                f"{_named(block)} is {kind}, which {self.model} does not take. It takes {', '.join(types)}: "
                "convert it, or choose another model."
            )
        most = self.limits.audio_bytes if isinstance(block, Audio) else self.limits.file_bytes
        if not 0 < len(block.data) <= most:
            has = (
                f"{len(block.data) / 1e6:.1f} MB, and {self.model} takes {most / 1e6:.1f} MB" if block.data else "empty"
            )
            raise UsageError(f"{_named(block)} is {has}. Send a shorter one.")
        return block if accepted == block.media_type else replace(block, media_type=accepted)

    async def _with_bytes(self, block: Medium, url: str, *, trusted: bool) -> Medium:
        if url[:5].lower() == "data:":
            data, kind = _from_data_url(url, _named(block))
        else:
            data, kind = await self._fetch(block, url, trusted=trusted), block.media_type
        return replace(block, data=data, media_type=kind or block.media_type, url=None)

    async def _fetch(self, block: Medium, url: str, *, trusted: bool) -> bytes:
        if not _is_web(url):
            raise UsageError(f"{_named(block)} is not at an http(s) address. Give its bytes, or a path.")
        if not trusted and _is_inside(url):
            raise UsageError(f"{_named(block)} is at an address of this machine or network, which is not fetched.")
        most = {Image: max(_MOST_FETCHED, self.limits.image_bytes), Audio: self.limits.audio_bytes}
        limit = most.get(type(block), self.limits.file_bytes)
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                fetched = await self.http.get(url, headers={}, limit=limit)
        except TimeoutError:
            raise UsageError(f"{_named(block)} takes more than {_FETCH_SECONDS} s to fetch. Give its bytes.") from None
        except ModelError as reason:
            raise UsageError(f"{_named(block)} cannot be fetched: {reason}") from reason
        if fetched.status >= 300:
            raise UsageError(f"{_named(block)} cannot be fetched: HTTP {fetched.status}. Check the address.")
        if len(fetched.body) > limit:
            raise UsageError(f"{_named(block)} has more than {limit / 1e6:.0f} MB. Send a smaller one.")
        return fetched.body


def _same(new: Iterable[object], old: Iterable[object]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))


def _types(block: Medium, limits: Limits) -> tuple[str, ...]:
    match block:
        case Image():
            return limits.image_types
        case Audio():
            return limits.audio_types
    return limits.file_types


def _keeps_urls(block: Medium, limits: Limits) -> bool:
    # What takes documents by their address takes sounds so too.
    return limits.image_urls if isinstance(block, Image) else limits.file_urls


def _accepted(kind: str, types: Iterable[str]) -> str | None:
    """The type as the provider writes it, which may be another name of it, or a pattern (`text/*`)."""
    plain = _ALIASES.get(kind, kind)
    for each in types:
        if _ALIASES.get(each, each) == plain:
            return each
        if fnmatch.fnmatchcase(plain, each):
            return plain
    return None


def _noun(block: Medium) -> str:
    return {Image: "picture", Audio: "sound"}.get(type(block), "document")


def _named(block: Medium) -> str:
    """How messages call a medium: "The picture 'Sales by month'"."""
    match block:
        case Image(alt=name) | File(name=name) if name:
            pass
        case _:
            name = (block.url or "") if not (block.url or "").startswith("data:") else ""
    name = " ".join(name.split())
    short = name if len(name) <= 80 else f"{name[:79]}…"
    return f"The {_noun(block)} {short!r}" if short else f"The {_noun(block)}"


def _is_web(url: str) -> bool:
    return url.partition("://")[0].lower() in ("http", "https") and "://" in url


def _is_inside(url: str) -> bool:
    """Whether a host is this machine or one of its own network: nothing that a tool names there is read."""
    try:
        host = (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return True
    if re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2]) and not re.fullmatch(r"[1-9]\d*(\.\d+){3}", host):
        return True  # other ways to write an address, which the C library reads: 127.1, 0x7f.1, 0177.0.0.1
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))


def _from_data_url(url: str, name: str) -> tuple[bytes, str]:
    head, comma, rest = url[5:].partition(",")
    try:
        if not comma:
            raise ValueError
        data = unquote_to_bytes(rest)
        if head.lower().endswith(";base64"):
            data = base64.b64decode(b"".join(data.split()), validate=True)
    except (ValueError, binascii.Error):
        raise UsageError(f"{name} is at a data: address that cannot be decoded. Give its bytes, or a path.") from None
    return data, head.partition(";")[0].strip().lower()
