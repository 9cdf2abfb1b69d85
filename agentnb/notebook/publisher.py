"""Where displays go: the one interface between what is shown and the front end that shows it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Protocol

from agentnb.masking import Mask

#: Characters after which a word is let go: no key is longer.
_LONGEST_WORD = 4000
_EMPTY: dict[str, object] = {"text/html": "", "text/plain": ""}


class Publisher(Protocol):
    """A front end, as a run sees it."""

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        """Show a MIME bundle under `display_id`, or change the one already there."""

    def write(self, text: str) -> None:
        """Write to the cell's standard output."""


class DisplayPub(Protocol):
    """What we use of IPython's DisplayPublisher."""

    def publish(
        self,
        data: dict[str, object],
        metadata: dict[str, object] | None = None,
        *,
        transient: dict[str, str] | None = None,
        update: bool = False,
    ) -> None: ...


class Shell(Protocol):
    """What we use of IPython's InteractiveShell."""

    @property
    def display_pub(self) -> DisplayPub: ...


class IPythonPublisher:
    """The cell that runs now: the shell's display publisher, and standard output."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        self._shell.display_pub.publish(data, metadata, transient={"display_id": display_id}, update=update)

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class MaskedPublisher:
    """A publisher that lets no secret out.

    A word that is still being written is held back, so that a secret that comes in pieces is seen whole.
    """

    def __init__(self, publisher: Publisher, mask: Mask) -> None:
        self._publisher = publisher
        self._mask = mask
        self._held = ""

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        shown = {kind: each if kind.startswith("image/") else self._masked(each) for kind, each in data.items()}
        self._publisher.show(shown, metadata, display_id=display_id, update=update)

    def write(self, text: str) -> None:
        text = self._held + text
        end = max(text.rfind(" "), text.rfind("\n")) + 1
        if len(text) - end > _LONGEST_WORD:
            end = len(text)
        self._held = text[end:]
        if end:
            self._publisher.write(self._mask(text[:end]))

    def _masked(self, value: object) -> object:
        return self._mask.deep(value)  # type: ignore[arg-type]  # bundles are JSON


class Slots:
    """A publisher over displays that are there already: the n-th new one goes into the n-th of them."""

    def __init__(self, publisher: Publisher, count: int) -> None:
        self._publisher = publisher
        self._ids = [f"agentnb-slot-{uuid.uuid4().hex[:12]}" for _ in range(count)]
        self._taken: dict[str, int] = {}

    def open(self) -> None:
        """Make the displays, empty, in the cell that runs now."""
        for display_id in self._ids:
            self._publisher.show(_EMPTY, {}, display_id=display_id, update=False)

    def clear(self) -> None:
        """Empty those that were used."""
        for at in set(self._taken.values()):
            self._publisher.show(_EMPTY, {}, display_id=self._ids[at], update=True)
        self._taken.clear()

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        """Show a bundle in its slot; what does not fit goes into the last one."""
        del update  # they are all there
        at = self._taken.setdefault(display_id, min(len(self._taken), len(self._ids) - 1))
        self._publisher.show(data, metadata, display_id=self._ids[at], update=True)

    def write(self, text: str) -> None:
        """To standard output, as any publisher."""
        self._publisher.write(text)


class HeldPublisher:
    """Keeps what is shown until there is a cell for it."""

    def __init__(self) -> None:
        self._held: list[Callable[[Publisher], object]] = []

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        self._held.append(lambda real: real.show(data, metadata, display_id=display_id, update=update))

    def write(self, text: str) -> None:
        self._held.append(lambda real: real.write(text))

    def release(self, publisher: Publisher) -> None:
        """Show it there, once."""
        held, self._held = self._held, []
        for each in held:
            each(publisher)
