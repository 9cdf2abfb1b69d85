"""Everything a user's kernel holds: model, tools, session, runs, and the loop they go on.

There is no other state: two workspaces side by side simply work.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from agentnb import config
from agentnb.agent import MAX_ROUNDS, Agent
from agentnb.bridge import Foreground
from agentnb.config import Settings
from agentnb.errors import UsageError
from agentnb.jobs import LoopThread, Run
from agentnb.ledger import Entry, Ledger
from agentnb.masking import Mask
from agentnb.messages import Message
from agentnb.models import listing
from agentnb.models.attempt import shortened
from agentnb.models.base import Model
from agentnb.models.cards import Card, Cards
from agentnb.models.http import Http
from agentnb.models.keys import Credentials
from agentnb.models.meter import Budget, BudgetModel
from agentnb.models.options import Options
from agentnb.models.preset import PresetModel
from agentnb.models.providers import Provider, load_providers, with_rows
from agentnb.models.resolve import Models
from agentnb.models.settings import read_stack
from agentnb.models.stack import stack
from agentnb.panel import last_line, panel_run
from agentnb.protocol import PanelState, PanelTool
from agentnb.session import Session
from agentnb.toolbox import Toolbox
from agentnb.tools.base import Tool
from agentnb.transcript import Transcript

#: What answers where nobody chose: it needs no key, and nothing leaves the machine.
DEFAULT_MODEL = "local:qwen2.5-coder-0.5b"
#: Seconds between two states sent to a panel.
_PUSH_EVERY = 0.1


class Workspace:
    """The agent runtime of one kernel. `namespace` holds the user's variables; $AGENTNB_MODEL may name the model."""

    def __init__(
        self,
        namespace: MutableMapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        base_dir: Path | None = None,
    ) -> None:
        self.namespace: MutableMapping[str, object] = {} if namespace is None else namespace
        self.session = Session()
        self.toolbox = Toolbox(self.namespace, self.changed)
        self.background = LoopThread()
        self.options = Options()
        self.runs: dict[str, Run] = {}
        self.environ = environ
        self.mask = Mask()
        self.cards = Cards.bundled()
        self.ledger = Ledger()
        self._base_dir = base_dir
        self._model: Model | None = None
        self._budget: Budget | None = None
        self._capped_once = False
        self._listeners: list[Callable[[PanelState], object]] = []
        self._push_due = False
        self._last: Transcript | None = None

    def __repr__(self) -> str:
        tools = ", ".join(self.toolbox.all()) or "none"
        count = len(self.session.turns)
        turns = f"{self.session.id} ({count} turn{'s' * (count != 1)})"
        return f"agentnb workspace\n  model    {self.model_name}\n  tools    {tools}\n  session  {turns}"

    # Models

    @property
    def model(self) -> Model:
        """The model that answers where a cell names none."""
        if self._model is None:
            self._model = self.open_model(self.model_name)
        return self._model

    @property
    def model_name(self) -> str:
        """Its name, without making it ready."""
        return self._model.name if self._model else self.environ.get("AGENTNB_MODEL", "").strip() or DEFAULT_MODEL

    @functools.cached_property
    def settings(self) -> Settings:
        """What the configuration file and the environment say. Raises UsageError for a file that says nonsense."""
        return config.read(self.environ, config.home(self.environ))

    @functools.cached_property
    def credentials(self) -> Credentials:
        """The keys of this person: those kept, and those in the environment."""
        self.mask.add(*self.settings.hidden)
        return Credentials(self.environ, providers=self._rows.values(), mask=self.mask)

    @functools.cached_property
    def _rows(self) -> Mapping[str, Provider]:
        return with_rows(load_providers(), self.settings.providers)

    @functools.cached_property
    def models(self) -> Models:
        """The models by name: those of the providers, and those made here."""
        return Models(
            http=Http(settings=self.settings),
            environ=self.environ,
            credentials=self.credentials.find,
            cards=self.cards,
            base_dir=self._base_dir,
            providers=self._rows,
            mask=self.mask,
        )

    def cap(self, usd: float | None) -> None:
        """Let all runs of this notebook, those before among them, cost no more than this; None: what they cost."""
        capped = None if usd is None else Budget(usd, of="this notebook", raise_by="%usage cap USD")
        if capped and (old := self._budget):
            # Runs in progress settle with the one they began under.
            old.limit, capped = capped.limit, old
        elif capped:
            capped.spent = self.ledger.total().usd or 0.0
        self._budget = capped

    @property
    def budget(self) -> Budget | None:
        """What all runs of this notebook may cost together, and how much of it is spent."""
        if self._budget is None and not self._capped_once:
            self._capped_once = True
            self.cap(self.settings.max_cost)
        return self._budget

    def open_model(self, name: str, *, api_base: str | None = None, api_key_name: str | None = None) -> Model:
        """A model by name. Raises UsageError for a provider that is not known."""
        return self.models.open(name, api_base=api_base, api_key_name=api_key_name)

    async def list_models(self, provider: str) -> tuple[Card, ...]:
        """What a provider has, asked for now, with what is known of each. `provider` may name a credential of one."""
        entry = next((each for each in self.credentials.list() if each.name == provider), None)
        row = self.models.provider(entry.provider if entry else provider)
        return await listing.list_models(
            row,
            http=self.models.http,
            credential=self.credentials.find(row, provider if entry else None),
            cards=self.cards,
            environ=self.environ,
        )

    def known_models(self, provider: str) -> tuple[Card, ...]:
        """What is known here of a provider's models, without asking it."""
        name = self.models.provider(provider).name
        return tuple(card for card in self.cards if card.name.startswith(f"{name}:") and card.status == "active")

    def add_model(
        self,
        name: str,
        base: str | None,
        settings: Mapping[str, object],
        *,
        options: Options | None = None,
        api_base: str | None = None,
        api_key_name: str | None = None,
        connect: float | None = None,
    ) -> None:
        """Name a model made of others: `base` with what `settings` put around it (see models.settings.read_stack).

        Without `base`, the settings must name a cassette to replay. Raises UsageError.
        """
        wrapped = read_stack(settings, open_model=self.open_model, base_dir=self._base_dir, mask=self.mask)
        if base is None:
            if "replay" not in wrapped:
                raise UsageError(f"{name!r} stands for no model: name the one to ask, or a cassette to replay.")
            base = f"replay:{wrapped.pop('replay')}"
        model = self.models.open(base, api_base=api_base, api_key_name=api_key_name, connect=connect)
        model = stack(model, **wrapped)
        self.models.register(name, PresetModel(model, options) if options and options.given() else model)

    def use_model(self, model: Model | str, *, api_base: str | None = None, api_key_name: str | None = None) -> Model:
        """Let this model answer from now on."""
        if isinstance(model, str):
            model = self.open_model(model, api_base=api_base, api_key_name=api_key_name)
        self._model = model
        self.changed()
        return model

    # Runs

    def agent(
        self,
        *,
        model: Model | None = None,
        tools: Sequence[Tool] | None = None,
        system: str | None = None,
        max_rounds: int = MAX_ROUNDS,
        options: Options | None = None,
        output: object = None,
        max_cost: float | None = None,
        runner: Foreground | None = None,
    ) -> Agent:
        """An agent with what this workspace has, where nothing else is said; `max_cost` is in USD, for each run."""
        return Agent(
            self._capped(model or self.model, max_cost),
            tools=self.toolbox.enabled().values() if tools is None else tools,
            system=system,
            max_rounds=max_rounds,
            options=(options or Options()).over(self.options),
            output=output,
            cards=self.cards,
            namespace=self.namespace,
            runner=runner,
        )

    def _capped(self, model: Model, max_cost: float | None) -> Model:
        for budget in (self.budget, None if max_cost is None else Budget(max_cost)):
            if budget is not None:
                model = BudgetModel(model, budget, cards=self.cards)
        return model

    def run(self, agent: Agent, prompt: Message, history: Sequence[Message] = (), *, cell: str = "") -> Run:
        """A run on the workspace's own loop; `start` it. `cell` is the name it is counted under."""
        # A tool may print what no model was ever sent.
        self.mask.add(*self.credentials.secrets())
        run_id = uuid.uuid4().hex
        run = Run(
            run_id,
            shortened(prompt.text, 60),
            agent.model.name,
            self.background,
            lambda: agent.stream(prompt, history=history, run_id=run_id),
            self._changed_here,
        )
        self.runs[run_id] = run
        run.done.add_done_callback(lambda _: self._ended(run, cell))
        return run

    def stop(self, run_id: str | None = None) -> None:
        """Stop a run, or all of them. Safe from any thread."""
        for run in list(self.runs.values()):
            if run_id in (None, run.id):
                run.stop()
        self.changed()

    def close(self) -> None:
        """Stop everything and let go of the loop."""
        self.stop()
        self._listeners.clear()
        self.background.close()

    def _ended(self, run: Run, cell: str) -> None:
        self.runs.pop(run.id, None)
        self._last = run.transcript()
        answered = next((m.model for m in reversed(self._last.messages) if m.model), None)
        self.ledger.add(Entry(cell, answered or run.model, self._last.usage, time.time()))
        self.changed()

    # Panels

    def listen(self, listener: Callable[[PanelState], object]) -> None:
        """Call this with every new state, on the workspace's thread, until the workspace is closed."""
        self._listeners.append(listener)
        self.changed()

    def changed(self) -> None:
        """Something a panel shows has changed. Safe from any thread."""
        if self._listeners:
            self.background.loop.call_soon_threadsafe(self._changed_here)

    def _changed_here(self) -> None:
        if self._listeners and not self._push_due:
            self._push_due = True
            asyncio.get_running_loop().call_later(_PUSH_EVERY, self._push)

    def _push(self) -> None:
        self._push_due = False
        state = self.state()
        for listener in list(self._listeners):
            listener(state)

    def state(self) -> PanelState:
        """What a panel shows now."""
        tools = tuple(
            PanelTool(name, self.toolbox.description(tool), self.toolbox.is_enabled(name))
            for name, tool in self.toolbox.all().items()
        )
        runs = tuple(panel_run(run) for run in list(self.runs.values()))
        if self._last is None:
            return PanelState(self.model_name, tools, runs)
        return PanelState(self.model_name, tools, runs, last_line(self._last), self._last.error)
