"""The table of the OpenAPI specification (3.1, "Style Examples"), cell by cell."""

from __future__ import annotations

from typing import Any

import pytest

from agentnb.openapi.styles import in_header, in_path, in_query

STRING, ARRAY, OBJECT = "blue", ["blue", "black", "brown"], {"R": 100, "G": 200, "B": 150}


@pytest.mark.parametrize(
    ("style", "explode", "string", "array", "written"),
    [
        ("matrix", False, ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        ("matrix", True, ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"),
        ("label", False, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("label", True, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("simple", False, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("simple", True, "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ],
)
def test_paths_are_written_as_the_specification_shows(
    style: str, explode: bool, string: str, array: str, written: str
) -> None:
    given: list[Any] = [STRING, ARRAY, OBJECT]
    assert [in_path("color", each, style=style, explode=explode) for each in given] == [string, array, written]


@pytest.mark.parametrize(
    ("style", "explode", "array", "written"),
    [
        ("form", False, "color=blue,black,brown", "color=R,100,G,200,B,150"),
        ("form", True, "color=blue&color=black&color=brown", "R=100&G=200&B=150"),
        ("spaceDelimited", False, "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", False, "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("deepObject", True, None, "color[R]=100&color[G]=200&color[B]=150"),
    ],
)
def test_queries_are_written_as_the_specification_shows(
    style: str, explode: bool, array: str | None, written: str
) -> None:
    if array is not None:
        assert "&".join(in_query("color", [*ARRAY], style=style, explode=explode)) == array
    assert "&".join(in_query("color", {**OBJECT}, style=style, explode=explode)) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b&c=d/ü", "q=a%20b%26c%3Dd%2F%C3%BC"),
        (True, "q=true"),
        (1.5, "q=1.5"),
        (None, "q="),
        ("", "q="),
        ([], ""),
        ([1, "a,b"], "q=1&q=a%2Cb"),
        ([{"a": 1}], "q=%7B%22a%22%3A1%7D"),
    ],
)
def test_values_of_a_query_are_encoded(value: Any, written: str) -> None:
    assert "&".join(in_query("q", value)) == written


def test_nothing_of_an_empty_list_is_sent_in_any_style() -> None:
    assert in_query("q", [], explode=False) == []
    assert in_query("q", {}, explode=False) == []


def test_reserved_characters_stay_where_they_may_but_never_split_the_query() -> None:
    assert in_query("q", "a/b?c:d&e=f#g", reserved=True) == ["q=a/b?c:d%26e%3Df%23g"]
    assert in_path("p", "a/b?c#d", reserved=True) == "a/b%3Fc%23d"


def test_objects_in_objects_are_written_as_all_do_it() -> None:
    value: Any = {"a": {"b": 1}, "c": [2, 3]}
    assert in_query("q", value, style="deepObject") == ["q[a][b]=1", "q[c]=2", "q[c]=3"]


def test_headers_are_not_encoded() -> None:
    assert in_header(["a b", 1]) == "a b,1"
    assert in_header({"R": 100, "G": 200}, explode=True) == "R=100,G=200"
