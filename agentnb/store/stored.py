"""A session whose turns are in the store, where other kernels may add to them."""

from __future__ import annotations

from collections.abc import Sequence

from agentnb.errors import StoreError
from agentnb.messages import Message
from agentnb.session import Session, Turn
from agentnb.store.infos import Place
from agentnb.store.runs import Runs
from agentnb.store.sessions import Sessions
from agentnb.transcript import Transcript


class StoredSession(Session):
    """Turns as the store has them now. What this kernel has seen is kept here as well, also where the store fails."""

    def __init__(self, sessions: Sessions, runs: Runs, session_id: str | None = None) -> None:
        super().__init__(session_id)
        self._sessions = sessions
        self._runs = runs
        self._seen: dict[str, Turn] = {}

    @property
    def turns(self) -> list[Turn]:
        """The turns, in order; those that could not be kept come last."""
        try:
            places = self._sessions.places(self.id)
            said = self._said(places)
        except StoreError:
            return self._turns
        stored = [self._seen.get(place.run) or Turn(place.cell, said[place.run], run=place.run) for place in places]
        kept = {place.run for place in places}
        self._turns = [*stored, *(turn for turn in self._turns if turn.run not in kept and turn.run in self._loose())]
        return self._turns

    def record(
        self, key: str | None, messages: tuple[Message, ...], within: tuple[Transcript, ...] = (), *, run: str = ""
    ) -> None:
        """Keep what a run added, as it was said here; the store has it already, without secrets."""
        turn = Turn(key, messages, within, run)
        self._seen[run] = turn
        super().record(key, messages, within, run=run)

    def _loose(self) -> set[str]:
        """The runs of this kernel that the store does not know."""
        return {run for run in self._seen if not run or self._runs.get(run) is None}

    def _said(self, places: Sequence[Place]) -> dict[str, tuple[Message, ...]]:
        missing = [place for place in places if place.run not in self._seen]
        if len(missing) < 4:
            said = {place.run: self._runs.messages(place.run) for place in missing}
        else:
            found = self._runs.of_session(self.id)
            said = {place.run: found.get(place.run, ()) for place in missing}
        for place in missing:
            if place.ended:  # it will not change any more
                self._seen[place.run] = Turn(place.cell, said[place.run], run=place.run)
        return said
