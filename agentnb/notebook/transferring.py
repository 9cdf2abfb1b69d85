"""`%agentnb export` and `%agentnb import`: everything as files, and back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.errors import UsageError, nearest
from agentnb.notebook.options import Option, parse, usage
from agentnb.workspace import Workspace

if TYPE_CHECKING:
    from agentnb.transfer import Report
    from agentnb.transfer.vaulting import Vaulting

VERBS = ("export", "import")
OPTIONS = (
    Option("session", "only this one", None, "many", "ID"),
    Option("with-secrets", "write keys too: whoever has the file has them", None, "flag"),
    Option("help", "this text", "h", kind="flag"),
)
_SYNOPSIS = """                           status; returns the Workspace
%agentnb export [options] PATH      everything to a new folder, or to a bundle where PATH ends in .zip
%agentnb import [PATH]              bring in a folder or a bundle; by default ~/.agents_runtime"""


def perform(workspace: Workspace, line: str) -> str | None:
    """Do what `%agentnb LINE` says, and give what to say; None for an empty line. Raises UsageError."""
    verb, _, rest = line.strip().partition(" ")
    if not verb:
        return None
    if verb in ("--help", "-h"):
        return usage("%agentnb", _SYNOPSIS, OPTIONS)
    if verb not in VERBS:
        raise UsageError(f"%agentnb takes export, import, or nothing, not {verb!r}.{nearest(verb, VERBS)}")
    options = parse(rest.strip(), OPTIONS, f"%agentnb {verb}", prompt=True)
    if options.has("help"):
        return usage("%agentnb", _SYNOPSIS, OPTIONS)
    from agentnb import transfer
    from agentnb.transfer.vaulting import Vaulting

    path = _path(options.rest)
    vaulting = Vaulting(workspace.environ, mask=workspace.mask)
    if verb == "import":
        return workspace.mask(str(_imported(workspace, path, vaulting)))
    if path is None:
        raise UsageError("Say where to: %agentnb export PATH (a new folder, or a name that ends in .zip).")
    reveal = vaulting.reveal if options.has("with-secrets") else None
    sessions = options.many("session") or ()
    return str(transfer.export_to(workspace.store, path, sessions=sessions, reveal=reveal))


def _imported(workspace: Workspace, path: Path | None, vaulting: Vaulting) -> Report:
    from agentnb import transfer

    report = transfer.import_from(workspace.store, transfer.source(path), vaulting.keep)
    workspace.look_for_kept_models()
    return report


def _path(text: str) -> Path | None:
    try:
        words = shlex.split(text, posix=True) if "\\" not in text else [text]
    except ValueError:
        words = [text]
    if len(words) > 1:
        raise UsageError('One path, please; one with spaces in quotes: %agentnb export "my notes.zip"')
    return Path(words[0]).expanduser() if words and words[0].strip() else None
