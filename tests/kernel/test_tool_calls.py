"""Tools called by hand in a real kernel: awaited, asked about, from Python, and by a form."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty

import pytest

from tests.kernel.conftest import PATIENCE, Cell, Kernel

SETUP = """
%load_ext agentnb
from agentnb import tool
ws = %agentnb
@tool
def save(path: str, words: str = "") -> str:
    '''Save words to a file.'''
    import threading
    return f"saved {path} {words!r} in {threading.current_thread().name}"
@tool
async def later(n: int) -> str:
    '''Give it later.'''
    import asyncio
    await asyncio.sleep(0)
    return f"{n} on {'the kernel loop' if asyncio.get_running_loop() is loop else 'another loop'}"
import asyncio
loop = asyncio.get_running_loop()
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def _calling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    kernel = Kernel({"AGENTNB_DISPLAY": "live", "AGENTNB_HOME": home, "AGENTNB_KEYRING": "off"})
    yield kernel
    kernel.stop()


@pytest.fixture
def calling(_calling: Kernel) -> Kernel:
    """A kernel with two tools."""
    _calling.ok("%reset -f")
    _calling.ok("%load_ext agentnb\n%unload_ext agentnb")
    _calling.ok(SETUP)
    return _calling


def click(kernel: Kernel, model: str, **content: object) -> None:
    """What a front end sends that draws the widget."""
    data = {"method": "custom", "content": content}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", {"comm_id": model, "data": data}))


def approving(kernel: Kernel, choice: str) -> Callable[[Cell], None]:
    """Somebody who answers the first question by its widget."""
    drawn: list[str] = []

    def watch(cell: Cell) -> None:
        message = cell.messages[-1]
        if not drawn and message["msg_type"] == "display_data" and WIDGET in message["content"]["data"]:
            drawn.append(message["content"]["data"][WIDGET]["model_id"])
            click(kernel, drawn[0], type="ready")
            click(kernel, drawn[0], type="reply", choice=choice)

    return watch


def updates(kernel: Kernel, wanted: str) -> dict[str, str]:
    """The texts of displays by their ids, from now until one has the wanted words."""
    shown: dict[str, str] = {}
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            message = kernel.client.get_iopub_msg(timeout=1)
        except Empty:
            continue
        if message["msg_type"] == "update_display_data":
            text = str(message["content"]["data"].get("text/plain", ""))
            shown[message["content"]["transient"]["display_id"]] = text
            if wanted in text:
                return shown
    raise AssertionError(f"{wanted!r} was not shown; but {shown}")


def test_functions_run_where_notebook_code_runs(calling: Kernel) -> None:
    calling.ok("%tool call save path=a -o got")
    assert calling.value("got") == "saved a '' in MainThread"
    for line in ("%tool call later n=1 -o got", "%%time\n%tool call later n=1 -o got", "got = tools.later(1)"):
        calling.ok(line)
        assert calling.value("got") == "1 on the kernel loop"


def test_a_call_leaves_the_kernels_loop_free_so_that_a_click_can_approve_it(calling: Kernel) -> None:
    calling.ok("%tool approve save ask")
    started = calling.start("%tool call save path=a", "a", stdin=True)
    cell = calling.finish(started, approving(calling, "approve"))
    assert cell.status == "ok", cell.error
    assert cell.mime("text/plain")[-1] == repr("saved a '' in MainThread")
    assert cell.mime(WIDGET) == []


def test_a_call_that_a_person_denies_fails_the_cell_with_one_line(calling: Kernel) -> None:
    calling.ok("%tool approve save ask")
    started = calling.start("%tool call save path=a", "a", stdin=True)
    cell = calling.finish(started, approving(calling, "deny"))
    assert cell.error == "the person did not allow this call of save."


def test_python_is_asked_by_input(calling: Kernel) -> None:
    calling.ok("%tool approve save ask")
    started = calling.start("got = tools.save(path='b')", "a", stdin=True)
    assert calling.answer("a").startswith("[a]pprove")
    assert calling.finish(started).status == "ok"
    assert calling.value("got[:7]") == "saved b"


def test_an_interrupt_ends_a_call(calling: Kernel) -> None:
    calling.ok("@tool(thread=True)\ndef forever() -> str:\n    'Wait.'\n    import time\n    time.sleep(60)")
    for line in ("%tool call forever", "tools.forever()"):
        started = calling.start(line)

        def watch(cell: Cell) -> None:
            if cell.messages[-1]["msg_type"] == "display_data" and cell.seconds == 0.0:
                cell.seconds = -1.0
                calling.interrupt()

        cell = calling.finish(started, watch)
        assert (cell.ename, cell.status) == ("RunInterrupted", "error")
        assert cell.seconds < 10


def test_the_tools_variable_is_no_variable_of_the_persons(calling: Kernel) -> None:
    assert "tools" not in calling.ok("%who").stdout.split()
    assert "save" in calling.ok("%who").stdout.split()


def form(kernel: Kernel, line: str = "%tool form save -o got") -> str:
    """Show a form; its widget's id."""
    cell = kernel.ok(line, "form")
    [shown] = [out for out in cell.outputs if WIDGET in out]
    assert "%tool call save path=…" in str(shown["text/plain"])
    return str(shown[WIDGET]["model_id"])  # type: ignore[index]  # a model, as JSON


def test_a_form_calls_the_tool_at_each_run_and_shows_the_card_below(calling: Kernel) -> None:
    model = form(calling)
    for path in ("a.md", "b.md"):
        click(calling, model, type="reply", choice="run", changed={"path": path, "words": "hello"})
        shown = updates(calling, "called directly")
        assert any(f"✓ save(path='{path}', words='hello') → saved {path}" in text for text in shown.values())
        assert calling.value("got") == f"saved {path} 'hello' in MainThread"
    assert calling.value("len(ws.session.turns)") == "1"
    assert calling.value("ws.session.turns[0].messages[1].calls[0].name") == "save"


def test_a_form_says_what_is_wrong_and_can_be_sent_again(calling: Kernel) -> None:
    model = form(calling)
    click(calling, model, type="reply", choice="run", changed={"words": "hello"})
    assert any("Argument 'path' is missing" in text for text in updates(calling, "called directly").values())
    click(calling, model, type="reply", choice="run", changed={"path": "a"})
    updates(calling, "saved a")


def test_a_forms_call_is_approved_above_its_card(calling: Kernel) -> None:
    calling.ok("%tool approve save ask")
    model = form(calling)
    click(calling, model, type="reply", choice="run", changed={"path": "a"})
    until = time.monotonic() + PATIENCE
    asked = None
    while asked is None and time.monotonic() < until:
        message = calling.client.get_iopub_msg(timeout=PATIENCE)
        if message["msg_type"] == "update_display_data":
            asked = message["content"]["data"].get(WIDGET)
    assert asked is not None
    click(calling, asked["model_id"], type="ready")
    click(calling, asked["model_id"], type="reply", choice="approve")
    shown = updates(calling, "called directly")
    assert any("saved a" in text for text in shown.values())
    assert any("you: Approve" in text for text in shown.values())


def test_an_agent_uses_a_tool_of_a_file_under_the_name_that_a_person_chose(calling: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def weigh(n: int) -> str:\n    'Weigh.'\n    return f'{n} kg'\n")
    calling.ok(f"%tool load {file}::weigh")
    calling.ok("%tool rename weigh mass")
    calling.ok("from agentnb import FakeModel\nfrom agentnb.models.fake import call")
    calling.ok("ws.use_model(FakeModel(call('mass', n=3), 'It weighs 3 kg.'))")
    cell = calling.ok("%%agent -t mass\nHow heavy is it?")
    assert "✓ mass(n=3) → 3 kg" in cell.mime("text/plain")[0]
