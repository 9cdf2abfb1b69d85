"""Where displays go: the one interface between what is shown and the front end that shows it."""

from __future__ import annotations

import sys
from typing import Protocol


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
