# ruff: noqa: E501  what is sent is shown in whole lines
from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import time
import uuid

import numpy as np
import pydantic
import pytest
from inline_snapshot import snapshot

from agentnb.messages import Text
from agentnb.prompting import estimate_tokens, to_blocks


def told(value: object, budget: int = 2000) -> str:
    (block,) = to_blocks(value, budget)
    assert isinstance(block, Text)
    return block.text


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: object
    secret: str = dataclasses.field(default="hidden", repr=False)


class Config(pydantic.BaseModel):
    name: str = "demo"
    key: pydantic.SecretStr = pydantic.SecretStr("hunter2")
    quiet: str = pydantic.Field("hidden", repr=False)
    points: list[Point] = [Point(1, 2), Point(3, None)]


Pair = collections.namedtuple("Pair", "a b")


def test_containers_become_json_that_parses() -> None:
    for value in ({}, [], {"a": [1, {"b": None}]}, list(range(500)), {"k": {"n": [{"x": "y" * 90}] * 3}}):
        assert json.loads(told(value)) == value
    assert told((1, 2)) == told({1, 2}) == told(frozenset({2, 1})) == told(collections.deque([1, 2])) == "[1, 2]"


def test_members_that_json_does_not_know_become_strings() -> None:
    odd = {
        1: 1.5,
        ("a", 1): float("nan"),
        "day": datetime.date(2020, 1, 1),
        "money": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=1),
        "path": pathlib.PurePosixPath("a/b"),
        "color": Color.RED,
        "bytes": b"abc",
        "numpy": np.float32(0.5),
        "array": np.arange(4).reshape(2, 2),
        "set": {"b", "a"},
        "object": Ellipsis,
    }
    assert told(odd) == snapshot("""\
{
  "1": 1.5,
  "('a', 1)": "nan",
  "day": "2020-01-01",
  "money": "1.10",
  "id": "00000000-0000-0000-0000-000000000001",
  "path": "a/b",
  "color": "red",
  "bytes": "<3 bytes>",
  "numpy": 0.5,
  "array": [[0, 1], [2, 3]],
  "set": ["a", "b"],
  "object": "Ellipsis"
}\
""")


def test_models_and_dataclasses_have_their_name_and_no_hidden_fields() -> None:
    assert told(Point(1, Color.RED)) == snapshot('Point {"x": 1, "y": "red"}')
    assert told(Pair(1, 2)) == snapshot('Pair {"a": 1, "b": 2}')
    assert told(Config()) == snapshot("""\
Config:
{
  "name": "demo",
  "key": "SecretStr('**********')",
  "points": [{"x": 1, "y": 2}, {"x": 3, "y": null}]
}\
""")
    assert "hunter2" not in told(Config())


def test_a_large_structure_is_cut_by_its_members() -> None:
    data = {"meta": {"v": 1}, "rows": [{"id": i, "name": f"row {i}"} for i in range(1000)], "text": "word " * 1000}
    assert told(data, 120) == snapshot("""\
{
  "meta": {"v": 1},
  "rows": [
    {"id": 0, "name": "row 0"},
    {"id": 1, "name": "row 1"},
    {"id": 2, "name": "row 2"},
    {"id": 3, "name": "row 3"},
    {"id": 4, "name": "row 4"},
    {"id": 5, "name": "row 5"},
    … 994 of 1,000 items left out …
  ],
  "text": "word word word word word word word word word word word word word word word word word word word wo … 4,879 of 5,000 characters left out … ord word word word word"
}\
""")


@pytest.mark.parametrize("budget", [100, 1000, 4000])
@pytest.mark.parametrize(
    "value",
    [
        list(range(100_000)),
        range(10**9),
        {f"key{i}": {"v": "t" * 300, "w": list(range(100))} for i in range(1000)},
        [{"id": i, "tags": ["a", "b"]} for i in range(10_000)],
        {"text": "x" * 100_000},
        ["x" * 100_000] * 3,
        [[[["deep"] * 100] * 100] * 100] * 100,
    ],
    ids=["numbers", "range", "objects", "rows", "text", "texts", "nested"],
)
def test_a_structure_keeps_to_its_budget_and_is_quick(value: object, budget: int) -> None:
    started = time.process_time()
    text = told(value, budget)
    assert time.process_time() - started < 0.5
    assert estimate_tokens(text) <= budget * 1.2 + 15
    assert "left out …" in text


def test_structures_that_contain_themselves_end() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert told(loop) == '[1, "(contains itself)"]'
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert estimate_tokens(told(deep, 500)) < 600
