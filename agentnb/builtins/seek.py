"""Looks through the files of a folder; a program of its own, because a pattern may take for ever and hold the GIL.

It knows the standard library only, and is started as `python -I seek.py` with its order as JSON on standard input.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Iterator
from typing import Any

#: Folders that are not looked into: they hold what others wrote.
SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache"}
)
#: Bytes: a bigger file is not looked through. Characters: what is shown of a line around what was found.
_LARGEST, _SHOWN = 20_000_000, 200


class Glob:
    """A glob of paths: one without a slash matches names in any folder; `**` crosses folders.

    Its time is bounded by the lengths of both, whatever the model writes: a list is made in the kernel itself.
    """

    def __init__(self, glob: str, *, ignore_case: bool = False) -> None:
        glob = glob.removeprefix("./")
        parts = glob.split("/") if "/" in glob else ["**", glob]
        flags = re.S | re.I if ignore_case else re.S
        self._parts = [None if part == "**" else _named(part, flags) for part in parts]

    def match(self, path: str) -> bool:
        """Whether a path matches, from its beginning to its end."""
        names = path.split("/")
        reached = {0}
        for part in self._parts:
            if part is None:
                reached = set(range(min(reached), len(names) + 1)) if reached else reached
            else:
                reached = {at + 1 for at in reached if at < len(names) and part.match(names[at])}
        return len(names) in reached


def _named(part: str, flags: re.RegexFlag) -> re.Pattern[str]:
    """A glob of one name. What stands between two `*` is found once, where it comes first: no other try is needed."""
    first, *rest = [re.escape(piece).replace("\\?", ".") for piece in re.split(r"\*+", part)]
    found = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(first + found + (f".*{rest[-1]}" if rest else "") + r"\Z", flags)


def walk(
    root: str, glob: str | Glob, closed: Collection[str] = (), skipped: Collection[str] = SKIPPED
) -> Iterator[tuple[str, str]]:
    """Relative and full path of each file that matches, in order; symlinks are not followed, nor `closed` folders."""
    matches = (Glob(glob) if isinstance(glob, str) else glob).match
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in skipped and os.path.join(folder, name) not in closed
        )
        for name in sorted(names):
            full = os.path.join(folder, name)
            relative = os.path.relpath(full, root).replace(os.sep, "/")
            if matches(relative) and not os.path.islink(full) and os.path.isfile(full):
                yield relative, full


def _found(order: dict[str, Any], most: int) -> Iterator[dict[str, object]]:
    flags = re.I if order["ignore_case"] else 0
    search = re.compile(order["pattern"] if order["regex"] else re.escape(order["pattern"]), flags).search
    count = 0
    for relative, full in walk(order["root"], order["glob"], order["closed"]):
        for number, line in _lines(full):
            if not (match := search(line)):
                continue
            count += 1
            if count > most:
                return
            yield {"path": relative, "line": number, "text": _around(line, match.start())}


def _worded(order: dict[str, Any], most: int) -> Iterator[dict[str, object]]:
    """Lines with any of some `words`, taken as they are written; where `every` is said, of files that have them all.

    `only` names the files that need be read (null: all): another program may have ruled out the rest.
    """
    only = None if order["only"] is None else frozenset(order["only"])
    count = 0
    for relative, full in walk(order["root"], Glob(order["glob"], ignore_case=True), order["closed"], order["skipped"]):
        if only is not None and relative not in only:
            continue
        for found in _with_words(full, order["words"], order["every"], most - count):
            count += 1
            yield {"path": relative, **found}
        if count >= most:
            return


def _with_words(path: str, words: list[str], every: bool, most: int) -> list[dict[str, object]]:
    text = _text(path) or ""
    small = text.lower() if text.isascii() else None
    here = [word for word in words if _is_in(word, text, small)]
    if not here or (every and len(here) < len(words)):
        return []
    patterns = [re.compile(re.escape(word), re.I) for word in here]
    found: list[dict[str, object]] = []
    for number, line in enumerate(text.split("\n"), 1):
        at = [match.start() for pattern in patterns if (match := pattern.search(line))]
        if at:
            found.append({"line": number, "text": _around(line.rstrip("\r"), min(at))})
            if len(found) >= most:
                break
    return found


def _is_in(word: str, text: str, small: str | None) -> bool:
    """Whether a text has a word. `small` is the text in small letters, where that is all there is to case: in ASCII."""
    if small is not None and word.isascii():
        return word.lower() in small  # many times as fast
    return re.search(re.escape(word), text, re.I) is not None


def _text(path: str) -> str | None:
    """All of a text file that is not too big."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                return None
            data = file.read(_LARGEST)
    except OSError:
        return None
    return None if b"\0" in data[:8192] else data.decode("utf-8", "replace")


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file that is not too big."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST or b"\0" in file.read(8192):
                return
            file.seek(0)
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8", "replace").rstrip("\r\n")
    except OSError:
        return


def _around(line: str, at: int) -> str:
    begin = max(0, at - _SHOWN // 4) if len(line) > _SHOWN else 0
    end = begin + _SHOWN
    return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


def main() -> None:
    """Write each find as a line of JSON, as soon as it is found."""
    order = json.load(sys.stdin)
    find = _worded if "words" in order else _found
    for found in find(order, order["most"]):
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
