"""JSON documents out of a body that is nothing but JSON: one, several in a row, or the elements of a list."""

from __future__ import annotations

import codecs
import json

import orjson

from agentnb.messages import JSON

#: What may stand between the documents of a list; a byte order mark may begin the body.
_BETWEEN = " \t\r\n,[]\ufeff"


class Documents:
    """An incremental reader of objects, in time linear in what it is fed; `rest` is what made none (yet)."""

    def __init__(self) -> None:
        self.rest = ""
        self._arrived: list[str] = []
        self._size = self._enough = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, block: bytes) -> list[JSON]:
        """The objects that these bytes complete; a long one may be found only by a later call, or by `flush`."""
        self._arrived.append(self._utf8.decode(block))
        self._size += len(block)
        # An object ends with a brace, and to look again and again for the end of a long one would take for ever.
        return self.flush() if b"}" in block and self._size >= self._enough else []

    def flush(self) -> list[JSON]:
        """What is complete so far; at the end of the body, `rest` is then what is not."""
        text, at = "".join((self.rest, *self._arrived)), 0
        self._arrived.clear()
        out: list[JSON] = []
        while text.startswith("{", at := _skip(text, at)):
            try:
                _, end = json.JSONDecoder().raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            out.append(_strictly(text[at:end]))
            at = end
        self.rest = text[at:]
        self._size = len(self.rest)
        self._enough = 2 * self._size
        return out


def _strictly(text: str) -> JSON:
    """Read by the reader that lets no half characters through; what it does not take stays text."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at
