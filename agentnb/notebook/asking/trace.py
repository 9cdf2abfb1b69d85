"""What stays in the notebook of a question: what was asked, what was answered, and by whom."""

from __future__ import annotations

from collections.abc import Iterator

from agentnb.messages import JSON, Text
from agentnb.notebook.asking.fields import read_fields
from agentnb.notebook.asking.view import as_text, without_fences
from agentnb.render import calls, cards
from agentnb.render.cards import Section
from agentnb.render.terminal import clip, one_line, visible
from agentnb.tools.base import Question, Reply

_SIGNS = {"primary": ("✓", cards.GREEN), "plain": ("✓", cards.GREEN), "danger": ("✗", cards.RED)}
_HIDDEN = "•••"


def trace(question: Question, reply: Reply | None) -> dict[str, object]:
    """A MIME bundle without a widget in it; `reply` None says that the question was left open."""
    choice = next((each for each in question.choices if reply is not None and each.id == reply.choice), None)
    sign, colour = _SIGNS[choice.style] if choice else ("■", cards.AMBER)
    title = one_line(question.title, 200)
    outcome = f"you: {choice.label}" if choice else "not answered"
    sections = [section for section in _sections(question, reply) if section.text.strip()]
    said = f" ({one_line(reply.reason, 200)})" if reply and reply.reason else ""
    html = cards.tool(sign, colour, title, f"{outcome}{said}", sections, is_open=False)
    lines = [f"{sign} {title} → {outcome}{said}"]
    lines += [f"{section.label}:\n{section.text}" for section in sections if section.label != "asked"]
    return {"text/html": html, "text/plain": "\n".join(lines)}


def open_question(question: Question, words: str) -> dict[str, object]:
    """What a front end shows that draws no widgets."""
    text = f"{one_line(question.title, 200)} {words}"
    return {"text/html": cards.status(text), "text/plain": text}


def _sections(question: Question, reply: Reply | None) -> Iterator[Section]:
    asked = (without_fences(visible(calls.named(block))) for block in question.body)
    yield Section("asked", calls.words(Text(f"{text}\n") for text in asked))
    if reply is None:
        return
    if reply.values is not None:
        yield Section("answered", _values(question, reply.values))
    yield Section("reason", reply.reason)


def _values(question: Question, values: dict[str, JSON]) -> str:
    """Only what the person changed, where the form was filled in before."""
    before = question.values or {}
    secret = {each.name for each in read_fields(question.fields, question.values) if each.kind == "secret"}
    lines = [
        f"{name}: {_HIDDEN if name in secret else visible(as_text(value))}"
        for name, value in values.items()
        if name not in before or before[name] != value
    ]
    lines += [f"{name}: left out" for name in before if name not in values]
    return clip("\n".join(lines), calls.LIMIT)
