"""What a person keeps for every notebook, as one workspace has it: agents, variables, models, MCP servers."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from agentnb import config
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.agents import Around, Equipment, SavedAgent, SavedAgents, problems
from agentnb.environment import Environment, any_variable
from agentnb.errors import AgentnbError, StoreError, UsageError
from agentnb.keeping import Keeping
from agentnb.kept_settings import is_providers, model_body, read_model, revealed, server_body
from agentnb.mcp.hub import McpHub
from agentnb.mcp.server import McpServer
from agentnb.messages import JSONObject
from agentnb.models.base import Model
from agentnb.models.resolve import Models
from agentnb.models.vault import Vault
from agentnb.skills.shelf import SkillShelf
from agentnb.templates import Templates
from agentnb.toolbox import Toolbox
from agentnb.tools.base import Tool, Toolset, traits
from agentnb.tools.definitions import ToolConfig, read_tools
from agentnb.tools.saved import SavedTools

if TYPE_CHECKING:
    from agentnb.condensing import Condenser, Infer
    from agentnb.store.records import Kind


class Shelves(Keeping):
    """A workspace's keeping, with what is kept under names. Nothing is read before it is looked up or listed."""

    toolbox: Toolbox
    skills: SkillShelf
    mcp: McpHub
    agent: Callable[..., Agent]
    _answer: Infer

    #: The saved agent whose settings lie under those of every cell; None: none does.
    agent_in_use: str | None = None

    @functools.cached_property
    def condenser(self) -> Condenser:
        """What puts together what a session sends, and keeps it short."""
        from agentnb.condensing import Condenser  # a first cell does not wait for it

        return Condenser(lambda: self.store, self._answer, self.environ)

    @functools.cached_property
    def agents(self) -> SavedAgents:
        """The saved agents."""
        return SavedAgents(self.store.records, self.mask)

    @functools.cached_property
    def templates(self) -> Templates:
        """The prompt templates."""
        return Templates(self.store.records, self.mask)

    @functools.cached_property
    def environment(self) -> Environment:
        """The kept variables."""
        home = config.home(self.environ)
        environ = self.environ if isinstance(self.environ, MutableMapping) else dict(self.environ)
        lock = home / "credentials.lock"
        vault = Vault(home, self.environ)
        return Environment(lambda: self.store.records, vault, lock, environ, self.mask, self.credentials.key)

    def load_environment(self) -> None:
        """Put the kept variables into the process, where there are any; what is wrong with one, %agentenv says."""
        if self.has_store and any_variable(config.data(self.environ) / config.STORE):
            with contextlib.suppress(AgentnbError):
                self.environment.load()

    @functools.cached_property
    def saved_tools(self) -> SavedTools:
        """The functions that are kept as tools."""
        return SavedTools(config.home(self.environ) / "tools", self._imported_tools)

    def _imported_tools(self) -> Sequence[ToolConfig]:
        with contextlib.suppress(UsageError):
            return read_tools([*self.kept("tool").values()], "the store")
        return ()

    def key_variables(self) -> set[str]:
        """The variables that hold keys and other secrets: what runs commands does not pass them on."""
        return super().key_variables() | self.environment.hidden()

    # Agents

    def saved_agent(self, name: str) -> Agent:
        """A saved agent, with what this workspace has of what it names. Raises UsageError that says what is missing."""
        saved = self.agents.get(name)
        made = self.agent(**self.equipment(saved))
        made.name, made.toolsets = saved.name, [*made.toolsets, *self.unstarted(saved.tools or ())]
        return made

    def equipment(self, saved: SavedAgent) -> Equipment:
        """What a saved agent is made of here; kept tools and servers that it names are loaded.

        Raises UsageError that says all that is missing.
        """
        self.bring(saved.tools or ())
        if missing := problems(saved, self.around()):
            raise UsageError(f"The agent {saved.name!r} lacks something here. {' '.join(missing)}")
        open_it = partial(self.open_model, api_base=saved.api_base, api_key_name=saved.api_key_name)
        return {
            "model": open_it(saved.model) if saved.model else None,
            "tools": self._tools(saved),
            "system": self.system_of(saved),
            "max_rounds": MAX_ROUNDS if saved.max_rounds is None else saved.max_rounds,
            "options": saved.generation,
            "max_cost": saved.max_cost,
            "approve": saved.approve or "ask",
        }

    def system_of(self, saved: SavedAgent) -> str | None:
        """Its system prompt: its own words, else its template, filled. Raises PromptError for one that cannot be."""
        if saved.system or not saved.system_template:
            return saved.system
        return self.templates.get(saved.system_template).system(saved.system_arguments, self.namespace)

    def _tools(self, saved: SavedAgent) -> list[Tool] | None:
        asked = [traits(tool).id for tool in self.skills.pick(saved.skills)]
        if saved.tools is None and not asked:
            return None
        offered = self.toolbox.enabled().values() if saved.tools is None else self.toolbox.pick(saved.tools)
        return [*(tool for tool in offered if traits(tool).id not in asked), *self.toolbox.pick(asked)]

    def bring(self, names: Iterable[str]) -> None:
        """Load the kept tools and servers of these names, where there is nothing of the name here.

        Raises UsageError for one that cannot be.
        """
        missing = set(names) - self._tool_names() - set(self.toolbox.toolsets())
        if not missing:
            return
        kept = {word for each in self._functions() for word in (each.name, each.tool_id)}
        for name in sorted(missing):
            if name in kept:
                self.toolbox.load([self.saved_tools.load(name)], "saved")
            else:
                self._bring_server(name)

    def unstarted(self, names: Iterable[str]) -> list[Toolset]:
        """The MCP servers of these names of whose tools nothing is known yet: a run asks them at each round."""
        named = [self.mcp.servers[name] for name in names if name in self.mcp.servers]
        return [server for server in named if not server.known()]

    def around(self) -> Around:
        """What a saved agent finds here."""
        return Around(
            tools=self._tool_names() | {word for each in self._functions() for word in (each.name, each.tool_id)},
            sources={*self.toolbox.toolsets(), *self.kept("mcp_server")},
            skills=[skill.name for skill in self.skills.list()],
            templates=set(self.store.records.names("template")),
            model=self._wrong_with,
            key=self._missing_key,
        )

    def _tool_names(self) -> set[str]:
        listed = self.toolbox.listed()
        plain = {name for name, value in list(self.namespace.items()) if callable(value) and not name.startswith("_")}
        return {each.name for each in listed} | {each.id for each in listed} | plain

    def _functions(self) -> Sequence[ToolConfig]:
        with contextlib.suppress(UsageError):
            return self.saved_tools.list()
        return ()

    def _wrong_with(self, model: str) -> str:
        try:
            self.open_model(model)
        except AgentnbError as error:
            return str(error)
        return ""

    def _missing_key(self, saved: SavedAgent) -> str:
        name = saved.model
        if not name or name in self.models.names():
            return ""
        entries = self.credentials.list()
        if key := saved.api_key_name:
            there = self.environ.get(key, "").strip() or any(each.name == key for each in entries)
            return "" if there else f"Its key {key!r} is not here. Set that variable, or: %credential add {key}"
        row = None if saved.api_base else self.models.providers().get(name.partition(":")[0])
        if row is None or not row.key or not row.key_required or any(each.provider == row.name for each in entries):
            return ""
        if any(self.environ.get(each, "").strip() for each in (row.key, *row.key_names)):
            return ""
        return f"{name} has no key here: set {row.key}, or %credential add {row.name}"

    # Models

    @functools.cached_property
    def models(self) -> Models:
        """The models by name: those of the providers, those that are kept, and those made here."""
        models = super().models
        self._opening: set[str] = set()
        self._have_kept(models)
        return models

    def look_for_kept_models(self) -> None:
        """Have also the models that were kept since this kernel began; those that were made here stay as they are."""
        if "models" in vars(self):
            self._have_kept(self.models)

    def _have_kept(self, models: Models) -> None:
        for name, body in self.kept("model").items():
            # An import must not send elsewhere what is meant for a provider, with its key.
            if name in self.made_models or is_providers(name, models.providers()):
                continue
            with contextlib.suppress(UsageError):
                self.made_models[name] = read_model(body)
            alias = body.get("alias")
            with contextlib.suppress(UsageError):  # a name that goes round in a circle
                if isinstance(alias, str):
                    models.alias(name, alias)
                else:
                    models.register(name, partial(self._kept_model, body))

    def _kept_model(self, body: JSONObject, name: str) -> Model:
        if name in self._opening:
            raise UsageError(f"{name!r} stands for itself: %model rm {name}, and make it anew.")
        self._opening.add(name)
        try:
            return self.make_model(name, read_model(body))
        finally:
            self._opening.discard(name)

    def keep_model(self, name: str) -> None:
        """Keep a model that was made here for every notebook. Raises UsageError for another, and for a key."""
        made = self.made_models.get(name)
        if is_providers(name, self.models.providers()):
            raise UsageError(f"{name!r} is what a provider's model is called. Make it under another name to keep it.")
        if made is None:
            if name in self.kept("model"):
                return
            raise UsageError(f"{name!r} was not made here by %model add or alias, so there is nothing to keep.")
        self.store.records.put("model", name, model_body(name, made, self.mask))

    def forget_model(self, name: str) -> None:
        """Forget a name of a model, here and for other notebooks. Raises UsageError for one that there is not."""
        self.models.remove(name)
        self.made_models.pop(name, None)
        if name in self.kept("model"):
            self.store.records.remove("model", name)

    # MCP servers

    def server(self, name: str) -> McpServer:
        """A server by its name; a kept one is had from now on. Raises UsageError."""
        if name not in self.mcp.servers:
            self._bring_server(name)
        return self.mcp.server(name)

    def _bring_server(self, name: str) -> None:
        if (kept := self.kept_server(name)) is not None:
            self.mcp.add(name, revealed(kept, self.credentials.key, self.mask.add))

    def keep_server(self, name: str) -> list[str]:
        """Keep a server's settings for every notebook, without secrets; gives the variables it then asks for."""
        body, asked = server_body(name, self.mcp.server(name).settings.written, self.mask)
        self.store.records.put("mcp_server", name, body)
        return asked

    def forget_server(self, name: str) -> bool:
        """Keep its settings no longer; whether they were kept."""
        if name not in self.kept("mcp_server"):
            return False
        self.store.records.remove("mcp_server", name)
        return True

    def kept_server(self, name: str) -> JSONObject | None:
        """The settings of a kept server; None where there is none of that name."""
        return self.kept("mcp_server").get(name)

    def kept(self, kind: Kind) -> dict[str, JSONObject]:
        """What is kept of one kind, by name; nothing where the store cannot be used."""
        return dict(self._kept(kind))

    def _kept(self, kind: Kind) -> Iterator[tuple[str, JSONObject]]:
        with contextlib.suppress(StoreError):
            if self.has_store:
                for each in self.store.records.all(kind):
                    if isinstance(each.body, Mapping):
                        yield each.name, dict(each.body)
