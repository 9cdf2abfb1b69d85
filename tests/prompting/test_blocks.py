from __future__ import annotations

import datetime
import decimal
import enum
import subprocess
import sys
import uuid

import numpy as np
import pandas as pd
import pytest
from inline_snapshot import snapshot

from agentnb.messages import Audio, Data, File, Image, Text, ToolResult, assistant, user
from agentnb.prompting import to_blocks

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\0\0\0\1" * 2


class Plain(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    A = "aa"


def told(value: object, budget: int = 2000) -> str:
    (block,) = to_blocks(value, budget)
    assert isinstance(block, Text)
    return block.text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is {x}", "as it is {x}"),
        ("", ""),
        (None, "None"),
        (True, "True"),
        (12, "12"),
        (1.5, "1.5"),
        (3 + 4j, "(3+4j)"),
        (np.float64(0.1), "0.1"),
        (np.int64(7), "7"),
        (np.bool_(True), "True"),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (np.array(3), "3"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (datetime.datetime(2020, 1, 2, 3), "2020-01-02 03:00:00"),
        (datetime.timedelta(days=1), "1 day, 0:00:00"),
        (pd.Timestamp("2020-01-01"), "2020-01-01 00:00:00"),
        (Plain.RED, "Plain.RED"),
        (Word.A, "aa"),
    ],
)
def test_a_single_thing_is_its_own_words(value: object, text: str) -> None:
    assert told(value) == text


def test_blocks_pass_as_they_are() -> None:
    for block in (
        Text("a", extra={"k": 1}),
        Image(PNG),
        Image(url="https://example.org/x.png"),
        Audio(b"a"),
        Data([1]),
    ):
        assert to_blocks(block) == (block,)
    assert to_blocks([Text("a"), Image(PNG), File("f", b"x")]) == (Text("a"), Image(PNG), File("f", b"x"))


def test_a_message_gives_what_it_says() -> None:
    assert to_blocks(user("hi", Image(PNG))) == (Text("hi"), Image(PNG))
    assert to_blocks(assistant("ok")) == (Text("ok"),)
    assert to_blocks(ToolResult("1", "t", (Text("42"),))) == (Text("42"),)


def test_pictures_and_tables_in_a_container_are_shown_one_by_one() -> None:
    blocks = to_blocks({"plot": Image(PNG), "best": pd.DataFrame({"a": [1]}), "n": 3})
    assert blocks == snapshot(
        (
            Text(text="`plot`:"),
            Image(data=b"\x89PNG\r\n\x1a\n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01"),
            Text(
                text="""\
`best`:
DataFrame, 1 row × 1 column:
Columns: a (int64)
```csv
a
1
```
`n`:
3\
"""
            ),
        )
    )
    assert "3 of 15 members left out" in told([pd.DataFrame({"a": [1]})] * 15)


class Shape:
    pass


def test_a_user_registration_wins_over_ours_and_holds_inside_containers() -> None:
    to_blocks.register(Shape)(lambda _value, _budget: (Text("a shape"),))
    assert told(Shape()) == "a shape"
    assert told([Shape(), 2]) == "1:\na shape\n2:\n2"


def test_a_user_may_replace_what_a_library_object_becomes() -> None:
    # In a kernel of its own: a registration holds for the process.
    code = (
        "import pandas as pd; from agentnb.messages import Text; from agentnb.prompting import to_blocks\n"
        "to_blocks.register(pd.DataFrame)(lambda _df, _budget: (Text('mine'),))\n"
        "print(to_blocks(pd.DataFrame({'a': [1]}), 9)[0].text, to_blocks(pd.Series([1]), 9)[0].text[:6])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "mine Series\n", done.stderr


def test_no_library_is_imported_before_a_value_of_it_comes() -> None:
    code = (
        "import sys; from agentnb.prompting import fill, to_blocks\n"
        "fill('{{x}} {{[1, {2: 3}]}}', {'x': 1}); to_blocks(object())\n"
        "heavy = 'pandas numpy polars PIL matplotlib plotly pydantic IPython httpx'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
