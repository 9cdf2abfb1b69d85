"""The models of a workspace: by name, with the person's keys and settings, and with what they may cost."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agentnb import config
from agentnb.config import Settings
from agentnb.errors import UsageError
from agentnb.events import ModelEvent
from agentnb.kept_settings import MadeModel
from agentnb.ledger import Ledger
from agentnb.masking import Mask
from agentnb.models import listing
from agentnb.models.base import Model, Request
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

#: What answers where nobody chose: it needs no key, and nothing leaves the machine.
DEFAULT_MODEL = "local:qwen2.5-coder-0.5b"

#: A shorter secret stands in other texts by chance.
_SHORTEST_KEY = 6


@dataclass(frozen=True, slots=True)
class Chosen:
    """How the model that answers was asked for."""

    name: str
    api_base: str | None = None
    api_key_name: str | None = None


class UsualModel:
    """A model that is opened when it is asked: most calls of a tool, made without a model, ask none."""

    def __init__(self, model: Callable[[], Model], name: str) -> None:
        self.name = name
        self._model = model

    def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The model's own."""
        return self._model().stream(request)


class Lineup:
    """Opens models for one person and keeps to their budget; `changed` is called when another model answers.

    `environ` may name the model ($AGENTNB_MODEL); `base_dir` is where relative files of models are looked for.
    """

    def __init__(self, *, environ: Mapping[str, str], base_dir: Path | None, changed: Callable[[], None]) -> None:
        self.environ = environ
        self.mask = Mask()
        self.cards = Cards.bundled()
        self.ledger = Ledger()
        self._base_dir = base_dir
        self._changed = changed
        self._model: Model | None = None
        self._budget: Budget | None = None
        self._capped_once = False
        #: How the model was asked for, where one was; and the models that were made here, by their names.
        self.chosen: Chosen | None = None
        self.made_models: dict[str, MadeModel] = {}

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

    def key_variables(self) -> set[str]:
        """The variables of the environment that hold keys: what runs commands does not pass them on."""
        rows = self._rows.values()
        named = {name for row in rows for name in (row.key, *row.key_names) if name}
        secrets = [secret for secret in self.credentials.secrets() if len(secret) >= _SHORTEST_KEY]
        return named | {name for name, value in self.environ.items() if any(secret in value for secret in secrets)}

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
        made = MadeModel(base, dict(settings), options, api_base, api_key_name, connect)
        self.models.register(name, self.make_model(name, made))
        self.made_models[name] = made

    def alias_model(self, name: str, target: str) -> None:
        """Let a name mean the model called `target`. Raises UsageError where that would go round in a circle."""
        self.models.alias(name, target)
        self.made_models[name] = MadeModel(alias=target)

    def make_model(self, name: str, made: MadeModel) -> Model:
        """A model of one's own, by the name that errors give it. Raises UsageError as `add_model` does."""
        wrapped = read_stack(made.settings, open_model=self.open_model, base_dir=self._base_dir, mask=self.mask)
        base, options = made.base, made.options
        if base is None:
            if "replay" not in wrapped:
                raise UsageError(f"{name!r} stands for no model: name the one to ask, or a cassette to replay.")
            base = f"replay:{wrapped.pop('replay')}"
        model = self.models.open(base, api_base=made.api_base, api_key_name=made.api_key_name, connect=made.connect)
        model = stack(model, **wrapped)
        return PresetModel(model, options) if options and options.given() else model

    def use_model(
        self,
        model: Model | str,
        *,
        api_base: str | None = None,
        api_key_name: str | None = None,
        called: str | None = None,
    ) -> Model:
        """Let this model answer from now on; `called` is the name by which a Model was opened."""
        if isinstance(model, str):
            called = model
            model = self.open_model(model, api_base=api_base, api_key_name=api_key_name)
        self._model = model
        self.chosen = Chosen(called or model.name, api_base, api_key_name)
        self._changed()
        return model

    def capped(self, model: Model, own: Budget | None = None) -> Model:
        """The model under the notebook's budget, and under another, which several models may share."""
        for budget in (self.budget, own):
            if budget is not None:
                model = BudgetModel(model, budget, cards=self.cards)
        return model
