"""Where secrets are put: the system's keyring, or where there is none a file that only its owner can read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar

import orjson

from agentnb.errors import CredentialError
from agentnb.messages import JSON
from agentnb.models.private_files import read_private, write_private

T = TypeVar("T")
Place: TypeAlias = Literal["keyring", "file"]


class Keyring(Protocol):
    """What we use of the `keyring` package's backends."""

    def get_password(self, service: str, username: str, /) -> str | None: ...

    def set_password(self, service: str, username: str, password: str, /) -> None: ...

    def delete_password(self, service: str, username: str, /) -> None: ...


class Vault:
    """Secrets by name. `backend` is the keyring; by default the system's, or none with AGENTNB_KEYRING=off."""

    def __init__(self, folder: Path, environ: Mapping[str, str], backend: Keyring | None = None) -> None:
        self.file = folder / "secrets.json"
        self._environ = environ
        self._backend = backend
        self._looked = backend is not None
        # Two folders, as tests and second users of a machine have them, do not share what the keyring holds.
        self._service = f"agentnb ({folder})"

    def place(self, place: Place) -> str:
        """A place, as lists and errors name it."""
        return "the keyring" if place == "keyring" else f"the file {self.file}"

    def get(self, name: str, place: Place) -> dict[str, str] | None:
        """The secrets of this name; None where there are none. Raises CredentialError where they cannot be read."""
        if place == "file":
            return _parse(self.in_file().get(name))
        keyring = self._keyring()
        return _parse(_asked(lambda: keyring.get_password(self._service, name))) if keyring is not None else None

    def offer(self, name: str, secrets: Mapping[str, str]) -> Place:
        """Put secrets into the keyring, if it keeps them; says where they belong."""
        keyring, text = self._keyring(), orjson.dumps(dict(secrets)).decode()
        if keyring is not None:
            with contextlib.suppress(CredentialError):
                _asked(lambda: keyring.set_password(self._service, name, text))
                # Some take everything and keep nothing.
                if _asked(lambda: keyring.get_password(self._service, name)) == text:
                    return "keyring"
        return "file"

    def withdraw(self, name: str) -> None:
        """Take secrets out of the keyring. Raises CredentialError where they are still there."""
        if (keyring := self._keyring()) is None:
            return
        with contextlib.suppress(CredentialError):
            _asked(lambda: keyring.delete_password(self._service, name))
        if _asked(lambda: keyring.get_password(self._service, name)) is not None:
            raise CredentialError(f"The keyring did not give up {name!r}. Unlock it, and remove {name!r} again.")

    def in_file(self) -> dict[str, JSON]:
        """All that the file holds. Raises CredentialError where it cannot be read, or where others can."""
        return read_private(self.file)

    def write(self, name: str, secrets: Mapping[str, str] | None) -> None:
        """Put secrets into the file, or take them out; only while nobody else changes it."""
        held = self.in_file()
        rest: dict[str, JSON] = {each: value for each, value in held.items() if each != name}
        if secrets is not None:
            write_private(self.file, {**rest, name: dict(secrets)})
        elif name in held:
            write_private(self.file, rest)

    def _keyring(self) -> Keyring | None:
        if not self._looked:
            self._looked = True
            if self._environ.get("AGENTNB_KEYRING", "").strip().lower() not in ("off", "no", "0", "false"):
                with contextlib.suppress(CredentialError):
                    self._backend = _asked(_system_keyring)
        return self._backend


def _system_keyring() -> Keyring | None:
    import keyring

    found = keyring.get_keyring()
    # What it finds where there is no keyring has a priority of 0 (it fails), or below (it forgets).
    return found if found.priority > 0 else None


def _asked(ask: Callable[[], T]) -> T:
    """What a keyring answers. Raises CredentialError."""
    try:
        return ask()
    except Exception as reason:
        said = " ".join(str(reason).split())[:200].rstrip(".") or type(reason).__name__
        raise CredentialError(f"The keyring failed: {said}. Unlock it, or set AGENTNB_KEYRING=off.") from None


def _parse(value: JSON) -> dict[str, str] | None:
    """Secrets, from the object of the file or the text of the keyring; None for anything else."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(value, dict):
        return None
    texts = {name: each for name, each in value.items() if isinstance(each, str)}
    return texts if len(texts) == len(value) else None
