"""Conversations that several kernels share: gone on with elsewhere, several at once, exported and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.conftest import Kernel

_LOAD = "%load_ext agentnb\nfrom agentnb import FakeModel\nws = %agentnb"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Kernel]]:
    """Two kernels of one person, each of a notebook of its own."""
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        both = []
        for name in ("one", "two"):
            env = {"AGENTNB_HOME": str(home), "JPY_SESSION_NAME": f"/work/{name}.ipynb", "AGENTNB_CONTEXT": "none"}
            both.append(Kernel(env | {"AGENTNB_DISPLAY": "static", "AGENTNB_KEYRING": "off"}))
            stack.callback(both[-1].stop)
            both[-1].ok(_LOAD)
        yield both[0], both[1]


def fresh(kernel: Kernel, model: str) -> None:
    """A new conversation, and who answers in it."""
    kernel.ok(f"ws.use_model({model})\n%session new")


def test_a_conversation_goes_on_in_another_kernel(pair: tuple[Kernel, Kernel]) -> None:
    one, two = pair
    fresh(one, "FakeModel('Oslo.', 'Yes.')")
    fresh(two, "FakeModel('Bergen.')")
    one.ok("%%agent\nWhich city?", "a")
    session = one.value("ws.session.id")
    assert "%session list" in (two.run("%%agent --session nosuch\nAnd next?").error or "")
    two.ok(f"%%agent --session {session[:-1]}\nAnd next?", "b")
    assert two.value("[m.text for m in ws.model.requests[0].messages]") == "['Which city?', 'Oslo.', 'And next?']"
    one.ok("%%agent\nSure?", "c")
    asked = one.value("[m.text for m in ws.model.requests[1].messages]")
    assert asked == "['Which city?', 'Oslo.', 'And next?', 'Bergen.', 'Sure?']"
    assert "3 turns" in two.ok("%session").stdout


def test_several_stream_at_once_each_with_its_own_status(pair: tuple[Kernel, Kernel]) -> None:
    one, two = pair
    fresh(one, "FakeModel('and so on. ' * 2000, pace=0.02)")
    fresh(two, "FakeModel('Done.')")
    two.ok("%%agent\nquick", "q")
    slow = one.value("ws.session.id")
    running = one.start("%%agent\nslow", "s")
    for _ in range(200):
        listed = two.value("{i.id: i.status for i in ws.store.sessions.list()}")
        if f"'{slow}': 'streaming'" in listed:
            break
    table = two.ok("%session list").mime("text/plain")[0]
    [row] = [line for line in table.split("\n") if slow in line]
    assert "● answering" in row
    assert "one.ipynb" in row
    assert "○ idle" in next(line for line in table.split("\n") if "▸" in line)
    assert "answering just now" in (two.run(f"%session rm {slow}").error or "")
    one.interrupt()
    assert one.finish(running).status == "error"
    assert "'streaming'" not in two.value("{i.id: i.status for i in ws.store.sessions.list()}")


def test_an_exported_notebook_runs_again(pair: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    one, two = pair
    fresh(one, "FakeModel('It is **3**.', 'Sure.')")
    one.ok("word = 'city'")
    one.ok("%%agent\nWhich {{word}}?", "a")
    one.ok('%%agent\nSure?\n"""quotes""" and {{word}}', "b")
    file = tmp_path / "again.ipynb"
    assert "2 turns" in one.ok(f"%session export '{file}'").stdout
    cells = json.loads(file.read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code", "code"]
    fresh(two, "FakeModel('again', 'and again')")
    two.ok("word = 'city'")
    for cell in cells[1:]:
        two.ok("".join(cell["source"]), cell["id"])
    assert two.value("[t.messages[-1].text for t in ws.session.turns]") == "['again', 'and again']"
    assert two.value("ws.session.turns[1].messages[0].text") == 'Sure?\n"""quotes""" and city'
