"""The settings of MCP servers, as the files of Claude, VS Code and others hold them (`mcpServers`, `servers`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from agentnb.errors import UsageError, nearest
from agentnb.mcp.expansion import Expansion, is_secret
from agentnb.messages import JSON
from agentnb.tools.base import Approval

#: How a server is reached; "auto" is a URL that may speak either kind of HTTP.
Transport: TypeAlias = Literal["stdio", "http", "sse", "auto"]
#: Seconds that a call may take without a sign of life, and that a server may take to start.
CALL_SECONDS, START_SECONDS = 60.0, 60.0
#: Words of the files for each way.
_WAYS: dict[str, Transport] = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "streamable_http": "http",
    "remote": "auto",
    "sse": "sse",
}
_KEYS = ("command", "args", "env", "cwd", "url", "headers", "type", "disabled", "timeout", "alwaysAllow", "approval")
#: No call of so many seconds is meant: some programs write milliseconds.
_MILLISECONDS = 10_000
_JSONC = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settings:
    """One server: a command that is started, or a URL. What may hold keys is left out of the repr.

    `timeout` and `start` are seconds; `always_allow` are the tools that run unasked ("*": all of them). `oauth` is
    what is known beforehand for signing in (clientId, clientSecret, callbackPort, scope); None: nobody signs in.
    """

    name: str
    command: str | None = None
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    transport: Transport = "stdio"
    disabled: bool = False
    timeout: float = CALL_SECONDS
    start: float = START_SECONDS
    always_allow: frozenset[str] = frozenset()
    approval: Approval = "ask"
    oauth: Mapping[str, str] | None = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    #: The settings before variables were filled in.
    written: Mapping[str, JSON] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> str:
        """Where it is, without what may be secret: the command, or the URL without its query."""
        if self.url is None:
            return self.command or ""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def origin(self) -> str:
        """What runs, or is asked: another command or address under this name is another server."""
        return "\0".join(filter(None, (self.command, *self.args, self.cwd, self.url)))

    def approves(self, tool: str) -> Approval:
        """What holds for one of its tools where the person has said nothing."""
        return "always" if self.always_allow & {tool, "*"} else self.approval


def read_file(path: Path, environ: Mapping[str, str]) -> list[Settings]:
    """The servers of a file. Raises UsageError that names the file, the server and the key."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    # VS Code's file is in the folder .vscode of the workspace.
    folder = path.expanduser().resolve().parent
    return read(text, environ, folder=folder.parent if folder.name == ".vscode" else folder, source=str(path))


def read(text: str, environ: Mapping[str, str], *, folder: Path | None = None, source: str = "") -> list[Settings]:
    """The servers of a text in JSON, comments and trailing commas allowed. Raises UsageError as `read_file` does."""
    where = f"{source}: " if source else ""
    try:
        value = _loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UsageError(f'{where}expected an object such as {{"mcpServers": {{…}}}}.')
    servers = value.get("mcpServers", value.get("servers", value.get("mcp")))
    if isinstance(servers, dict) and "servers" in servers and "mcp" in value:  # VS Code's settings.json
        servers = servers["servers"]
    if servers is None and value and all(isinstance(each, dict) for each in value.values()):
        servers = value  # the servers themselves
    if not isinstance(servers, dict) or not servers:
        raise UsageError(f'{where}no "mcpServers" in it.{nearest("mcpServers", value)}')
    expansion = Expansion(environ, folder or Path.cwd())
    return [server(name, each, expansion, source=source) for name, each in servers.items()]


def _loads(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except ValueError as error:
        try:
            value = json.loads(_JSONC.sub(lambda found: found[1] or "", text))
        except ValueError:
            raise error from None
    return value


def server(name: str, value: JSON, expansion: Expansion, *, source: str = "") -> Settings:
    """The settings of one server. Raises UsageError that names it and the key."""
    place = f"{source}: MCP server {name!r}" if source else f"MCP server {name!r}"
    if not isinstance(value, dict):
        raise UsageError(f"{place} should be an object with a command or a url.")
    if not name.strip():
        raise UsageError(f"{place}: a server needs a name.")
    if value.get("disabled") is True:
        return Settings(name, disabled=True)
    fields = _Fields(place, value, expansion)
    command, url = fields.text("command"), fields.text("url") or fields.text("serverUrl")
    transport = _transport(place, value, command, url)
    env, headers = fields.texts("env"), fields.texts("headers")
    timeout = fields.seconds("timeout", CALL_SECONDS)
    oauth = None if value.get("oauth") is False else fields.texts("oauth")
    named = {each for group in (env, headers, oauth or {}) for key, each in group.items() if is_secret(key)}
    named |= {each.split(" ", 1)[1] for each in named if re.match(r"(?i)(bearer|basic|token) \S", each)}
    return Settings(
        name=name,
        command=command,
        args=fields.words("args"),
        env=env,
        cwd=fields.text("cwd"),
        url=url,
        headers=headers,
        transport=transport,
        timeout=timeout,
        start=max(timeout, START_SECONDS),
        always_allow=fields.names("alwaysAllow") | fields.names("autoApprove"),
        approval=fields.approval("approval"),
        oauth=oauth,
        secrets=frozenset(expansion.secrets | named),
        written=value,
    )


def _transport(place: str, value: dict[str, JSON], command: str | None, url: str | None) -> Transport:
    said = value.get("type", value.get("transport"))
    if said is not None and (not isinstance(said, str) or said not in _WAYS):
        near = nearest(said, _WAYS) if isinstance(said, str) else ""
        raise UsageError(f'{place}: "type" is stdio, http or sse, not {said!r}.{near}')
    if command and url:
        raise UsageError(f'{place} has both "command" and "url". Leave one of them out.')
    if not command and not url:
        near = next((hint for key in value if key not in _KEYS and (hint := nearest(key, ("command", "url")))), "")
        raise UsageError(f'{place} has neither "command" nor "url".{near}')
    way: Transport = _WAYS[said] if isinstance(said, str) else "auto" if url else "stdio"
    if (way == "stdio") != bool(command):
        raise UsageError(f'{place}: "type": "{said}" goes with {"a command" if way == "stdio" else "a url"}.')
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f'{place}: "url" begins with http:// or https://.')
    return way


class _Fields:
    """The keys of one server, each checked for its kind and with its variables filled in."""

    def __init__(self, place: str, value: dict[str, JSON], expansion: Expansion) -> None:
        self._place = place
        self._value = value
        self._expansion = expansion

    def text(self, key: str) -> str | None:
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(key, "a text")
        return self._fill(key, value)

    def words(self, key: str) -> tuple[str, ...]:
        value = self._value.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str | int | float) for each in value):
            raise self._wrong(key, "a list of texts")
        return tuple(self._fill(key, str(each)) for each in value)

    def texts(self, key: str) -> dict[str, str]:
        value = self._value.get(key) or {}
        if not isinstance(value, dict) or any(isinstance(each, dict | list) for each in value.values()):
            raise self._wrong(key, "an object of texts")
        plain = {name: each if isinstance(each, str) else json.dumps(each) for name, each in value.items()}
        # null takes a variable away, which it is without us: servers inherit only a few.
        return {name: self._fill(key, each) for name, each in plain.items() if value[name] is not None}

    def seconds(self, key: str, default: float) -> float:
        value = self._value.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise self._wrong(key, "a number of seconds greater than 0")
        return value / 1000 if value >= _MILLISECONDS else float(value)

    def names(self, key: str) -> frozenset[str]:
        value = self._value.get(key) or []
        if value is True:
            return frozenset({"*"})
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(key, "a list of the names of tools")
        return frozenset(str(each) for each in value)

    def approval(self, key: str) -> Approval:
        match self._value.get(key, "ask"):
            case ("always" | "ask" | "never") as said:
                return said
        raise self._wrong(key, "one of always, ask, never")

    def _fill(self, key: str, text: str) -> str:
        return self._expansion.fill(text, f'{self._place}: "{key}"')

    def _wrong(self, key: str, kind: str) -> UsageError:
        return UsageError(f'{self._place}: "{key}" should be {kind}.')
