"""A tool's question as a form that the protocol can show, and what was filled in as a reply of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentnb.messages import JSON, Data, JSONObject, Text
from agentnb.tools.base import Choice, Question, Reply
from agentnb.tools.capture import printable

if TYPE_CHECKING:
    from mcp_types import ElicitRequestFormParams, ElicitResult

_PLAIN = ("string", "number", "integer", "boolean")
#: What the protocol lets a field say.
_SAID = ("type", "title", "description", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "format")
#: The names of the fields that are ours; a form's own with such a name is left out.
_CHOICE, _REASON = "choice", "reason"


def to_form(question: Question) -> ElicitRequestFormParams:
    """The question as the protocol asks it: words, and fields that hold single values."""
    from mcp_types import ElicitRequestFormParams

    words = [question.title]
    for block in question.body:
        if isinstance(block, Text):
            words.append(printable(block.text))
        elif isinstance(block, Data):
            words.append(json.dumps(block.value, ensure_ascii=False, indent=2))
    return ElicitRequestFormParams(message="\n\n".join(words), requested_schema=_schema(question))


def to_reply(question: Question, result: ElicitResult | None) -> Reply | None:
    """What was answered; None where it was refused, or nobody answered."""
    if result is None or result.action != "accept":
        return None
    content = result.content or {}
    given: JSONObject = {name: [*value] if isinstance(value, list) else value for name, value in content.items()}
    choice = str(given.pop(_CHOICE, "") or "") or _first(question.choices)
    if question.choices and choice not in {each.id for each in question.choices}:
        return None
    reason = str(given.pop(_REASON, "") or "")
    values: JSONObject = {}
    for name, about in _fields(question).items():
        if name in given:
            values[name] = given[name] if about.get("type") in _PLAIN else _parsed(given[name])
    return Reply(choice, values if question.fields is not None else None, reason)


def _schema(question: Question) -> JSONObject:
    properties = {name: _plain(about, (question.values or {}).get(name)) for name, about in _fields(question).items()}
    asked = (question.fields or {}).get("required")
    required: list[JSON] = [name for name in asked if name in properties] if isinstance(asked, list) else []
    if len(question.choices) > 1:
        ids: list[JSON] = [each.id for each in question.choices]
        labels = "; ".join(f"{each.id}: {each.label}" for each in question.choices)
        properties[_CHOICE] = {
            "type": "string",
            "description": labels,
            "enum": ids,
            "default": _first(question.choices),
        }
    if any(each.reason for each in question.choices):
        properties[_REASON] = {"type": "string", "description": "in words, if you like"}
    return {"type": "object", "properties": {**properties}, **({"required": required} if required else {})}


def _fields(question: Question) -> dict[str, JSONObject]:
    found = (question.fields or {}).get("properties")
    fields = found if isinstance(found, dict) else {}
    return {name: about for name, about in fields.items() if isinstance(about, dict) and name not in (_CHOICE, _REASON)}


def _plain(about: JSONObject, value: JSON) -> JSONObject:
    """A field as the protocol has it; what has parts is written as JSON."""
    if about.get("type") not in _PLAIN:
        words = f"{about.get('description', '')} (as JSON)".strip()
        made: JSONObject = {"type": "string", "description": words}
        return made if value is None else {**made, "default": json.dumps(value, ensure_ascii=False)}
    made = {name: about[name] for name in _SAID if name in about}
    return made if value is None else {**made, "default": value}


def _parsed(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    try:
        parsed: JSON = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed


def _first(choices: tuple[Choice, ...]) -> str:
    """What accepting means where nothing else is said."""
    primary = next((each.id for each in choices if each.style == "primary"), "")
    return primary or (choices[0].id if choices else "")
