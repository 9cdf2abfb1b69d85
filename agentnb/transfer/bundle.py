"""A bundle: one file with everything of a store, or with some sessions, for another machine or for safe keeping.

`agents_runtime/` holds the readable files of that layout, `store/` what it cannot hold: every turn, also those taken
back, every version, the provenance of runs. What is imported is `store/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.store import Store
from agentnb.store.records import Kind, Record
from agentnb.transfer import lines
from agentnb.transfer.packed import Packed, Packing
from agentnb.transfer.report import Report
from agentnb.transfer.runtime_dir import count, files_of, refuse_what_is_there, says_the_same, without_permissions
from agentnb.transfer.secrets import ENV, KeepSecret, Reveal, TakeOut, is_hidden, names_in, renamed
from agentnb.transfer.texts import format_json, parse_json

READABLE, SESSIONS, RECORDS, RUNS = "agents_runtime/", "store/sessions/", "store/records.jsonl", "store/runs.jsonl"
BLOBS, SECRETS = "blobs/", "secrets.json"
KINDS: tuple[Kind, ...] = get_args(Kind)


def export_bundle(
    store: Store,
    path: Path,
    *,
    sessions: Sequence[str] | None = None,
    reveal: Reveal | None = None,
) -> Report:
    """Write a bundle, whole or not at all; `sessions` are ids where not everything is meant.

    Secrets are in it only where `reveal` gives them. Raises UsageError where there is a file already.
    """
    report = Report(str(path), "Exported")
    refuse_what_is_there(path)
    packing = Packing(path)
    about: dict[str, JSON] = {"agentnb": _version(), "sessions": [*sessions] if sessions is not None else None}
    with packing.writing(about):
        for name, data in files_of(store, Report(""), sessions=sessions, reveal=reveal):
            packing.add(READABLE + name, data)
        keep = partial(_keep, packing)
        for session_id in store.moving.ids(removed=True) if sessions is None else sessions:
            packing.add(f"{SESSIONS}{session_id}.jsonl", lines.format_session(store.moving.take(session_id), keep))
            report.new["session"] += 1
        if sessions is None:
            _add_the_rest(store, packing, report, reveal)
        counts: JSONObject = dict(report.new.items())
        about["counts"] = counts
    return report


def _add_the_rest(store: Store, packing: Packing, report: Report, reveal: Reveal | None) -> None:
    versions = [version for kind in KINDS for version in store.records.versions(kind)]
    packing.add(RECORDS, lines.format_records(versions))
    report.new.update(Counter(kind for kind, _ in {(each.kind, each.name) for each in versions}))
    loose = store.moving.loose()
    packing.add(RUNS, lines.format_runs(loose, partial(_keep, packing)))
    report.new["run"] += len(loose)
    names = sorted(
        {name for each in versions for name in names_in(each.body)}
        | {ENV + each.name for each in versions if is_hidden(each.body)}
    )
    secrets: JSONObject = {name: secret for name in names if reveal and (secret := reveal(name))}
    if secrets:
        packing.add(SECRETS, format_json(secrets).encode())
        report.note(
            "The bundle holds secrets that anybody who has it can read: "
            + ", ".join(name.removeprefix(ENV) for name in secrets)
        )


def _keep(packing: Packing, data: bytes) -> str:
    digest = lines.digest_of(data)
    packing.add(BLOBS + digest, data)
    return digest


def import_bundle(store: Store, path: Path, keep_secret: KeepSecret | None = None) -> Report:
    """Bring in a bundle, after all of it was checked; a second time, nothing changes. Nothing is overwritten.

    Raises UsageError for what is no bundle, is damaged or could do harm; then nothing was brought in.
    """
    report = Report(str(path))
    with Packed(path).reading() as packed:
        names, variables = _secrets(packed, keep_secret, report)
        if RECORDS in packed.names():
            _records(store, packed, names, variables, report)
        for name in packed.names(SESSIONS):
            try:
                moved = lines.parse_session(packed.data(name), partial(_find, packed))
                count(report, moved.id, store.moving.put(moved))
            except (ValueError, KeyError, RecursionError, UsageError) as error:
                report.note(f"{name} was left out: {str(error)[:200]}")
        if RUNS in packed.names():
            try:
                loose = list(lines.parse_runs(list(lines.parse_lines(packed.data(RUNS))), partial(_find, packed)))
                report.new.update(["run"] * store.moving.put_loose(loose))
            except (ValueError, KeyError, RecursionError) as error:
                report.note(f"{RUNS} was left out: {str(error)[:200]}")
    return report


def _find(packed: Packed, digest: str) -> bytes:
    try:
        return packed.data(BLOBS + digest)
    except KeyError:
        raise ValueError(f"the data {digest[:12]}… is not in the bundle") from None


def _secrets(packed: Packed, keep: KeepSecret | None, report: Report) -> tuple[Mapping[str, str], Mapping[str, JSON]]:
    """The secrets of a bundle, kept: the names of credentials here, and what is kept of variables."""
    if SECRETS not in packed.names():
        return {}, {}
    value = parse_json(packed.data(SECRETS).decode("utf-8", "replace"))
    taken, names = TakeOut(keep, report.note), dict[str, str]()
    for name, secret in value.items() if isinstance(value, dict) else ():
        if not isinstance(secret, str) or not secret:
            continue
        if name.startswith(ENV):
            taken.variable(name.removeprefix(ENV), secret)
        else:
            names[name] = taken.credential(name, secret)
    if taken.kept:
        report.note(f"Secrets are kept as credentials, by name: {', '.join(sorted(taken.kept))}")
    return names, dict(taken.variables)


def _records(
    store: Store, packed: Packed, names: Mapping[str, str], variables: Mapping[str, JSON], report: Report
) -> None:
    try:
        versions = lines.parse_records(packed.data(RECORDS))
    except (ValueError, RecursionError) as error:
        report.note(f"{RECORDS} was left out: {str(error)[:200]}")
        return
    by_name: dict[tuple[Kind, str], list[Record]] = {}
    for each in versions:
        body = variables.get(each.name, {"secret": True}) if is_hidden(each.body) else renamed(each.body, names)
        body = without_permissions(each.kind, each.name, body, report)
        by_name.setdefault((each.kind, each.name), []).append(replace(each, body=body))
    for (kind, name), theirs in by_name.items():
        ours = [each.body for each in store.records.history(kind, name)]
        fresh = theirs
        if ours:
            # What is here already does not come again, and what was removed elsewhere stays here.
            fresh = [
                each
                for each in theirs
                if each.body is not None and not any(says_the_same(kind, known, each.body) for known in ours)
            ]
        for each in fresh:
            store.records.put(kind, name, each.body, created=each.created)
        report.variables += [name] if fresh and kind == "env" else []
        (report.same if not fresh else report.changed if ours else report.new)[kind] += 1
        if fresh and ours:
            report.note(f"{kind.replace('_', ' ')} {name}: what came in is now the newest version; the others stay.")


def _version() -> str:
    # Costs more to import than all else here, and nothing but an export asks.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("agentnb")
    except PackageNotFoundError:
        return ""


def looks_packed(path: Path) -> bool:
    """Whether a path is meant as that of a bundle: by its name, or because it is a file."""
    return path.suffix.lower() == ".zip" or path.is_file()
