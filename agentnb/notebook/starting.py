"""What a person sees while something starts that takes its time: a quiet line, which goes when it has."""

from __future__ import annotations

import time
import uuid
from types import TracebackType

from agentnb.notebook.asking.choose import anybody
from agentnb.notebook.display import default_mode
from agentnb.notebook.publisher import IPythonPublisher, Publisher, Shell
from agentnb.render import cards
from agentnb.workspace import Workspace

#: Seconds after which silence would be felt.
SOON = 0.25


class Notice:
    """Words that are shown while `on`, in a `with` block; `on` may be set on any thread, `tick` is the cell's.

    Nothing is shown of what is over at once.
    """

    def __init__(self, publisher: Publisher, words: str, *, live: bool = True, on: bool = True) -> None:
        self.on = on
        self._publisher = publisher
        self._words = words
        self._live = live
        self._id = f"agentnb-starting-{uuid.uuid4().hex[:12]}"
        self._shown = False
        self._due = time.monotonic() + SOON

    def __enter__(self) -> Notice:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.on = False
        self.tick()

    def tick(self) -> None:
        """Show the words when it is time, and take them away when they are not wanted any more."""
        wanted = self.on and bool(self._words) and time.monotonic() >= self._due
        if wanted != self._shown:
            self._show(self._words if wanted else "")
            self._shown = wanted

    def _show(self, words: str) -> None:
        if self._live:
            html = cards.status(words) if words else ""
            bundle: dict[str, object] = {"text/html": html, "text/plain": words}
            self._publisher.show(bundle, {}, display_id=self._id, update=self._shown)
        else:
            self._publisher.write(words or "\r\x1b[K")


def starting(shell: Shell, workspace: Workspace, words: str, *, on: bool = True) -> Notice:
    """A notice in the cell that runs now; a silent one where nobody looks: what runs unattended stays as it was."""
    seen = anybody(shell, workspace.environ)
    live = default_mode(workspace.environ, shell) == "live"
    return Notice(IPythonPublisher(shell), workspace.mask(words) if seen else "", live=live, on=on)
