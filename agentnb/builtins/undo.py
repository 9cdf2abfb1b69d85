"""Takes back what tools did, call by call: the variables that were changed, the files that were written."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import MutableMapping
from typing import Protocol

from agentnb.builtins.changes import Changes, Mutated, Mutation
from agentnb.builtins.copies import NotRestored

#: So many calls can be taken back; what older ones replaced is let go.
DEPTH = 20
_MISSING = object()


class Step(Protocol):
    """One call that can be taken back."""

    @property
    def label(self) -> str:
        """What it was: `python (total = 0)`."""

    def undo(self) -> list[str]:
        """Take it back as far as that can be; sentences that say what came of it."""


class Undo:
    """The calls that can be taken back, the newest first. Safe from any thread."""

    def __init__(self, depth: int = DEPTH) -> None:
        self._steps: deque[Step] = deque(maxlen=depth)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._steps)

    def push(self, step: Step) -> None:
        """Remember a call."""
        with self._lock:
            self._steps.append(step)

    def undo(self) -> str:
        """Take back the newest call that is left, and say what came of it."""
        with self._lock:
            if not self._steps:
                return "There is nothing to undo: no tool has changed a variable or a file."
            step = self._steps.pop()
        said = " ".join(step.undo()) or "Nothing was left to take back."
        left = len(self._steps)
        more = f" {left} earlier call{'s' * (left != 1)} can be undone too." if left else ""
        return f"Undid {step.label}. {said}{more}"

    def clear(self) -> None:
        """Forget all of them, and let go of the values that they keep."""
        with self._lock:
            self._steps.clear()


class NamespaceStep:
    """What one call changed among the variables."""

    def __init__(self, namespace: MutableMapping[str, object], changes: Changes, label: str) -> None:
        self.label = label
        self._namespace = namespace
        self._changes = changes
        self._since: list[str] = []
        self._lost: dict[str, str] = {}

    def undo(self) -> list[str]:
        """Give the variables the values they had; what has changed since stays as it is."""
        before = {name: old for name, (old, _) in self._changes.rebound.items()} | dict(self._changes.deleted)
        removed = [name for name, value in self._changes.added.items() if self._is(name, value)]
        restored = [name for name, (_, value) in self._changes.rebound.items() if self._is(name, value)]
        restored += [name for name in self._changes.deleted if self._is(name, _MISSING)]
        for name in removed:
            del self._namespace[name]
        for name in restored:
            self._namespace[name] = before[name]
        again = [name for name, mutated in self._changes.mutated.items() if self._unmutated(name, mutated)]
        return [
            *_sentence("Removed", removed),
            *_sentence("Restored", restored),
            *_sentence("Put back what was in", again),
            *_sentence("Left alone, because it has changed since:", list(dict.fromkeys(self._since))),
            *(f"What was in {name} cannot be put back: {why}." for name, why in self._lost.items()),
        ]

    def _is(self, name: str, value: object) -> bool:
        if self._namespace.get(name, _MISSING) is value:
            return True
        # An added name that is gone by now needs no word.
        if not (name in self._changes.added and name not in self._namespace):
            self._since.append(name)
        return False

    def _unmutated(self, name: str, mutated: Mutated) -> bool:
        """Whether the variable's value holds again what it did."""
        if self._namespace.get(name, _MISSING) is not mutated.value:
            self._since.append(name)
            return False
        # What another variable holds as well has been put back already.
        left = [part for part in mutated.parts if not (part.before.restorable and not part.before.changed())]
        if not all(part.before.restorable for part in left):
            self._lost[name] = "it was too big to copy"
        elif any(part.after is None for part in left):
            self._lost[name] = "it is too big to tell whether it has changed since"
        elif any(part.after and part.after.changed() for part in left):
            self._since.append(name)
        else:
            return self._put_back(name, left)
        return False

    def _put_back(self, name: str, parts: list[Mutation]) -> bool:
        try:
            for part in parts:
                part.before.restore()
        except NotRestored as reason:
            self._lost[name] = str(reason)
            return False
        return True


def _sentence(begin: str, names: list[str]) -> list[str]:
    return [f"{begin} {', '.join(names)}."] if names else []
