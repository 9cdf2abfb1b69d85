"""Secrets stay out of the store and of files: the name of a credential or of a variable stands in their place.

A model's key becomes a credential, as `--api-key-name` has it; any other secret a variable of `%agentenv`, to which
`${env:NAME}` refers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from agentnb.errors import AgentnbError
from agentnb.messages import JSON, JSONObject
from agentnb.models.key_shapes import known_keys
from agentnb.transfer.report import Note

#: Keeps a secret by a name; gives the name it is kept under, where that is another one. The name of a variable's begins
#: with "env/": of those it gives where the value is ("keyring" or "file", by default).
KeepSecret: TypeAlias = Callable[[str, str], str | None]
#: The secret of a name, as KeepSecret got it; None where there is none.
Reveal: TypeAlias = Callable[[str], str | None]

#: How the names of variables begin.
ENV = "env/"
_NAMED = re.compile(
    r"(?:^|[_-]|api|access|secret|private|auth)-?_?key$|token(?!s|iz)|secret|passw|pwd|^auth$|authori[sz]ation"
    r"|bearer|credential|cookie",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_]\w*)\}")
_SCHEME = re.compile(r"((?:bearer|basic|token|apikey)\s+)(\S.*)", re.IGNORECASE | re.DOTALL)
_USERINFO = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)(?=@)")
_PARAMETER = re.compile(r"([?&;]|--?)([\w.-]+)=([^&#;\s]+)")
#: What stands between words that could be keys.
_WORD = re.compile(r"[^\s\"'`=,;()\[\]{}<>]{12,}")


def is_secret(name: str) -> bool:
    """Whether what goes by this name is a secret: `api_key`, `Authorization`, `DB_PASSWORD`; not `max_tokens`."""
    return _NAMED.search(name) is not None


def reference(variable: str) -> str:
    """What stands in the place of a secret."""
    return f"${{env:{variable}}}"


def referred(text: str) -> str | None:
    """The variable that a text refers to, where it is nothing but a reference."""
    found = _REFERENCE.fullmatch(text.strip())
    return found[1] if found else None


def credential_name(*parts: str) -> str:
    """A name for a credential, from what it belongs to."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts)).strip("-._")
    return name[:60] or "imported"


def variable_name(*parts: str) -> str:
    """A name for a variable, from what it belongs to."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_").upper()[:60] or "IMPORTED"
    return f"_{name}" if name[0].isdigit() else name


def is_hidden(body: JSON) -> bool:
    """Whether what is kept of a variable says that it is a secret."""
    return isinstance(body, dict) and body.get("secret") is True


class TakeOut:
    """Takes secrets out of what comes in, and hands them to `keep`; where there is none, they are left behind."""

    def __init__(self, keep: KeepSecret | None, note: Note) -> None:
        self._keep = keep
        self._note = note
        self._given: dict[tuple[str, str], str | None] = {}
        #: What the store keeps of the variables that secrets became.
        self.variables: dict[str, JSONObject] = {}
        #: The names under which secrets are kept.
        self.kept: set[str] = set()

    def credential(self, name: str, value: str) -> str:
        """Hand a key over; gives the name of the credential."""
        return self._handed(name, value) or name

    def variable(self, name: str, value: str) -> str:
        """Hand a secret over as a variable; gives what refers to it."""
        place = self._handed(ENV + name, value)
        self.variables[name] = {"secret": True, "place": "keyring" if place == "keyring" else "file"}
        return reference(name)

    def _handed(self, name: str, value: str) -> str | None:
        if (name, value) not in self._given:
            self._given[name, value] = self._hand(name, value)
        return self._given[name, value]

    def _hand(self, name: str, value: str) -> str | None:
        shown = name.removeprefix(ENV)
        if self._keep is None:
            self._note(f"The secret {shown!r} was not imported: nothing keeps secrets here.")
            return None
        try:
            kept = self._keep(name, value)
        except AgentnbError as error:
            self._note(f"The secret {shown!r} was not kept: {error}")
            return None
        self.kept.add(shown if name.startswith(ENV) else kept or name)
        return kept

    def value(self, value: JSON, owner: tuple[str, ...], called: str = "") -> JSON:
        """A JSON value with references in place of its secrets; `called` is the name it goes by."""
        match value:
            case dict():
                return {name: self.value(each, owner, name) for name, each in value.items()}
            case list():
                return [
                    self.value(each, owner, _option(value[at - 1]) if at else called) for at, each in enumerate(value)
                ]
            case str():
                return self.text(value, owner, called)
        return value

    def text(self, text: str, owner: tuple[str, ...], called: str) -> str:
        """The same of a text."""
        if not text.strip() or "${" in text or text.strip().lower() in ("true", "false", "none", "null"):
            return text
        if is_secret(called) and not text.strip().isdigit():
            scheme = _SCHEME.fullmatch(text.strip())
            head, secret = (scheme[1], scheme[2]) if scheme else ("", text)
            return head + self.variable(variable_name(*owner, called), secret)
        text = _USERINFO.sub(lambda m: f"{m[1]}:{self.variable(variable_name(*owner, 'password'), m[2])}", text)
        text = _PARAMETER.sub(lambda m: self._parameter(m, owner), text)
        return _WORD.sub(lambda m: self._word(m[0], owner, called), text)

    def _parameter(self, found: re.Match[str], owner: tuple[str, ...]) -> str:
        if not is_secret(found[2]) or found[3].startswith("$"):
            return found[0]
        return f"{found[1]}{found[2]}={self.variable(variable_name(*owner, found[2]), found[3])}"

    def _word(self, word: str, owner: tuple[str, ...], called: str) -> str:
        if known_keys(word) != "[key]":
            return word
        return self.variable(variable_name(*owner, called or "key"), word)


def put_back(value: JSON, reveal: Reveal | None) -> JSON:
    """A JSON value with the secrets that `reveal` knows in place of references to them."""
    if reveal is None:
        return value
    match value:
        case dict():
            return {name: put_back(each, reveal) for name, each in value.items()}
        case list():
            return [put_back(each, reveal) for each in value]
        case str():
            return _REFERENCE.sub(lambda found: reveal(ENV + found[1]) or found[0], value)
    return value


def names_in(body: JSON) -> set[str]:
    """The credentials that a model or an agent names."""
    found = body.get("api_key_name") if isinstance(body, dict) else None
    return {found} if isinstance(found, str) and found else set()


def renamed(body: JSON, names: Mapping[str, str]) -> JSON:
    """The same with the names under which they are kept here."""
    found = body.get("api_key_name") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(found, str):
        return body
    return {**body, "api_key_name": names.get(found, found)}


def _option(before: JSON) -> str:
    """The name of an option that takes the next argument: `--api-key`."""
    return before.lstrip("-") if isinstance(before, str) and before.startswith("-") and "=" not in before else ""
