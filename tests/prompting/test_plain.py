"""The words for single things."""

from __future__ import annotations

import time

import pytest

from agentnb.prompting.plain import moment


def test_a_time_is_said_to_the_minute() -> None:
    assert moment(time.mktime((2026, 11, 28, 6, 20, 59, 0, 0, -1))) == "2026-11-28 06:20"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e30])
def test_what_is_no_time_is_a_dash(seconds: float) -> None:
    assert moment(seconds) == "–"
