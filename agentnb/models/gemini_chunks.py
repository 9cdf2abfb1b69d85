"""The pieces of Gemini's answers: JSON out of a body of either form, media, token counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentnb import messages
from agentnb.messages import JSON, Audio, File, Image
from agentnb.models.documents import Documents
from agentnb.models.openai_chunks import loads_all
from agentnb.models.sse import Decoder

#: In the payload of an Opaque: how many characters before it its signature is about (0: the medium before it).
SIGNS = "signs"
#: What may stand before a bare document (a byte order mark, too), and how one begins, or a web page.
_BLANK, _BARE = b"\xef\xbb\xbf \t\r\n", b"{[<"


class Body:
    """The JSON documents of a body: those of server-sent events, and those that are bare, alone or after events."""

    def __init__(self) -> None:
        self._events = Decoder()
        self._bare: Documents | None = None
        self._line_begins = True

    @property
    def rest(self) -> str:
        """What made no document."""
        return self._bare.rest if self._bare is not None else ""

    def feed(self, block: bytes) -> list[Any]:
        """The documents that these bytes complete."""
        if self._bare is not None:
            return self._bare.feed(block)
        at = self._begin_of_bare(block)
        if at < 0:
            return self._of_events(block)
        before = [*self._of_events(block[:at]), *self.flush()]
        self._bare = Documents()
        return [*before, *self._bare.feed(block[at:])]

    def flush(self) -> list[Any]:
        """At the end of the body: what no blank line completed, where it is whole."""
        if self._bare is not None:
            return self._bare.flush()
        last = self._events.flush()
        return [] if last is None else [each for each in loads_all([last.data]) if isinstance(each, dict)]

    def _begin_of_bare(self, block: bytes) -> int:
        """Where a line begins as no event does, but a document or a page; -1: nowhere."""
        begin = block.lstrip(_BLANK)
        if self._line_begins and begin[:1] in _BARE and begin:
            return len(block) - len(begin)
        self._line_begins = block[-1:] in (b"\n", b"\r") or (self._line_begins and not begin)
        found = (block.find(mark) for mark in (b"\n{", b"\n[", b"\r{", b"\r["))
        return min((at for at in found if at >= 0), default=-1)

    def _of_events(self, block: bytes) -> list[Any]:
        # [DONE] is not Gemini's, but what servers that imitate several APIs end with.
        return loads_all([data for _, data, _ in self._events.feed(block) if data and data != b"[DONE]"])


def medium_of(kind: str, data: bytes) -> Image | Audio | File:
    """The block that holds a medium of the answer."""
    match kind.partition("/")[0]:
        case "image":
            return Image(data, kind)
        case "audio":
            return Audio(data, kind)
    return File(f"answer.{kind.rpartition('/')[2]}", data, kind)


def usage_of(usage: Mapping[str, JSON]) -> messages.Usage:
    """The tokens of a `usageMetadata` object."""

    def count(name: str) -> int:
        value = usage.get(name)
        return value if isinstance(value, int) else 0

    thoughts = count("thoughtsTokenCount")
    return messages.Usage(
        input=count("promptTokenCount") + count("toolUsePromptTokenCount"),
        output=count("candidatesTokenCount") + thoughts,
        cached=count("cachedContentTokenCount"),
        reasoning=thoughts,
    )
