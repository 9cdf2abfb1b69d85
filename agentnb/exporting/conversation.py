"""A session read whole from the store: each turn with its run, and the runs within that, as transcripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from agentnb import events
from agentnb.masking import mask_message
from agentnb.messages import Audio, File, Image, Message, ToolResult
from agentnb.render import Provenance
from agentnb.store import Store
from agentnb.store.infos import SessionInfo
from agentnb.store.runs import StoredRun
from agentnb.transcript import ToolRun, Transcript

_OF_SESSION = "WHERE id IN (SELECT run FROM turns WHERE session = ? AND gone IS NULL)"
_WITHIN = "WHERE within IN (SELECT value FROM json_each(?)) ORDER BY started"


@dataclass(frozen=True, slots=True)
class Said:
    """One turn: the run as it is kept, what was said in it, and which turn it is, from 1 on."""

    run: StoredRun
    transcript: Transcript
    number: int = 1

    @property
    def prompt(self) -> str:
        """The prompt as it was written; as it was sent, where nobody wrote it."""
        return self.run.head.prompt or self.sent

    @property
    def sent(self) -> str:
        """The prompt as the model read it, with what its placeholders stood for."""
        return "".join(message.text for message in self._asked())

    @property
    def media(self) -> Iterator[Image | Audio | File]:
        """What was sent with the prompt."""
        for message in self._asked():
            yield from (block for block in message.content if isinstance(block, Image | Audio | File))

    @property
    def provenance(self) -> Provenance:
        """How the answer came about, as a cell keeps it."""
        head = self.run.head
        return Provenance(self.prompt, dict(head.variables), dict(head.options), turns=self.number - 1)

    def _asked(self) -> Sequence[Message]:
        first = self.transcript.messages[:1]
        return first if first and first[0].role == "user" else ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session, and its turns in order."""

    session: SessionInfo
    turns: tuple[Said, ...] = ()


def gathered(store: Store, session_id: str, mask: Callable[[str], str] = lambda text: text) -> Conversation:
    """A session by its id or how that begins, without the secrets that `mask` knows.

    Raises UsageError for a session there is not, StoreError where the store cannot be read.
    """
    info = store.sessions.get(session_id)
    said = store.runs.of_session(info.id)
    runs = {run.head.id: run for run in store.runs.list(_OF_SESSION, (info.id,))}
    reader = _Reader(store, mask, _within(store, list(runs)))
    turns: list[Said] = []
    for place in store.sessions.places(info.id):
        run = runs.get(place.run)
        if run is not None:
            # One that goes on has words that are no message yet.
            messages = said.get(place.run, ()) if place.ended else store.runs.messages(place.run)
            turns.append(replace(reader.said(run, messages), number=len(turns) + 1))
    return Conversation(replace(info, title=mask(info.title), preview=mask(info.preview)), tuple(turns))


def _within(store: Store, ids: Sequence[str]) -> Mapping[str, Sequence[StoredRun]]:
    """The runs within these, at every depth, by the run that started them: one query for each depth."""
    found: dict[str, list[StoredRun]] = {}
    while ids:
        level = [run for run in store.runs.list(_WITHIN, (json.dumps(ids),)) if run.head.id not in found]
        for run in level:
            found.setdefault(run.head.within or "", []).append(run)
        ids = [run.head.id for run in level]
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes transcripts of what is kept."""

    store: Store
    mask: Callable[[str], str]
    within: Mapping[str, Sequence[StoredRun]]

    def said(self, run: StoredRun, messages: Sequence[Message]) -> Said:
        head = replace(run.head, prompt=self.mask(run.head.prompt))
        kept = replace(run, head=head, error=self.mask(run.error) if run.error else None)
        return Said(kept, self.transcript(kept, messages))

    def transcript(self, run: StoredRun, messages: Sequence[Message]) -> Transcript:
        read = tuple(mask_message(message, self.mask) for message in messages)
        outcome = next((each for each in get_args(events.Outcome) if each == run.outcome), None)
        return Transcript(
            run.head.id,
            run.head.within,
            run.head.model,
            run.head.agent,
            read,
            self._tools(run, read),
            run.usage,
            outcome,
            self.mask(run.error) if run.error else None,
        )

    def _tools(self, run: StoredRun, messages: Sequence[Message]) -> dict[str, ToolRun]:
        tools = {call.id: ToolRun(call.id, "pending") for message in messages for call in message.calls}
        for result in (b for m in messages for b in m.content if isinstance(b, ToolResult)):
            tools[result.call_id] = ToolRun(result.call_id, "error" if result.is_error else "done", result=result)
        for each in self.within.get(run.head.id, ()):
            call = each.head.call or ""
            known = tools.get(call, ToolRun(call, "done"))
            started = self.transcript(each, self.store.runs.messages(each.head.id))
            tools[call] = replace(known, runs=(*known.runs, started))
        return tools
