"""A transcript as an ordered list of displays: MIME bundles whose ids stay the same while the run goes on."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

from agentnb.messages import Audio, Block, File, Image, Message, Text, Thinking, ToolCall
from agentnb.render import callcards, cards
from agentnb.render.markdown import fenced, safe
from agentnb.render.media import medium_piece
from agentnb.render.parts import PART_CHARS, Splitter
from agentnb.render.pieces import Bundle, Piece
from agentnb.render.record import RUN_MIME, Provenance, record
from agentnb.render.spent import spent
from agentnb.render.terminal import clean, clip, one_line
from agentnb.transcript import Transcript

Format: TypeAlias = Literal["markdown", "text", "code", "json", "html", "math"]
FORMATS: tuple[Format, ...] = get_args(Format)

_THINKING_CHARS = 8000
_THINKING_TAIL = 2000
#: What is put around an answer that is shown as source; longer than any that a model writes.
_FENCE = "`" * 10
_OUTCOMES = {
    "max_rounds": "stopped at the limit of rounds",
    "length": "cut off at the limit of tokens",
    "paused": "waits for a decision",
    "interrupted": "interrupted",
    "error": "failed",
    None: "unfinished",
}


def bundles(
    transcript: Transcript, provenance: Provenance | None = None, *, fmt: Format = "markdown"
) -> tuple[Bundle, ...]:
    """The run as displays, in order."""
    return tuple(piece.make() for piece in Renderer(provenance, fmt).pieces(transcript))


def plain(transcript: Transcript) -> str:
    """The run as text."""
    shown = (str(bundle.data["text/plain"]).strip("\n") for bundle in bundles(transcript))
    return "\n\n".join(shown) + "\n"


def summary(transcript: Transcript) -> dict[str, object]:
    """One bundle for a finished run: the answer as Markdown, the whole of it as text."""
    out: dict[str, object] = {"text/plain": plain(transcript)}
    if transcript.text.strip():
        out["text/markdown"] = safe(transcript.text)
    return out


class Renderer:
    """`bundles` for a transcript that grows: what cannot change any more is rendered once.

    `notice` says why a run failed; a cell leaves that to the error that it raises.
    """

    def __init__(self, provenance: Provenance | None = None, fmt: Format = "markdown", *, notice: bool = True) -> None:
        self._provenance = provenance or Provenance()
        self._format = fmt
        self._notice = notice
        self._texts: dict[str, tuple[Splitter, int]] = {}

    def pieces(self, transcript: Transcript, *, closing: bool = False) -> list[Piece]:
        """What there is to show, in order; `closing` ends a run that has no outcome."""
        over = closing or transcript.outcome is not None
        out: list[Piece] = []
        last = len(transcript.messages) - 1
        for index, message in enumerate(transcript.messages):
            if message.role == "assistant":
                out += self._message(index, message, transcript, ended=over or index < last)
            elif index and transcript.messages[index - 1].role == "assistant" and message.role == "user":
                out.append(_again(f"u{index}", message))
        if transcript.error is not None and self._notice:
            out.append(_error(transcript))
        if over:
            out.append(self._end(transcript))
        return [self._as_text(p) for p in out] if self._format == "text" else out

    def _message(self, index: int, message: Message, transcript: Transcript, *, ended: bool) -> Iterator[Piece]:
        ended = ended or message.finish is not None
        for at, block in enumerate(message.content):
            is_open = not ended and at == len(message.content) - 1
            yield from self._block(f"{index}.{at}", block, transcript, is_open=is_open)
        runs = [transcript.tools.get(call.id) for call in message.calls]
        if runs and (transcript.outcome is not None or all(run and run.result for run in runs)):
            # Only when the last call is answered: displays never change places.
            for call, run in zip(message.calls, runs, strict=True):
                yield from callcards.pictures(f"{index}.{call.id}", run)

    def _block(self, at: str, block: Block, transcript: Transcript, *, is_open: bool) -> Iterator[Piece]:
        match block:
            case Text(text=text) if text.strip():
                yield from self._text(f"t{at}", text, is_open=is_open)
            case Thinking(text=text) if text.strip():
                yield _thinking(f"k{at}", text, is_open=is_open)
            case ToolCall():
                yield callcards.card(f"c{at}", block, transcript)
            case Image() | Audio() | File():
                yield medium_piece(f"i{at}", block)
            case _:
                return

    def _text(self, at: str, text: str, *, is_open: bool) -> Iterator[Piece]:
        if self._format in ("json", "math"):
            yield _words(f"{at}.0", _whole(self._format, text, is_open=is_open), is_open=is_open)
            return
        splitter, taken = self._texts.get(at, (Splitter(), 0))
        if not taken and self._format != "markdown":
            if is_open and len(text.lstrip()) < 3:
                return  # too early to see whether it fences itself
            splitter.feed(_opening(self._format, text))
        splitter.feed(text[taken:])
        self._texts[at] = splitter, len(text)
        for number, sealed in enumerate(splitter.sealed):
            yield _words(f"{at}.{number}", sealed, is_open=False)
        if splitter.open.strip():
            yield _words(f"{at}.{len(splitter.sealed)}", splitter.open, is_open=is_open)

    def _end(self, transcript: Transcript) -> Piece:
        def make() -> Bundle:
            line = footer(transcript)
            run = record(transcript, self._provenance)
            # Apart from the record: the same run takes another time.
            timed: dict[str, object] = {RUN_MIME: {"seconds": round(transcript.usage.seconds, 1)}}
            return Bundle("end", {"text/html": cards.footer(line), "text/plain": line, RUN_MIME: run}, timed)

        return Piece("end", "end", 4000, True, make)

    def _as_text(self, piece: Piece) -> Piece:
        def make() -> Bundle:
            made = piece.make()
            kept = {kind: c for kind, c in made.data.items() if kind not in ("text/html", "text/markdown")}
            return Bundle(made.id, kept, made.metadata)

        return Piece(piece.id, piece.version, piece.size, piece.final, make)


def footer(transcript: Transcript) -> str:
    """Which model, how many rounds, what they took; and how it ended, if not with an answer."""
    rounds = transcript.rounds
    if not transcript.model and not transcript.usage.total:
        return " · ".join(
            ["called directly", *([_OUTCOMES[transcript.outcome]] if transcript.outcome != "done" else [])]
        )
    # Who answered: after a fallback it is not who was asked.
    model = next((m.model for m in reversed(transcript.messages) if m.model), transcript.model)
    words = [one_line(model, 100), f"{rounds} round{'s' * (rounds != 1)}", *spent(transcript.usage)]
    if transcript.outcome != "done":
        words.append(_OUTCOMES[transcript.outcome])
    elif transcript.messages and transcript.messages[-1].finish == "content_filter":
        words.append("cut off by the provider's content filter")
    return " · ".join(word for word in words if word)


def _words(at: str, source: str, *, is_open: bool) -> Piece:
    def make() -> Bundle:
        words = re.sub(rf"^{_FENCE}.*\n?", "", source, flags=re.MULTILINE)
        return Bundle(at, {"text/markdown": safe(source), "text/plain": clean(words)})

    return Piece(at, (len(source), is_open), len(source), not is_open, make)


def _opening(fmt: str, text: str) -> str:
    """How an answer that is shown as source begins; a model that fences it itself is taken at its word."""
    return "" if text.lstrip().startswith(("```", "~~~")) else _FENCE + ("" if fmt == "code" else fmt) + "\n"


def _whole(fmt: str, text: str, *, is_open: bool) -> str:
    """An answer that makes sense only as a whole, and is shown as it comes until then."""
    if fmt == "math":
        return text if is_open or "$" in text or "\\" not in text else f"$$\n{text.strip()}\n$$"
    inner = text.strip()
    if inner.startswith("```"):
        inner = inner.partition("\n")[2].rpartition("```")[0]
    with contextlib.suppress(ValueError):
        inner = json.dumps(json.loads(inner), indent=2, ensure_ascii=False)
    return fenced(clip(text, 2 * PART_CHARS) if is_open else inner, "json")


def _thinking(at: str, text: str, *, is_open: bool) -> Piece:
    def make() -> Bundle:
        # While it streams, its end is what a reader follows.
        tail = text if len(text) <= _THINKING_TAIL else "…" + text[-_THINKING_TAIL:]
        shown = tail if is_open else clip(text.strip(), _THINKING_CHARS)
        html = cards.thinking(shown, is_open=is_open)
        return Bundle(at, {"text/html": html, "text/plain": f"Thinking: {clean(shown)}"})

    return Piece(at, (len(text), is_open), min(len(text), _THINKING_TAIL), not is_open, make)


def _again(at: str, message: Message) -> Piece:
    """An answer that was not what was asked for, and was asked for again."""
    text = clip(message.text, 2 * PART_CHARS)

    def make() -> Bundle:
        head = one_line(text.partition(". ")[0], 300)
        return Bundle(at, {"text/html": cards.asked_again(text), "text/plain": f"↻ {head}"})

    return Piece(at, at, len(text), True, make)


def _error(transcript: Transcript) -> Piece:
    text = one_line(transcript.error or "", 1000)
    sign, colour = ("■", cards.AMBER) if transcript.outcome == "interrupted" else ("✗", cards.RED)

    def make() -> Bundle:
        return Bundle("error", {"text/html": cards.notice(sign, colour, text), "text/plain": f"{sign} {text}"})

    return Piece("error", text, 600, True, make)
