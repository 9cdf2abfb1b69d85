"""What a kernel says, read without believing it."""

from __future__ import annotations

import base64

import pytest

from agentnb.messages import JSON, Data, Image, Text
from agentnb.sandbox.base import Failed, Output, Printed, Shown, Valued, joined
from agentnb.sandbox.outputs import parse_bundle, parse_output

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("kind", "content", "output"),
    [
        ("stream", {"name": "stderr", "text": "a\x1b[2Jb"}, Printed("ab", "stderr")),
        ("stream", {"name": "other", "text": ["a\n", "b"]}, Printed("a\nb")),
        ("stream", {"text": 5}, None),
        ("stream", {}, None),
        ("error", {"ename": "E\n\x1b[1m", "evalue": "a\nb", "traceback": ["x", 1, "\x1b[0;31my"]},
         Failed("E", "a b", "x\ny")),
        ("error", {"ename": None, "traceback": "no list"}, Failed("", "")),
        ("display_data", {"data": "no object"}, None),
        ("display_data", {"data": {"text/html": "<script>"}}, None),
        ("died", {"why": "gone"}, Failed("KernelDied", "gone")),
        ("value", {"status": "ok", "data": {"text/plain": "'{\"a\": 1}'"}}, Valued({"a": 1})),
        ("value", {"status": "ok", "data": {"text/plain": "__import__('os').abort()"}}, None),
        ("value", {"status": "ok", "data": {"text/plain": "'" + "[" * 100_000 + "'"}}, None),
        ("value", {"status": "error"}, None),
        ("something", {}, None),
    ],
)  # fmt: skip
def test_each_kind_of_message(kind: str, content: dict[str, JSON], output: Output | None) -> None:
    assert parse_output(kind, content) == output


def test_a_bundle_is_read_without_what_could_run_in_a_page() -> None:
    bundle: dict[str, JSON] = {
        "text/html": "<script>", "image/svg+xml": "<svg onload=x>", "application/javascript": "evil()",
        "image/png": _encoded(PNG), "text/plain": "<Figure size 640x480 with 1 Axes>", "application/json": [1],
    }  # fmt: skip
    assert parse_bundle(bundle) == (Image(PNG, "image/png"), Data([1]))


@pytest.mark.parametrize("data", ["%%%", _encoded(b"no picture"), _encoded(b"GIF89a"), 7, None])
def test_what_only_says_that_it_is_a_picture_is_none(data: JSON) -> None:
    assert parse_bundle({"image/png": data, "text/plain": "x"}) == (Text("x"),)


def test_outputs_join_to_one_execution() -> None:
    failed = Failed("E", "m")
    run = joined([Printed("a"), Printed("b", "stderr"), Printed("c"), Shown((Image(PNG),)), Shown((Text("4"),), True),
                  Valued(4), failed])  # fmt: skip
    assert (run.stdout, run.stderr, run.result, run.images, run.value, run.error) == (
        "ac", "b", "4", (Image(PNG),), 4, failed,
    )  # fmt: skip
