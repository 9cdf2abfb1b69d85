"""Sessions, runs and named things as JSON Lines: everything that is known of them, large data under its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from agentnb import codec
from agentnb.messages import JSON, JSONObject, Message
from agentnb.store.bodies import body_json, with_blobs
from agentnb.store.memory import MemoryEntry, Summary
from agentnb.store.moved import MovedArtifact, MovedRun, MovedSession, MovedTurn, Said
from agentnb.store.records import Record
from agentnb.store.runs import StoredRun
from agentnb.transfer.texts import parse_json

_SESSION = ("id", "title", "titled_by", "notebook", "forked_from", "created", "updated", "tokens", "deleted")


def format_session(moved: MovedSession, keep: Callable[[bytes], str]) -> bytes:
    """A session as lines; `keep` keeps large data elsewhere, and gives its digest."""
    head: JSONObject = {name: getattr(moved, name) for name in _SESSION}
    lines: list[JSONObject] = [{"type": "session", **head}]
    lines += [{"type": "turn", **codec.dump(turn)} for turn in moved.turns]
    lines += _runs(moved.runs, keep)
    lines += [{"type": "summary", **codec.dump(each)} for each in moved.summaries]
    # The word for its type is taken: it goes by another one.
    lines += [{**codec.dump(each), "entry_type": each.type, "type": "memory"} for each in moved.memories]
    for artifact in moved.artifacts:
        about: JSONObject = {"name": artifact.name, "media_type": artifact.media_type, "created": artifact.created}
        lines.append({"type": "artifact", **about, "digest": keep(artifact.data)})
    return _bytes(lines)


def format_runs(runs: Iterable[MovedRun], keep: Callable[[bytes], str]) -> bytes:
    """Runs that stand in no session."""
    return _bytes(_runs(runs, keep))


def format_records(records: Iterable[Record]) -> bytes:
    """Versions of named things."""
    return _bytes(codec.dump(each) for each in records)


def _runs(runs: Iterable[MovedRun], keep: Callable[[bytes], str]) -> Iterator[JSONObject]:
    for each in runs:
        yield {"type": "run", **codec.dump(each.run)}
        for said in each.said:
            body = json.loads(body_json(said.message, keep))
            yield {"type": "message", "run": each.run.head.id, "created": said.created, "message": body}


def _bytes(lines: Iterable[JSONObject]) -> bytes:
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    return text.encode("utf-8", "replace")


def parse_session(data: bytes, find: Callable[[str], bytes]) -> MovedSession:
    """The session of such lines; `find` gives the data of a digest. Raises ValueError for what is none."""
    lines = list(parse_lines(data))
    heads = [line for line in lines if line.get("type") == "session"]
    if len(heads) != 1:
        raise ValueError("it does not hold one session")
    moved: MovedSession = codec.load(MovedSession, {name: heads[0].get(name) for name in _SESSION if name in heads[0]})
    return replace(
        moved,
        turns=tuple(codec.load(MovedTurn, _rest(line)) for line in lines if line.get("type") == "turn"),
        runs=tuple(parse_runs(lines, find)),
        summaries=tuple(codec.load(Summary, _rest(line)) for line in lines if line.get("type") == "summary"),
        memories=tuple(_memory(line) for line in lines if line.get("type") == "memory"),
        artifacts=tuple(_artifact(line, find) for line in lines if line.get("type") == "artifact"),
    )


def parse_runs(lines: Sequence[JSONObject], find: Callable[[str], bytes]) -> Iterator[MovedRun]:
    """The runs of lines, each with what was said in it. Raises ValueError."""
    said: dict[str, list[Said]] = {}
    for line in lines:
        if line.get("type") == "message":
            message: Message = codec.load(Message, with_blobs(line.get("message"), find))
            said.setdefault(str(line.get("run")), []).append(Said(message, codec.load(float, line.get("created"))))
    for line in lines:
        if line.get("type") == "run":
            run: StoredRun = codec.load(StoredRun, _rest(line))
            yield MovedRun(run, tuple(said.get(run.head.id, ())))


def parse_records(data: bytes) -> list[Record]:
    """The versions of named things. Raises ValueError."""
    return [codec.load(Record, line) for line in parse_lines(data)]


def parse_lines(data: bytes) -> Iterator[JSONObject]:
    """The objects of lines. Raises ValueError that names the line."""
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if line.strip():
            value: JSON = parse_json(line)
            if not isinstance(value, dict):
                raise ValueError(f"line {number} is no object")
            yield value


def digest_of(data: bytes) -> str:
    """The name of data: its SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _memory(line: JSONObject) -> MemoryEntry:
    values = _rest(line)
    entry: MemoryEntry = codec.load(MemoryEntry, {**values, "type": values.pop("entry_type", None), "id": 0})
    return entry


def _artifact(line: JSONObject, find: Callable[[str], bytes]) -> MovedArtifact:
    given = {name: line.get(name) for name in ("name", "media_type", "created")}
    artifact: MovedArtifact = codec.load(MovedArtifact, {**given, "data": b""})
    return replace(artifact, data=find(str(line.get("digest"))))


def _rest(line: JSONObject) -> JSONObject:
    return {name: value for name, value in line.items() if name != "type"}
