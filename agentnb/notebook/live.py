"""A run shown while it happens: every piece in its own display, only what changed is sent, within a budget.

A front end redraws a whole display at every update, so an answer's traffic would grow with its square. Parts that
are sealed are sent once more and never again; the open one is updated up to 12 times a second while the bytes spent
stay within a first allowance plus a share of the text. Beyond that a fast stream is updated as its budget refills,
a slow one still five times a second.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from agentnb.events import Event
from agentnb.notebook.publisher import Publisher
from agentnb.render import Piece, Renderer, cards
from agentnb.transcript import Folder, Transcript

_PER_SECOND = 15
_OPEN_GAP = 1 / 12
_REFILL_GAP = 0.2
#: What a message costs beside its content: header, parent header, identity, signature.
_FRAME_BYTES = 900
_BURST_BYTES = 48_000
_BYTES_PER_CHAR = 0.6
#: Characters per second below which a stream is slow: no budget is needed to keep its traffic small.
_SLOW = 1500
_SILENCE = 0.4


class LiveDisplay:
    """Shows a run in the cell that runs now. `tick` on the main thread, about every 50 ms."""

    def __init__(self, publisher: Publisher, renderer: Renderer, clock: Callable[[], float] = time.monotonic) -> None:
        self._publisher = publisher
        self._renderer = renderer
        self._clock = clock
        self._folder = Folder()
        self._run = uuid.uuid4().hex[:12]
        self._slots: dict[str, int] = {}
        self._shown: dict[str, object] = {}
        self._status: str | None = None
        self._sent: deque[float] = deque()
        self._spent = 0.0
        self._text = 0
        self._text_then = 0
        self._open_at = 0.0
        self._next = 0.0
        self._fresh = False
        self._began = clock()

    def feed(self, events: Sequence[Event]) -> None:
        """Take events in; publishes nothing."""
        feed = self._folder.feed
        for event in events:
            feed(event)
        self._fresh = self._fresh or bool(events)

    def tick(self) -> None:
        """Publish what is due."""
        now = self._clock()
        if now < self._next or not (self._fresh or not self._slots):
            return
        self._next = now + _OPEN_GAP
        transcript = self._folder.transcript()
        pieces = self._renderer.pieces(transcript)
        self._fresh = not self._publish(pieces, now)
        self._show_status(transcript, pieces, now)

    def close(self) -> Transcript:
        """Publish the final state of everything; returns the transcript."""
        transcript = self._folder.transcript()
        for piece in self._renderer.pieces(transcript, closing=True):
            if self._shown.get(piece.id) != (piece.version, True):
                self._send(replace(piece, final=True), self._clock())
        return transcript

    def _publish(self, pieces: list[Piece], now: float) -> bool:
        """Send what changed, in order. False where something has to wait."""
        complete = True
        self._text = sum(piece.size for piece in pieces)
        for piece in pieces:
            if self._shown.get(piece.id) == (piece.version, piece.final):
                continue
            if not self._room(now) or (not piece.final and not self._affordable(piece, now)):
                complete = False
                if piece.id not in self._slots:
                    break  # later pieces come after it on the page
                continue
            self._send(piece, now)
        return complete

    def _room(self, now: float) -> bool:
        while self._sent and self._sent[0] <= now - 1:
            self._sent.popleft()
        return len(self._sent) < _PER_SECOND

    def _affordable(self, piece: Piece, now: float) -> bool:
        cost = piece.size + _FRAME_BYTES
        if self._spent + cost <= _BURST_BYTES + _BYTES_PER_CHAR * self._text:
            return True
        since = now - self._open_at
        self._next = max(self._next, self._open_at + _REFILL_GAP)
        return since >= _REFILL_GAP and self._text - self._text_then < _SLOW * since

    def _send(self, piece: Piece, now: float) -> None:
        made = piece.make()
        data = made.data
        if not piece.final and len(data) > 1:
            data = {kind: content for kind, content in data.items() if kind != "text/plain"}
        known = piece.id in self._slots
        slot = self._slots.setdefault(piece.id, len(self._slots))
        self._emit(slot, data, made.metadata, update=known or self._status is not None, now=now)
        self._shown[piece.id] = (piece.version, piece.final)
        if not known:
            self._status = None
        if not piece.final:
            self._spent += piece.size + _FRAME_BYTES
            self._open_at, self._text_then = now, self._text

    def _emit(
        self, slot: int, data: dict[str, object], metadata: dict[str, object], *, update: bool, now: float
    ) -> None:
        self._sent.append(now)
        self._publisher.show(data, metadata, display_id=f"agentnb-{self._run}-{slot}", update=update)

    def _show_status(self, transcript: Transcript, pieces: list[Piece], now: float) -> None:
        """Why nothing happens, where the next piece will be: that takes its place, and no trace is left."""
        status = transcript.waiting
        if status is None and not pieces and transcript.model and now - self._began > _SILENCE:
            status = f"Asking {transcript.model} …"
        if status is None or status == self._status or not self._room(now):
            return
        data: dict[str, object] = {"text/html": cards.status(status), "text/plain": status}
        self._emit(len(self._slots), data, {}, update=self._status is not None, now=now)
        self._status = status
