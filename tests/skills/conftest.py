"""Folders with a SKILL.md, and what a call is given."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path

import pytest

from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.tools.base import Approval, InlineRunner, ToolContext, ToolReturn, Traits

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a skill's folder: `make("pdf", body="…", **{"allowed-tools": "Read"}, files={"a.md": "…"})`."""

    def made(
        name: str, *, base: Path = tmp_path, body: str = "Do it.", files: dict[str, str] | None = None, **fields: str
    ) -> Path:
        folder = base / name
        folder.mkdir(parents=True)
        given = {"name": name, "description": f"Does {name}.", **{k.replace("_", "-"): v for k, v in fields.items()}}
        head = "\n".join(f"{key}: {value}" for key, value in given.items())
        (folder / "SKILL.md").write_text(f"---\n{head}\n---\n{body}\n", "utf-8")
        for path, text in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
        return folder

    return made


def context(**more: object) -> ToolContext:
    """A call's surroundings, with nobody to ask and nothing to show to."""
    shown: list[Content] = []
    return ToolContext(shown.append, {}, InlineRunner(), **more)  # type: ignore[arg-type]  # as given


class FakeTool:
    """A tool that notes its arguments, and answers what it was told to."""

    parallel = False

    def __init__(self, name: str, answer: object = "done", *, approval: Approval = "always", where: object = None):
        self.name = name
        self.answer = answer
        self.traits = Traits(f"function-{name}", "notebook", approval)
        self.where = where
        self.calls: list[JSONObject] = []

    def spec(self, _: MutableMapping[str, object]) -> ToolSpec:
        return ToolSpec(self.name, f"Does {self.name}.", {"type": "object", "properties": {}})

    async def call(self, arguments: JSONObject, _: ToolContext) -> ToolReturn:
        self.calls.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, ToolReturn):
            return self.answer
        return ToolReturn((Text(str(self.answer)),))
