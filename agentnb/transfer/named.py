"""Tools and agents as entries of files, and back: those of other programs as they are, ours in their words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence

from agentnb.agents import SavedAgent, checked_name
from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.transfer.models import OURS
from agentnb.transfer.report import Note
from agentnb.transfer.secrets import Reveal, TakeOut, put_back

#: The fields of each, in the order in which files have them.
TOOL = (
    "tool_id",
    "tool_type",
    "name",
    "description",
    "parameters",
    "mcp_server_name",
    "tool_name",
    "steps",
    "function_file_path",
    "function_name",
    "skill_dir",
    "builtin",
)
AGENT = (
    "agent_id",
    "model_id",
    "tool_ids",
    "template_id",
    "template_arguments",
    "system_prompt",
    "nickname",
    "description",
    "myself_view",
    "avatar",
    "last_modified",
)
#: Where what cannot be used of an agent is kept.
_APART = "agents_runtime"
_AGENT_WORDS = {
    "model": "model_id",
    "tools": "tool_ids",
    "system": "system_prompt",
    "system_template": "template_id",
    "system_arguments": "template_arguments",
}


def parse_tool(entry: JSONObject, name: str, secrets: TakeOut, _: Note) -> JSON:
    """What is kept of a tool."""
    return _parsed(entry, name, secrets, _tool, lambda body: {"tool_id": name, **body})


def parse_agent(entry: JSONObject, name: str, secrets: TakeOut, note: Note) -> JSON:
    """What is kept of an agent; what cannot be used of it stands apart, so that the rest can."""
    return _parsed(entry, name, secrets, _agent, lambda body: _usable({**body, **_id(body, name)}, name, note))


def format_tool(name: str, body: JSON, reveal: Reveal | None) -> JSON:
    """The entry of a tool."""
    return _formatted(name, body, reveal, TOOL, _tool, parse_tool)


def format_agent(name: str, body: JSON, reveal: Reveal | None) -> JSON:
    """The entry of an agent, in the words of that layout."""
    return _formatted(name, body, reveal, AGENT, _agent, parse_agent)


def agent_name(said: JSON, nickname: JSON) -> str:
    """The name of an agent here, where not everything can be one: its id, else its nickname, else what comes near."""
    for each in (said, nickname):
        if isinstance(each, str):
            with contextlib.suppress(UsageError):
                return checked_name(each)
    return checked_name(f"agent-{re.sub(r'[^A-Za-z0-9_.-]+', '-', str(said))}"[:64])


def ordered(entry: JSONObject, fields: Sequence[str]) -> JSONObject:
    """An entry with its fields in their order; what it has beside them comes last."""
    return {name: entry[name] for name in (*(f for f in fields if f in entry), *sorted(set(entry) - set(fields)))}


def _parsed(
    entry: JSONObject,
    name: str,
    secrets: TakeOut,
    make: Callable[[str, JSONObject], JSONObject],
    plain: Callable[[JSONObject], JSON],
) -> JSON:
    ours, rest = entry.get(OURS), {key: value for key, value in entry.items() if key != OURS}
    if isinstance(ours, dict) and make(name, ours) == rest:
        return secrets.value(ours, (name,))
    body = secrets.value(rest, (name,))
    return plain(body) if isinstance(body, dict) else body


def _formatted(
    name: str,
    body: JSON,
    reveal: Reveal | None,
    fields: Sequence[str],
    make: Callable[[str, JSONObject], JSONObject],
    parse: Callable[[JSONObject, str, TakeOut, Note], JSON],
) -> JSON:
    given: JSONObject = body if isinstance(body, dict) else {"value": body}
    entry = make(name, given)
    if parse(entry, name, TakeOut(None, lambda _: None), lambda _: None) != body:
        entry[OURS] = given
    made = put_back(entry, reveal)
    return ordered(made, fields) if isinstance(made, dict) else made


def _tool(name: str, body: JSONObject) -> JSONObject:
    return {"tool_id": name, **body}


def _agent(name: str, body: JSONObject) -> JSONObject:
    apart = body.get(_APART)
    made: JSONObject = {_AGENT_WORDS.get(key, key): each for key, each in body.items() if key not in ("name", _APART)}
    made |= apart if isinstance(apart, dict) else {}
    return {**made, **_id(made, name)}


def _id(body: JSONObject, name: str) -> JSONObject:
    """Its id, unless it has one by which it is called so."""
    said = body.get("agent_id")
    fits = isinstance(said, str) and bool(said) and agent_name(said, body.get("nickname")) == name
    return {} if fits else {"agent_id": name}


def _usable(body: JSONObject, name: str, note: Note) -> JSON:
    apart: JSONObject = {}
    while True:
        given: JSONObject = {key: value for key, value in body.items() if key not in apart}
        try:
            SavedAgent.read(given, name)
        except UsageError as error:
            bad = next((key for key, value in given.items() if not _reads({key: value}, name)), None)
            if bad is None:
                note(f"agent {name} was kept, but cannot be used: {error}")
                return {_APART: body}
            note(f"agent {name}: {bad} was kept, but is not used: {error}")
            apart[bad] = given[bad]
        else:
            return {**given, _APART: apart} if apart else given


def _reads(body: JSONObject, name: str) -> bool:
    try:
        SavedAgent.read(body, name)
    except UsageError:
        return False
    return True
