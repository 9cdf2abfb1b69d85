"""Templates are kept under names, with all that they were before."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb import Template
from agentnb.errors import PromptError, StoreError, UsageError
from agentnb.masking import Mask
from agentnb.store import Store
from agentnb.templates import Edition, Templates, served
from agentnb.templates.changes import change, difference


@pytest.fixture
def shelf(tmp_path: Path) -> Templates:
    return Templates(Store(tmp_path / "home").records)


def test_a_template_is_created_under_either_word_for_its_name(shelf: Templates) -> None:
    assert shelf.create(name="a", content="1") == Template("1", name="a", version=1)
    assert shelf.create(template_id="b", content="2").name == "b"
    assert shelf.create("c").content == ""
    assert shelf.create("d", "4", template_id="d").content == "4"
    assert [each.name for each in shelf.list_all()] == list(shelf.names()) == ["a", "b", "c", "d"]
    with pytest.raises(UsageError, match="There is a template 'a' already"):
        shelf.create("a", "2")
    for given in ({}, {"name": "x", "template_id": "y"}):
        with pytest.raises(UsageError, match="A template has one name"):
            shelf.create(**given)


def test_a_template_is_updated_renamed_and_removed(shelf: Templates) -> None:
    shelf.create("a", "1")
    assert shelf.update("a", "2") == Template("2", name="a", version=2)
    assert shelf.update("a", template_id="b") == Template("2", name="b", version=1)
    assert shelf.update("b", "3", new_name="c").content == "3"
    assert shelf.update("c", "4", new_name="c").version == 3
    shelf.delete("c")
    assert list(shelf.names()) == []
    with pytest.raises(UsageError, match=r"'c' was removed\. %template restore c brings it back"):
        shelf.get("c")
    with pytest.raises(UsageError, match=r"There is no template 'zz'\. %%template zz makes one"):
        shelf.update("zz", "1")


def test_every_version_can_be_had_again(shelf: Templates) -> None:
    for words in ("one", "two", "two", "three"):
        shelf.put("a", words)
    assert [each.content for each in shelf.history("a")] == ["one", "two", "three"]
    assert shelf.get("a", 2) == Template("two", name="a", version=2)
    assert shelf.restore("a").content == "two"
    assert shelf.restore("a", 1) == Template("one", name="a", version=5)
    shelf.delete("a")
    assert [(each.version, each.content) for each in shelf.history("a")][-1] == (6, None)
    assert shelf.restore("a") == Template("one", name="a", version=7)
    assert isinstance(shelf.history("a")[0], Edition)
    for version, said in ((0, "count from 1"), (-1, "count from 1"), (9, "has no version 9"), (6, "has no version 6")):
        with pytest.raises(UsageError, match=said):
            shelf.restore("a", version)
    shelf.create("b", "only")
    with pytest.raises(UsageError, match="'b' has no earlier version"):
        shelf.restore("b")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".a", "-a", "a..b", "a b", "<b>", "a\n", "a\0", "x" * 101])
def test_a_name_is_no_path(shelf: Templates, name: str) -> None:
    for act in (shelf.create, shelf.get, shelf.delete, shelf.history, shelf.restore):
        with pytest.raises(UsageError, match="is no name for a template"):
            act(name)
    shelf.create("fine", "x")
    with pytest.raises(UsageError, match="is no name for a template"):
        shelf.rename("fine", name)


def test_a_name_is_the_same_however_it_was_typed(shelf: Templates) -> None:
    shelf.create("cafe\N{COMBINING ACUTE ACCENT}", "x")
    assert shelf.get("café").content == "x"


@pytest.mark.parametrize("content", ["<b>{{x}}</b>", "{{{{ }}}}", "{{", "\ud800", "\0", "x" * 1_000_000, "é\r\n\t"])
def test_any_words_are_kept_as_they_are(shelf: Templates, content: str) -> None:
    kept = shelf.create("a", content)
    assert shelf.get("a") == kept
    assert kept.content == content.replace("\ud800", "?")


def test_what_is_no_text_is_no_template(shelf: Templates) -> None:
    with pytest.raises(UsageError, match="is a text, not dict"):
        shelf.create("a", {"x": 1})  # type: ignore[arg-type]  # it is what a file may hold


def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StoreError):
        Templates(Store(tmp_path / "home").records).create("a", "x")


def test_a_served_template_leaves_what_it_does_not_know(shelf: Templates) -> None:
    content = "{{a}} {{ a }} {{b}} {a} {{{a}}} {{a-b}} {{1}} {{{{a}}}}"
    assert served(content, {"a": "{{b}}", "1": 2.5}) == "{{b}} {{ a }} {{b}} {a} {{{b}}} {{a-b}} 2.5 {{{{b}}}}"
    with pytest.raises(PromptError, match=r"no value for \{\{b\}\}, \{\{1\}\}\. Put 'b' among the arguments"):
        served(content, {"a": 1}, strict=True)
    assert served("{{a}}", {"a": None, "x": 1}, strict=True) == "None"


def test_a_served_message_says_its_own_words_first(shelf: Templates) -> None:
    shelf.create("a", "Hello {{x}}")
    assert shelf.served("a", {"x": 1}) == "Hello 1"
    assert shelf.served("a", {"x": 1}, content="given") == "given"
    assert shelf.served("none", {}) == shelf.served("../x", {}) == ""
    with pytest.raises(UsageError, match="There is no template 'none'"):
        shelf.served("none", {}, strict=True)
    with pytest.raises(PromptError, match=r"no value for \{\{x\}\}"):
        shelf.served("a", {}, strict=True)


def test_what_changed_is_said_in_a_few_words_and_lines() -> None:
    assert change(None, "x") == "new"
    assert change("x", "x") == "unchanged"
    assert change("a\nb\nc", "a\nB\nc\nd") == "lines: +2 −1"
    assert difference("a\nb\nc", "a\nB\nc\nd") == ["- b", "+ B", "+ d"]
    many = "\n".join(map(str, range(50)))
    assert difference("", many)[-1] == "… and 45 more"
    assert change(many * 50, many * 60) == "6,950 characters became 8,340"
    assert difference(many * 50, many * 60) == []


def test_a_key_is_not_kept_in_a_template(tmp_path: Path) -> None:
    shelf = Templates(Store(tmp_path / "home").records, Mask("sk-proj-7Hq2Zk9TnW4bXv81"))
    with pytest.raises(UsageError, match="A key stands in the template 'a', and it was not kept") as caught:
        shelf.create("a", "Call it with sk-proj-7Hq2Zk9TnW4bXv81")
    assert "sk-proj" not in str(caught.value)
    assert shelf.names() == []
