"""A question as data for the browser, and what comes back from there as a reply."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping

from agentnb.masking import masked
from agentnb.messages import JSON, Content, Data, Image, JSONObject, Text
from agentnb.notebook.asking.fields import Field, read_fields
from agentnb.render import calls
from agentnb.render.terminal import clean, clip, visible
from agentnb.tools.base import Choice, Question, Reply

#: Characters of one text, and bytes of one picture, that a question shows.
_SHOWN, _PICTURE = 40_000, 8_000_000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Code as tools show it: a fence on lines of its own, as long as it must be.
_OPENED, _BAR = re.compile(r"(`{3,})(\w*)"), re.compile(r"`{3,}")


def view(question: Question, mask: Callable[[str], str] = str) -> JSONObject:
    """What the browser draws. All of it is shown as text there, never as markup; `mask` takes secrets out.

    Values of the form whose texts hold a secret are left masked: `reply` knows them still.
    """
    fields = read_fields(question.fields, question.values)
    shown = {name: masked(value, mask, names=False) for name, value in (question.values or {}).items()}
    return {
        "title": mask(clean(question.title)),
        "body": list(_body(question.body, mask)),
        "fields": [_field(each, shown, mask) for each in fields],
        "choices": [{**_choice(each), "fields": each.fields and bool(fields)} for each in offered(question)],
    }


def reply(question: Question, message: object) -> Reply | None:
    """What the browser sent; None for what is no answer to this question.

    `changed` are the fields that the person touched and `cleared` those that were emptied: all others stay as they
    were, so that what was masked, or is more exact than a browser's numbers, goes through unharmed.
    """
    if not isinstance(message, Mapping) or message.get("type") != "reply":
        return None
    choice = next((each for each in question.choices if each.id == message.get("choice")), None)
    if choice is None:
        return None
    reason = message.get("reason")
    changed, cleared = message.get("changed"), message.get("cleared")
    values = None
    if choice.fields:
        values = merged(
            question,
            {str(name): value for name, value in changed.items()} if isinstance(changed, Mapping) else {},
            [name for name in cleared if isinstance(name, str)] if isinstance(cleared, list) else [],
        )
    return Reply(choice.id, values, clean(reason).strip() if choice.reason and isinstance(reason, str) else "")


def merged(question: Question, changed: Mapping[str, JSON], cleared: list[str]) -> JSONObject:
    """The form's values: what it began with, with what the person did to it."""
    known = {each.name for each in read_fields(question.fields, question.values)}
    kept = {name: value for name, value in (question.values or {}).items() if name not in cleared}
    return kept | {name: value for name, value in changed.items() if name in known}


def offered(question: Question) -> tuple[Choice, ...]:
    """The choices there are: without a field there is nothing to edit."""
    fields = read_fields(question.fields, question.values)
    return tuple(each for each in question.choices if fields or not each.fields or each.style == "primary")


def as_text(value: JSON) -> str:
    """A value as a person edits it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def is_diff(text: str) -> bool:
    """Whether a text is a unified diff."""
    return text.startswith("--- ")


def pieces(text: str) -> Iterator[tuple[str | None, str]]:
    """A text taken apart at its code fences: each piece with the language of its code, None for words.

    In one go over its lines, however many fences are opened and never closed.
    """
    lines = text.split("\n")
    closing: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        if _BAR.fullmatch(line):
            closing.setdefault(line, []).append(at)
    at = begin = 0
    while at < len(lines):
        opened = _OPENED.fullmatch(lines[at])
        ends = closing.get(opened[1], []) if opened else []
        which = bisect_right(ends, at)
        if opened is None or which == len(ends):
            at += 1
            continue
        end = ends[which]
        if before := "\n".join(lines[begin:at]).strip("\n"):
            yield None, before
        yield opened[2], "\n".join(lines[at + 1 : end]).rstrip("\n")
        at = begin = end + 1
    if rest := "\n".join(lines[begin:]).rstrip("\n"):
        yield None, rest


def without_fences(text: str) -> str:
    """A text whose code stands without its fences; a diff, which may hold some, stays as it is."""
    return text if is_diff(text) else "\n".join(piece for _, piece in pieces(text))


def _choice(choice: Choice) -> JSONObject:
    return {"id": choice.id, "label": clean(choice.label), "style": choice.style, "reason": choice.reason}


def _body(body: tuple[Content, ...], mask: Callable[[str], str]) -> Iterator[JSON]:
    for block in body:
        match block:
            case Text(text=text):
                yield from _text(mask(clip(visible(text), _SHOWN)).rstrip("\n"))
            case Data(value=value):
                yield {"kind": "text", "text": mask(clip(visible(as_text(value)), _SHOWN))}
            case Image(data=data, media_type=of, alt=alt) if data and of in _PICTURES and len(data) <= _PICTURE:
                encoded = base64.b64encode(data).decode("ascii")
                yield {"kind": "image", "src": f"data:{of};base64,{encoded}", "text": mask(clean(alt))}
            case _:
                yield {"kind": "text", "text": mask(visible(calls.named(block)))}


def _text(text: str) -> Iterator[JSON]:
    if is_diff(text):
        yield {"kind": "diff", "text": text}
        return
    for language, piece in pieces(text):
        if language is None:
            yield {"kind": "text", "text": piece}
        else:
            yield {"kind": "code", "language": language, "text": piece}


def _field(field: Field, values: Mapping[str, JSON], mask: Callable[[str], str]) -> JSONObject:
    given = field.name in values
    return {
        "name": field.name,
        "kind": field.kind,
        "label": mask(clean(field.label)),
        "description": mask(clean(field.description)),
        "required": field.required,
        "options": [{"value": option.value, "label": clean(option.label)} for option in field.options],
        "least": field.least,
        "most": field.most,
        "type": field.type,
        # What stands there already is sent back only where it was touched; a default always is.
        "given": given,
        "filled": given or field.has_default,
        "value": values[field.name] if given else field.default,
    }
