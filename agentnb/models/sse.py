"""Server-sent events from bytes, as the WHATWG defines them: every dialect that streams them reads through here.

Bytes, not text lines: a library that splits text also splits at U+2028 and its like, which are data here.
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class ServerEvent(NamedTuple):
    """One event; `data` is UTF-8 that nobody has checked yet."""

    event: str
    data: bytes
    last_event_id: str = ""


class Decoder:
    """An incremental decoder of one stream; time and memory are linear in what it is fed."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""
        self._after_cr = False
        self._start: bytes | None = b""

    def feed(self, block: bytes) -> list[ServerEvent]:
        """The events that these bytes complete."""
        if self._start is not None:
            block = self._start + block
            if len(block) < len(_BOM) and _BOM.startswith(block):
                self._start = block
                return []
            block, self._start = block.removeprefix(_BOM), None
        if self._after_cr and block:
            block, self._after_cr = block.removeprefix(b"\n"), False
        if b"\r" in block:
            self._after_cr = block.endswith(b"\r")
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in block:
            if block:
                self._line.append(block)
            return []
        if self._line:
            block = b"".join((*self._line, block))
            self._line.clear()
        return self._feed_lines(block)

    def _feed_lines(self, block: bytes) -> list[ServerEvent]:
        out: list[ServerEvent] = []
        if not self._data and not self._event and (end := block.rfind(b"\n\n") + 2) > 1:
            out = self._plain(block[:end]) or self._named(block[:end])
            if out:
                block = block[end:]
        *lines, rest = block.split(b"\n")
        for line in lines:
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                out.append(event)
        if rest:
            self._line.append(rest)
        return out

    def _plain(self, block: bytes) -> list[ServerEvent]:
        """The fast path: what nearly all blocks are, one `data: ` line an event. Nothing where it is not so."""
        if not block.startswith(b"data: "):
            return []
        parts = block[:-2].split(b"\n\n")
        if block.count(b"\n") != 2 * len(parts) or block.count(b"\n\ndata: ") != len(parts) - 1:
            return []
        return [ServerEvent("message", part[6:], self._id) for part in parts]

    def _named(self, block: bytes) -> list[ServerEvent]:
        """The other fast path: an `event: ` line and a `data: ` line an event. Nothing where it is not so."""
        if not block.startswith(b"event: "):
            return []
        parts = block[:-2].split(b"\n\n")
        if block.count(b"\n") != 3 * len(parts) or block.count(b"\n\nevent: ") != len(parts) - 1:
            return []
        out, names = [], {b"event: ": "message"}
        for part in parts:
            # Of the lines counted above there are two to each event, if each has one of data.
            name, found, data = part.partition(b"\ndata: ")
            if not found:
                return []
            event = names.get(name) or names.setdefault(name, name[7:].decode("utf-8", "replace"))
            out.append(ServerEvent(event, data, self._id))
        return out

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _dispatch(self) -> ServerEvent | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return ServerEvent(event or "message", b"\n".join(data), self._id) if data else None

    def flush(self) -> ServerEvent | None:
        """At the end of the stream: the event that no blank line completed, for callers that forgive this.

        The standard discards it; servers that omit the final blank line are common.
        """
        if self._line:
            self._field(b"".join(self._line))
            self._line.clear()
        return self._dispatch()
