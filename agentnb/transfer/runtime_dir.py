"""`~/.agents_runtime` as files: read as it is, written on request."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentnb.errors import StoreError, UsageError
from agentnb.kept_settings import without_grants
from agentnb.messages import JSON, JSONObject
from agentnb.store import Store
from agentnb.store.moved import Arrived
from agentnb.store.records import Kind
from agentnb.transfer.format_folder import Entry, File, format_index, format_records, format_session
from agentnb.transfer.parse_folder import Sessions, template_filler
from agentnb.transfer.parse_records import NewRecord, parse_records
from agentnb.transfer.report import Report
from agentnb.transfer.secrets import KeepSecret, Reveal, TakeOut, is_hidden
from agentnb.transfer.tree import Tree

_CALLED = {"mcp_server": "MCP server", "agent": "agent"}
#: How many files are named that nothing was made of.
_NAMED = 8


def import_directory(store: Store, path: Path, keep_secret: KeepSecret | None = None) -> Report:
    """Bring in a folder such as `~/.agents_runtime`; a second time, nothing changes. Nothing there is overwritten.

    `keep_secret(name, value)` gets each secret that is found, the store only the name. What cannot be read is told in
    the report, and the rest comes in. Raises UsageError for what is no such folder, StoreError where the store fails.
    """
    report = Report(str(path))
    tree = Tree(path, report.note)
    if not _looks_right(tree):
        raise UsageError(
            f"{path} holds nothing that agentnb knows: no models.json, tools.json, agents or chat_data. "
            "Name a folder such as ~/.agents_runtime, or a bundle (.zip)."
        )
    secrets = TakeOut(keep_secret, report.note)
    templates: dict[str, JSON] = {each.name: _content(each.body) for each in store.records.all("template")}
    for record in list(parse_records(tree, secrets, report.note)):
        put_record(store, record, report)
        if record.kind == "template":
            templates[record.name] = _content(record.body)
    if secrets.kept:
        report.note(f"Secrets are kept as credentials, by name: {', '.join(sorted(secrets.kept))}")
    for session in Sessions(tree, report.note, template_filler(templates)).read():
        count(report, session.id, store.moving.put(session))
    if left := tree.left_over():
        more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
        report.note(f"Nothing was made of: {', '.join(left[:_NAMED])}{more}")
    return report


def put_record(store: Store, record: NewRecord, report: Report) -> None:
    """Keep something under its name: as a new version where another one is there."""
    last = store.records.find(record.kind, record.name)
    body = without_permissions(record.kind, record.name, record.body, report)
    if last is not None and says_the_same(record.kind, last.body, body):
        report.same[record.kind] += 1
        return
    made = store.records.put(record.kind, record.name, body, created=record.created)
    if record.kind == "env":
        report.variables.append(record.name)
    if last is None:
        report.new[record.kind] += 1
        return
    report.changed[record.kind] += 1
    report.note(f"{record.kind.replace('_', ' ')} {record.name}: version {made.version} is what came in now.")


def without_permissions(kind: Kind, name: str, body: JSON, report: Report) -> JSON:
    """Settings without what lets tools run unasked: that is for the person to say, not for a file."""
    if not isinstance(body, dict) or (kept := _harmless(kind, body)) == body:
        return body
    left_out = ", ".join(sorted(set(body) - set(kept)))
    what = "its tools ask first" if kind == "mcp_server" else "tools ask first"
    report.note(f"{_CALLED[kind]} {name}: {left_out} was left out; {what}.")
    return kept


def says_the_same(kind: Kind, ours: JSON, theirs: JSON) -> bool:
    """Whether what comes in is what is here, permissions aside; of a secret, only that it is one can be told."""
    if is_hidden(ours) and theirs == {"secret": True}:
        return True
    return (_harmless(kind, ours) if isinstance(ours, dict) else ours) == theirs


def _harmless(kind: Kind, body: JSONObject) -> JSONObject:
    match kind, body:
        case "mcp_server", _:
            return without_grants(body)
        case "agent", {"approve": "auto"}:
            return {key: value for key, value in body.items() if key != "approve"}
    return body


def count(report: Report, wanted: str, arrived: Arrived) -> None:
    """Say what became of a session."""
    match arrived.how:
        case "new":
            report.new["session"] += 1
        case "copy":
            report.changed["session"] += 1
            report.note(f"Session {wanted} says something else here: what came in is session {arrived.id}.")
        case "removed":
            report.same["session"] += 1
            report.note(f"Session {arrived.id} was removed here. %session restore {arrived.id} brings it back.")
        case "same":
            report.same["session"] += 1


def files_of(
    store: Store, report: Report, *, sessions: Sequence[str] | None = None, reveal: Reveal | None = None
) -> Iterator[File]:
    """The store as the files of that layout; of some sessions alone, where they are named."""
    if sessions is None:
        yield from format_records(store, reveal, report.note)
    entries = []
    for session_id in sorted(store.moving.ids() if sessions is None else sessions):
        for made in format_session(store.moving.take(session_id), report.note):
            if isinstance(made, Entry):
                entries.append(made)
            else:
                yield made
    yield format_index(entries)


def export_directory(
    store: Store, path: Path, *, sessions: Sequence[str] | None = None, reveal: Reveal | None = None
) -> Report:
    """Write the store as a folder that is new, or empty; whole or not at all. Only its owner can read it.

    `sessions` are ids where not everything is meant. Secrets are written where `reveal` gives them, else references to
    them. Raises UsageError where there is something already, or the folder cannot be written.
    """
    report = Report(str(path), "Exported")
    refuse_what_is_there(path)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        try:
            draft.mkdir(mode=0o700, parents=True)
            for name, data in files_of(store, report, sessions=sessions, reveal=reveal):
                _write(draft, name, data)
                report.new["file"] += 1
            if path.exists():
                path.rmdir()
            draft.replace(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another place; nothing was left.") from None
    report.new["session"] = len(store.moving.ids() if sessions is None else sessions)
    return report


def refuse_what_is_there(path: Path) -> None:
    """Raises UsageError for a place that holds something: an export overwrites nothing."""
    try:
        taken = path.is_file() or path.is_symlink() or (path.is_dir() and any(path.iterdir()))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another place.") from None
    if taken:
        raise UsageError(f"{path} is there already, and nothing is overwritten. Name a place that is not.")


def known_sessions(store: Store, given: Sequence[str]) -> list[str]:
    """The ids of sessions that are named by how they begin. Raises UsageError for one there is not."""
    return list(dict.fromkeys(store.sessions.get(each).id for each in given))


def _write(root: Path, name: str, data: bytes) -> None:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise StoreError(f"{name!r} leads out of the folder; it is not written.")
    for parent in reversed(path.relative_to(root.resolve()).parents):
        (root / parent).mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _looks_right(tree: Tree) -> bool:
    ours = {"models.json", "tools.json", "mcp_servers.json", "prompt_templates.json", "env.json", "agents", "chat_data"}
    return bool(ours.intersection(tree.names()))


def _content(body: JSON) -> JSON:
    return body.get("content") if isinstance(body, Mapping) else body
