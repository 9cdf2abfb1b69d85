"""A server's question to the person (elicitation) as a form of ours, and the answer as the protocol wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from agentnb.messages import JSON, JSONObject, Text
from agentnb.tools.base import Choice, Question, Reply

if TYPE_CHECKING:
    from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitRequestURLParams, ElicitResult

_Value: TypeAlias = str | int | float | bool | list[str] | None


def to_question(server: str, params: ElicitRequestParams) -> Question | None:
    """What the person is asked; None for what should not be shown: a link that is not one of the web."""
    title = f"MCP server {server!r} asks"
    if params.mode == "url":
        return _link(title, params)
    schema = _schema(params)
    return Question(
        title,
        (Text(params.message),),
        fields=schema,
        values=_defaults(schema),
        choices=(Choice("accept", "Send", "primary", fields=True), Choice("decline", "Decline")),
    )


def _link(title: str, params: ElicitRequestURLParams) -> Question | None:
    parts = urlsplit(params.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    body = f"{params.message}\n\nIt wants you to open this address at {parts.hostname}:\n{params.url}"
    choices = (Choice("accept", "I have opened it", "primary"), Choice("decline", "Decline"))
    return Question(title, (Text(body),), choices=choices)


def to_result(params: ElicitRequestParams, reply: Reply | None) -> ElicitResult:
    """The answer. Nobody there is a refusal; of a form come the values of its fields, or what they begin with."""
    from mcp_types import ElicitResult

    if reply is None or reply.choice != "accept":
        return ElicitResult(action="decline")
    if params.mode == "url":
        return ElicitResult(action="accept")
    schema = _schema(params)
    given = reply.values or {}
    content: dict[str, _Value] = {}
    for name, about in _properties(schema).items():
        value = given.get(name, about.get("default"))
        if (value is not None and value != "") or (name in given and about.get("type") == "string"):
            content[name] = _fitting(value, about)
    return ElicitResult(action="accept", content=content)


def _schema(params: ElicitRequestFormParams) -> JSONObject:
    schema = params.requested_schema
    plain: JSONObject = schema if isinstance(schema, dict) else {}
    return plain


def _properties(schema: JSONObject) -> dict[str, JSONObject]:
    properties = schema.get("properties")
    return {k: v for k, v in properties.items() if isinstance(v, dict)} if isinstance(properties, dict) else {}


def _defaults(schema: JSONObject) -> JSONObject:
    return {name: about["default"] for name, about in _properties(schema).items() if "default" in about}


def _fitting(value: JSON, about: JSONObject) -> _Value:
    """A value of the type its field has: a form of words gives a text for a number."""
    if isinstance(value, str):
        return _parsed(value, about.get("type"))
    if isinstance(value, list):
        return [str(each) for each in value]
    return str(value) if isinstance(value, dict) else value


def _parsed(text: str, kind: JSON) -> _Value:
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
    except ValueError:
        return text  # the server says what is wrong with it
    if kind == "boolean" and text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    return [each.strip() for each in text.split(",")] if kind == "array" else text
