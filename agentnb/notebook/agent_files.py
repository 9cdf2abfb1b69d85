"""`%agent export` and `%agent import`: a saved agent as one file, to be given away, and one from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agentnb.agent_file import AgentFile, format_file, read_file
from agentnb.agents import SavedAgent, problems
from agentnb.errors import AgentnbError, UsageError
from agentnb.kept_settings import server_body
from agentnb.messages import JSONObject
from agentnb.notebook import tool_shelf
from agentnb.notebook.export_file import write
from agentnb.render.terminal import clean, one_line, visible
from agentnb.tools.definitions import ToolConfig
from agentnb.workspace import Workspace


def export(workspace: Workspace, saved: SavedAgent, file: str) -> str:
    """Write an agent with all that it is made of into a file. Raises UsageError."""
    path = Path(file or f"{saved.name}.json").expanduser()
    if path.exists():
        read_file(path)  # what is no agent is not written over
    tools, servers, notes = _made_of(workspace, saved)
    kept = workspace.templates
    named = [name for name in (saved.template, saved.system_template) if name]
    templates = {name: kept.get(name).content for name in named if name in kept.names()}
    notes += [f"There is no template {name!r}, so it is not in the file." for name in named if name not in templates]
    value = format_file(saved, templates=templates, tools=tools, servers=servers)
    write(path, json.dumps(workspace.mask.deep(value), indent=2, ensure_ascii=False) + "\n")
    held = ", ".join([*(each.name for each, _ in tools), *servers, *templates])
    head = f"{saved.name}{f', with {held},' if held else ''} is in {path}. Elsewhere: %agent import {path.name}"
    return "\n".join([head, *notes])


def _made_of(
    workspace: Workspace, saved: SavedAgent
) -> tuple[list[tuple[ToolConfig, str]], dict[str, JSONObject], list[str]]:
    """The functions with their source, the servers without secrets, and what is not in the file."""
    tools: list[tuple[ToolConfig, str]] = []
    servers: dict[str, JSONObject] = {}
    notes: list[str] = []
    here = {each.name: each for each in workspace.toolbox.listed()}
    for name in saved.tools or ():
        server = here[name].toolset if name in here else name
        try:
            if server in workspace.mcp.servers:
                written = workspace.mcp.server(server).settings.written
                servers[server], asked = server_body(server, written, workspace.mask)
                notes += [f"{server} asks for {', '.join(asked)}, which is not in the file."] if asked else []
            elif (settings := workspace.kept_server(name)) is not None:
                servers[name] = settings
            elif name not in here or server is None:
                tools.append(_function(workspace, name, name in here))
        except AgentnbError as error:
            notes.append(f"{name} is not in the file: {error}")
    return tools, servers, list(dict.fromkeys(notes))


def _function(workspace: Workspace, name: str, here: bool) -> tuple[ToolConfig, str]:
    return tool_shelf.described(workspace, name) if here else tool_shelf.kept(workspace, name)


def import_(workspace: Workspace, file: str, flags: Sequence[str], say: Callable[[str], object]) -> str:
    """Keep the agent of a file. What of it would run is shown first, and kept only with `--yes`; a name that is taken
    is given to it only with `--replace`. Nothing runs. Raises UsageError.
    """
    found = read_file(Path(file).expanduser())
    taken = list(_taken(workspace, found))
    if taken and "--replace" not in flags:
        raise UsageError(
            f"You have {', '.join(taken)} already, with other contents. To replace: %agent import {file} --replace"
        )
    if found.acts and "--yes" not in flags:
        for part in _parts(found):
            say(workspace.mask(part))
        again = " ".join(dict.fromkeys([*flags, "--yes"]))
        return f"Nothing was run, and nothing kept. If you trust this: %agent import {file} {again}"
    servers = {name: server_body(name, each, workspace.mask)[0] for name, each in found.servers.items()}
    workspace.agents.check(found.agent)  # before anything is kept
    for name, content in found.templates.items():
        workspace.templates.put(name, content)
    if found.tools.tools:
        tool_shelf.shelf(workspace).save(found.tools.tools)
    for name, settings in servers.items():
        workspace.store.records.put("mcp_server", name, settings)
    saved = workspace.agents.save(found.agent)
    lines = [f"{saved.name} is kept. Use it: %%agent --as {saved.name}"]
    lines += [f"Not taken over: {one_line(what, 120)}." for what in found.withheld]
    lines += [f"Not functions, and left out: {clean(', '.join(found.tools.left_out))}."] if found.tools.left_out else []
    return workspace.mask("\n".join([*lines, *problems(saved, workspace.around())]))


def _taken(workspace: Workspace, found: AgentFile) -> Iterator[str]:
    """What has a name of the file already, and is another thing."""
    own = workspace.agents.find(found.agent.name)
    if own is not None and replace(own, last_modified=None) != replace(found.agent, last_modified=None):
        yield f"an agent {found.agent.name!r}"
    records = workspace.store.records
    for name, content in found.templates.items():
        if (old := records.find("template", name)) and old.body != {"content": content}:
            yield f"a template {one_line(name, 60)!r}"
    shelf = tool_shelf.shelf(workspace)
    saved = {each.name for each in shelf.list()}
    for config, source in found.tools.tools:
        if config.name in saved and shelf.source(config.name) != source:
            yield f"a tool {config.name!r}"
    for name, settings in found.servers.items():
        kept = workspace.kept_server(name)
        if (kept is not None and kept != settings) or (kept is None and name in workspace.mcp.servers):
            yield f"an MCP server {one_line(name, 60)!r}"


def _parts(found: AgentFile) -> Iterator[str]:
    """What a person reads before they trust a file: all of it, nothing folded."""
    yield _part(f"agent {found.agent.name}", json.dumps(found.agent.body(), indent=2, ensure_ascii=False))
    for name, content in found.templates.items():
        yield _part(f"template {name}, whose {{{{…}}}} are evaluated", content)
    for config, source in found.tools.tools:
        yield _part(f"function {config.name}", source)
    for name, settings in found.servers.items():
        yield _part(f"MCP server {name}", json.dumps(settings, indent=2, ensure_ascii=False))


def _part(title: str, text: str) -> str:
    shown = visible(text)
    beware = " (holds characters that nobody sees: beware)" if shown != text.replace("\r\n", "\n") else ""
    return f"── {one_line(title, 80)}{beware} {'─' * 40}\n{shown}"
