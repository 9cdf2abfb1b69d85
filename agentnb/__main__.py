"""The `agentnb` command: fetch a built-in model, run a notebook in the terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agentnb import __version__
from agentnb.errors import AgentnbError, ConnectionFailed, MissingExtra, UsageError
from agentnb.notebook import execute
from agentnb.notebook.console import Console


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where a cell or the fetching failed, 2 for wrong usage."""
    options = _parser().parse_args(argv)
    console = Console(sys.stdout)
    try:
        return _pull(options.model, console) if options.command == "pull" else _run(options, console)
    except AgentnbError as error:
        sys.stderr.write(f"agentnb: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        sys.stderr.write("agentnb: stopped.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("agentnb", description="Agents that live in your notebook.")
    parser.add_argument("--version", action="version", version=f"agentnb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    pull = commands.add_parser("pull", help="fetch a built-in model into your cache", description=_pull.__doc__)
    pull.add_argument("model", nargs="?", default="qwen2.5-coder-0.5b", metavar="MODEL", help="default: %(default)s")
    run = commands.add_parser("run", help="run a notebook, show it here, keep it as a page", description=_run.__doc__)
    run.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    run.add_argument("--model", metavar="NAME", help="provider:model that answers; default: $AGENTNB_MODEL")
    run.add_argument("--fallback", metavar="NAME", help="what answers where a local model cannot be had")
    run.add_argument("--output", type=Path, default=Path("build"), metavar="DIR", help="default: %(default)s")
    return parser


def _run(options: argparse.Namespace, console: Console) -> int:
    """Run a notebook in a fresh kernel; DIR gets the executed notebook and a page to read, also where a cell fails."""
    source: Path = options.notebook
    model = _ready(options.model or os.environ.get("AGENTNB_MODEL"), options.fallback, console)
    written = execute.run_notebook(source, options.output, console, model=_seen_from(source, model))
    files = f"{written.page} and {written.notebook.name}"
    if written.interrupted:
        console.line(f"Stopped. What was done until then is in {files}")
    elif written.failed:
        console.line(f"A cell failed. What ran until then is in {files}")
    else:
        console.line(f"Wrote {files}")
    return 130 if written.interrupted else int(written.failed)


def _seen_from(source: Path, model: str | None) -> str | None:
    """The model's name as the kernel must hear it: it starts in the notebook's folder, the person is here."""
    provider, _, name = (model or "").partition(":")
    if provider in ("fake", "local") and Path(name).suffix and Path(name).is_file():
        name = os.path.relpath(name, source.parent)
        return f"{provider}:{Path(name).as_posix()}"
    return model
