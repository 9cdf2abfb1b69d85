from __future__ import annotations

import math

from inline_snapshot import snapshot

from agentnb.messages import Image, Text
from agentnb.prompting import estimate_tokens, to_blocks

#: One pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)


def told(value: object, budget: int = 2000) -> str:
    (block,) = to_blocks(value, budget)
    assert isinstance(block, Text)
    return block.text


def fall(depth: int) -> float:
    return 1 / 0 if depth == 0 else fall(depth - 1)


def test_an_error_comes_with_the_end_of_its_traceback() -> None:
    try:
        fall(2)
    except ZeroDivisionError as error:
        text = told(error)
        short = told(error, 60)
    assert text.startswith("ZeroDivisionError:\n```\nTraceback (most recent call last):\n")
    assert text.endswith("ZeroDivisionError: division by zero\n```")
    assert short.endswith("ZeroDivisionError: division by zero\n```")
    assert "left out" in short
    assert told(ValueError("plain")) == "ValueError: plain"


def test_functions_and_classes_come_with_their_source() -> None:
    assert told(fall) == snapshot("""\
function fall:
```python
def fall(depth: int) -> float:
    return 1 / 0 if depth == 0 else fall(depth - 1)
```\
""")
    assert told(Drawing).startswith("class Drawing:\n```python\nclass Drawing:\n")
    assert told(Drawing().size).startswith("function Drawing.size:\n```python\ndef size(self)")


def test_without_source_there_is_a_signature() -> None:
    assert told(len) == snapshot("function len(obj, /) — Return the number of items in a container.")
    assert told(object) == snapshot("class object() — The base class of the class hierarchy.")


def test_a_module_is_told_by_its_names() -> None:
    text = told(math, 60)
    assert text.startswith("module math — This module provides access to the mathematical functions")
    assert "Names: acos, acosh" in text
    assert estimate_tokens(text) < 75


class Drawing:
    def size(self) -> int:
        return 1

    def _repr_png_(self) -> bytes:
        return PNG


class Prose:
    def _repr_markdown_(self) -> tuple[str, dict[str, str]]:
        return "# hi", {}


class Anything:
    def __getattr__(self, name: str) -> object:
        return lambda *_args: PNG

    def __repr__(self) -> str:
        return "anything"


class Shy:
    def _repr_png_(self) -> None:
        return None

    def __repr__(self) -> str:
        return "r" * 10_000


def test_objects_that_draw_themselves_are_pictures_or_markdown() -> None:
    assert to_blocks(Drawing()) == (Image(PNG, alt="Drawing"),)
    assert told(Prose()) == "# hi"
    assert told(Anything()) == "anything"
    assert "left out" in told(Shy(), 100)


def test_generators_are_not_consumed() -> None:
    numbers = (i for i in range(3))
    assert told(numbers).startswith("<generator object")
    assert list(numbers) == [0, 1, 2]
