"""Environment variables that a person keeps for every notebook: plain ones in the store, secrets in the vault."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentnb.errors import AgentnbError, UsageError, nearest
from agentnb.masking import MASKED, Mask
from agentnb.models.private_files import locked
from agentnb.models.vault import Place, Vault

if TYPE_CHECKING:
    from agentnb.store.records import Record, Records

#: Where the value that the process has comes from: from here, from outside, or it has none.
Source: TypeAlias = Literal["here", "outside", "unset"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{credential:([\w.-]+)\}")
# MAX_TOKENS is a number: several tokens are what models count, one is what a service asks for.
_SECRET = re.compile(r"(KEYS?|TOKEN|SECRETS?|PASSWORDS?|PASSWD|PASSPHRASE|CREDENTIALS?)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Variable:
    """A kept variable: its value as it may be shown, where it is kept, and whose value the process has."""

    name: str
    shown: str
    secret: bool
    where: str
    source: Source


def checked_name(name: str) -> str:
    """The name of a variable. Raises UsageError for what cannot be one."""
    if not name:
        raise UsageError("A variable needs a name: %agentenv set KEY=VALUE.")
    if not _NAME.fullmatch(name):
        raise UsageError(
            "A variable's name is made of letters, digits and '_', no digit first: %agentenv set KEY=VALUE."
        )
    return name


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is likely a secret: `OPENAI_API_KEY`, `DB_PASSWORD`."""
    return _SECRET.search(name) is not None


class Environment:
    """The kept variables of one person, and what of them is in `environ`, the process's own.

    Secrets go into `vault` and are added to `mask`; the store only knows their names. Everything raises StoreError or
    CredentialError where the one or the other cannot be used. `reveal` gives the key of a credential by its name: what
    was imported refers to those.
    """

    def __init__(
        self,
        records: Callable[[], Records],
        vault: Vault,
        lock: Path,
        environ: MutableMapping[str, str],
        mask: Mask,
        reveal: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._records = records
        self._vault = vault
        self._lock = lock
        self._environ = environ
        self._mask = mask
        self._reveal = reveal
        #: What we put into the process, and what was there before.
        self._put: dict[str, tuple[str, str | None]] = {}
        self._secrets: set[str] = set()

    def load(self) -> list[str]:
        """Put what is kept into the process, where nothing of its name is there. Gives what is wrong with any."""
        wrong = []
        for record in self._records().all("env"):
            if not _NAME.fullmatch(record.name):
                continue
            try:
                _checked_value((value := self._value(record)) or "")
            except AgentnbError as error:
                wrong.append(f"{record.name}: {error}")
                continue
            if value is None:
                wrong.append(f"{record.name} is not in {self._where(record)} any more. Set it again: %agentenv set.")
            elif record.name not in self._environ:
                self._export(record.name, value)
        return wrong

    def list(self) -> list[Variable]:
        """What is kept, by name, secrets hidden."""
        return [self._shown(record) for record in self._records().all("env")]

    def hidden(self) -> set[str]:
        """The variables of the process that hold kept secrets."""
        return {name for name in self._secrets if name in self._environ}

    def set(self, name: str, value: str) -> None:
        """Keep a variable, and put it into the process. Raises UsageError for a bad name or value."""
        _checked_value(value)
        self._forget_secret(self._records().find("env", checked_name(name)), name)
        self._records().put("env", name, {"value": value})
        self._export(name, value)

    def set_secret(self, name: str, value: str) -> str:
        """Keep a secret in the vault, and put it into the process; gives where it is kept."""
        _checked_value(value, checked_name(name))
        self._mask.add(value)
        place = self._vault.offer(_entry(name), {"value": value})
        with locked(self._lock):
            self._vault.write(_entry(name), {"value": value} if place == "file" else None)
        self._records().put("env", name, {"secret": True, "place": place})
        self._secrets.add(name)
        self._export(name, value)
        return self._vault.place(place)

    def remove(self, name: str) -> bool:
        """Forget a variable; whether the process still has one of this name, which is then not ours.

        Raises UsageError for one that is not kept.
        """
        record = self._records().find("env", name)
        if record is None:
            close = nearest(name, self._records().names("env"))
            raise UsageError(f"No variable {name!r} is kept.{close} %agentenv lists them.")
        self._forget_secret(record, name)
        self._records().remove("env", name)
        value, before = self._put.pop(name, (None, None))
        if value is not None and self._environ.get(name) == value:
            if before is None:
                del self._environ[name]
            else:
                self._environ[name] = before
        return name in self._environ

    def _export(self, name: str, value: str) -> None:
        before = self._put[name][1] if name in self._put else self._environ.get(name)
        self._environ[name] = value
        self._put[name] = value, before

    def _value(self, record: Record) -> str | None:
        """The value of a record; None where the vault lost it."""
        place, credential = _place(record), _credential(record)
        if place is None and credential is None:
            return _plain(record)
        if place is None:
            value = self._reveal(credential or "")
        else:
            value = (self._vault.get(_entry(record.name), place) or {}).get("value")
        if value is not None:
            self._mask.add(value)
            self._secrets.add(record.name)
        return value

    def _shown(self, record: Record) -> Variable:
        secret = _place(record) is not None or _credential(record) is not None
        here = self._environ.get(record.name)
        with contextlib.suppress(AgentnbError):
            self._value(record)  # so that it is masked wherever it is set
        ours = record.name in self._put and self._put[record.name][0] == here
        return Variable(
            record.name,
            MASKED if secret else _plain(record),
            secret,
            self._where(record),
            "unset" if here is None else "here" if ours else "outside",
        )

    def _where(self, record: Record) -> str:
        if (credential := _credential(record)) is not None:
            return f"the credential {credential}"
        place = _place(record)
        return self._vault.place(place) if place else "the store"

    def _forget_secret(self, record: Record | None, name: str) -> None:
        if record is None or (place := _place(record)) is None:
            return
        if place == "keyring":
            self._vault.withdraw(_entry(name))
        with locked(self._lock):
            self._vault.write(_entry(name), None)
        self._secrets.discard(name)


def _entry(name: str) -> str:
    """What the vault calls a variable: no credential is called so."""
    return f"env/{name}"


def _place(record: Record) -> Place | None:
    """Where the secret of a record is; None where it is no secret."""
    match record.body:
        case {"secret": True, "place": "keyring" | "file" as place}:
            return place
        case {"secret": True}:
            return "file"
    return None


def _plain(record: Record) -> str:
    return str(record.body.get("value", "")) if isinstance(record.body, dict) else ""


def _credential(record: Record) -> str | None:
    """The credential that a record refers to."""
    found = _REFERENCE.fullmatch(_plain(record))
    return found[1] if found else None


def _checked_value(value: str, secret: str | None = None) -> None:
    if "\0" in value:
        raise UsageError("A variable cannot hold the null character.")
    if secret and not value.strip():
        raise UsageError(f"Nothing was given for {secret}, and nothing was kept.")


def any_variable(store: Path) -> bool:
    """Whether a store may have variables, without all that it takes to use one: loading agentnb waits for this."""
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM records WHERE kind = 'env' LIMIT 1").fetchone())
    except sqlite3.Error:
        return True  # whoever uses it says what is wrong
