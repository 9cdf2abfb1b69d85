"""What came in or went out, as a person is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from agentnb.render.terminal import clean

Note: TypeAlias = Callable[[str], object]

#: How things are called: one of them, several.
_WORDS = {
    "session": ("session", "sessions"),
    "run": ("run outside of sessions", "runs outside of sessions"),
    "model": ("model", "models"),
    "tool": ("tool", "tools"),
    "mcp_server": ("MCP server", "MCP servers"),
    "template": ("template", "templates"),
    "agent": ("agent", "agents"),
    "env": ("variable", "variables"),
    "setting": ("setting", "settings"),
    "secret": ("secret", "secrets"),
    "file": ("file", "files"),
}


@dataclass(slots=True)
class Report:
    """Counts by kind of thing: what is new, was there already, or became a new version (a copy, of sessions); and notes
    on whatever is worth knowing, one line each."""

    place: str
    verb: str = "Imported"
    new: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    #: Variables that kernels get from now on: whoever brings them in must know of each.
    variables: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something once."""
        line = " ".join(clean(text).split())
        if line not in self.notes:
            self.notes.append(line)

    def lines(self) -> Iterator[str]:
        """The report, line by line."""
        preposition = "from" if self.verb == "Imported" else "to"
        yield f"{self.verb} {_listed(self.new) or 'nothing new'} {preposition} {self.place}"
        if changed := _listed(self.changed):
            yield f"Beside what is there, as a new version or a copy: {changed}"
        if same := _listed(self.same):
            yield f"There already: {same}"
        if self.variables:
            names = clean(", ".join(sorted(set(self.variables))))
            yield f"Every kernel has these variables from now on: {names}. %agentenv rm NAME forgets one."
        yield from self.notes

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _listed(counts: Counter[str]) -> str:
    kinds = [kind for kind in _WORDS if counts[kind]]
    return ", ".join(f"{counts[kind]:,} {_WORDS[kind][counts[kind] != 1]}" for kind in kinds)
