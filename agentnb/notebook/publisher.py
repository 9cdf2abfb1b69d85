"""Where displays go: the one interface between what is shown and the front end that shows it."""

from __future__ import annotations

import sys
from typing import Protocol

from agentnb.masking import Mask

#: Characters after which a word is let go: no key is longer.
_LONGEST_WORD = 4000


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
