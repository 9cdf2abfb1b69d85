"""Every rule of the specification, and all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.messages import JSON
from agentnb.skills.validate import problems, validate
from tests.skills.conftest import Make


def _with(**fields: JSON) -> list[str]:
    given: dict[str, JSON] = {"name": "pdf", "description": "Reads."}
    return problems({**given, **{key.replace("_", "-"): value for key, value in fields.items()}}, None)


@pytest.mark.parametrize("name", ["a", "1", "a" * 64, "pdf-2-text", "技能", "мой-навык", "café", "cafe\u0301", " pdf "])
def test_letters_and_digits_of_every_script_are_a_name(name: str) -> None:
    assert _with(name=name) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("PDF", "lower case"),
        ("НАВЫК", "lower case"),
        ("-pdf", "begin or end"),
        ("pdf-", "begin or end"),
        ("-", "begin or end"),
        ("a--b", "in a row"),
        ("a_b", "letters, digits and hyphens"),
        ("a b", "letters, digits and hyphens"),
        ("a/b", "letters, digits and hyphens"),
        ("../pdf", "letters, digits and hyphens"),
        ("a" * 65, "more than 64"),
        ("", "not empty"),
        ("  ", "not empty"),
        (["pdf"], "must be a text"),
    ],
)
def test_other_names_are_refused(name: JSON, why: str) -> None:
    found = _with(name=name)
    assert len(found) == 1
    assert why in found[0]


@pytest.mark.parametrize(
    ("field", "fits", "too_much"),
    [("description", "x" * 1024, "x" * 1025), ("compatibility", "x" * 500, "x" * 501)],
)
def test_a_text_may_be_so_long_and_no_longer(field: str, fits: str, too_much: str) -> None:
    assert _with(**{field: fits}) == []
    assert "characters, more than" in _with(**{field: too_much})[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", ""),
        ("description", {"en": "Reads."}),
        ("compatibility", ""),
        ("compatibility", ["linux"]),
        ("license", ["MIT"]),
        ("metadata", "me"),
        ("allowed_tools", {"Read": "yes"}),
        ("allowed_tools", [["Read"]]),
    ],
)
def test_a_field_of_the_wrong_kind_is_one_problem(field: str, value: JSON) -> None:
    found = _with(**{field: value})
    assert len(found) == 1
    assert found[0].startswith(field.replace("_", "-"))


def test_all_problems_are_told_at_once() -> None:
    found = problems({"Name": "x", "compatibility": "", "license": []}, "pdf")
    assert [each.split(" ")[0] for each in found] == ["Name", "The", "The", "compatibility", "license"]
    assert all(each.endswith(".") and "\n" not in each for each in found)


def test_the_name_is_that_of_the_folder(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("pdf")
    assert validate(folder) == []
    monkeypatch.chdir(folder)
    assert validate(Path()) == []
    folder.rename(tmp_path / "other")
    assert validate(tmp_path / "other") == ["name 'pdf' must be the name of its folder, 'other': rename one of them."]


def test_what_is_no_folder_and_what_has_no_document_is_said(tmp_path: Path) -> None:
    assert "There is no" in validate(tmp_path / "gone")[0]
    (tmp_path / "file").write_text("x")
    assert "not a folder" in validate(tmp_path / "file")[0]
    assert "SKILL.md is missing" in validate(tmp_path)[0]
    (tmp_path / "SKILL.md").write_text("no front matter")
    assert "must start" in validate(tmp_path)[0]


def test_steps_that_cannot_run_are_a_problem_too(make: Make) -> None:
    folder = make("flow", metadata="{steps: [{type: tool}]}")
    assert validate(folder) == ["STEP_INVALID: step 1: target must be a text."]
