"""Words of a model or a tool, made harmless to a terminal and to the eye: no control sequence, no reversed text."""

from __future__ import annotations

import re

# ECMA-48: strings that carry data (OSC, DCS, SOS, PM, APC) end with BEL or ST, and are cut at a line's end, so that
# an unfinished one cannot swallow the rest; CSI; then every other two-character escape.
_STRING = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
_CSI = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
_ESCAPE = r"\x1b[ -/]*[0-~]?"
# What is left of C0 and C1, DEL, line separators that browsers break at, overrides and isolates of direction, BOM.
_STRAY = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
_CONTROL = re.compile(f"{_STRING}|{_CSI}|{_ESCAPE}|{_STRAY}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# All of these, and what takes no room or none that is seen: soft hyphens, marks of direction, fillers, tags.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_UNFINISHED = re.compile(r"(?:\x1b[\]PX^_][^\x07\n]{0,4096}|\x1b\[[0-?]{0,64}[ -/]{0,8}|\x1b[ -/]{0,8}|\r)\Z")


def clean(text: str) -> str:
    """`text` without control sequences: only printable characters, tabs and line feeds remain."""
    if "\r" in text:
        # A progress bar writes its line over and over: the last state of each line is what a reader saw.
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n"))
    return _LONE_SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def visible(text: str) -> str:
    """`text` with a sign in the place of each character that is not seen: `␛`, `␍`, `⟨U+202E⟩`.

    For what a person decides about: `clean` leaves out what a terminal would, and Python or a shell still runs it.
    """
    return _UNSEEN.sub(_sign, text.replace("\r\n", "\n"))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


class Stripper:
    """`clean` for a text that arrives in pieces: a sequence cut in two is not let through in halves."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now; the start of an unfinished sequence waits for its end."""
        text = self._held + piece
        cut = _UNFINISHED.search(text)
        self._held = text[cut.start() :] if cut else ""
        return clean(text[: cut.start()] if cut else text)

    def close(self) -> str:
        """What was still held back."""
        rest, self._held = self._held, ""
        return clean(rest)


def clip(text: str, limit: int) -> str:
    """At most about `limit` characters: the beginning and the end, with a visible mark of how much is missing."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}\n… {len(text) - head - tail:,} characters left out …\n{text[-tail:]}"


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters."""
    flat = " ".join(clean(text[: limit * 4]).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
