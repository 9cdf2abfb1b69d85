"""Everything of a store as files: in the layout of `~/.agents_runtime`, or as one bundle; and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.store import Store
from agentnb.transfer.bundle import export_bundle, import_bundle, looks_packed
from agentnb.transfer.report import Report
from agentnb.transfer.runtime_dir import export_directory, import_directory, known_sessions
from agentnb.transfer.secrets import KeepSecret, Reveal

__all__ = ["ELSEWHERE", "KeepSecret", "Report", "Reveal", "export_to", "import_from", "source"]


#: Where another program keeps what is imported by default.
ELSEWHERE = "~/.agents_runtime"


def source(named: Path | None) -> Path:
    """What is brought in: what a person named, else the usual folder. Raises UsageError where that is not there."""
    usual = Path(ELSEWHERE).expanduser()
    if named is None and not usual.is_dir():
        raise UsageError(f"Say what to import, a folder or a bundle (.zip): there is no {ELSEWHERE} here.")
    return (named or usual).expanduser()


def import_from(store: Store, path: Path, keep_secret: KeepSecret | None = None) -> Report:
    """Bring in a folder such as `~/.agents_runtime`, or a bundle. Nothing is overwritten; a second time, nothing
    changes. Raises UsageError for what is neither."""
    way = import_bundle if looks_packed(path) else import_directory
    return way(store, path, keep_secret)


def export_to(
    store: Store,
    path: Path,
    *,
    sessions: Sequence[str] = (),
    reveal: Reveal | None = None,
) -> Report:
    """Write everything, or some sessions (by how their ids begin): to a bundle where the name ends in `.zip`, else to a
    folder. Secrets are written only where `reveal` gives them. Raises UsageError where there is something already."""
    chosen = known_sessions(store, sessions) if sessions else None
    if path.suffix.lower() == ".zip":
        return export_bundle(store, path, sessions=chosen, reveal=reveal)
    return export_directory(store, path, sessions=chosen, reveal=reveal)
