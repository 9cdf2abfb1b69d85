"""The named things of `~/.agents_runtime`: models, tools, servers, templates, variables and agents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from agentnb.messages import JSON, JSONObject
from agentnb.models.key_shapes import known_keys
from agentnb.store.records import Kind
from agentnb.transfer.models import MODEL, OURS, parse_model
from agentnb.transfer.named import AGENT, TOOL, agent_name, parse_agent, parse_tool
from agentnb.transfer.report import Note
from agentnb.transfer.secrets import TakeOut, is_secret, referred
from agentnb.transfer.times import parse_time
from agentnb.transfer.tree import Tree


@dataclass(frozen=True, slots=True)
class NewRecord:
    """Something that comes in under a name; `created` is in seconds since 1970, None for now."""

    kind: Kind
    name: str
    body: JSON
    created: float | None = None


def parse_records(tree: Tree, secrets: TakeOut, note: Note) -> Iterator[NewRecord]:
    """All of them, without secrets."""
    for entry, name in _named(tree, "models.json", ("model_id", "model_name"), MODEL, note):
        yield NewRecord("model", name, parse_model(entry, name, secrets))
    for entry, name in _named(tree, "tools.json", ("tool_id", "name"), TOOL, note):
        yield NewRecord("tool", name, parse_tool(entry, name, secrets, note))
    yield from _servers(tree, secrets, note)
    yield from _templates(tree, note)
    yield from _agents(tree, secrets, note)
    variables = dict(_variables(tree, secrets, note))
    for name, body in {**variables, **secrets.variables}.items():
        yield NewRecord("env", name, body)


def _servers(tree: Tree, secrets: TakeOut, note: Note) -> Iterator[NewRecord]:
    value = tree.json("mcp_servers.json")
    servers = value.get("mcpServers", value) if isinstance(value, dict) else value
    if servers is not None and not isinstance(servers, dict):
        note("mcp_servers.json has no object of servers; it was left out.")
        return
    for name, server in (servers or {}).items():
        if not isinstance(server, dict):
            note(f"mcp_servers.json: {name!r} is no object; it was left out.")
            continue
        yield NewRecord("mcp_server", name, secrets.value(server, (name,)))


def _templates(tree: Tree, note: Note) -> Iterator[NewRecord]:
    value = tree.json("prompt_templates.json")
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        value = [{"template_id": name, "content": content} for name, content in value.items()]
    known = ("template_id", "name", "content")
    for entry, name in _entries(value, "prompt_templates.json", ("template_id", "name"), known, note):
        content = entry.get("content")
        if not isinstance(content, str):
            note(f"prompt_templates.json: {name!r} has no content that is a text; it was left out.")
            continue
        body: JSONObject = {field: each for field, each in entry.items() if field not in ("template_id", "name")}
        yield NewRecord("template", name, body)


def _variables(tree: Tree, secrets: TakeOut, note: Note) -> Iterator[tuple[str, JSONObject]]:
    value = tree.json("env.json")
    if value is not None and not isinstance(value, dict):
        note("env.json is no object of names and values; it was left out.")
        return
    for name, given in (value or {}).items():
        if not name.strip():
            note("env.json: a variable has no name; it was left out.")
            continue
        text = given if isinstance(given, str) else "" if given is None else str(given)
        if referred(text) == name:
            yield name, {"secret": True}
        elif text.strip() and (is_secret(name) or known_keys(text) != text) and not text.strip().isdigit():
            secrets.variable(name, text)
        else:
            yield name, {"value": text}


def _agents(tree: Tree, secrets: TakeOut, note: Note) -> Iterator[NewRecord]:
    for file in tree.names("agents"):
        path = f"agents/{file}"
        if not file.endswith(".json") or not tree.has(path):
            continue
        value = tree.json(path)
        if value is None:
            continue
        if not isinstance(value, dict):
            note(f"{path} is no object; it was left out.")
            continue
        _tell_unknown(value, AGENT, path, note)
        said = value.get("agent_id")
        name = agent_name(said if isinstance(said, str) and said else PurePosixPath(file).stem, value.get("nickname"))
        body = parse_agent(value, name, secrets, note)
        yield NewRecord("agent", name, body, parse_time(value.get("last_modified")))


def _named(
    tree: Tree, path: str, keys: Sequence[str], known: Sequence[str], note: Note
) -> Iterator[tuple[JSONObject, str]]:
    yield from _entries(tree.json(path), path, keys, known, note)


def _entries(
    value: JSON, path: str, keys: Sequence[str], known: Sequence[str], note: Note
) -> Iterator[tuple[JSONObject, str]]:
    """The objects of an array, each with its name; the last of a name counts."""
    if value is None:
        return
    if not isinstance(value, list):
        note(f"{path} is no array; it was left out.")
        return
    found: dict[str, JSONObject] = {}
    for number, entry in enumerate(value):
        said = (entry.get(key) for key in keys) if isinstance(entry, dict) else ()
        name = next((each for each in said if isinstance(each, str) and each.strip()), None)
        if not isinstance(entry, dict) or name is None:
            note(f"{path}: entry {number} is no object with a {keys[0]}; it was left out.")
            continue
        _tell_unknown(entry, known, f"{path}: {name}", note)
        if name in found:
            note(f"{path}: {name!r} is there twice; the last one counts.")
        found[name] = entry
    for name, entry in found.items():
        yield entry, name


def _tell_unknown(entry: JSONObject, known: Sequence[str], where: str, note: Note) -> None:
    if unknown := sorted(set(entry) - set(known) - {OURS}):
        note(f"{where} has {', '.join(unknown[:8])}, which agentnb does not use; it is kept.")
