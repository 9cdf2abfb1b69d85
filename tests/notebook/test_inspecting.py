"""`%agent inspect` shows what would go to the model, and why."""

from __future__ import annotations

import re

import pytest

from agentnb.models.cards import Card
from agentnb.models.fake import FakeModel
from agentnb.notebook.inspecting import wanted
from tests.notebook.conftest import Notebook

KEY = "sk-secret-of-a-person-1"


def use(notebook: Notebook, *turns: str) -> FakeModel:
    model = FakeModel(*turns)
    notebook.workspace.use_model(model)
    return model


@pytest.mark.parametrize(
    ("line", "body", "is_it"),
    [("inspect", None, True), (" inspect ", None, True), ("inspect x", None, False), ("inspect", "", False)],
)
def test_only_the_word_alone_is_meant(line: str, body: str | None, is_it: bool) -> None:
    assert wanted(line, body) is is_it


def test_an_empty_conversation_is_told_and_nothing_is_sent(notebook: Notebook) -> None:
    model = use(notebook, "never")
    said = notebook.says("%agent inspect")
    assert said.startswith("What fake:script would be sent with your next prompt: about 0 tokens; ")
    assert "Tools, nothing." in said
    assert model.requests == []
    assert notebook.workspace.session.turns == []


def test_turns_are_told_with_their_cells_and_tools_with_their_tokens(notebook: Notebook) -> None:
    use(notebook, "It is three.", "Four.")
    notebook.says("from agentnb import tool\n@tool\ndef add(a: int) -> int:\n    'Add one.'\n    return a + 1")
    notebook.run("%%agent\nHow many?", "cell-one")
    notebook.run("%%agent\nAnd now?", "cell-two")
    said = notebook.run("%agent inspect", "cell-three").text
    assert re.search(r"\d  How many\?  \(cell cell-one\)", said)
    assert re.search(r"\d  And now\?  \(cell cell-two\)", said)
    assert re.search(r"\d  add  \(Add one\.\)", said)
    again = notebook.run("%agent inspect", "cell-two").text
    assert "And now?  (cell cell-two; not sent: " in again


def test_the_context_and_the_part_of_what_the_model_reads_are_told(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTNB_CONTEXT", "minimal")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    notebook.says(f"note = '{KEY}'\n%model openai:gpt-5.4")
    said = notebook.says("%agent inspect")
    assert re.search(r"tokens of [\d,]+ that it reads \(\d\.\d%\)\.", said)
    assert "Variables in the kernel now" in said
    assert KEY not in said


def test_what_a_short_context_would_drop_is_named(notebook: Notebook) -> None:
    use(notebook, "word " * 300, "word " * 300, "short")
    notebook.workspace.cards.add(Card("fake:script", context=700))
    for n in range(3):
        notebook.run(f"%%agent\nQuestion {n}", f"cell-{n}")
    said = notebook.run("%agent inspect", "cell-9").text
    assert "Question 0  (cell cell-0; dropped: " in said
    assert re.search(r"Question 2  \(cell cell-2\)", said)


def test_a_summary_and_what_it_stands_for_are_named(notebook: Notebook) -> None:
    use(notebook, "one", "two")
    for n in range(2):
        notebook.run(f"%%agent\nQuestion {n}", f"cell-{n}")
    workspace = notebook.workspace
    workspace.store.memory.summarize(workspace.session.id, "They count.", 1)
    said = notebook.run("%agent inspect", "cell-9").text
    assert re.search(r"\d  Summary  \(They count\.\)", said)
    assert "Question 0  (cell cell-0; not sent: the summary stands for it)" in said
    assert re.search(r"Question 1  \(cell cell-1\)", said)
