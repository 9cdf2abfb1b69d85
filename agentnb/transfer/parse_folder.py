"""The sessions of `~/.agents_runtime/chat_data`, with everything that lies in their folders."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.session import checked_id
from agentnb.store.memory import MemoryEntry, Summary
from agentnb.store.moved import MovedArtifact, MovedRun, MovedSession, MovedTurn
from agentnb.transfer.parse_messages import Fill
from agentnb.transfer.parse_sessions import (
    Conversation,
    nest,
    parse_conversation,
    parse_memories,
    parse_summary,
    run_of,
    runs_of,
)
from agentnb.transfer.report import Note
from agentnb.transfer.times import parse_time, time_of_id
from agentnb.transfer.tree import Tree

CHATS, ARTIFACT = "chat_data", "artifact-"
_SUB = re.compile(r"sub_.+|.+-sub_.+")
INDEX = ("session_id", "title", "created_at", "last_inference_at", "turn_count", "last_total_tokens")
_ESCAPED = {"%2F": "/", "%5C": "\\"}


@dataclass(slots=True)
class _Folder:
    """One folder of a session, and those of its sub-conversations."""

    path: str
    name: str
    conversation: Conversation | None
    subs: list[_Folder]


class Sessions:
    """Reads all sessions of a tree."""

    def __init__(self, tree: Tree, note: Note, fill: Fill) -> None:
        self._tree = tree
        self._note = note
        self._fill = fill

    def read(self) -> Iterator[MovedSession]:
        """The sessions, in the order of their names."""
        index = self._index()
        folders = {name: each for name in self._tree.names(CHATS) if (each := self._folder(f"{CHATS}/{name}", name))}
        whole = dict(folders)
        for name in whole:
            # Later versions put the conversations of subagents beside the one that they belong to.
            above = _parent(name, whole)
            line = [name]
            while above is not None and above not in line:
                line.append(above)
                above = _parent(above, whole)
            if len(line) > 1 and above is None:
                whole[line[1]].subs.append(folders.pop(name))
        for name in sorted(set(index) - set(folders)):
            self._note(f"{CHATS}/index.json names the session {name}, of which there is no conversation.")
        for name, folder in folders.items():
            if (session := self._session(name, folder, index.get(name, {}))) is not None:
                yield session

    def _index(self) -> Mapping[str, JSONObject]:
        value = self._tree.json(f"{CHATS}/index.json")
        if isinstance(value, list):
            value = {str(each.get("session_id")): each for each in value if isinstance(each, dict)}
        if value is not None and not isinstance(value, dict):
            self._note(f"{CHATS}/index.json is no object; the sessions are read without it.")
        entries = value if isinstance(value, dict) else {}
        found = {name: each for name, each in entries.items() if isinstance(each, dict)}
        if unknown := sorted({key for each in found.values() for key in each} - set(INDEX)):
            self._note(f"{CHATS}/index.json has {', '.join(unknown[:8])}, which agentnb does not know; left out.")
        return found

    def _folder(self, path: str, name: str) -> _Folder | None:
        """A folder, if it holds something of a session."""
        files = self._tree.names(*path.split("/"))
        if not files:
            return None
        value = self._tree.json(f"{path}/conversation.json")
        conversation = (
            parse_conversation(value, f"{path}/conversation.json", name, self._note, self._fill)
            if value is not None
            else None
        )
        subs = [self._folder(f"{path}/{each}", each) for each in files if _SUB.fullmatch(each)]
        kept = [each for each in subs if each is not None]
        beside = any(each in ("summary.md", "memory.md") or each.startswith(ARTIFACT) for each in files)
        if conversation is None and not kept and not beside:
            return None
        return _Folder(path, name, conversation, kept)

    def _session(self, name: str, folder: _Folder, entry: JSONObject) -> MovedSession | None:
        damaged = folder.conversation is None and self._tree.has(f"{folder.path}/conversation.json")
        if damaged and self._tree.data(f"{folder.path}/conversation.json"):
            # Once it is mended, it must not stand beside half of itself.
            self._note(f"{folder.path}: nothing of this session was imported. Mend its file, and import again.")
            self._skip(folder)
            return None
        try:
            checked_id(name)
        except UsageError:
            self._note(f"{folder.path}: {name[:80]!r} cannot be the id of a session; it was left out.")
            self._skip(folder)
            return None
        began = parse_time(entry.get("created_at")) or time_of_id(name) or 0.0
        conversation = folder.conversation or Conversation({}, began, began)
        turns, runs = runs_of(conversation, name)
        turns, runs = self._nested(folder, name, turns, runs)
        created = parse_time(conversation.meta.get("created_at")) or parse_time(entry.get("created_at"))
        tokens = conversation.meta.get("last_total_tokens", entry.get("last_total_tokens"))
        title = entry.get("title") or conversation.meta.get("title")
        title = " ".join(title.split()) if isinstance(title, str) else ""
        summary, memories = self._memory(folder.path, conversation)
        return MovedSession(
            name,
            title,
            "person" if title and title != name else "",
            created=created or conversation.created,
            updated=parse_time(entry.get("last_inference_at")) or conversation.updated,
            tokens=tokens if isinstance(tokens, int) and 0 < tokens < 1 << 50 else 0,
            turns=tuple(turns),
            runs=tuple(runs),
            summaries=summary,
            memories=memories,
            artifacts=tuple(self._artifacts(folder, "")),
        )

    def _nested(
        self, folder: _Folder, session: str, turns: list[MovedTurn], runs: list[MovedRun]
    ) -> tuple[list[MovedTurn], list[MovedRun]]:
        """The sub-conversations as runs within; where there is no run that they could stand in, as turns."""
        top, taken = list(runs), set[str]()
        pending = [(sub, top) for sub in folder.subs]
        while pending:
            sub, within = pending.pop(0)
            if sub.conversation is None:
                self._note(f"{sub.path}: there is no conversation in it that can be read.")
                pending += [(each, within) for each in sub.subs]
                continue
            made = run_of(sub.conversation.reads, session, sub.name, sub.conversation)
            nested = nest(made, sub.name, within, taken, sub.conversation.created)
            if nested.run.head.within is None:
                turns = [*turns, MovedTurn(nested.run.head.id)]
            runs = [*runs, nested]
            pending += [(each, [nested]) for each in sub.subs]
        return turns, runs

    def _memory(self, path: str, conversation: Conversation) -> tuple[tuple[Summary, ...], tuple[MemoryEntry, ...]]:
        summary = memory = None
        if self._tree.has(f"{path}/summary.md"):
            summary = self._tree.text(f"{path}/summary.md")
        if self._tree.has(f"{path}/memory.md"):
            memory = self._tree.text(f"{path}/memory.md")
        made = parse_summary(summary, conversation) if summary else None
        entries = parse_memories(memory, f"{path}/memory.md", conversation, self._note) if memory else []
        return ((made,) if made else ()), tuple(entries)

    def _artifacts(self, folder: _Folder, below: str) -> Iterator[MovedArtifact]:
        """The files of a session; those of sub-conversations by their path in its folder."""
        when = folder.conversation.updated if folder.conversation else time_of_id(folder.name) or 0.0
        for file in self._tree.names(*folder.path.split("/")):
            path = f"{folder.path}/{file}"
            own = file.startswith(ARTIFACT) or (below and file in ("summary.md", "memory.md"))
            if not own or not self._tree.has(path):
                continue
            data = self._tree.data(path)
            if data is None:
                continue
            name = below + file if below else file[len(ARTIFACT) :] or file
            for escaped, plain in _ESCAPED.items():
                name = name.replace(escaped, plain)
            yield MovedArtifact(name, data, mimetypes.guess_type(file)[0], when)
        for sub in folder.subs:
            yield from self._artifacts(sub, f"{below}{sub.name}/")

    def _skip(self, folder: _Folder) -> None:
        """What is in there was told of as a whole."""
        for path in self._tree.left_over():
            if path.startswith(f"{folder.path}/"):
                self._tree.data(path)


def _parent(name: str, folders: Mapping[str, _Folder]) -> str | None:
    """The session that a conversation says it belongs to, or whose name its own begins with."""
    conversation = folders[name].conversation
    said = conversation.meta.get("parent_session_id") if conversation else None
    by_name = name.rpartition("-sub_")[0]
    return next((each for each in (said, by_name) if isinstance(each, str) and each != name and each in folders), None)


def template_filler(contents: Mapping[str, JSON]) -> Fill:
    """Fills in templates as that program does, in one pass: a value brings no placeholder along."""

    def fill(name: str, arguments: Mapping[str, JSON]) -> str | None:
        content = contents.get(name)
        if not isinstance(content, str):
            return None
        return re.sub(
            r"\{\{(\w+)\}\}",
            lambda found: str(arguments[found[1]]) if found[1] in arguments else found[0],
            content,
        )

    return fill
