"""A workspace folder with a sibling whose name begins alike, a trash, and ways to get out that must not work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.builtins.folder import Folder
from agentnb.files.changes import FileChanges
from agentnb.files.trash import Trash

#: Paths that lead out of the workspace `ws` of these tests.
OUTSIDE = ("../ws-evil/secret.txt", "link/secret.txt", "sub/../../ws-evil/secret.txt", "..", "/etc/passwd", "a\0b")


class Place:
    """A workspace folder `ws`; around it what no path may reach."""

    def __init__(self, around: Path) -> None:
        self.around = around
        self.ws = around / "ws"
        self.home = around / "home"
        self.secret = around / "ws-evil" / "secret.txt"
        for each in (self.ws / "sub", self.secret.parent, self.home):
            each.mkdir(parents=True)
        self.secret.write_text("secret\n")
        (self.ws / "in.txt").write_text("one\ntwo\nthree\n")
        (self.ws / "sub" / "data.csv").write_text("a,b\n1,2\n")
        os.symlink(self.secret.parent, self.ws / "link")
        self.folder = Folder(self.ws, closed=lambda: [self.home])
        self.trash = Trash(lambda: self.home / "trash")
        self.changes = FileChanges(self.folder, self.trash)

    def names(self, at: str = "") -> set[str]:
        """What there is in a folder of the workspace."""
        return set(os.listdir(self.ws / at))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
