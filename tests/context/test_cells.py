"""Earlier cells are told with what they gave, the newest first to be kept."""

from __future__ import annotations

import pytest

from agentnb.context.cells import source
from agentnb.context.parts import Masking, Part


def told(
    inputs: list[str],
    outputs: dict[int, object] | None = None,
    errors: dict[int, str] | None = None,
    room: int = 2_000,
    mask: Masking = str,
) -> Part | None:
    return source(["", *inputs], outputs or {}, errors or {}, mask)(room)


def test_cells_stand_in_order_with_what_they_gave() -> None:
    part = told(["x = 1", "x + 1", "1/0"], {2: 2}, {3: "Traceback …\n\nZeroDivisionError: division by zero"})
    assert part is not None
    assert part.text == (
        "In [1]:\n```python\nx = 1\n```\nIn [2]:\n```python\nx + 1\n```\nOut [2]:\n```text\n2\n```\n"
        "In [3]:\n```python\n1/0\n```\nIt failed: ZeroDivisionError: division by zero"
    )


def test_the_newest_cells_are_kept_and_the_others_counted() -> None:
    part = told([f"value_{n} = {n}" for n in range(200)], room=150)
    assert part is not None
    assert part.tokens <= 150
    assert "value_199" in part.text
    assert "value_3 " not in part.text
    assert part.cut.endswith("of 200 earlier cells left out")


@pytest.mark.parametrize(
    "cell",
    [
        "%%agent\nHi",
        "%agent Hi",
        "\n%%agent -m x\nHi",
        "%%time\n%%agent\nHi",
        "%load_ext agentnb",
        "%model openai:x",
        "%session new",
        "%credential add x --key abc",
        "  ",
    ],
)
def test_cells_of_agentnb_are_passed_over(cell: str) -> None:
    assert told([cell]) is None


def test_other_magics_are_told() -> None:
    assert told(["%matplotlib inline", "%agents = 1"]) is not None


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_objects_of_the_user_show_is_not_asked_for() -> None:
    part = told(["Broken()", "[Broken()]"], {1: Broken(), 2: [Broken()]})
    assert part is not None
    assert "Out [1]:\n```text\n(Broken)\n```" in part.text
    assert "Out [2]:" in part.text


def test_long_code_and_outputs_are_cut() -> None:
    part = told(["x = 1\n" * 2_000], {1: "y" * 50_000})
    assert part is not None
    assert part.text.count("left out …") == 2
    assert part.tokens < 800


def test_secrets_are_masked_before_anything_is_cut() -> None:
    secret = "s" * 3_000
    part = told([f"key = '{secret}'"], {1: secret}, mask=lambda text: text.replace(secret, "[key]"))
    assert part is not None
    assert "sss" not in part.text
