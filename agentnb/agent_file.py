"""One file that holds an agent and what it is made of: templates, functions with their source, MCP servers; no keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentnb.agents import SavedAgent
from agentnb.errors import UsageError
from agentnb.kept_settings import without_grants
from agentnb.messages import JSON, JSONObject
from agentnb.templates import checked_name
from agentnb.tools.bundle import Bundle, format_bundle, read_bundle
from agentnb.tools.definitions import ToolConfig

#: Bytes of a file that is read at all.
_LARGEST = 20_000_000


@dataclass(frozen=True, slots=True)
class AgentFile:
    """What a file holds. `withheld` says what was in it that a file from elsewhere may not decide."""

    agent: SavedAgent
    templates: Mapping[str, str] = field(default_factory=dict)
    tools: Bundle = field(default_factory=lambda: Bundle(()))
    servers: Mapping[str, JSONObject] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether there is anything in it that runs, or that says where to send a key."""
        return bool(
            self.templates or self.tools.tools or self.servers or self.agent.api_base or _expressions(self.agent)
        )


def format_file(
    agent: SavedAgent,
    *,
    templates: Mapping[str, str],
    tools: Sequence[tuple[ToolConfig, str]],
    servers: Mapping[str, JSONObject],
) -> JSONObject:
    """What the file holds; `%tool import` and `%mcp add` read their parts of it as well."""
    body = {name: value for name, value in agent.body().items() if name != "last_modified"}
    held: dict[str, JSON] = {**servers}
    return {"agent": body, "templates": dict(templates), **format_bundle(tools), "mcpServers": held}


def read_file(path: Path) -> AgentFile:
    """An agent's file, or that of a program that keeps one object for each agent. Runs nothing. Raises UsageError."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than {_LARGEST // 1_000_000} MB: this is no agent.")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no agent: it is not JSON ({error}).") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no agent: it is no JSON object.")
    own = "agent" in found
    if not own and not {"agent_id", "model_id", "nickname"} & set(found):
        raise UsageError(f'{path} is no agent: there is no "agent" in it. %agent export NAME writes such a file.')
    try:
        agent = SavedAgent.read(found["agent"] if own else found)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    templates, servers = found.get("templates", {}), found.get("mcpServers", {})
    if not isinstance(templates, dict) or not all(isinstance(each, str) for each in templates.values()):
        raise UsageError(f"{path}: its templates are no object of texts.")
    for name in templates:
        checked_name(name)
    if not isinstance(servers, dict) or not all(isinstance(each, dict) for each in servers.values()):
        raise UsageError(f"{path}: its mcpServers are no object of objects.")
    harmless = {name: without_grants(each) for name, each in servers.items()}
    return AgentFile(
        replace(agent, approve=None) if agent.approve == "auto" else agent,
        templates if own else {},
        read_bundle(path) if own and "tools" in found else Bundle(()),
        harmless if own else {},
        tuple(_withheld(agent, servers, harmless)),
    )


def _withheld(agent: SavedAgent, servers: Mapping[str, JSON], harmless: Mapping[str, JSON]) -> list[str]:
    granted = [name for name, each in servers.items() if each != harmless.get(name)]
    said = ["that its tools run unasked"] if agent.approve == "auto" else []
    return [*said, *(f"that tools of {name} run unasked" for name in granted)]


def _expressions(agent: SavedAgent) -> bool:
    """Whether an argument is an expression, which would be evaluated in the notebook."""
    return any(
        isinstance(value, str) and "{{" in value
        for value in (*agent.arguments.values(), *agent.system_arguments.values())
    )
