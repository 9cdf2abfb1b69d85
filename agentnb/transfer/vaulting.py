"""Secrets that come in go where credentials are kept; those that go out on request come from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agentnb import config
from agentnb.errors import CredentialError
from agentnb.masking import Mask
from agentnb.models.keys import Credentials
from agentnb.models.private_files import locked
from agentnb.models.vault import Keyring, Place, Vault
from agentnb.transfer.secrets import ENV, KeepSecret, Reveal

#: Whose they are: no model provider's, so that none is used before it is named.
_SERVICE = "service"
_TRIES = 100
_PLACES: tuple[Place, ...] = ("keyring", "file")


class Vaulting:
    """The credentials of one person, as exports and imports use them; what variables hold is none of them.

    `mask` learns every secret that passes.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        mask: Mask | None = None,
        home: Path | None = None,
        backend: Keyring | None = None,
    ) -> None:
        own = {name: value for name, value in environ.items() if name.startswith("AGENTNB_")}
        folder = home or config.home(environ)
        self._vault = Vault(folder, own, backend)
        self._lock = folder / "credentials.lock"
        self._mask = mask or Mask()
        self._credentials = Credentials(own, folder, backend, providers=(), mask=self._mask)

    @property
    def keep(self) -> KeepSecret:
        """Keeps a secret as a credential, beside one of that name that is another secret."""
        return self._keep

    @property
    def reveal(self) -> Reveal:
        """The secret of a stored credential that is a key; None for any other name."""
        return self._reveal

    def secrets(self) -> tuple[str, ...]:
        """What must not be stored, as far as it is known without asking the keyring."""
        return self._credentials.secrets()

    def _keep(self, name: str, value: str) -> str:
        if name.startswith(ENV):
            return self._keep_variable(name, value)
        taken = {entry.name for entry in self._credentials.list()}
        for number in range(1, _TRIES):
            made = name if number == 1 else f"{name}-{number}"
            if made not in taken:
                self._credentials.add(made, _SERVICE, "api_key", {"key": value})
                return made
            if self._reveal(made) == value:
                return made
        raise CredentialError(f"There are {_TRIES} credentials called {name!r} and its like. Remove some of them.")

    def _keep_variable(self, name: str, value: str) -> Place:
        for place in _PLACES:
            if (known := self._vault.get(name, place)) is not None:
                if known.get("value") != value:
                    raise CredentialError(f"{name.removeprefix(ENV)} has another value here, which stays.")
                return place
        self._mask.add(value)
        place = self._vault.offer(name, {"value": value})
        if place == "file":
            with locked(self._lock):
                self._vault.write(name, {"value": value})
        return place

    def _reveal(self, name: str) -> str | None:
        if name.startswith(ENV):
            found = (self._vault.get(name, place) for place in _PLACES)
            return next((each["value"] for each in found if each and "value" in each), None)
        return self._credentials.key(name)
