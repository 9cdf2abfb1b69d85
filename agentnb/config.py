"""What a person sets once for all notebooks: `config.toml` in a folder of theirs, and variables that go before it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agentnb.errors import UsageError, nearest

CONNECT_SECONDS = 5.0
#: How long a provider may be silent: thinking models answer late, so this is long.
IDLE_SECONDS = 600.0
FILE = "config.toml"
#: The file of sessions, runs and records, in the folder of data.
STORE = "agentnb.db"
#: What a model may be told of the place where it works.
CONTEXTS = ("none", "minimal", "notebook")


@dataclass(frozen=True, slots=True)
class Settings:
    """How providers are reached, and what may be spent.

    `proxy` is the address of one for every request ("none": no proxy at all; None: as HTTPS_PROXY and its like say),
    `no_proxy` the hosts that are reached without it, `ca_bundle` a file or folder of certificates to trust beside the
    usual ones. `connect` and `idle` are seconds, `max_cost` USD. `context` is one of CONTEXTS. `providers` are rows of
    the user's own, as providers.toml has them.
    """

    proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    ca_bundle: Path | None = None
    connect: float = CONNECT_SECONDS
    idle: float = IDLE_SECONDS
    max_cost: float | None = None
    context: str | None = None
    providers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def hidden(self) -> tuple[str, ...]:
        """The texts that must never be shown: the proxy's password."""
        password = urlsplit(self.proxy).password if self.proxy else None
        return (unquote(password),) if password else ()


def home(environ: Mapping[str, str]) -> Path:
    """The folder of settings and credentials: $AGENTNB_HOME, else where this system keeps such things."""
    if given := environ.get("AGENTNB_HOME", "").strip():
        return Path(os.path.expanduser(given)).absolute()
    import platformdirs

    return Path(platformdirs.user_config_dir("agentnb", appauthor=False))


def data(environ: Mapping[str, str]) -> Path:
    """The folder of what is kept of the work itself: $AGENTNB_HOME, else where this system keeps such things."""
    if environ.get("AGENTNB_HOME", "").strip():
        return home(environ)
    import platformdirs

    return Path(platformdirs.user_data_dir("agentnb", appauthor=False))


def notebook(environ: Mapping[str, str], namespace: Mapping[str, object]) -> str | None:
    """The path of the notebook that a kernel serves, where its front end says so: Jupyter's servers, VS Code."""
    known = environ.get("JPY_SESSION_NAME") or namespace.get("__vsc_ipynb_file__")
    return known if isinstance(known, str) and known.endswith(".ipynb") else None


def read(environ: Mapping[str, str], folder: Path | None = None) -> Settings:
    """The settings of `config.toml` in a folder, and of the environment, which goes before it.

    Raises UsageError, naming file and key or the variable, for what cannot be one.
    """
    file = (folder or home(environ)) / FILE
    values = _from_file(file)
    for variable, name in _VARIABLES.items():
        if given := environ.get(variable, "").strip():
            values[name] = _FIELDS[name](given, variable)
    bundle = values.get("ca_bundle")
    if isinstance(bundle, Path) and not bundle.exists():
        raise UsageError(
            f"There is no {bundle}. Set AGENTNB_CA_BUNDLE, or http.ca_bundle in {file}, to certificates (PEM)."
        )
    return Settings(**values)  # type: ignore[arg-type]  # each was read as its field wants it


def _from_file(file: Path) -> dict[str, object]:
    values: dict[str, object] = {}
    for table, content in _load(file).items():
        if table not in ("providers", *_TABLES):
            raise UsageError(f"{file}: there is no table [{table}].{nearest(table, ('providers', *_TABLES))}")
        if not isinstance(content, dict):
            raise UsageError(f"{file}: {table} is a table. Write it as [{table}], with its settings below.")
        if table == "providers":
            values[table] = {name: _row(name, row, file) for name, row in content.items()}
            continue
        for name, value in content.items():
            if name not in _TABLES[table]:
                known = ", ".join(_TABLES[table])
                raise UsageError(f"{file}: [{table}] has no {name!r}.{nearest(name, _TABLES[table])} It has: {known}.")
            values[name] = _FIELDS[name](value, f"{file}: {table}.{name}")
    if isinstance(bundle := values.get("ca_bundle"), Path):
        values["ca_bundle"] = file.parent / bundle
    return values


def _load(file: Path) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError) as reason:
        raise UsageError(f"{file} is not TOML: {reason}. Mend it there.") from None
    except OSError as reason:
        raise UsageError(f"{file} cannot be read: {reason.strerror}. Make it a file that you may read.") from None


def _row(name: str, row: object, file: Path) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise UsageError(f"{file}: a provider is a table. Write it as [providers.{name}], with base_url below.")
    return row


def _proxy(value: object, where: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() == "none":
        return "none"
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        # It may hold a password, and is therefore not repeated.
        raise UsageError(f"{where} is not the address of a proxy. Write it as http://HOST:PORT, or none.")
    return url


def _hosts(value: object, where: str) -> tuple[str, ...]:
    each = value.split(",") if isinstance(value, str) else value
    if not isinstance(each, list) or not all(isinstance(host, str) for host in each):
        raise UsageError(f'{where} takes a list of hosts: ["intranet.example", "10.0.0.7"].')
    return tuple(host.strip() for host in each if host.strip())


def _bundle(value: object, where: str) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} takes the path of a file of certificates (PEM).")
    return Path(os.path.expanduser(value.strip()))


def _seconds(value: object, where: str) -> float:
    if (number := _number(value)) > 0:
        return number
    raise UsageError(f"{where} takes a number of seconds above 0, not {str(value)[:40]!r}.")


def _money(value: object, where: str) -> float:
    if (number := _number(value)) >= 0:
        return number
    raise UsageError(f"{where} takes an amount in USD, not {str(value)[:40]!r}.")


def _context(value: object, where: str) -> str:
    if isinstance(value, str) and value in CONTEXTS:
        return value
    raise UsageError(f"{where} is {', '.join(CONTEXTS[:-1])} or {CONTEXTS[-1]}, not {str(value)[:40]!r}.")


def _number(value: object) -> float:
    """NaN where it is none."""
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


_FIELDS: Mapping[str, Callable[[object, str], object]] = {
    "proxy": _proxy,
    "no_proxy": _hosts,
    "ca_bundle": _bundle,
    "connect": _seconds,
    "idle": _seconds,
    "max_cost": _money,
    "context": _context,
}
_TABLES = {"http": ("proxy", "no_proxy", "ca_bundle", "connect", "idle"), "usage": ("max_cost",), "agent": ("context",)}
_VARIABLES = {
    "AGENTNB_PROXY": "proxy",
    "AGENTNB_CA_BUNDLE": "ca_bundle",
    "AGENTNB_CONNECT_TIMEOUT": "connect",
    "AGENTNB_IDLE_TIMEOUT": "idle",
    "AGENTNB_MAX_COST": "max_cost",
    "AGENTNB_CONTEXT": "context",
}
