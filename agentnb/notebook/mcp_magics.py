"""`%mcp` and `%%mcp`: the MCP servers of this notebook, and what they can do."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from agentnb.errors import AgentnbError, UsageError, nearest
from agentnb.mcp.server import McpServer
from agentnb.messages import JSON, JSONObject
from agentnb.models.key_shapes import known_keys
from agentnb.notebook import show
from agentnb.notebook.errand import wait_for
from agentnb.notebook.options import Option, usage
from agentnb.notebook.starting import starting
from agentnb.notebook.tables import Table
from agentnb.workspace import Workspace

T = TypeVar("T")
VERBS = ("list", "add", "show", "save", "restart", "stop", "rm")
TYPES = ("http", "sse", "stdio")
ADD_OPTIONS = (
    Option("env", "a variable of the server; ${env:NAME} takes one of the kernel's", value="K=V"),
    Option("cwd", "the folder it starts in", value="DIR"),
    Option("header", "a header of every request to a URL", value="K=V"),
    Option("type", "how a URL is spoken to, where it is not found out: http or sse", value="TYPE"),
    Option("timeout", "seconds that a call may take without a sign of life", value="SECONDS"),
    Option("always", "its tools run without asking", kind="flag"),
)
_SYNOPSIS = """[list]                   the servers, and how they are
%mcp add NAME COMMAND ARGS…   a server that is started here; what stands after -- is the command's own
%mcp add NAME URL [options]   a server at a URL
%mcp add FILE.json            the servers of a file with "mcpServers", as Claude and VS Code have it
%%mcp                         the same, the JSON in the cell
%mcp show NAME                its tools
%mcp save NAME                keep its settings for every notebook, without secrets; %mcp add NAME, -t NAME use it there
%mcp restart|stop|rm NAME     start it anew; stop it until it is next used; forget it"""
_NEVER = "A key is not written in a notebook: it would stay there. Put it into a variable, and write K='${env:NAME}'."


@magics_class
class McpMagics(Magics):
    """`%mcp` over one workspace."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        super().__init__(shell)
        self.workspace = workspace

    @no_var_expand
    @line_cell_magic
    def mcp(self, line: str, cell: str | None = None) -> None:
        """Add, list, show, restart, stop and forget MCP servers. `%mcp --help` says how."""
        words = _words(line)
        if words[:1] in (["--help"], ["-h"]) or words[1:2] in (["--help"], ["-h"]):
            show.text(usage("%mcp", _SYNOPSIS, ADD_OPTIONS))
        elif cell is not None:
            self._cell(words, cell)
        elif not words or words == ["list"]:
            show.table(servers(self.workspace), self.workspace.mask)
        elif words[0] not in VERBS:
            raise UsageError(f"%mcp has no verb {words[0]!r}.{nearest(words[0], VERBS)} See %mcp --help")
        elif words[0] == "add":
            self._add(words[1:])
        else:
            self._do(words[0], words[1:])

    def _cell(self, words: Sequence[str], cell: str) -> None:
        if words:
            raise UsageError("%%mcp takes its servers from the cell: nothing stands behind it.")
        if known_keys(cell) != cell:
            raise UsageError(_NEVER)
        self._start(self.workspace.mcp.load(cell))

    def _do(self, verb: str, names: Sequence[str]) -> None:
        if len(names) != 1:
            raise UsageError(f"%mcp {verb} needs the name of one server. %mcp lists them.")
        if verb == "rm":
            self._remove(names[0])
            return
        server = self.workspace.server(names[0])
        match verb:
            case "show":
                self._wait(server.ready, server.name)
                show.text(self.workspace.mask(_tools(server)))
            case "restart":
                self._wait(server.restart, server.name)
                show.text(_says(server))
            case "save":
                asked = self.workspace.keep_server(server.name)
                needs = f" It asks for {', '.join(asked)}: %agentenv set {asked[0]} --secret" if asked else ""
                show.text(f"{server.name} is kept. In any notebook: %mcp add {server.name}.{needs}")
            case _:
                wait_for(self.workspace, server.stop)
                show.text(f"{server.name} is stopped. It starts again when one of its tools is called.")

    def _remove(self, name: str) -> None:
        forgotten = self.workspace.forget_server(name)
        if name in self.workspace.mcp.servers or not forgotten:
            wait_for(self.workspace, lambda: self.workspace.mcp.remove(name))
        show.text(f"{name} is forgotten.")

    def _wait(self, work: Callable[[], Coroutine[object, object, T]], *names: str) -> T:
        """What `work` gives; the servers that it waits for, and links to sign in at, are shown meanwhile."""
        links = self.workspace.mcp.links
        notice = starting(self.shell, self.workspace, f"Starting {', '.join(names)}…")

        def look() -> None:
            notice.tick()
            while links:
                name, url = links.popleft()
                show.text(f"Sign in to the MCP server {name!r}: {url}")

        with notice:
            return wait_for(self.workspace, work, look)

    def _add(self, words: Sequence[str]) -> None:
        if len(words) == 1 and (words[0].endswith(".json") or Path(words[0]).expanduser().is_file()):
            self._start(self.workspace.mcp.load(Path(words[0])))
            return
        if len(words) == 1 and self.workspace.kept_server(words[0]) is not None:
            name, server = words[0], self.workspace.server(words[0])
        else:
            name, settings = _settings(words)
            server = self.workspace.mcp.add(name, settings)
        try:
            self._wait(server.ready, name)
        except AgentnbError:
            wait_for(self.workspace, lambda: self.workspace.mcp.remove(name))
            raise
        show.text(_says(server))

    def _start(self, found: Sequence[McpServer]) -> None:
        """Start several at once; one that cannot be does not hold up the others."""

        async def start() -> list[object]:
            return await asyncio.gather(*(each.ready() for each in found), return_exceptions=True)

        for server, came in zip(found, self._wait(start, *(each.name for each in found)), strict=True):
            if isinstance(came, BaseException) and not isinstance(came, AgentnbError):
                raise came
            show.text(self.workspace.mask(f"✗ {came}" if isinstance(came, AgentnbError) else _says(server)))


def servers(workspace: Workspace) -> Table:
    """The servers, and how they are."""
    rows: tuple[tuple[str, ...], ...] = tuple(
        (each.name, each.state, each.transport, str(len(each.known()) or ""), each.settings.place, each.trouble)
        for each in workspace.mcp.servers.values()
    )
    rows += tuple(
        (name, "kept", "", "", str(kept.get("command") or kept.get("url", "")).partition("?")[0], "")
        for name, kept in workspace.kept("mcp_server").items()
        if name not in workspace.mcp.servers
    )
    note = "" if rows else "No MCP servers yet. %mcp add NAME COMMAND ARGS… adds one; see %mcp --help"
    return Table(("server", "state", "by", "tools", "where", "trouble"), rows, note)


def _says(server: McpServer) -> str:
    if server.settings.disabled:
        return f"{server.name} is disabled in its settings."
    names = [tool.name for tool in server.known()]
    return f"{server.name}: {len(names)} tool{'s' * (len(names) != 1)}: {', '.join(names)}".rstrip(": ")


def _tools(server: McpServer) -> str:
    lines = []
    for tool in server.known():
        schema = tool.spec({}).parameters
        properties, required = schema.get("properties"), schema.get("required")
        given = properties if isinstance(properties, Mapping) else {}
        needed = required if isinstance(required, list) else []
        arguments = ", ".join(name if name in needed else f"[{name}]" for name in given)
        about = "\n".join(f"    {each}".rstrip() for each in tool.description.strip().splitlines())
        lines.append(f"{tool.name}({arguments})  {tool.traits.approval}\n{about}")
    return "\n".join(lines) or f"{server.name} has no tools."


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        raise UsageError("A quote in the line of %mcp is never closed. Close it, or leave it out.") from None


def _settings(words: Sequence[str]) -> tuple[str, JSONObject]:
    """The name and the settings that a line of `add` gives. Raises UsageError."""
    known = {f"--{option.name}": option for option in ADD_OPTIONS}
    rest: list[str] = []
    options: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        flag, equals, inline = words[at].partition("=")
        option = known.get(flag)
        at += 1
        if flag == "--" and len(rest) <= 1:
            rest += words[at:]
            break
        if option is None:
            if flag.startswith("--") and len(rest) <= 1:
                raise UsageError(f"%mcp add has no option {flag}.{nearest(flag, known)} See %mcp --help")
            rest.append(words[at - 1])
        elif option.kind == "flag" or equals:
            options.append((option.name, inline))
        elif at < len(words):
            options.append((option.name, words[at]))
            at += 1
        else:
            raise UsageError(f"{flag} of %mcp add needs a value: {flag} {option.value}")
    if len(rest) < 2:
        raise UsageError("%mcp add needs a name, and a command or a URL: %mcp add time python -m mcp_server_time")
    return rest[0], _filled(rest[1], rest[2:], options)


def _filled(where: str, args: Sequence[str], options: Sequence[tuple[str, str]]) -> JSONObject:
    settings: JSONObject = {}
    if where.startswith(("http://", "https://")):
        if args:
            raise UsageError(f"Nothing stands behind a URL but options, not {args[0]!r}. See %mcp --help")
        settings["url"] = where
    else:
        settings |= {"command": where, "args": list[JSON](args)}
    pairs: dict[str, dict[str, JSON]] = {"env": {}, "headers": {}}
    for name, value in options:
        match name:
            case "env" | "header":
                key, equals, said = value.partition("=")
                if not equals or not key:
                    raise UsageError(f"--{name} of %mcp add takes K=V, not {known_keys(value)!r}.")
                if known_keys(said) != said:
                    raise UsageError(_NEVER)
                pairs["env" if name == "env" else "headers"][key] = said
            case "always":
                settings["approval"] = "always"
            case "timeout":
                settings[name] = _seconds(value)
            case _:
                settings[name] = value
    return settings | {key: given for key, given in pairs.items() if given}


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--timeout takes a number of seconds, not {text!r}.") from None
