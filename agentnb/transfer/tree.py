"""The files below a folder, as far as they really are there and small enough to be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.transfer.report import Note
from agentnb.transfer.texts import clean, decode, parse_json

#: Bytes of the largest file that is read, and folders within folders.
LARGEST, DEEPEST = 1 << 29, 8


class Tree:
    """The files of a folder by their path in it, with `/`. Each is read at most once; what is left over is told.

    Raises UsageError for what is no folder.
    """

    def __init__(self, root: Path, note: Note) -> None:
        self.root = root
        self._note = note
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise UsageError(f"{root} {what}. Name a folder such as ~/.agents_runtime, or a bundle (.zip).")
        self._real = root.resolve()
        self._files = dict(sorted(self._walk()))
        self._read: set[str] = set()

    def _walk(self) -> Iterator[tuple[str, Path]]:
        def failed(error: OSError) -> None:
            self._note(f"{error.filename} cannot be read: {error.strerror}.")

        for folder, below, names in os.walk(self.root, onerror=failed):
            inside = Path(folder).relative_to(self.root)
            below[:] = [each for each in below if not each.startswith(".")] if len(inside.parts) < DEEPEST else []
            for name in below:
                if Path(folder, name).is_symlink():
                    self._note(f"{(inside / name).as_posix()} is a link to another folder; it was left out.")
            for name in names:
                path = Path(folder, name)
                if not name.startswith("."):
                    yield clean((inside / name).as_posix()), path

    def names(self, *parts: str) -> list[str]:
        """The names of what lies directly in a folder, in order."""
        prefix = "".join(f"{part}/" for part in parts)
        found = (path[len(prefix) :].split("/")[0] for path in self._files if path.startswith(prefix))
        return list(dict.fromkeys(found))

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._files

    def data(self, path: str) -> bytes | None:
        """What is in a file; None where it is not there or cannot be read, which is told."""
        self._read.add(path)
        where = self._files.get(path)
        if where is None:
            return None
        try:
            real = where.resolve()
            if not real.is_relative_to(self._real):
                self._note(f"{path} leads out of {self.root}; it was left out.")
            elif not real.is_file():
                self._note(f"{path} is no file; it was left out.")
            elif (size := real.stat().st_size) > LARGEST:
                self._note(f"{path} has {size:,} bytes, more than {LARGEST:,}; it was left out.")
            else:
                return real.read_bytes()
        except (OSError, RuntimeError) as error:
            self._note(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.")
        return None

    def text(self, path: str) -> str | None:
        """The text of a file; None where there is none, which is told unless the file is not there."""
        data = self.data(path)
        if data is None:
            return None
        if not data.strip():
            self._note(f"{path} is empty.")
            return None
        text, encoding = decode(data)
        if encoding != "utf-8":
            self._note(f"{path} is not UTF-8; it was read as {encoding}.")
        return clean(text)

    def json(self, path: str) -> JSON:
        """The value of a JSON file; None where there is none, which is told unless the file is not there."""
        text = self.text(path)
        if text is None:
            return None
        try:
            return parse_json(text)
        except ValueError as error:
            self._note(f"{path} is not JSON ({error}); it was left out.")
            return None

    def left_over(self) -> list[str]:
        """The files that nobody asked for."""
        return [path for path in self._files if path not in self._read]
