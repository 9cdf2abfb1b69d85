"""A call of a tool outside an agent; a workspace folder with a sibling that must not be reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from agentnb.builtins.folder import Folder
from tests.tools.conftest import Call, Called, call

__all__ = ["Call", "Called", "call"]


@dataclass(frozen=True)
class Place:
    """A workspace folder `ws`, and around it what no tool may read or write."""

    around: Path
    ws: Path
    secret: Path

    @property
    def folder(self) -> Folder:
        return Folder(self.ws)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    ws, evil = tmp_path / "ws", tmp_path / "ws-evil"
    for folder in (ws / "sub", evil):
        folder.mkdir(parents=True)
    secret = evil / "secret.txt"
    secret.write_text("secret\n")
    (ws / "in.txt").write_text("one\ntwo\nthree\n")
    return Place(tmp_path, ws, secret)
