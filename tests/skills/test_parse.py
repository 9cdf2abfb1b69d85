"""A SKILL.md taken apart, and every way in which it can be broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentnb.errors import UsageError
from agentnb.skills.parse import MOST_BYTES, find, parse, read

HEAD = "name: pdf\ndescription: Reads PDF files."


def test_fields_are_texts_as_they_were_written() -> None:
    made = parse("---\nname: 007\ndescription: yes\nmetadata:\n  version: 1.10\n  empty:\n---\nBody")
    assert made.fields == {"name": "007", "description": "yes", "metadata": {"version": "1.10", "empty": ""}}


def test_dashes_in_a_value_do_not_end_the_front_matter() -> None:
    made = parse("---\nname: pdf\ndescription: a --- b\nlicense: |\n  one\n  ---\n  two\n---\nBody\n\n---\n\nMore")
    assert made.fields["description"] == "a --- b"
    assert made.fields["license"] == "one\n---\ntwo\n"
    assert made.body == "Body\n\n---\n\nMore"


@pytest.mark.parametrize(
    "text", [f"\ufeff---\n{HEAD}\n---\nB", f"---\r\n{HEAD}\r\n---\r\nB", f"---  \r{HEAD}\r---\t\rB"]
)
def test_bom_and_other_line_ends_are_read_too(text: str) -> None:
    made = parse(text.replace("\n", "\r") if "\t" in text else text)
    assert made.fields == {"name": "pdf", "description": "Reads PDF files."}
    assert made.body == "B"


def test_folded_quoted_and_listed_values_are_yaml() -> None:
    made = parse('---\nname: "pdf"\ndescription: >-\n  one\n  two: three\nallowed-tools: [Read, "Bash(git:*)"]\n---\n')
    assert made.fields == {"name": "pdf", "description": "one two: three", "allowed-tools": ["Read", "Bash(git:*)"]}
    assert made.body == ""


def test_lists_in_metadata_are_texts_for_clients_and_typed_for_us() -> None:
    made = parse(f"---\n{HEAD}\nmetadata:\n  by: me\n  steps:\n    - {{a: 1, b: true, c: null, d: 1_0, e: 1.5}}\n---\n")
    assert made.typed == {"steps": [{"a": 1, "b": True, "c": None, "d": "1_0", "e": 1.5}]}
    metadata = made.fields["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["by"] == "me"
    assert isinstance(metadata["steps"], str)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must start"),
        ("# Title", "must start"),
        (f"\n---\n{HEAD}\n---\n", "must start"),
        (f"---\n{HEAD}\n", "not closed"),
        (f"---\n{HEAD}\n --- \nBody", "not closed"),
        ("---\n---\nBody", "must be a YAML mapping"),
        ("---\njust words\n---\n", "must be a YAML mapping"),
        ("---\nname: a: b\n---\n", "line 2: mapping values are not allowed here"),
        ("---\nname: pdf\n\tdescription: x\n---\n", "line 3"),
        ("---\nname: a\nname: b\n---\n", "'name' is given twice"),
        ("---\n? [a, b]\n: c\n---\n", "not a word"),
        ("---\na: &x 1\nb: *x\n---\n", "anchors or tags"),
        ("---\na: !!python/object/apply:os.system ['true']\n---\n", "anchors or tags"),
        ("---\na: " + "[" * 60_000 + "\n---\n", "nested more than 30 deep"),
        ("---\n" + "- " * 10_000 + "\n---\n", "nested more than 30 deep"),
        ("---\na: \x07\n---\n", "not valid YAML"),
        ("---\na: " + "x" * 70_000 + "\n---\n", "more than 64 KB"),
    ],
)
def test_a_broken_document_is_one_line_that_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_upper_case_goes_before_lower(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    (tmp_path / "skill.md").write_text("lower")
    lower = find(tmp_path)
    assert lower is not None
    (tmp_path / "SKILL.md").write_text("upper")
    assert read(tmp_path) == "upper"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"---\nname: \xff\xfe\n---\n", "not text in UTF-8"),
        (b"---\nname: \0\n---\n", "not text in UTF-8"),
        (b"x" * 10_000_000, "more than 256 KB"),
    ],
    ids=["latin", "binary", "10 MB"],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "SKILL.md").write_bytes(data)
    with pytest.raises(UsageError, match=why):
        read(tmp_path)


def test_as_much_as_may_be_is_read(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_bytes(b"x" * MOST_BYTES)
    assert len(read(tmp_path)) == MOST_BYTES


def test_no_document_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not found"):
        read(tmp_path)
    with pytest.raises(UsageError, match="There is no folder"):
        read(tmp_path / "gone")


def test_a_pipe_is_no_document_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "SKILL.md")
    with pytest.raises(UsageError, match="not found"):
        read(tmp_path)
