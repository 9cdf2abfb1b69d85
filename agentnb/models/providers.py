"""The providers we know: rows of data, because most of them speak the same dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path

from agentnb.errors import UsageError, nearest
from agentnb.models.dialect import Dialect, Quirks


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of providers.toml; what the fields mean is said there. `dialect` may also be a Dialect of your own."""

    name: str
    base_url: str = ""
    key: str | None = None
    title: str = ""
    dialect: str | Dialect = "openai_chat"
    base_url_name: str | None = None
    key_names: tuple[str, ...] = ()
    key_required: bool = True
    key_header: str | None = None
    path: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    models_path: str | None = "/models"
    aliases: tuple[str, ...] = ()
    quirks: Quirks = field(default_factory=Quirks)


def load_providers() -> Mapping[str, Provider]:
    """The rows by name."""
    import tomllib

    rows = tomllib.loads(Path(__file__).with_name("providers.toml").read_text("utf-8"))
    return {name: _row(row, _blank(name)) for name, row in rows.items()}


def find(name: str, rows: Mapping[str, Provider]) -> Provider | None:
    """The row of this name or alias, in capitals or not; None where there is none."""
    wanted = name.strip().lower()
    by_alias = (row for row in rows.values() if wanted in row.aliases)
    return rows.get(wanted) or next(by_alias, None)


def with_rows(rows: Mapping[str, Provider], more: Mapping[str, Mapping[str, object]]) -> Mapping[str, Provider]:
    """The rows, and those that a person wrote; what one of theirs says goes before ours. Raises UsageError."""
    out = dict(rows)
    known = {each.name: each for kind in (Provider, Quirks) for each in fields(kind)}
    for own in ("name", "provider", "quirks"):
        del known[own]
    for name, row in more.items():
        for key in row:
            if key not in known:
                raise UsageError(f"The provider {name!r} has a setting {key!r} that there is not.{nearest(key, known)}")
            _check(name, known[key], row[key])
        if not isinstance(row.get("base_url"), str) and name not in rows:
            raise UsageError(f'The provider {name!r} needs a base_url: base_url = "https://HOST/v1".')
        out[name] = _row(dict(row), rows.get(name) or _blank(name))
    return out


def _check(provider: str, setting: Field[object], value: object) -> None:
    """Raises UsageError for a value of another kind than the setting's."""
    texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    kinds: Mapping[str, tuple[type, str]] = {
        "bool": (bool, "true or false"),
        "tuple[str, ...]": (list, "a list of texts"),
        "Mapping[str, str]": (dict, "a table of texts"),
    }
    kind, words = kinds.get(str(setting.type), (str, "a text"))
    if not isinstance(value, kind) or (kind is not bool and not all(isinstance(text, str) for text in texts)):
        raise UsageError(f"The provider {provider!r} takes {words} as {setting.name!r}, not {str(value)[:60]!r}.")


def _blank(name: str) -> Provider:
    return Provider(name, quirks=Quirks(name))


def _row(row: dict[str, object], over: Provider) -> Provider:
    own = {each.name for each in fields(Quirks)}
    row = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    quirks = {key: row.pop(key) for key in own & set(row)}
    if row.get("models_path") == "":
        row["models_path"] = None  # TOML has no word for nothing
    return replace(over, quirks=replace(over.quirks, **quirks), **row)  # type: ignore[arg-type]  # a row of the table
