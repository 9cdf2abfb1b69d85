"""`agentnb store`: where the store is, whether it is sound, all of it out and in, and what a wreck holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from agentnb import config, transfer
from agentnb.errors import UsageError
from agentnb.masking import Mask
from agentnb.store import Store
from agentnb.store.rescue import count_rows, rescue
from agentnb.transfer.vaulting import Vaulting

_WORDS = {
    "path": "say where the file is",
    "check": "look whether the file is sound, and count what is in it",
    "export": "write everything to a new folder, or to a bundle where the name ends in .zip",
    "import": f"bring in a folder or a bundle; by default {transfer.ELSEWHERE}",
    "rescue": "save what can be read of a damaged file; that one is kept",
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """The words after `agentnb store`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = {verb: verbs.add_parser(verb, help=words, description=words) for verb, words in _WORDS.items()}
    made["export"].add_argument("path", type=Path, metavar="PATH")
    made["export"].add_argument(
        "--session", action="append", default=[], metavar="ID", help="only this one (several times: these)"
    )
    made["export"].add_argument("--with-secrets", action="store_true", help="write keys too: whoever has it has them")
    made["import"].add_argument("path", type=Path, nargs="?", metavar="PATH")


def perform(options: argparse.Namespace, environ: Mapping[str, str], say: Callable[[str], object]) -> int:
    """Do it; gives the exit status: 1 for a store that is not sound. Raises UsageError."""
    folder = config.data(environ)
    if options.verb == "path":
        say(str(folder / config.STORE))
        return 0
    if options.verb == "rescue":
        return _rescue(folder / config.STORE, say)
    vaulting = Vaulting(environ, mask=(mask := Mask()))
    mask.add(*vaulting.secrets())
    store = Store(folder, mask=mask)
    try:
        match options.verb:
            case "check":
                return _check(store, say)
            case "export":
                _needs_file(store)
                reveal = vaulting.reveal if options.with_secrets else None
                path = options.path.expanduser()
                say(str(transfer.export_to(store, path, sessions=options.session, reveal=reveal)))
            case _:
                say(str(transfer.import_from(store, transfer.source(options.path), vaulting.keep)))
    finally:
        store.close()
    return 0


def _needs_file(store: Store) -> None:
    if not store.path.exists():
        raise UsageError(f"There is no {store.path}: nothing has been kept yet, or AGENTNB_HOME is another folder.")


def _check(store: Store, say: Callable[[str], object]) -> int:
    _needs_file(store)
    found = store.database.check()
    if found != "ok":
        say(f"{store.path} is damaged: {found[:300]}. Save what can be read: agentnb store rescue")
        return 1
    say(f"{store.path} is sound ({store.path.stat().st_size:,} bytes).")
    say(", ".join(f"{table} {count:,}" for table, count in count_rows(store.database).items() if count) or "Empty.")
    return 0


def _rescue(path: Path, say: Callable[[str], object]) -> int:
    saved = rescue(path)
    if saved.damaged is None:
        say(f"{path} is sound; there is nothing to rescue.")
        return 0
    for table, count in saved.came.items():
        if count or saved.lost[table]:
            lost = f"; {saved.lost[table]:,} or more could not be read" if saved.lost[table] else ""
            say(f"{table}: {count:,} came over{lost}")
    say(f"{path} is sound again. The damaged file is {saved.damaged}; nothing was deleted.")
    return 0
