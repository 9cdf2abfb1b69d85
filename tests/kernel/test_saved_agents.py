"""Agents and variables outlive their kernel."""

from __future__ import annotations

from pathlib import Path

from agentnb.render.record import RUN_MIME
from tests.kernel.conftest import Kernel

PREPARE = """
from agentnb import FakeModel, tool
from agentnb.models.fake import call
ws = %agentnb
made = FakeModel(call("top", n=2), "Two of them.")
ws.models.register("counter", made)
"""
TOOL = """
@tool
def top(n: int) -> list:
    "The first n numbers."
    return list(range(n))
"""


def test_a_saved_agent_answers_in_a_new_kernel(tmp_path: Path) -> None:
    env = {
        "AGENTNB_HOME": str(tmp_path),
        "AGENTNB_KEYRING": "off",
        "AGENTNB_CONTEXT": "none",
        "AGENTNB_DISPLAY": "static",
    }
    first = Kernel(env)
    try:
        first.ok("%load_ext agentnb")
        first.ok(PREPARE)
        first.ok(TOOL)
        first.ok("%agentenv set NB_REGION=eu")
        secret = first.start("%agentenv set NB_PASSWORD --secret", stdin=True)
        assert first.answer("hunter2-hunter2") == "NB_PASSWORD: "
        asked = first.finish(secret)
        assert "hunter2" not in str(asked.messages)
        first.ok("%tool save top")
        first.ok("%agent save bob -m counter -t top -s 'Count.'")
    finally:
        first.stop()
    second = Kernel(env)
    try:
        second.ok("%load_ext agentnb")
        assert second.value("__import__('os').environ['NB_REGION']") == "eu"
        assert second.value("len(__import__('os').environ['NB_PASSWORD'])") == "15"
        second.ok(PREPARE)
        assert "bob" in str(second.ok("%agent list").outputs)
        cell = second.ok("%%agent answer << --as bob\nHow many?")
        assert cell.mime("text/markdown")[-1] == "Two of them."
        assert second.value("made.requests[0].messages[0].text") == "Count."
        [record] = [out[RUN_MIME] for out in cell.outputs if RUN_MIME in out]
        assert isinstance(record, dict)
        assert record["agent"] == "bob"
        assert second.value("answer.text") == "Two of them."
    finally:
        second.stop()
