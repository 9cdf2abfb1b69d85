"""Files by what stands in them: `a b` is in files that have both, `a|b` in those that have one of them.

ripgrep, where it is there, only rules out files that cannot match: what is found is what `builtins/seek.py` finds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentnb.builtins import seek
from agentnb.builtins.folder import Folder
from agentnb.errors import UsageError
from agentnb.files.place import directory

SECONDS = 30.0
#: Lines that are told.
MOST = 500
SKIPPED = seek.SKIPPED | {"dist"}
#: What Python takes for the letter i where case is ignored; ripgrep does not.
_EYES = "[iI\u0130\u0131]"


@dataclass(frozen=True, slots=True)
class Query:
    """Words to look for, as they are written; `every` where a file must have them all."""

    words: tuple[str, ...]
    every: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of a file: `path` begins at the workspace folder, `text` is the line or what is around the first word."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found; `more` where there was more than is told, `late` where the time was up before the end."""

    hits: tuple[Hit, ...]
    more: bool
    late: bool


def read_query(text: str) -> Query:
    """`a|b c` is one of "a" and "b c"; without `|` each word counts, and all must be there.

    Raises UsageError where there is no word.
    """
    if "|" in text:
        words = tuple(word for part in text.split("|") if (word := part.strip()))
        every = False
    else:
        words, every = tuple(text.split()), True
    if not words:
        raise UsageError("Say what to look for: WORD WORD for files that have both, WORD|WORD for either.")
    if any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", word) for word in words):
        raise UsageError("What is looked for stands in one line, without control characters.")
    return Query(tuple(dict.fromkeys(words)), every)


def search(
    folder: Folder,
    path: str,
    query: str,
    *,
    name_filter: str = "",
    seconds: float = SECONDS,
    most: int = MOST,
    ripgrep: str | None = None,
) -> Hits:
    """Search a folder of the workspace; large and small letters are the same. Waits at most `seconds`.

    `name_filter` is a glob of paths (`*.py`, `src/**/*.ts`) or a part of a name; `ripgrep` its program (None: what is
    on the PATH). Binary files, files above 20 MB, `.git`, `node_modules`, `dist` and the like are left out.
    Raises UsageError for a folder that is not there or outside, and for a query without a word.
    """
    root, wanted, until = directory(folder, path), read_query(query), time.monotonic() + seconds
    only = _ruled_in(root, wanted, ripgrep or shutil.which("rg"), seconds)
    order = {
        "root": str(root),
        "words": wanted.words,
        "every": wanted.every,
        "only": only,
        "glob": name_filter if any(sign in name_filter for sign in "*?/") else f"*{name_filter}*",
        "closed": [str(each) for each in folder.closed],
        "skipped": sorted(SKIPPED),
        "most": most + 1,
    }
    lines, late = _seek(order, max(until - time.monotonic(), 0.01))
    above = folder.relative(root)
    prefix = "" if above == "." else f"{above}/"
    hits = tuple(Hit(f"{prefix}{found['path']}", found["line"], found["text"]) for found in map(json.loads, lines))
    return Hits(hits[:most], len(hits) > most, late)


def command(program: str, query: Query) -> list[str] | None:
    """How ripgrep names the files of its folder that may match: never too few of them. None where it cannot tell."""
    if any("\ufffd" in word or not _is_writable(word) for word in query.words):
        return None  # what stands for broken bytes is not there for ripgrep
    # Of words that must all be there the longest is the rarest, as a rule.
    words = [max(query.words, key=len)] if query.every else query.words
    options = ["--files-with-matches", "--null", "--no-config", "--no-messages", "--color=never", "--text"]
    options += ["--ignore-case", "--no-ignore", "--hidden"]
    options += [f"--glob=!**/{name}/**" for name in sorted(SKIPPED)]
    return [program, *options, *(f"--regexp={_loosened(word)}" for word in words), "--", "."]


def _loosened(word: str) -> str:
    """A pattern for all that Python takes for the word. The two differ in foreign letters: those may be any."""
    return "".join(_EYES if char in "iI\u0130\u0131" else _plain(char) for char in word)


def _plain(char: str) -> str:
    if char.isascii():
        return re.escape(char) if char.isprintable() else rf"\x{ord(char):02x}"
    return char if char.lower() == char.upper() == char.casefold() else "."


def _is_writable(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ruled_in(root: Path, query: Query, program: str | None, seconds: float) -> list[str] | None:
    """The files that may match, None for all of them: also where ripgrep fails, or takes its half of the time."""
    order = command(program, query) if program else None
    if order is None:
        return None
    try:
        done = subprocess.run(
            order, cwd=root, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds / 2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in (0, 1):  # 2: it could not read something, and what it found is not all
        return None
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return [name.replace(os.sep, "/").removeprefix("./") for name in names]


def _seek(order: dict[str, object], seconds: float) -> tuple[Sequence[bytes], bool]:
    """What `seek.py` found until the time was up, and whether it was."""
    # -X utf8: names of files pass through it as they are, whatever the language of the system.
    program = [sys.executable, "-I", "-X", "utf8", seek.__file__]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            found, _ = process.communicate(json.dumps(order).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            found, _ = process.communicate()
            whole = found[: found.rfind(b"\n") + 1]
            return whole.splitlines(), True
        finally:
            process.kill()  # also where a person stopped it
    if process.returncode:
        raise UsageError("The search failed. Try it in a smaller folder.")
    return found.splitlines(), False
