"""A run as text that streams: for a terminal, and for anything that only has standard output."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb.events import Event
from agentnb.messages import Audio, File, Image, Message, Text, Thinking, ToolCall
from agentnb.notebook.publisher import Publisher
from agentnb.render import calls, footer
from agentnb.render.terminal import Stripper, clean, one_line
from agentnb.transcript import Folder, Transcript


class TextDisplay:
    """Writes what is new: thinking, answer, a line for each call and each result, one line at the end."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._folder = Folder()
        self._fresh = False
        self._written: dict[tuple[int, int], int] = {}
        self._stripper = Stripper()
        self._called: set[str] = set()
        self._answered: set[str] = set()
        self._waiting: str | None = None
        self._last = "\n\n"

    def feed(self, events: Sequence[Event]) -> None:
        """Take events in."""
        for event in events:
            self._folder.feed(event)
        self._fresh = self._fresh or bool(events)

    def tick(self) -> None:
        """Write what is new."""
        if self._fresh:
            self._fresh = False
            self._advance(self._folder.transcript())

    def close(self) -> Transcript:
        """Write the rest, and the line at the end; returns the transcript."""
        transcript = self._folder.transcript()
        self._advance(transcript)
        self._write(self._stripper.close())
        self._apart()
        self._line(footer(transcript))
        return transcript

    def _advance(self, transcript: Transcript) -> None:
        if transcript.waiting != self._waiting:
            self._waiting = transcript.waiting
            if self._waiting:
                self._line(one_line(self._waiting, 500))
        for index, message in enumerate(transcript.messages):
            if message.role == "assistant":
                self._message(index, message, transcript)
            elif index and transcript.messages[index - 1].role == "assistant" and message.role == "user":
                self._once((index, 0), f"↻ {one_line(message.text.partition('. ')[0], 300)}")

    def _message(self, index: int, message: Message, transcript: Transcript) -> None:
        for at, block in enumerate(message.content):
            match block:
                case Text(text=text) | Thinking(text=text):
                    self._more((index, at), text, thinking=isinstance(block, Thinking))
                case ToolCall():
                    self._call(block, transcript)
                case Image() | Audio() | File():
                    self._once((index, at), one_line(calls.named(block), 300))
                case _:
                    pass

    def _more(self, key: tuple[int, int], text: str, *, thinking: bool) -> None:
        done = self._written.get(key)
        if done is None:
            text_there = bool(text.strip())
            if not text_there:
                return
            self._apart()
            self._write(self._stripper.close())
            if thinking:
                self._write("Thinking: ")
            done = len(text) - len(text.lstrip())
        if len(text) > done:
            self._write(self._stripper.feed(text[done:]))
        self._written[key] = len(text)

    def _once(self, key: tuple[int, int], text: str) -> None:
        """A line for what does not grow."""
        if key not in self._written:
            self._written[key] = len(text)
            self._apart()
            self._line(text)

    def _call(self, call: ToolCall, transcript: Transcript, indent: str = "") -> None:
        run = transcript.tools.get(call.id)
        if run is None or run.status == "arriving":
            return
        if call.id not in self._called:
            self._called.add(call.id)
            self._line(f"{indent}→ {calls.signature(call)}")
        for within in run.runs:
            for each in (called for message in within.messages for called in message.calls):
                self._call(each, within, f"{indent}  ")
        if run.result is not None and call.id not in self._answered:
            self._answered.add(call.id)
            sign = "✗" if run.result.is_error else "←"
            printed = calls.words(run.output)
            if printed:
                self._line(f"{indent}  " + clean(printed).replace("\n", f"\n{indent}  "))
            self._line(f"{indent}{sign} {calls.outcome(run)}")

    def _line(self, text: str) -> None:
        if not self._last.endswith("\n"):
            self._write("\n")
        self._write(text + "\n")

    def _apart(self) -> None:
        """An empty line between what came and what comes."""
        if not self._last.endswith("\n\n"):
            self._write("\n" if self._last.endswith("\n") else "\n\n")

    def _write(self, text: str) -> None:
        if text:
            self._publisher.write(text)
            self._last = (self._last + text)[-2:]
