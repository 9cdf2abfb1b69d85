"""Agents kept under a name: model, tools, prompts and options, without any key, and what each would lack here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON, JSONObject
from agentnb.models.key_shapes import with_known_keys
from agentnb.models.options import PRIVATE, Options

if TYPE_CHECKING:
    from agentnb.models.base import Model
    from agentnb.store.records import Record, Records
    from agentnb.tools.base import Tool

#: Options that may hold what nobody should read; they are not kept.
_NAME = re.compile(r"\w[\w.-]{0,63}")
#: How others call what we keep, in a file for each agent.
_OTHER_NAMES = {
    "agent_id": "name",
    "model_id": "model",
    "tool_ids": "tools",
    "system_prompt": "system",
    "template_id": "system_template",
    "template_arguments": "system_arguments",
}
_LISTS = ("tools", "skills")
_OBJECTS = ("options", "arguments", "system_arguments")
_APPROVE = ("ask", "auto", "never")
_CONTEXT = ("none", "minimal", "notebook")


@dataclass(frozen=True, slots=True)
class SavedAgent:
    """An agent as it is kept; None leaves a thing to the notebook that uses it.

    `tools` are names or ids of tools, or names of sources such as an MCP server; none (`()`) is none. `template` is the
    prompt's, with `arguments`; `system_template` that of the system prompt, with `system_arguments`, used where there
    is no `system`. `options` are generation options (see Options.read), `max_cost` is in USD. `nickname`, `avatar` and
    `myself_view` are kept for the programs that they come from. `last_modified` is a time in ISO 8601.
    """

    name: str
    model: str | None = None
    api_base: str | None = None
    api_key_name: str | None = None
    tools: tuple[str, ...] | None = None
    skills: tuple[str, ...] = ()
    system: str | None = None
    template: str | None = None
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    system_template: str | None = None
    system_arguments: Mapping[str, JSON] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)
    approve: str | None = None
    max_rounds: int | None = None
    max_cost: float | None = None
    context: str | None = None
    description: str | None = None
    nickname: str | None = None
    avatar: str | None = None
    myself_view: str | None = None
    last_modified: str | None = None

    def body(self) -> JSONObject:
        """What is kept, as JSON: what says nothing is left out."""
        given = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(self))
        return {
            name: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            for name, value in given
            if value is not None and (value or name == "tools")
        }

    @classmethod
    def read(cls, body: JSON, name: str | None = None) -> SavedAgent:
        """An agent from what `body` gave, or from the file of another program. Raises UsageError, naming the field.

        Generation options that may hold keys are passed over.
        """
        if not isinstance(body, dict):
            raise UsageError("This is no agent: it is no JSON object.")
        given: dict[str, object] = {"name": name} if name else {}
        known = {each.name for each in dataclasses.fields(cls)}
        for key, value in body.items():
            if (field_name := _OTHER_NAMES.get(key, key)) in known and value is not None:
                given.setdefault(field_name, _checked(field_name, value))
        if not given.get("system"):
            given.pop("system", None)
        given.setdefault("name", given.get("nickname") or "")
        if not name:  # a name that is given was one already
            checked_name(str(given["name"]))
        return cls(**given)  # type: ignore[arg-type]  # each was checked

    @property
    def generation(self) -> Options:
        """The generation options. Raises UsageError for one that there is not."""
        return Options.read(self.options)


def checked_name(name: str) -> str:
    """A name for an agent. Raises UsageError for what cannot be one."""
    if not _NAME.fullmatch(name) or name == "none":
        raise UsageError(f"{name[:80]!r} cannot name an agent: use letters, digits, '_', '-' and '.'.")
    return name


def _checked(name: str, value: JSON) -> object:
    """A field's value. Raises UsageError for one of another kind."""
    match value:
        case list() if name in _LISTS and all(isinstance(each, str) for each in value):
            return tuple(dict.fromkeys(value))
        case dict() if name in _OBJECTS[1:] and not all(key.isidentifier() for key in value):
            # On the line of a cell, more than a name could say more than a value.
            raise UsageError(f"An agent's {name} go by the names of placeholders: letters, digits and '_'.")
        case dict() if name in _OBJECTS:
            return {key: each for key, each in value.items() if name != "options" or key not in PRIVATE}
        case bool():
            pass
        case int() if name in ("max_rounds", "max_cost") and value >= 0:
            return value
        case float() if name == "max_cost" and 0 <= value < 1e9:
            return value
        case int() | float() if name == "last_modified":
            return datetime.fromtimestamp(min(max(value, 0), 4e9), UTC).isoformat(timespec="seconds")
        case str() if name not in (*_LISTS, *_OBJECTS, "max_rounds", "max_cost"):
            words = {"approve": _APPROVE, "context": _CONTEXT}.get(name, (value,))
            if value in words:
                return value
            raise UsageError(f"An agent's {name} is one of {', '.join(words)}, not {value[:40]!r}.")
    kind = "a list of texts" if name in _LISTS else "an object" if name in _OBJECTS else "a text or a number"
    raise UsageError(f"An agent's {name} should be {kind}, not {json.dumps(value)[:40]}.")


class SavedAgents:
    """The agents of one person; every version is kept. `mask` knows the secrets that must not be among them."""

    def __init__(self, records: Records, mask: Callable[[str], str] = lambda text: text) -> None:
        self._records = records
        self._mask = with_known_keys(mask)

    def save(self, agent: SavedAgent, now: datetime | None = None) -> SavedAgent:
        """Keep it, in the place of one of its name. Raises UsageError where a key stands in it."""
        self.check(agent)
        agent = dataclasses.replace(
            agent,
            options={name: value for name, value in agent.options.items() if name not in PRIVATE},
            last_modified=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        )
        self._records.put("agent", agent.name, agent.body())
        return agent

    def check(self, agent: SavedAgent) -> None:
        """Raises UsageError for an agent that would not be kept: for its name, or a key in it."""
        checked_name(agent.name)
        for name, value in agent.body().items():
            if name == "options":
                value = {key: each for key, each in agent.options.items() if key not in PRIVATE}
            written = json.dumps(value, ensure_ascii=False)
            if self._mask(written) != written:
                raise UsageError(
                    f"A key stands in the {name} of {agent.name!r}, and it was not kept. Keep the key by %credential "
                    "add PROVIDER, and leave it out here."
                )

    def get(self, name: str) -> SavedAgent:
        """One of them. Raises UsageError, naming the nearest."""
        try:
            return _read(self._records.get("agent", name))
        except UsageError as error:
            if self._records.find("agent", name) is not None:
                raise
            raise UsageError(f"{error} %agent list names them; %agent save {name} makes one.") from None

    def find(self, name: str) -> SavedAgent | None:
        """One of them; None where there is none of that name."""
        record = self._records.find("agent", name)
        return None if record is None else _read(record)

    def list(self) -> list[SavedAgent]:
        """All of them, the newest first."""
        newest = sorted(self._records.all("agent"), key=lambda each: each.created, reverse=True)
        return [_listed(each) for each in newest]

    def names(self) -> Sequence[str]:
        """Their names."""
        return self._records.names("agent")

    def rename(self, old: str, new: str) -> SavedAgent:
        """Under another name. Raises UsageError where that is taken, or can be none."""
        self.get(old)
        return _read(self._records.rename("agent", old, checked_name(new)))

    def remove(self, name: str) -> None:
        """Remove it; `restore` brings it back. Raises UsageError where there is none."""
        self.get(name)
        self._records.remove("agent", name)

    def restore(self, name: str, version: int | None = None) -> SavedAgent:
        """An earlier version again; by default the last one that was not removed."""
        return _read(self._records.restore("agent", name, version))


def _read(record: Record) -> SavedAgent:
    body = record.body
    if isinstance(body, dict) and "last_modified" not in body:
        body = {**body, "last_modified": record.created}
    return SavedAgent.read(body, record.name)


def _listed(record: Record) -> SavedAgent:
    """An agent, also where what was imported is none: the list says so, and the others are there."""
    try:
        return _read(record)
    except UsageError as error:
        return SavedAgent(record.name, description=f"It cannot be used. {error}")


@dataclass(frozen=True, slots=True)
class Around:
    """What an agent finds where it is used: names of tools and of their sources, skills, templates (None: not known).

    `model` says what is wrong with a model by that name, `key` what its key is missing from; both are empty where
    nothing is.
    """

    tools: Collection[str] = ()
    sources: Collection[str] = ()
    skills: Collection[str] = ()
    templates: Collection[str] | None = None
    model: Callable[[str], str] = lambda _: ""
    key: Callable[[SavedAgent], str] = lambda _: ""


class Equipment(TypedDict):
    """What a saved agent is made of in this workspace: arguments of `Workspace.agent`."""

    model: Model | None
    tools: Sequence[Tool] | None
    system: str | None
    max_rounds: int
    options: Options
    max_cost: float | None
    approve: str


def problems(agent: SavedAgent, around: Around) -> list[str]:
    """What the agent lacks here: each a line that names it, the nearest that there is, and the next step."""
    found = [
        f"There is no tool {name!r} here.{nearest(name, around.tools)} Run the cell that defines it, or load it: "
        f"%tool load FILE.py::{name}, %mcp add."
        for name in agent.tools or ()
        if name not in around.tools and name not in around.sources and not set(name) & set("*?[")
    ]
    found += [
        f"There is no skill {name!r} here.{nearest(name, around.skills)} Load it: %skill load DIR."
        for name in agent.skills
        if name not in around.skills
    ]
    if around.templates is not None:
        found += [
            f"There is no template {name!r}.{nearest(name, around.templates)} Make it: %%template {name}"
            for name in (agent.template, agent.system_template)
            if name and name not in around.templates
        ]
    if agent.model and (wrong := around.model(agent.model)):
        found.append(f"Its model cannot be opened: {wrong} Or take another: %%agent --as {agent.name} -m MODEL")
    elif missing := around.key(agent):
        found.append(missing)
    return found
