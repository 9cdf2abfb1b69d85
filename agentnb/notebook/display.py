"""How a run is shown: live in a notebook, once at its end for tools that compare outputs, or as text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, get_args

from agentnb import events
from agentnb.errors import UsageError, nearest
from agentnb.notebook.live import LiveDisplay
from agentnb.notebook.publisher import IPythonPublisher, Publisher
from agentnb.notebook.text import TextDisplay
from agentnb.render import FORMATS, Format, Provenance, Renderer
from agentnb.transcript import Folder, Transcript

__all__ = [
    "Display",
    "IPythonPublisher",
    "LiveDisplay",
    "Mode",
    "Publisher",
    "StaticDisplay",
    "TextDisplay",
    "default_mode",
    "make_display",
]

Mode: TypeAlias = Literal["live", "static", "text"]
_MODES: tuple[Mode, ...] = get_args(Mode)


class Display(Protocol):
    """Shows one run. One thread calls at a time: the main one, or the run's while a plain function keeps that busy."""

    def feed(self, events: Sequence[events.Event]) -> None:
        """Take events in; publishes nothing."""

    def tick(self) -> None:
        """Publish what is due; called about every 50 ms."""

    def close(self) -> Transcript:
        """Publish the final state of everything; returns the transcript."""


class StaticDisplay:
    """Each display once, at the end: what a live run leaves in the file, without what led there."""

    def __init__(self, publisher: Publisher, renderer: Renderer) -> None:
        self._publisher = publisher
        self._renderer = renderer
        self._folder = Folder()

    def feed(self, events: Sequence[events.Event]) -> None:
        """Take events in."""
        for event in events:
            self._folder.feed(event)

    def tick(self) -> None:
        """Nothing is due before the end."""

    def close(self) -> Transcript:
        """Publish everything; returns the transcript."""
        transcript = self._folder.transcript()
        for piece in self._renderer.pieces(transcript, closing=True):
            bundle = piece.make()
            # The run is in the id: a front end that sees an id again changes the displays of earlier cells.
            display_id = f"agentnb-{transcript.run_id}-{bundle.id}"
            self._publisher.show(bundle.data, bundle.metadata, display_id=display_id, update=False)
        return transcript


def make_display(
    mode: Mode,
    publisher: Publisher,
    provenance: Provenance | None = None,
    *,
    format: str = "markdown",  # noqa: A002  # the option's name
    notice: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Display:
    """A display for one run. Raises UsageError for a format that is not known.

    `notice` says why the run failed, where no cell raises the error itself.
    """
    known: dict[str, Format] = {str(name): name for name in FORMATS}
    if format not in known:
        raise UsageError(f"Format {format!r} is not known.{nearest(format, known)} Formats: {', '.join(known)}.")
    if mode == "text":
        return TextDisplay(publisher)
    renderer = Renderer(provenance, known[format], notice=notice)
    return LiveDisplay(publisher, renderer, clock) if mode == "live" else StaticDisplay(publisher, renderer)


def default_mode(environ: Mapping[str, str], shell: object | None) -> Mode:
    """AGENTNB_DISPLAY where it is set; else text in a terminal and live in a kernel. Raises UsageError."""
    asked = environ.get("AGENTNB_DISPLAY", "").strip().lower()
    for mode in _MODES:
        if asked == mode:
            return mode
    if asked:
        raise UsageError(f"AGENTNB_DISPLAY={asked!r} is not known.{nearest(asked, _MODES)} Use live, static or text.")
    in_terminal = any(kind.__name__ == "TerminalInteractiveShell" for kind in type(shell).__mro__)
    return "text" if shell is None or in_terminal else "live"
