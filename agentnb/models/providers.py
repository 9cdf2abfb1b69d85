"""The providers we know: rows of data, because most of them speak the same dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of providers.toml; what the fields mean is said there."""

    name: str
    base_url: str
    key: str | None = None
    reasoning_field: str | None = None
    think_tags: bool = False


def load_providers() -> Mapping[str, Provider]:
    """The rows by name."""
    import tomllib

    rows = tomllib.loads(Path(__file__).with_name("providers.toml").read_text("utf-8"))
    return {name: Provider(name, **row) for name, row in rows.items()}
