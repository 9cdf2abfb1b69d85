"""A cell's model is told of project and notebook; hooks and options say how much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentnb import Hook
from agentnb.context import Part
from agentnb.models.base import Model
from agentnb.models.fake import FakeModel, Turn
from agentnb.models.preset import PresetModel
from agentnb.notebook.cell import CellRun
from agentnb.notebook.complete import Completer
from agentnb.notebook.orders import read
from tests.kernel.conftest import ThreadedProvider
from tests.notebook.conftest import Notebook
from tests.provider import says

KEY = "sk-secret-of-a-person-1"


def use(notebook: Notebook, *turns: Turn) -> FakeModel:
    """Let a scripted model answer."""
    model = FakeModel(*turns)
    notebook.workspace.use_model(model)
    return model


def system(model: FakeModel, at: int = -1) -> str:
    first = model.requests[at].messages[0]
    return first.text if first.role == "system" else ""


def test_a_real_model_is_told_with_no_set_up_at_all(
    notebook: Notebook, remote: ThreadedProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AGENTNB_CONTEXT")
    server = remote.serve(says("Fine."))
    (tmp_path / "README.md").write_text("A shop for tea.")
    notebook.says("price = 12.5")
    notebook.says(f"%%agent -m openai:x --api-base {server.url}\nHi")
    told = json.dumps(server.requests[0].json["messages"][0], ensure_ascii=False)
    for words in ('"system"', "Jupyter notebook", "A shop for tea.", "`price`: float"):
        assert words in told


def test_none_sends_nothing_and_a_scripted_model_gets_none_by_itself(notebook: Notebook) -> None:
    model = use(notebook, "a", "b", "c")
    notebook.says("price = 12.5\n%agent --context none Hi")
    notebook.says("%agent Hi")
    assert [system(model, 0), system(model, 1)] == ["", ""]
    notebook.says("%agent --context minimal Hi")
    assert "`price`" in system(model)


def test_the_persons_own_system_prompt_stands_above_it(notebook: Notebook) -> None:
    model = use(notebook, "a")
    notebook.says("%%agent --context minimal -s 'Be brief.'\nHi")
    assert system(model).startswith("Be brief.\n\n## Where you are\n")


def test_the_notebook_context_has_earlier_cells_as_they_were_written(notebook: Notebook) -> None:
    model = use(notebook, "a")
    notebook.run("1 / 0")
    notebook.says("%time x = 6 * 7")
    notebook.says("%%agent --context notebook\nHi")
    for words in ("1 / 0", "ZeroDivisionError: division by zero", "%time x = 6 * 7"):
        assert words in system(model)
    assert "%%agent" not in system(model)


def test_the_default_can_be_set_in_the_environment_and_in_the_file(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "Put below" not in notebook.says("%%agent --dry-run -m openai:gpt-5.4\nHi")
    monkeypatch.delenv("AGENTNB_CONTEXT")
    (tmp_path / "config.toml").write_text('[agent]\ncontext = "notebook"\n')
    del notebook.workspace.settings
    assert "context notebook: set by" in notebook.says("%%agent --dry-run -m openai:gpt-5.4\nHi")
    monkeypatch.setenv("AGENTNB_CONTEXT", "lots")
    del notebook.workspace.settings
    assert "AGENTNB_CONTEXT is none, minimal or notebook, not 'lots'" in notebook.fails("%agent -m openai:gpt-5.4 Hi")


def test_another_word_is_refused_before_anything_is_sent(notebook: Notebook) -> None:
    model = use(notebook, "never")
    assert "Did you mean 'minimal'?" in notebook.fails("%agent --context minimum Hi")
    assert model.requests == []


def test_a_dry_run_shows_each_part_with_its_tokens_and_why(notebook: Notebook, tmp_path: Path) -> None:
    use(notebook, "never")
    (tmp_path / "README.md").write_text(f"line with {KEY}\n" * 500)
    (tmp_path / "AGENTS.md").write_bytes(b"\0")
    said = notebook.says("x = 1\n%agent --dry-run --context minimal Hi")
    assert "context minimal: asked for by --context; " in said
    assert f"README.md  (the beginning of what was found in {tmp_path}; cut: " in said
    assert "left out: AGENTS.md: it is not text" in said
    assert "`x`: int" in said
    assert KEY not in said


def test_a_small_model_gets_none_and_a_dry_run_says_how_to_change_that(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTNB_CONTEXT")
    said = notebook.says("%%agent --dry-run -m local:qwen2.5-coder-0.5b\nHi")
    assert "context none: it is a small model" in said
    assert "--context minimal" in said


def test_a_file_in_the_notebooks_folder_is_found_from_elsewhere(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = use(notebook, "a")
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "AGENTS.md").write_text("Prices are in NOK.")
    (folder / "shop.ipynb").write_text('{"cells": [{"cell_type": "markdown", "source": "# Tea"}]}')
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "shop.ipynb"))
    notebook.says("%agent --context minimal Hi")
    assert "Prices are in NOK." in system(model)
    assert "- Tea" in system(model)


def add(parts: Sequence[Part]) -> Sequence[Part]:
    return [*parts, Part("House rules", f"Answer in Dutch. {KEY}", "a hook of mine")]


async def drop(parts: Sequence[Part]) -> Sequence[Part]:
    await asyncio.sleep(0)
    return tuple(part for part in parts if part.title == "Where you are")


@pytest.mark.parametrize(
    ("change", "there", "gone"), [(add, "## House rules\nAnswer in Dutch.", "`y`"), (drop, "## Where", "`x`")]
)
def test_a_hook_adds_and_drops_parts(
    notebook: Notebook, change: Callable[[Sequence[Part]], object], there: str, gone: str
) -> None:
    model = use(notebook, "a", "b")
    notebook.workspace.mask.add(KEY)
    notebook.workspace.hooks.append({"context": change})
    said = notebook.says("x = 1\n%agent --dry-run --context minimal Hi")
    notebook.says("%%agent --context minimal\nHi")
    for text in (said, system(model)):
        assert there in text
        assert gone not in text
        assert KEY not in text
    notebook.says("%%agent --context none\nHi")
    assert there not in system(model)


def test_a_hook_that_leaves_the_parts_or_refuses_them(notebook: Notebook) -> None:
    class Watching(Hook):
        def context(self, parts: Sequence[Part]) -> None:
            seen.extend(part.title for part in parts)

    seen: list[str] = []
    model = use(notebook, "a")
    notebook.workspace.hooks[:] = [Watching()]
    notebook.says("%agent --context minimal Hi")
    assert seen[0] == "Where you are"
    notebook.workspace.hooks[:] = [{"context": lambda parts: [*parts, "words"]}]
    assert "returned a str among its parts" in notebook.fails("%agent --context minimal Hi")
    notebook.workspace.hooks[:] = [{"context": lambda _: "words"}]
    assert "returned a str for a tuple" in notebook.fails("%agent --context minimal Hi")
    assert len(model.requests) == 1


def test_a_model_around_a_scripted_one_gets_none(notebook: Notebook) -> None:
    wrapped: Model = PresetModel(FakeModel("a"), notebook.workspace.options)
    notebook.workspace.use_model(wrapped)
    run = CellRun(notebook.workspace, read("", "Hi"), cell="a")
    assert (run.agent.system, run.context.choice.mode) == (None, "none")


def test_tab_offers_the_three_words(notebook: Notebook) -> None:
    line = "%%agent --context mi"
    assert Completer(notebook.workspace).suggest(line, line, 0) == ("none", "minimal", "notebook")
