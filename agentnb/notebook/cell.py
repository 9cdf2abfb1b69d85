"""One `%%agent` cell from its order to its result: fill, run, show, keep."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from agentnb import prompting, render
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.bridge import Foreground
from agentnb.errors import PromptError, UsageError
from agentnb.files.references import referenced
from agentnb.messages import Content, Message
from agentnb.notebook.attended import Asking, Attended
from agentnb.notebook.briefing import brief
from agentnb.notebook.options import Parsed
from agentnb.notebook.orders import Order, amount, model_options
from agentnb.notebook.pairs import evaluated
from agentnb.notebook.templated import wording
from agentnb.notebook.which_session import session_meant
from agentnb.render.terminal import one_line
from agentnb.session import Session
from agentnb.tools.base import Asker, Tool, traits
from agentnb.workspace import Workspace

_NOTHING_SENT = "Nothing was sent."
_KINDS: tuple[Literal["image", "audio"], ...] = ("image", "audio")
_FILES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".tif", ".tiff"),
    *(".wav", ".mp3", ".ogg", ".flac", ".m4a", ".aac", ".webm"),
)


class CellRun(Attended):
    """One cell's run: everything is made ready, and may fail, before anything is sent."""

    #: The system prompt as the person has it; how much of the notebook the model is told below it.
    _system: str | None = None
    _context = ""

    def __init__(
        self,
        workspace: Workspace,
        order: Order,
        *,
        cell: str | None,
        label: str = "",
        extra: Mapping[str, object] | None = None,
        asking: Asking | None = None,
        foreground: Foreground | None = None,
    ) -> None:
        order = _cast(workspace, order)
        options = order.options
        self._workspace = workspace
        self._order = order
        self.options = model_options(options)
        foreground = foreground or Foreground()
        asker = asking(foreground) if asking else None
        names = {**workspace.namespace, **(extra or {})}
        self._wording = wording(lambda: workspace.templates, order, names)
        schema = options.one("schema")
        agent = self._agent(options, schema_of(schema, names) if schema else None, foreground, asker)
        self.filled = self._wording.fill(agent.tools_table, partial(referenced, workspace.builtins.folder))
        self._system = agent.system
        self.context = brief(workspace, agent, options.one("context"), extra or {})
        self._context = self.context.choice.mode
        session = self._session(options.one("session"))
        super().__init__(
            workspace,
            agent,
            Message("user", (*self.filled.content, *_media(options, names))),
            history=workspace.condenser.history(session, cell, budget=_room(agent)) if session else (),
            session=session,
            cell=cell,
            label=label,
            foreground=foreground,
            asker=asker,
            line=order.line,
        )

    def _agent(self, options: Parsed, output: object, foreground: Foreground, asker: Asker | None) -> Agent:
        workspace, name = self._workspace, options.one("model")
        base, key = options.one("api-base"), options.one("api-key-name")
        if name is None and (base or key):
            raise UsageError("--api-base and --api-key-name go with --model PROVIDER:NAME.")
        rounds = options.whole("max-rounds")
        agent = workspace.agent(
            model=workspace.open_model(name, api_base=base, api_key_name=key) if name else None,
            tools=self._tools(options),
            system=self._wording.system(),
            max_rounds=MAX_ROUNDS if rounds is None else rounds,
            options=self.options,
            output=output,
            max_cost=amount(cost, "--max-cost") if (cost := options.one("max-cost")) else None,
            runner=foreground,
            asker=asker,
            approve=options.one("approve") or "ask",
        )
        agent.toolsets = [*agent.toolsets, *workspace.unstarted(options.many("tool") or ())]
        agent.name = options.one("as")
        return agent

    def _tools(self, options: Parsed) -> list[Tool] | None:
        """The tools that the cell names; None where it takes what the notebook offers."""
        toolbox, tools = self._workspace.toolbox, None
        if options.has("no-tools"):
            if options.has("tool"):
                raise UsageError("--tool and --no-tools contradict each other. Leave one out.")
            tools = []
        elif (picked := options.many("tool")) is not None:
            self._workspace.bring(picked)
            tools = toolbox.pick(picked)
        asked = [traits(tool).id for tool in self._workspace.skills.pick(options.many("skill") or ())]
        if tools is None and all(toolbox.get(each).enabled for each in asked):
            return None
        offered = toolbox.enabled().values() if tools is None else tools
        return [*(tool for tool in offered if traits(tool).id not in asked), *toolbox.pick(asked)]

    def _session(self, asked: str | None) -> Session | None:
        match asked:
            case None:
                return self._workspace.usable(self._workspace.session)
            case "none":
                return None
            case "new":
                return self._workspace.store.new_session()
            case other:
                return self._workspace.usable(session_meant(self._workspace, other))

    @property
    def provenance(self) -> render.Provenance:
        """What the notebook file keeps of how the answer came about."""
        output, said = self.agent.output, self._wording
        return render.Provenance(
            said.text,
            self.filled.variables,
            self.agent.options.kept(),
            system=self._system,
            context=self._context,
            tools=tool_names(self.agent),
            schema=dict(output.spec.schema) if output else None,
            template=said.prompt.record if said.prompt else None,
            system_template=said.told.record if said.told else None,
            # One that goes on has its own prompt in its history.
            turns=sum(message.role == "user" for message in self.history) - (self.prompt is None),
        )

    def mask(self, words: str) -> str:
        """The words without the secrets that are known here."""
        self._workspace.mask.add(*self._workspace.credentials.secrets())
        return self._workspace.mask(words)


def _room(agent: Agent) -> int | None:
    """Tokens that a conversation may take: three quarters of what the model reads; None where that is not known."""
    card = agent.cards.find(agent.model.name)
    return card.context * 3 // 4 if card is not None and card.context else None


def _cast(workspace: Workspace, order: Order) -> Order:
    """The order with what a saved agent adds to it."""
    if workspace.agent_in_use is None and not order.options.has("as"):
        return order
    from agentnb.notebook.casting import cast  # a first cell does not wait for it

    return cast(workspace, order)


def tool_names(agent: Agent) -> tuple[str, ...]:
    """What an agent has to offer, as far as it is known before it runs."""
    return tuple(dict.fromkeys((*agent.tools, *(tool.name for each in agent.toolsets for tool in each.known()))))


def _media(options: Parsed, names: Mapping[str, object]) -> Iterator[Content]:
    for kind in _KINDS:
        for source in options.many(kind) or ():
            what = f"--{kind} {one_line(source, 60)}"
            try:
                yield from prompting.to_media(_named(source, names, what), kind)
            except PromptError as error:
                raise UsageError(f"{what}: {error} {_NOTHING_SENT}") from error


def _named(source: str, names: Mapping[str, object], what: str) -> object:
    """What `--image` or `--audio` names: an address, a file, or the value of an expression."""
    if re.match(r"(https?|data):", source):
        return source
    path = Path(source).expanduser()
    if path.suffix and path.exists():
        return path
    if path.suffix.lower() in _FILES and not source.isidentifier():
        raise UsageError(f"{what}: there is no such file. Check the path, from {str(Path.cwd())!r}. {_NOTHING_SENT}")
    return evaluated(source, names, what)


def schema_of(source: str, names: Mapping[str, object]) -> object:
    """What `--schema` names: a type, or a JSON Schema, as JSON or as Python writes it."""
    with contextlib.suppress(ValueError):
        written = json.loads(source)
        if isinstance(written, dict):
            return written
    return evaluated(source, names, f"--schema {one_line(source, 60)}")
