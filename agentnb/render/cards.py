"""HTML of everything that is not the answer: calm cards for thinking, tools, errors, and the line at the end.

JupyterLab's sanitizer drops `<style>`, scripts and every CSS value it does not know, `var()` among them, from a
notebook it does not trust. So all styling is inline, and colours are translucent greys and mid-tones over the
inherited text colour: they suit a light and a dark page alike, with or without a theme's variables.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass

from agentnb.render.terminal import clean, clip, one_line

GREEN, RED, BLUE, AMBER, GREY = "#2f9e60", "#d9534f", "#4c8bf5", "#d08700", "#888888"
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
_PRE = (
    f"margin:2px 0 0 0;padding:0;border:0;background-color:transparent;font-family:{_MONO};font-size:12px;"
    "line-height:1.5;white-space:pre-wrap;word-break:normal;overflow-wrap:break-word;max-height:320px;overflow:auto"
)
_LABEL = "margin-top:8px;font-size:10px;letter-spacing:0.08em;text-transform:uppercase;opacity:0.55"
_SUMMARY = "cursor:pointer;overflow-wrap:break-word"


@dataclass(frozen=True, slots=True)
class Section:
    """A labelled part of a card."""

    label: str
    text: str


def escape(text: str) -> str:
    """Text for HTML: no markup and no control sequence survives."""
    return html.escape(clean(text))


def _frame(colour: str, inner: str) -> str:
    return (
        f'<div style="margin:4px 0;padding:3px 0 3px 12px;border-left:2px solid {colour}99;'
        f'font-size:13px;line-height:1.5">{inner}</div>'
    )


def _folded(summary: str, body: str, *, opened: bool) -> str:
    mark = " open" if opened else ""
    return f'<details{mark}><summary style="{_SUMMARY}">{summary}</summary>{body}</details>'


def _mono(text: str) -> str:
    return f'<span style="font-family:{_MONO};font-size:12px">{escape(text)}</span>'


def _quiet(text: str) -> str:
    return f'<span style="opacity:0.6">{escape(text)}</span>'


def thinking(text: str, *, is_open: bool) -> str:
    """A model's reasoning: open while it streams, folded when it is over."""
    body = f'<div style="margin-top:4px;opacity:0.7;white-space:pre-wrap;overflow-wrap:break-word">{escape(text)}</div>'
    return _frame(GREY, _folded(_quiet("Thinking…" if is_open else "Thought"), body, opened=is_open))


def tool(
    sign: str, colour: str, call: str, outcome: str, sections: list[Section], within: str = "", *, is_open: bool
) -> str:
    """A tool call: one line that says it all, the details below it; `within` is HTML of the runs that it started."""
    head = f'<span style="color:{colour};font-weight:600">{sign}</span> {_mono(call)}'
    if outcome:
        head += f' <span style="opacity:0.6">→</span> {_mono(outcome)}'
    shown = [
        f'<div style="{_LABEL}">{escape(s.label)}</div><pre style="{_PRE}">{escape(s.text)}</pre>' for s in sections
    ]
    # Below what it was asked, above what it gave.
    body = "".join((*shown[:1], within, *shown[1:]))
    return _frame(colour, _folded(head, body, opened=is_open) if body else head)


def within(who: str) -> str:
    """The head of a run within a call."""
    return f'<div style="{_LABEL}">{escape(who)}</div>'


def words(text: str) -> str:
    """What a run within a call said, as it was written."""
    return f'<div style="margin:4px 0;white-space:pre-wrap;overflow-wrap:break-word">{escape(text)}</div>'


def asked_again(text: str) -> str:
    """What a model was told of an answer that was not what was asked for: its first sentence, the rest below it."""
    head, _, rest = text.partition(". ")
    body = f'<pre style="{_PRE}">{escape(rest)}</pre>'
    return _frame(AMBER, _folded(_quiet(f"↻ {one_line(head, 300)}"), body, opened=False))


def sound(media_type: str, data: bytes) -> str:
    """A sound to be played."""
    encoded = base64.b64encode(data).decode("ascii")
    return f'<audio controls src="data:{escape(media_type)};base64,{encoded}"></audio>'


def named(text: str) -> str:
    """What cannot be shown, by its name."""
    return f'<div style="margin:4px 0;font-size:13px">{_mono(text)}</div>'


def notice(sign: str, colour: str, text: str) -> str:
    """One line that wants to be seen: an error, an interruption."""
    return _frame(colour, f'<span style="color:{colour};font-weight:600">{sign}</span> {escape(clip(text, 2000))}')


def status(text: str) -> str:
    """What the run waits for; gone when it goes on."""
    return f'<div style="margin:4px 0;font-size:12px;opacity:0.6">{escape(clip(text, 500))}</div>'


def footer(text: str) -> str:
    """The last line: which model, how much."""
    return f'<div style="margin:6px 0 2px 0;font-size:11px;letter-spacing:0.02em;opacity:0.5">{escape(text)}</div>'
