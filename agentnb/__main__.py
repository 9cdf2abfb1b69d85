"""The `agentnb` command: fetch a model, run a notebook in the terminal, serve tools, look after the store."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agentnb import __version__, storing
from agentnb.errors import AgentnbError, ConnectionFailed, MissingExtra, UsageError
from agentnb.mcp_toolsets import TOOLSETS, Served, serve_toolset
from agentnb.models import weights
from agentnb.notebook import execute
from agentnb.notebook.console import Console
from agentnb.render.terminal import clean


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where a cell or the fetching failed, 2 for wrong usage."""
    options = _parser().parse_args(argv)
    try:
        return _do(options)
    except AgentnbError as error:
        sys.stderr.write(f"agentnb: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        sys.stderr.write("agentnb: stopped.\n")
        return 130


def _do(options: argparse.Namespace) -> int:
    if options.command == "mcp":
        return _mcp(options)
    console = Console(sys.stdout)
    if options.command == "store":
        return storing.perform(options, os.environ, lambda words: console.line(clean(words)))
    return _pull(options.model, console) if options.command == "pull" else _run(options, console)


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
    about_store = "look after what outlives your notebooks: sessions, runs, templates, agents, settings"
    storing.add_to(commands.add_parser("store", help=about_store, description=about_store))
    mcp = commands.add_parser("mcp", help="serve tools to an MCP client, which starts this", description=_mcp.__doc__)
    about = "; ".join(f"{name}: {row.about}" for name, row in TOOLSETS.items())
    mcp.add_argument("toolset", choices=TOOLSETS, metavar="TOOLSET", help=about)
    mcp.add_argument("--network", action="store_true", help="let the code in the sandbox reach the network")
    mcp.add_argument("--unsafe", action="store_true", help="run the code in a plain subprocess, which nothing locks up")
    return parser


def _mcp(options: argparse.Namespace) -> int:
    """Serve a toolset over the standard streams by the Model Context Protocol, until the client goes."""
    asyncio.run(serve_toolset(options.toolset, Served(options.network, options.unsafe)))
    return 0


def _pull(model: str, console: Console) -> int:
    """Fetch a built-in model into your cache and verify it; what is there already is not fetched again."""
    name = model.removeprefix("local:")
    path = weights.pull(name, console.progress)
    console.line(f"{weights.find(name).label} is in {path}")
    return 0


def _run(options: argparse.Namespace, console: Console) -> int:
    """Run a notebook in a fresh kernel; DIR gets the executed notebook and a page to read, also where a cell fails."""
    source: Path = options.notebook
    model = _ready(options.model or os.environ.get("AGENTNB_MODEL"), options.fallback, console)
    written = execute.run_notebook(source, options.output, console, model=_seen_from(source.parent, model))
    files = f"{written.page} and {written.notebook}"
    if written.interrupted:
        console.line(f"Stopped. What ran until then is in {files}")
        return 130
    console.line(f"A cell failed. What ran until then is in {files}" if written.failed else f"Wrote {files}")
    return int(written.failed)


def _ready(model: str | None, fallback: str | None, console: Console) -> str | None:
    """The model, its weights at hand if they run here; else the fallback, and a line that says why."""
    provider, name = _split(model)
    if provider != "local" or name.endswith(".gguf"):
        return model
    try:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("The built-in model", "local")
        weights.pull(name, console.progress)
        console.note(weights.find(name).label)
    except (ConnectionFailed, MissingExtra) as reason:
        if fallback is None:
            raise
        console.problem(str(reason))
        return fallback
    return model


def _seen_from(folder: Path, model: str | None) -> str | None:
    """The model's name as the kernel must hear it: it starts in the notebook's folder, the person is here."""
    provider, name = _split(model)
    if provider in ("fake", "local", "replay") and Path(name).is_file():
        return f"{provider}:{Path(os.path.relpath(name, folder)).as_posix()}"
    return model


def _split(model: str | None) -> tuple[str, str]:
    provider, *rest = re.split("[:/]", model or "", maxsplit=1)
    return provider.lower(), "".join(rest)


if __name__ == "__main__":
    sys.exit(main())
