"""A tool call as a card: how it was called, how far it is, what it gave, and the runs that it started."""

from __future__ import annotations

from collections.abc import Iterator

from agentnb.messages import Audio, Content, Image, Text, Thinking, ToolCall
from agentnb.render import calls, cards
from agentnb.render.cards import Section
from agentnb.render.media import medium_piece
from agentnb.render.pieces import Bundle, Piece
from agentnb.render.terminal import clean, clip, one_line
from agentnb.transcript import ToolRun, Transcript

_MEDIA_PER_CALL = 8
#: Of a run within a call, so many blocks are shown, the last, each of at most so many characters.
_NESTED_BLOCKS, _NESTED_CHARS = 40, 1500
_SIGNS = {
    "arriving": ("○", cards.GREY),
    "pending": ("○", cards.GREY),
    "asked": ("?", cards.AMBER),
    "running": ("●", cards.BLUE),
    "done": ("✓", cards.GREEN),
    "error": ("✗", cards.RED),
    "stopped": ("■", cards.AMBER),
}


def card(at: str, call: ToolCall, transcript: Transcript) -> Piece:
    """The card of a call, as one display."""
    run = transcript.tools.get(call.id) or ToolRun(call.id)
    status = _status(run, transcript)

    def make() -> Bundle:
        sign, _ = _SIGNS[status]
        title, outcome, sections = calls.signature(call), _outcome(run, transcript), _sections(call, run)
        lines = [f"{sign} {title}" + (f" → {outcome}" if outcome else "")]
        lines += [f"{s.label}:\n{s.text}" for s in sections if s.label != "arguments" and s.text != outcome]
        lines += [clip(_indented(_told(within)), calls.LIMIT) for within in run.runs]
        return Bundle(at, {"text/html": _html(call, transcript), "text/plain": "\n".join(lines)})

    version = (len(call.arguments), status, len(run.output), run.progress, tuple(map(_measure, run.runs)))
    return Piece(at, version, 2000, status in ("done", "error", "stopped"), make)


def pictures(at: str, run: ToolRun | None) -> Iterator[Piece]:
    """The pictures and sounds that a call showed or gave, each a display of its own."""
    if run is None:
        return
    shown: list[Content] = [*run.output, *(run.result.content if run.result else ())]
    media = list(dict.fromkeys(block for block in shown if isinstance(block, (Image, Audio))))
    for number, medium in enumerate(media[-_MEDIA_PER_CALL:]):
        yield medium_piece(f"i{at}.{number}", medium)


def _status(run: ToolRun, transcript: Transcript) -> str:
    if transcript.outcome is None or run.result is not None:
        return run.status
    return "asked" if transcript.outcome == "paused" else "stopped"


def _outcome(run: ToolRun, transcript: Transcript) -> str:
    """What stands behind the arrow."""
    match _status(run, transcript):
        case "stopped":
            return "not answered"
        case "asked":
            return "waits for you"
        case "running" if run.progress:
            return _progress(*run.progress)
    return calls.outcome(run)


def _progress(done: float, total: float | None, words: str) -> str:
    if total:
        filled = round(10 * min(1.0, max(0.0, done / total)))
        shown = f"{'▰' * filled}{'▱' * (10 - filled)} {done:g}/{total:g}"
    else:
        shown = f"{done:g}"
    return one_line(f"{shown} {words}".strip(), 80)


def _html(call: ToolCall, transcript: Transcript) -> str:
    run = transcript.tools.get(call.id) or ToolRun(call.id)
    sign, colour = _SIGNS[_status(run, transcript)]
    is_open = bool(run.output or run.runs) if run.result is None else run.result.is_error
    outcome = _outcome(run, transcript)
    shown = "" if is_open and run.result is not None else outcome
    within = "".join(map(_nested, run.runs))
    return cards.tool(sign, colour, calls.signature(call), shown, _sections(call, run), within, is_open=is_open)


def _sections(call: ToolCall, run: ToolRun) -> list[Section]:
    """What the summary line has no room for."""
    result = run.result
    text = calls.result_words(result.content) if result and not _said(run) else ""
    handle = f"variable {result.handle}\n" if result and result.handle else ""
    found = [
        Section("arguments", calls.pretty(call)),
        Section("output", calls.words(run.output)),
        Section("error" if result and result.is_error else "result", handle + text),
    ]
    return [section for section in found if section.text]


def _said(run: ToolRun) -> bool:
    """Whether the result is word for word what the run within the call said last, which is shown there."""
    if run.result is None or not run.runs or not run.runs[-1].messages:
        return False
    last = "".join(b.text for b in run.runs[-1].messages[-1].content if isinstance(b, Text)).strip()
    return last == run.result.text.strip() and len(last) <= _NESTED_CHARS


def _nested(run: Transcript) -> str:
    """A run within a call: what its model thought, said and called, with the runs within that."""
    blocks = [b for m in run.messages if m.role == "assistant" for b in m.content]
    out = [cards.within(f"{run.agent or 'agent'} · {run.model}")]
    if len(blocks) > _NESTED_BLOCKS:
        out.append(cards.status(f"… {len(blocks) - _NESTED_BLOCKS} earlier steps left out …"))
    for block in blocks[-_NESTED_BLOCKS:]:
        match block:
            case Thinking(text=text) if text.strip():
                out.append(cards.thinking(clip(text.strip(), _NESTED_CHARS), is_open=False))
            case Text(text=text) if text.strip():
                out.append(cards.words(clip(text.strip(), _NESTED_CHARS)))
            case ToolCall():
                out.append(_html(block, run))
    if run.waiting:
        out.append(cards.status(run.waiting))
    if run.error:
        out.append(cards.notice("✗", cards.RED, one_line(run.error, 500)))
    return "".join(out)


def _told(run: Transcript) -> str:
    """The same as text."""
    lines = [f"{run.agent or 'agent'} · {one_line(run.model, 100)}"]
    for block in (b for m in run.messages if m.role == "assistant" for b in m.content):
        match block:
            case Text(text=text) if text.strip():
                lines.append(clip(clean(text.strip()), _NESTED_CHARS))
            case ToolCall():
                call_run = run.tools.get(block.id) or ToolRun(block.id)
                sign, _ = _SIGNS[_status(call_run, run)]
                outcome = _outcome(call_run, run)
                lines.append(f"{sign} {calls.signature(block)}" + (f" → {outcome}" if outcome else ""))
                lines += [_indented(_told(within)) for within in call_run.runs]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "  " + text.replace("\n", "\n  ")


def _measure(run: Transcript) -> object:
    """Something that changes whenever what is shown of a run does."""
    last = run.messages[-1] if run.messages else None
    size = sum(len(b.text) for b in last.content if isinstance(b, (Text, Thinking))) if last else 0
    called = [(r.status, len(r.output), r.progress, tuple(map(_measure, r.runs))) for r in run.tools.values()]
    arguments = sum(len(call.arguments) for call in last.calls) if last else 0
    return len(run.messages), size, arguments, run.outcome, run.waiting, tuple(called)
