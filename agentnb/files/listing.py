"""What is in a folder: page by page, as a tree, or only the folders below."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from agentnb import sniff
from agentnb.builtins.folder import Folder
from agentnb.builtins.seek import SKIPPED, Glob
from agentnb.errors import UsageError
from agentnb.files.place import UPLOADING, directory, told
from agentnb.prompting.files import decoded

Sort: TypeAlias = Literal["name", "size", "modified"]
PAGE_SIZE = 50
_LARGEST_PAGE = 1000
#: Folders and files of one tree.
_NODES = 2000
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file or a folder: `path` from the workspace folder on, `size` in bytes, `modified` in ms since 1970."""

    name: str
    path: str
    is_dir: bool
    size: int
    modified: int
    is_text: bool = False
    is_image: bool = False
    is_audio: bool = False
    is_video: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """One page; `total` counts what there is on all of them."""

    files: tuple[FileEntry, ...]
    has_more: bool
    total: int


@dataclass(frozen=True, slots=True)
class Node:
    """A folder, or a file, in a tree. `more` says that it holds more than is told here."""

    name: str
    path: str
    is_root: bool = False
    is_dir: bool = True
    children: tuple[Node, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    full: str
    is_dir: bool
    size: int
    modified: int


def list_folder(
    folder: Folder,
    path: str = "",
    *,
    page: int = 1,
    page_size: int = PAGE_SIZE,
    sort: str = "name",
    name_filter: str = "",
) -> Listing:
    """What is in a folder of the workspace: folders first, then by name, size or time ("-size": the other way round).

    `name_filter` is a part of the name, or a glob (*.csv); large and small letters are the same to it.
    Raises UsageError for a folder that is not there or outside, and for a page or an order that cannot be.
    """
    if page < 1 or not 1 <= page_size <= _LARGEST_PAGE:
        raise UsageError(f"Pages are counted from 1, and have 1 to {_LARGEST_PAGE} files.")
    if sort.removeprefix("-") not in get_args(Sort):
        raise UsageError(f"Files are sorted by name, size or modified (-size: the other way round), not {sort[:40]!r}.")
    real = directory(folder, path)
    names = pattern(name_filter)
    found = [each for each in _entries(folder, real, path) if names.match(each.name)]
    found.sort(key=lambda each: (each.name.casefold(), each.name))
    if (by := sort.removeprefix("-")) != "name":
        # The largest and the newest are what one looks for.
        found.sort(key=lambda each: each.size if by == "size" else each.modified, reverse=not sort.startswith("-"))
    elif sort.startswith("-"):
        found.reverse()
    found.sort(key=lambda each: not each.is_dir)
    start = (page - 1) * page_size
    shown = tuple(_told(folder, real, each) for each in found[start : start + page_size])
    return Listing(shown, start + page_size < len(found), len(found))


def pattern(name_filter: str) -> Glob:
    """What a name must match: a glob, or a part of it; nothing given is everything."""
    wild = any(sign in name_filter for sign in "*?")
    return Glob(name_filter if wild else f"*{name_filter}*", ignore_case=True)


def tree(folder: Folder, path: str = "", depth: int = 3, *, files: bool = True) -> Node:
    """A folder with what is below it, `depth` folders deep; `.git` and the like are not looked into, nor symlinks.

    Raises UsageError for a folder that is not there or outside.
    """
    real = directory(folder, path)
    root = folder.relative(real)
    counter = count()

    def below(at: Path, left: int) -> tuple[tuple[Node, ...], bool]:
        children: list[Node] = []
        try:
            found = sorted(_entries(folder, at, str(at)), key=lambda each: (not each.is_dir, each.name.casefold()))
        except UsageError:
            if at == real:
                raise
            return (), True  # one that may not be read hides none of the others
        for each in found if left else ():
            if not (each.is_dir or files):
                continue
            if next(counter) >= _NODES:
                return tuple(children), True
            inside = each.is_dir and each.name not in SKIPPED and not os.path.islink(each.full)
            lower, more = below(Path(each.full), left - 1) if inside else ((), False)
            children.append(Node(each.name, _relative(folder, at, each.name), False, each.is_dir, lower, more))
        return tuple(children), not left and bool(found)

    children, more = below(real, min(max(depth, 0), _DEEPEST))
    return Node(real.name, "" if root == "." else root, True, True, children, more)


def children(path: str) -> tuple[Node, ...]:
    """The folders in any folder of this machine, hidden ones left out; "" gives the roots.

    Raises UsageError where it cannot be read.
    """
    if not path:
        return tuple(Node(root, root, is_root=True) for root in _roots())
    if "\0" in path:
        raise UsageError("A path has no null character.")
    with told(f"{path[:200]!r} cannot be listed"), os.scandir(os.path.expanduser(path)) as entries:
        names = [(each.name, each.path) for each in entries if not each.name.startswith(".") and each.is_dir()]
    return tuple(Node(name, full) for name, full in sorted(names, key=lambda each: each[0].casefold()))


def _roots() -> list[str]:
    drives = [f"{chr(letter)}:\\" for letter in range(65, 91)] if os.name == "nt" else [os.sep]
    return [drive for drive in drives if os.path.exists(drive)]


def _entries(folder: Folder, real: Path, path: str) -> Iterator[_Found]:
    closed = set(folder.closed)
    with told(f"{path[:200]!r} cannot be listed"), os.scandir(real) as entries:
        for each in entries:
            if each.name.startswith(UPLOADING) or Path(each.path) in closed:
                continue
            try:
                # A link that leads out, or nowhere, is told as what it is itself.
                follow = not each.is_symlink() or (_is_inside(folder, each.path) and os.path.exists(each.path))
                about = each.stat(follow_symlinks=follow)
            except OSError:  # gone meanwhile
                continue
            is_dir = stat.S_ISDIR(about.st_mode)
            yield _Found(each.name, each.path, is_dir, 0 if is_dir else about.st_size, about.st_mtime_ns // 1_000_000)


def _told(folder: Folder, real: Path, found: _Found) -> FileEntry:
    path = _relative(folder, real, found.name)
    if found.is_dir:
        return FileEntry(found.name, path, True, 0, found.modified)
    start = _start(found.full) if _is_inside(folder, found.full) else None
    kind = (sniff.media_type(start) or "") if start else ""
    text = start is not None and (not kind or kind == "image/svg+xml") and decoded(start, broken=True) is not None
    is_a = {f"is_{each}": kind.startswith(f"{each}/") for each in ("image", "audio", "video")}
    return FileEntry(found.name, path, False, found.size, found.modified, text, **is_a)


def _start(full: str) -> bytes | None:
    """The beginning of a plain file; None for anything else. A pipe must not be waited for."""
    try:
        with open(os.open(full, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            return file.read(sniff.SNIFFED) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


def _is_inside(folder: Folder, full: str) -> bool:
    try:
        return os.path.commonpath([folder.root, os.path.realpath(full)]) == str(folder.root)
    except (OSError, ValueError):
        return False


def _relative(folder: Folder, real: Path, name: str) -> str:
    above = folder.relative(real)
    return name if above == "." else f"{above}/{name}"
