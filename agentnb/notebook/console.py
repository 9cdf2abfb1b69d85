"""A notebook's run as lines of a terminal: of every display only what is new is printed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

from agentnb.render.terminal import Stripper, clean, one_line

_SOURCE_LINES = 8
_BOLD, _DIM, _RED = "1", "2", "31"
#: What closes the fence of a code block that is still being written.
_OPEN_FENCE = re.compile(r"\n[`~]{3,}\s*\Z")


class Console:
    """Prints cells and the kernel's messages as they come. What they say has no control sequence left in it."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._coloured = out.isatty() and not environ.get("NO_COLOR")
        self._last = "\n\n"
        self._shown: dict[str, str] = {}
        self._stream = Stripper()
        self._step = ""

    def line(self, text: str, style: str = "") -> None:
        """One line, on a line of its own."""
        self._begin(text.rstrip("\n"), style)
        self._write("\n")

    def note(self, text: str) -> None:
        """A line about the run rather than of it."""
        self.line(text, _DIM)

    def problem(self, text: str) -> None:
        """A line that wants to be seen."""
        self.line(f"✗ {text}", _RED)

    def progress(self, text: str, done: int, total: int) -> None:
        """How far something is: in place on a terminal, elsewhere a line for each tenth."""
        part = done / max(total, 1)
        if self._coloured:
            self._write(f"\r\x1b[K{text}" if part >= 1 else f"\r\x1b[K{text} {100 * part:.0f} %")
        elif (step := text if part >= 1 else f"{text} {int(10 * part) * 10} %") != self._step:
            self.line(step)
            self._step = step

    def heading(self, source: str) -> None:
        """The first heading of a text cell; the rest of its words are for readers of the notebook."""
        title = next((line for line in source.splitlines() if line.startswith("#")), None)
        if title:
            self._apart()
            self.line(clean(title), _BOLD)

    def source(self, source: str, number: int) -> None:
        """A cell's code, or the head of it."""
        lines = [line for line in clean(source).splitlines() if line.strip()]
        more = len(lines) - _SOURCE_LINES
        if more > 1:
            lines[_SOURCE_LINES:] = [f"… {more} more lines"]
        prompt = f"[{number}] "
        self._apart()
        for at, each in enumerate(lines):
            self.line((prompt if at == 0 else " " * len(prompt)) + each, _DIM)
        self._apart()

    def message(self, kind: str, content: Mapping[str, object]) -> None:
        """One message of the kernel's iopub channel."""
        match kind:
            case "stream":
                self._write(self._stream.feed(str(content.get("text", ""))))
            case "execute_result" | "display_data" | "update_display_data":
                self._bundle(_mapping(content.get("data")), _mapping(content.get("transient")).get("display_id"))
            case "error":
                self._error(str(content.get("ename")), str(content.get("evalue")))
            case _:
                pass

    def _bundle(self, data: Mapping[str, object], display_id: object) -> None:
        markdown, plain = data.get("text/markdown"), data.get("text/plain")
        if isinstance(markdown, str):
            # While it grows, an answer comes as Markdown alone, each open fence closed.
            text = markdown if plain is not None else _OPEN_FENCE.sub("", markdown)
            text = text.replace("&lt;", "<")
        elif isinstance(plain, str):
            text = plain
        else:
            return
        beside = isinstance(display_id, str) and display_id.startswith("agentnb-") and markdown is None
        if beside and not text.startswith("Thinking"):
            text = text.partition("\n")[0]  # what a page has folded away
        self._grow(str(display_id or ""), clean(text), _DIM if beside else "")

    def _grow(self, key: str, text: str, style: str) -> None:
        before = self._shown.get(key, "") if key else ""
        if text.rstrip() == before.rstrip():
            return
        if before and text.startswith(before):
            self._write(text[len(before) :], style)
        else:
            self._begin(text, style)
        self._shown[key] = text

    def _error(self, name: str, value: str) -> None:
        words = one_line(value, 1000)
        # A failed run has said so already, in its own display.
        if not any(words and words in shown for shown in self._shown.values()):
            self.problem(f"{name}: {words}" if words else name)

    def _apart(self) -> None:
        """An empty line between what came and what comes."""
        self._write("\n" * (2 - len(self._last) + len(self._last.rstrip("\n"))))

    def _begin(self, text: str, style: str) -> None:
        """Write from the start of a line on."""
        if not self._last.endswith("\n"):
            self._write("\n")
        self._write(text, style)

    def _write(self, text: str, style: str = "") -> None:
        if text:
            self._last = (self._last + text)[-2:]
            self._out.write(f"\x1b[{style}m{text}\x1b[0m" if style and self._coloured else text)
            self._out.flush()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
