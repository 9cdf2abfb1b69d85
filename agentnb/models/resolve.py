"""From a model's name, as a person writes it, to the model."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeGuard

from agentnb import config
from agentnb.errors import UsageError, nearest
from agentnb.models import providers as rows
from agentnb.models.base import Model
from agentnb.models.cards import Cards
from agentnb.models.cassette import CassetteModel
from agentnb.models.credentials import Credential, from_environment
from agentnb.models.dialects import DIALECTS
from agentnb.models.fake import FakeModel
from agentnb.models.http import Http
from agentnb.models.keys import Credentials
from agentnb.models.local import LocalModel
from agentnb.models.providers import Provider
from agentnb.models.remote import RemoteModel
from agentnb.models.retry import RetryModel
from agentnb.models.routes import LOOPBACK, hostname

#: Not behind HTTP, so no rows.
_OWN = ("fake", "local", "replay")
_MADE = "made when asked for"
#: Makes a model of the name that was asked for.
Factory: TypeAlias = Callable[[str], Model]
#: The credential for a provider, or the one of this name; None where it asks for none. Raises CredentialError.
CredentialSource: TypeAlias = Callable[[Provider, str | None], Credential | None]


@dataclass(frozen=True, slots=True)
class _Where:
    """How a provider's model is reached, where it is not as usual."""

    api_base: str | None = None
    api_key_name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    connect: float | None = None


class Models:
    """The models that can be opened by name: those of the providers, and your own.

    A name is looked up among the names registered here, then among the models opened before, then by the patterns
    registered here (the newest first), then with the providers. `credentials` is asked at each call of a model; by
    default it is the variable that the provider's row names, in `environ`. Relative paths start at `base_dir`.
    """

    def __init__(
        self,
        *,
        http: Http,
        environ: Mapping[str, str] = os.environ,
        credentials: CredentialSource | None = None,
        cards: Cards | None = None,
        base_dir: Path | None = None,
        providers: Mapping[str, Provider] | None = None,
        mask: Callable[[str], str] | None = None,
    ) -> None:
        self.cards = cards or Cards.bundled()
        self.http = http
        self._mask = mask
        self._environ = environ
        self.credential = credentials or self._from_environment
        self._base_dir = base_dir or Path()
        self._providers: dict[str, Provider] = {}
        #: Each with what it is called in `names`.
        self._registered: dict[str, tuple[Factory, str]] = {}
        self._aliases: dict[str, str] = {}
        self._factories: dict[str, Factory] = {}
        self._opened: dict[tuple[str, _Where], Model] = {}
        for row in (rows.load_providers() if providers is None else providers).values():
            self.add_provider(row)

    def open(
        self,
        name: str,
        *,
        api_base: str | None = None,
        api_key_name: str | None = None,
        api_key: str | None = None,
        connect: float | None = None,
    ) -> Model:
        """The model called `provider:name` or `provider/name`, or a name of your own; connects to nothing yet.

        `fake:FILE.json` is a scripted model, `replay:FILE.json` plays a cassette, `local:ID` or `local:FILE.gguf` runs
        here. The rest is for models of providers: `api_base` is another server that speaks the provider's dialect,
        `api_key_name` names the credential to use, `api_key` is one; `connect` are the seconds to wait for a
        connection. Raises UsageError for a name that means nothing.
        """
        name, where = self._chain(name)[-1], _Where(api_base, api_key_name, api_key, connect)
        if (opened := self._opened.get((name, where))) is not None:
            return opened
        model = self._maker(name, where)()
        # No key is kept here; and a script or a cassette is read again, because it may have been edited.
        if api_key is None and not isinstance(model, (FakeModel, CassetteModel)):
            self._opened[name, where] = model
        return model

    def can_resolve(self, name: str) -> bool:
        """Whether the name means a model; what that model needs may still be missing."""
        try:
            self._maker(self._chain(name)[-1], _Where())
        except UsageError:
            return False
        return True

    def register(self, name: str, model: Model | Factory) -> None:
        """Give a model a name of its own; or what makes it, given the name, when it is first asked for."""
        name = _not_blank(name)
        self._aliases.pop(name, None)
        if _is_model(model):
            self._registered[name] = (lambda _: model), model.name
        elif callable(model):
            self._registered[name] = model, _MADE
        else:
            raise UsageError(f"{name!r} cannot stand for {model!r}: it is no model, and makes none.")
        self._forget(name)

    def register_factory(self, pattern: str, factory: Factory) -> None:
        """Let `factory` make the models whose whole name matches a regular expression."""
        try:
            re.compile(_not_blank(pattern))
        except re.error as reason:
            raise UsageError(f"{pattern!r} is not a regular expression: {reason}. Write it as 'mine:.*'.") from None
        self._factories.pop(pattern, None)
        self._factories[pattern] = factory
        self._forget(pattern=pattern)

    def add_provider(self, row: Provider) -> None:
        """Add a provider, in place of the one of that name. Raises UsageError for a row that cannot work."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", row.name) or row.name in _OWN:
            raise UsageError(f"A provider cannot be called {row.name!r}. Use small letters, digits and hyphens.")
        if isinstance(row.dialect, str) and row.dialect not in DIALECTS:
            known = f"{nearest(row.dialect, DIALECTS)} There are: {', '.join(DIALECTS)}; or give a Dialect of your own."
            raise UsageError(f"There is no dialect {row.dialect!r} for {row.name!r}.{known}")
        self._providers[row.name] = row
        self._forget(pattern=rf"{re.escape(row.name)}[:/].*")

    def alias(self, name: str, target: str) -> None:
        """Let `name` mean the model called `target`. Raises UsageError where that would go round in a circle."""
        name, target = _not_blank(name), _not_blank(target)
        if name in self._chain(target):
            raise UsageError(f"{name!r} cannot stand for {target!r}, which stands for {name!r} itself.")
        self._registered.pop(name, None)
        self._aliases[name] = target
        self._forget(name)

    def remove(self, name: str) -> None:
        """Forget a name, an alias or a pattern that was registered here."""
        name = _not_blank(name)
        for table in (self._registered, self._aliases, self._factories):
            if name in table:
                del table[name]
                self._forget(name, pattern=name if table is self._factories else "")
                return
        raise UsageError(f"No model is registered as {name!r}.{nearest(name, self.names())}")

    def _forget(self, name: str = "", *, pattern: str = "") -> None:
        # The others stay, with the weights that they have in memory.
        for opened in list(self._opened):
            if opened[0] == name or re.fullmatch(pattern, opened[0]):
                del self._opened[opened]

    def names(self) -> dict[str, str]:
        """What is registered here, each name with what it stands for: a model, "made when asked for", a target."""
        registered = {name: described for name, (_, described) in self._registered.items()}
        return {**registered, **self._aliases, **dict.fromkeys(self._factories, _MADE)}

    def providers(self) -> Mapping[str, Provider]:
        """The providers' rows, by name."""
        return dict(self._providers)

    def provider(self, name: str) -> Provider:
        """The row of a provider, by its name or an alias. Raises UsageError, naming the nearest."""
        if row := rows.find(name, self._providers):
            return row
        aliases = (alias for row in self._providers.values() for alias in row.aliases)
        if name in _OWN:
            raise UsageError(f"{name!r} is no provider that can be asked. Write the model as {name}:NAME.")
        close = difflib.get_close_matches(name, [*self._providers, *_OWN, *aliases], n=1, cutoff=0.5)
        meant = rows.find(close[0], self._providers) if close else None
        hint = f" Did you mean {close[0]!r}?" if close else ""
        hint += f" It needs {meant.key}." if meant and meant.key and meant.key_required else ""
        raise UsageError(f"Unknown provider {name!r}.{hint} There are: {', '.join(sorted([*self._providers, *_OWN]))}.")

    def _from_environment(self, row: Provider, key_name: str | None) -> Credential | None:
        if key_name:
            row = replace(row, key=key_name, key_names=(), key_required=True)
        return from_environment(row, self._environ)

    def _chain(self, name: str) -> list[str]:
        """The name, what it stands for, what that stands for."""
        chain = [_not_blank(name)]
        while chain[-1] in self._aliases:
            chain.append(self._aliases[chain[-1]])
        return chain

    def _maker(self, name: str, where: _Where) -> Callable[[], Model]:
        """What opens the model; raises UsageError where there is none of that name."""
        if name in self._registered:
            return partial(_made, self._registered[name][0], name)
        for pattern, factory in reversed(self._factories.items()):
            if re.fullmatch(pattern, name):
                return partial(_made, factory, name)
        provider, model = self._split(name)
        match provider:
            case "replay":
                return partial(CassetteModel, None, self._base_dir / model, mode="replay", mask=self._mask)
            case "fake":
                return partial(FakeModel.load, self._base_dir / model, name=f"fake:{model}")
            case "local":
                return partial(LocalModel, str(self._base_dir / model) if model.endswith(".gguf") else model)
        return partial(self._remote, self.provider(provider), model, where)

    def _split(self, name: str) -> tuple[str, str]:
        """Provider and model: whatever separates them first; the model's own name may hold both separators."""
        provider, *rest = re.split("[:/]", name, maxsplit=1)
        if rest and provider and rest[0]:
            return provider.lower(), rest[0]
        serving = [] if rest else [each for each in self.cards.providers_of(name) if each in self._providers]
        if len(serving) == 1:
            return serving[0], name
        if serving:
            raise UsageError(f"{name!r} is served by several. Write {' or '.join(f'{one}:{name}' for one in serving)}.")
        raise _no_model(name, nearest(name, (card.name.partition(":")[2] for card in self.cards)))

    def _remote(self, row: Provider, model: str, where: _Where) -> Model:
        remote = RemoteModel(
            model,
            provider=row,
            http=self.http,
            base_url=where.api_base,
            credential=self._source(row, where),
            environ=self._environ,
            # Of what another server has under this name, nothing is known.
            card=self.cards.find(f"{row.name}:{model}") if where.api_base is None else None,
            connect=where.connect,
            known=partial(self.cards.names_of, row.name),
        )
        return RetryModel(remote)

    def _source(self, row: Provider, where: _Where) -> Callable[[], Credential | None]:
        own_server = where.api_base is not None and hostname(where.api_base) in LOOPBACK
        if where.api_key is not None:
            given = Credential({"key": where.api_key})
            return lambda: given
        if own_server and not where.api_key_name:
            # A server on this machine rarely asks for a key, and must not be sent one that was meant for a provider.
            return lambda: None
        return partial(self.credential, row, where.api_key_name)


def open_model(
    name: str,
    *,
    http: Http | None = None,
    api_base: str | None = None,
    api_key_name: str | None = None,
    api_key: str | None = None,
    environ: Mapping[str, str] = os.environ,
    base_dir: Path | None = None,
) -> Model:
    """The model of this name: see `Models.open`. Keys and settings are those of a notebook."""
    http = http or Http(settings=config.read(environ))
    opener = Models(http=http, environ=environ, credentials=Credentials(environ).find, base_dir=base_dir)
    return opener.open(name, api_base=api_base, api_key_name=api_key_name, api_key=api_key)


def _is_model(given: object) -> TypeGuard[Model]:
    # A class makes models, and has a `stream` too.
    return hasattr(given, "stream") and not isinstance(given, type)


def _made(factory: Factory, name: str) -> Model:
    model: object = factory(name)
    if not _is_model(model):
        raise UsageError(f"What was registered for {name!r} made no model, but {type(model).__name__}. Return a model.")
    return model


def _no_model(name: str, meant: str = "") -> UsageError:
    example = "Write it as provider:model, for example openai:gpt-5-mini."
    return UsageError(f"{name!r} does not name a model.{meant} {example}")


def _not_blank(name: str) -> str:
    if not name.strip():
        raise _no_model(name)
    return name.strip()
