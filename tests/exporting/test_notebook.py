"""The notebook of a conversation: valid, readable without a kernel, and ready to run again."""

from __future__ import annotations

import json

import nbformat
from inline_snapshot import snapshot

from agentnb.exporting import Conversation, notebook
from tests.exporting.conftest import HOSTILE


def _read(conversation: Conversation) -> nbformat.NotebookNode:
    made = nbformat.reads(notebook(conversation), as_version=4)
    nbformat.validate(made)
    return made


def test_each_turn_is_a_cell_with_its_prompt_as_it_was_written(full: Conversation) -> None:
    cells = _read(full).cells
    assert [(cell.cell_type, cell.id, cell.source) for cell in cells] == snapshot(
        [
            (
                "markdown",
                "title",
                """\
# Sums

2026-11-28 06:20 to 2026-11-28 06:21 · 2 turns · session s1\
""",
            ),
            ("code", "load", "%load_ext agentnb"),
            (
                "code",
                "turn-1",
                """\
%%agent
What is {{a}} + 40?\
""",
            ),
            (
                "code",
                "turn-2",
                """\
%%agent
Go on.\
""",
            ),
        ]
    )


def test_a_cell_shows_what_it_showed(full: Conversation) -> None:
    outputs = _read(full).cells[2].outputs
    assert [list(output.data) for output in outputs] == snapshot(
        [
            ["image/png", "text/plain"],
            ["text/html", "text/plain"],
            ["text/html", "text/plain"],
            ["text/html", "text/plain"],
            ["image/png", "text/plain"],
            ["text/markdown", "text/plain"],
            ["text/html", "text/plain", "application/vnd.agentnb.run+json"],
        ]
    )
    assert outputs[-2].data["text/markdown"] == "It is **42**."


def test_each_run_travels_along_whole(full: Conversation) -> None:
    run = _read(full).cells[2].outputs[-1].data["application/vnd.agentnb.run+json"]
    assert (run.prompt, run.variables, run.params) == ("What is {{a}} + 40?", {"a": "ff"}, {"seed": 1})
    assert [message.role for message in run.messages] == ["user", "assistant", "tool", "assistant"]
    assert _read(full).cells[3].outputs[-1].data["application/vnd.agentnb.run+json"].turns == 1


def test_it_is_written_as_other_notebook_files_are(full: Conversation) -> None:
    cell = json.loads(notebook(full))["cells"][2]
    assert cell["source"] == ["%%agent\n", "What is {{a}} + 40?"]
    assert nbformat.reads(notebook(full), as_version=4).nbformat_minor == 5


def test_a_hostile_prompt_stays_as_written_and_its_outputs_are_escaped(hostile: Conversation) -> None:
    title, _, cell = _read(hostile).cells
    assert "<script" not in title.source
    assert cell.source == f"%%agent\n{HOSTILE}"
    shown = [data for output in cell.outputs for kind, data in output.data.items() if kind.startswith("text/")]
    assert not [each for each in shown if "\x1b" in each]
    html = [output.data["text/html"] for output in cell.outputs if "text/html" in output.data]
    assert not [each for each in html if "<script" in each or "<iframe" in each or "<img" in each]
