from __future__ import annotations

import json
from typing import Any

import pytest

from agentnb.models.documents import Documents

OBJECTS: list[Any] = [{"a": 'é}"\\'}, {"b": {"c": [1, {"d": None}]}}, {}]
ONE = "".join(json.dumps(each, ensure_ascii=False) for each in OBJECTS)


def _read(body: bytes, size: int) -> tuple[list[Any], str]:
    documents, out = Documents(), []
    for i in range(0, len(body), size):
        out += documents.feed(body[i : i + size])
    return out + documents.flush(), documents.rest


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize(
    "body",
    [
        ONE,
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        f"\ufeff \n{ONE}\r\n",
        "[" + ",\r\n".join(map(json.dumps, OBJECTS)) + "]",
        "\n".join(map(json.dumps, OBJECTS)),
    ],
)
def test_objects_come_out_however_they_are_strung_together(body: str, size: int) -> None:
    assert _read(body.encode(), size) == (OBJECTS, "")


@pytest.mark.parametrize("rest", ['{"a": "}', '{"a": {}', "<html>}</html>", "nonsense", '{"a": 1} {"b'])
def test_what_makes_no_object_is_left(rest: str) -> None:
    got, left = _read((ONE + rest).encode(), 4096)
    assert got[: len(OBJECTS)] == OBJECTS
    assert rest.endswith(left)
    assert left


def test_half_characters_do_not_come_through() -> None:
    assert _read(b'{"a": "\\ud83d"}', 4096) == (['{"a": "\\ud83d"}'], "")
    assert _read(b'{"a": "\xff"}', 4096) == ([{"a": "\ufffd"}], "")


def test_an_object_nested_beyond_reason_is_left() -> None:
    got, left = _read(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 4096)
    assert got == []
    assert left


class Counted(Documents):
    """Counts how often it looks."""

    looked = 0

    def flush(self) -> list[Any]:
        self.looked += 1
        return super().flush()


def test_a_long_object_is_not_looked_through_again_at_every_piece() -> None:
    documents = Counted()
    body = json.dumps({"text": "{}" * 50_000}).encode()
    got = [each for i in range(0, len(body), 100) for each in documents.feed(body[i : i + 100])]
    got += documents.flush()
    assert got == [json.loads(body)]
    assert documents.looked < 20
