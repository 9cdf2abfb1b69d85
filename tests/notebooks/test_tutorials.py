"""What the tutorials must be beside correct; that each cell prints what it stores is for `pytest --nbval` to say."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from agentnb.messages import JSONObject
from agentnb.models.key_shapes import known_keys
from agentnb.models.recording import Exchange, read_cassette
from agentnb.remembering import condensing_prompt
from agentnb.transcript import fold
from tests.notebooks.record import FOLDER, MODELS

TUTORIALS = sorted(FOLDER.glob("*.ipynb"))
CASSETTES = sorted((FOLDER / "cassettes").iterdir())

tutorials = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
cassettes = pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)


def notebook(path: Path) -> NotebookNode:
    read: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # untyped there
    return read


def code(path: Path) -> list[NotebookNode]:
    return [cell for cell in notebook(path).cells if cell.cell_type == "code"]


#: How what agentnb asks of itself begins, to summarize a conversation.
CONDENSE = condensing_prompt([], None, 0).partition("\n")[0]


def pattern(line: str) -> re.Pattern[str]:
    """What a line of a cell may be once its gaps are filled and its files named."""
    gaps = re.sub(r"\\{\\{.*?\\}\\}", ".+", re.escape(line))
    return re.compile(re.sub(r"<file>(.*?)</file>", r"`\1`", gaps) or "$^")


def question(exchange: Exchange) -> str:
    """What the person asked last."""
    asked = [message for message in said(exchange) if message["role"] == "user"]
    return "\n".join(block["text"] for block in asked[-1]["content"])  # type: ignore[index, union-attr, call-overload, misc]  # JSON


def said(exchange: Exchange) -> list[JSONObject]:
    messages: list[JSONObject] = exchange.asked.short["messages"]  # type: ignore[assignment]  # as it was written
    return messages


def numbers(text: str) -> set[str]:
    """The numbers in a text, with commas between thousands and without, and 5.0 also as 5."""
    whole = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    found = re.findall(r"\d+(?:\.\d+)?", text) + re.findall(r"\d+(?:\.\d+)?", whole)
    return {*found, *(number.removesuffix(".0") for number in found)}


@pytest.mark.parametrize("path", [*TUTORIALS, *CASSETTES], ids=lambda path: path.name)
def test_a_tutorial_and_its_cassette_are_small_and_tell_nothing_of_the_machine_they_were_recorded_on(
    path: Path,
) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 150_000
    assert not re.search(r"/home/|/root/|/tmp/|/work/|/Users/|site-packages|C:\\", text)
    assert not re.search(r"0x[0-9a-f]{6,}", text)
    assert known_keys(text) == text


@tutorials
def test_a_tutorial_shows_no_key(path: Path) -> None:
    shown = json.dumps([cell.outputs for cell in code(path)])
    assert not re.search(r"fk-\d+", shown)


@tutorials
def test_a_tutorial_keeps_no_metadata_that_changes_from_run_to_run(path: Path) -> None:
    metadata = notebook(path).metadata
    assert set(metadata) == {"kernelspec", "language_info"}
    assert metadata.language_info == {"name": "python"}
    assert {key for cell in notebook(path).cells for key in cell.metadata} <= {"tags"}


@tutorials
def test_every_cell_of_a_tutorial_was_run_in_order(path: Path) -> None:
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))


@tutorials
def test_every_question_of_a_tutorial_has_its_answer_below(path: Path) -> None:
    asked = [cell for cell in code(path) if cell.source.startswith("%%agent")]
    assert asked
    assert [cell.source for cell in asked if not cell.outputs] == []


@tutorials
def test_the_cells_of_a_tutorial_that_fail_are_those_that_are_meant_to(path: Path) -> None:
    failed = [cell.id for cell in code(path) if any(each.output_type == "error" for each in cell.outputs)]
    meant = [cell.id for cell in code(path) if "raises-exception" in cell.metadata.get("tags", [])]
    assert failed == meant


def test_every_tutorial_that_asks_a_model_has_a_cassette_of_that_model() -> None:
    assert {path.stem: read_cassette(path)[0] for path in CASSETTES} == MODELS
    assert MODELS.keys() <= {path.stem for path in TUTORIALS}


@cassettes
def test_a_cassette_holds_what_its_tutorial_asks_and_nothing_else(path: Path) -> None:
    sources = "\n".join(cell.source for cell in code(FOLDER / f"{path.stem}.ipynb"))
    lines = [pattern(line) for line in sources.splitlines()]
    exchanges = read_cassette(path)[1]
    asked = [question(each).partition("\n")[0] for each in exchanges]
    others = [each for each in asked if each not in sources and each != CONDENSE]
    assert [each for each in others if not any(line.search(each) for line in lines)] == []
    digests = [each.asked.digest for each in exchanges]
    assert len(digests) == len(set(digests)), "recorded twice"


@cassettes
def test_what_was_asked_is_the_same_on_every_machine(path: Path) -> None:
    for exchange in read_cassette(path)[1]:
        asked = json.dumps(exchange.asked.short)
        assert '"image"' not in asked, "a rendered figure depends on fonts"
        assert not re.search(r"\d+\.\d+\.\d+", asked), "a version is in it"


@cassettes
def test_the_numbers_in_recorded_answers_are_those_that_the_model_read(path: Path) -> None:
    for exchange in read_cassette(path)[1]:
        assert exchange.failure is None
        answer = fold(exchange.events).text
        assert numbers(answer) <= numbers(json.dumps(said(exchange))), answer


def test_the_data_is_the_published_table() -> None:
    content = (FOLDER / "data" / "penguins.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"
