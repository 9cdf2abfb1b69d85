"""Models and MCP servers as they are kept for other notebooks: as they were written, without any secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agentnb.errors import UsageError
from agentnb.mcp.expansion import is_secret
from agentnb.messages import JSON, JSONObject
from agentnb.models.key_shapes import with_known_keys
from agentnb.models.options import PRIVATE, Options
from agentnb.models.providers import Provider, find

_CREDENTIAL = re.compile(r"\$\{credential:([\w.-]+)\}")
#: Options that may hold keys, and grants that a file from elsewhere must not bring along.
_GRANTS = ("alwaysAllow", "autoApprove", "approval")
_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)[^}]*\}")


@dataclass(frozen=True, slots=True)
class MadeModel:
    """A model of one's own as it was asked for: `base` with `settings` around it; or `alias`, another's name."""

    base: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    options: Options | None = field(default=None, repr=False)
    api_base: str | None = None
    api_key_name: str | None = None
    connect: float | None = None
    alias: str | None = None

    @property
    def words(self) -> str:
        """What it is made of, as a list shows it."""
        around = (
            f"{name} {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
            for name, value in self.settings.items()
        )
        return self.alias or ", ".join(filter(None, (self.base, *around)))


def model_body(name: str, made: MadeModel, mask: Callable[[str], str]) -> JSONObject:
    """What is kept of a model; headers and query are not. Raises UsageError for what is no JSON, and for a key."""
    options = {key: value for key, value in (made.options or Options()).given().items() if key not in PRIVATE}
    given: dict[str, object] = {
        "base": made.base,
        "settings": dict(made.settings),
        "options": options,
        "api_base": made.api_base,
        "api_key_name": made.api_key_name,
        "connect": made.connect,
        "alias": made.alias,
    }
    try:
        text = json.dumps({key: value for key, value in given.items() if value})
    except TypeError:
        raise UsageError(
            f"{name!r} is made of objects of this notebook, so it cannot be kept. Name its models."
        ) from None
    if with_known_keys(mask)(text) != text:
        raise UsageError(
            f"A key stands in {name!r}, and it was not kept. Name the key: %credential add, --api-key-name."
        )
    body: JSONObject = json.loads(text)
    return body


def is_providers(name: str, providers: Mapping[str, Provider]) -> bool:
    """Whether a name is written as those of a provider, or of what runs here, are: `openai:…`, `local:…`."""
    head, colon, _ = name.strip().partition(":")
    return bool(colon) and (head in ("local", "replay", "fake") or find(head, providers) is not None)


def read_model(body: Mapping[str, JSON]) -> MadeModel:
    """A model from what was kept; what is none of its fields is passed over. Raises UsageError for a bad option."""
    if isinstance(body.get("model_name"), str):
        body = _of_runtime(body)
    texts = {key: value if isinstance(value := body.get(key), str) else None for key in _TEXTS}
    settings, options, connect = body.get("settings"), body.get("options"), body.get("connect")
    return MadeModel(
        base=texts["base"],
        settings=settings if isinstance(settings, dict) else {},
        options=Options.read(options) if isinstance(options, dict) else None,
        api_base=texts["api_base"],
        api_key_name=texts["api_key_name"],
        connect=float(connect) if isinstance(connect, int | float) else None,
        alias=texts["alias"],
    )


def _of_runtime(body: Mapping[str, JSON]) -> JSONObject:
    """A model as `models.json` of an agents runtime has it, in our words; its options go to the server as they are."""
    protocol = body.get("api_protocol")
    given = body.get("generate_params")
    known = {key: value for key, value in given.items() if key in _COMMON} if isinstance(given, dict) else {}
    other = {key: value for key, value in given.items() if key not in _COMMON} if isinstance(given, dict) else {}
    return {
        "base": f"{protocol if isinstance(protocol, str) and protocol else 'openai'}:{body['model_name']}",
        "api_base": body.get("api_base") or None,
        "api_key_name": body.get("api_key_name") or None,
        "options": {**known, **({"body": other} if other else {})},
    }


#: Options that all programs call the same.
_COMMON = ("temperature", "top_p", "max_tokens", "seed")
_TEXTS = ("base", "api_base", "api_key_name", "alias")


def server_body(name: str, written: Mapping[str, JSON], mask: Callable[[str], str]) -> tuple[JSONObject, list[str]]:
    """A server's settings with variables in the place of secrets, and the variables that they ask for.

    Raises UsageError where a key stands elsewhere, and for a server that was not written as settings.
    """
    if not written:
        raise UsageError(f"{name!r} is an object of this notebook, and has no settings to keep.")
    body: JSONObject = dict(written)
    for group in ("env", "headers", "oauth"):
        pairs = body.get(group)
        if isinstance(pairs, dict):
            body[group] = {key: _reference(name, group, key, value, mask) for key, value in pairs.items()}
    text = json.dumps(body)
    if with_known_keys(mask)(text) != text:
        raise UsageError(
            f"A key stands in the settings of {name!r}, and they were not kept. Put it into a variable, and write "
            "${env:NAME} in its place."
        )
    return body, sorted({found[1] for found in _REFERENCE.finditer(text)} - {"workspaceFolder", "userHome"})


def revealed(
    body: Mapping[str, JSON], reveal: Callable[[str], str | None], hide: Callable[[str], object]
) -> JSONObject:
    """A server's settings with keys in place of the credentials that they refer to; `hide` is told each key."""

    def key(found: re.Match[str]) -> str:
        secret = reveal(found[1])
        if secret is None:
            raise UsageError(f"The credential {found[1]!r} is not here. Keep it: %credential add {found[1]}")
        hide(secret)
        return json.dumps(secret)[1:-1]

    filled: JSONObject = json.loads(_CREDENTIAL.sub(key, json.dumps(body)))
    return filled


def _reference(name: str, group: str, key: str, value: JSON, mask: Callable[[str], str]) -> JSON:
    """A value, or the variable that stands for it where it is a secret."""
    if not isinstance(value, str) or _REFERENCE.search(value):
        return value
    if not is_secret(key) and with_known_keys(mask)(value) == value:
        return value
    variable = key if group == "env" else re.sub(r"\W+", "_", f"{name}_{key}").upper()
    return f"${{env:{variable}}}"


def without_grants(body: Mapping[str, JSON]) -> JSONObject:
    """A server's settings without what lets its tools run unasked."""
    return {key: value for key, value in body.items() if key not in _GRANTS}
