"""Every recorded byte sequence gives the events that the standard says."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from agentnb.models.sse import Decoder
from tests.conformance.conftest import cases


def _load(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_bytes())["cases"]


def _decode(chunks: list[bytes]) -> list[dict[str, str]]:
    decoder = Decoder()
    return [
        {"event": e.event, "data": e.data.decode("utf-8", "replace"), "last_event_id": e.last_event_id}
        for chunk in chunks
        for e in decoder.feed(chunk)
    ]


@pytest.mark.parametrize("path", cases("sse/sse_cases.json"))
@pytest.mark.parametrize("size", ["as recorded", "whole", 1, 2, 3, 7])
def test_bytes_give_the_events_of_the_standard_however_they_are_cut(path: Path, size: str | int) -> None:
    loaded = _load(path)
    assert len(loaded) >= 75
    for case in loaded:
        chunks = [base64.b64decode(c) for c in case["chunks_b64"]]
        joined = b"".join(chunks)
        if size == "whole":
            chunks = [joined]
        elif isinstance(size, int):
            chunks = [joined[i : i + size] for i in range(0, len(joined), size)]
        assert _decode(chunks) == case["expect"], case["id"]
