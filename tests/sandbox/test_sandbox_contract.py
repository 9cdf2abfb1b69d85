"""What every code interpreter does, whatever it runs in: bubblewrap, a plain subprocess, a Jupyter server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from agentnb.errors import SandboxError
from agentnb.sandbox import bwrap
from agentnb.sandbox.base import Failed, Limits, Printed, Sandbox, Shown, gather
from agentnb.sandbox.bwrap import Bubblewrap
from agentnb.sandbox.launch import Local
from agentnb.sandbox.process import ProcessSandbox
from agentnb.sandbox.remote import Remote
from tests.sandbox.conftest import Box, boxed, jupyter_server

LIMITS = Limits(output=200_000)


@pytest.fixture(scope="module", params=["bwrap", "local", "remote"])
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    match request.param:
        case "bwrap":
            if why := bwrap.unavailable():
                pytest.skip(why)
            yield from boxed(ProcessSandbox(Bubblewrap(), LIMITS))
        case "local":
            yield from boxed(ProcessSandbox(Local(), LIMITS))
        case "remote":
            with jupyter_server(tmp_path_factory.mktemp("server")) as (url, token):
                yield from boxed(Remote(url, token=token, limits=LIMITS))


def test_code_gives_what_it_prints_and_the_value_of_its_last_line(box: Box) -> None:
    run = box.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (run.stdout, run.stderr, run.result, run.error) == ("out\n", "err\n", "42", None)


def test_the_value_comes_as_json_where_it_is_asked_for(box: Box) -> None:
    assert box.run("{'a': [1, None, 'é']}", value=True).value == {"a": [1, None, "é"]}
    assert box.run("object()", value=True).value is None
    assert box.run("x = 1", value=True).value is None


def test_variables_stay_in_their_context(box: Box) -> None:
    box.run("kept = 'here'")
    assert box.run("kept").result == "'here'"
    other = box.run("kept", context="other")
    assert other.error is not None
    assert other.error.name == "NameError"


def test_code_without_a_context_leaves_none_behind(box: Box) -> None:
    before = box.wait(lambda sandbox: sandbox.contexts())
    assert box.run("alone = 1; alone", context=None).result == "1"
    assert [each.name for each in box.wait(lambda sandbox: sandbox.contexts())] == [each.name for each in before]


def test_an_exception_is_a_failure_with_its_traceback(box: Box) -> None:
    error = box.run("print('before')\n1 / 0").error
    assert error is not None
    assert (error.name, error.message) == ("ZeroDivisionError", "division by zero")
    assert "1 / 0" in error.traceback
    assert "\x1b" not in error.traceback


def test_output_comes_while_the_code_runs(box: Box) -> None:
    async def first(sandbox: Sandbox) -> float:
        begun = time.monotonic()
        code = "import time\nprint('now', flush=True)\ntime.sleep(0.7)\nprint('later')"
        async for output in sandbox.execute(code, context="main"):
            assert isinstance(output, Printed)
            seen.append((output.text, time.monotonic() - begun))
        return time.monotonic() - begun

    seen: list[tuple[str, float]] = []
    took = box.wait(first)
    assert seen[0][0] == "now\n"
    assert took - seen[0][1] > 0.4


def test_a_plot_comes_back_as_a_picture(box: Box) -> None:
    run = box.run("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()")
    assert run.error is None
    assert [picture.media_type for picture in run.images] == ["image/png"]
    assert run.images[0].data.startswith(b"\x89PNG")


def test_html_and_scripts_are_not_handed_on(box: Box) -> None:
    run = box.run("from IPython.display import HTML, display\ndisplay(HTML('<script>evil()</script>'))")
    assert [output for output in run.outputs if isinstance(output, Shown)]
    assert "evil" not in str(run.outputs)


def test_control_sequences_are_stripped(box: Box) -> None:
    assert box.run("print('\\x1b]0;title\\x07\\x1b[31mred')").stdout == "red\n"


def test_shell_commands_run_in_the_folder_of_the_context(box: Box) -> None:
    box.run("import os; os.makedirs('below', exist_ok=True); os.chdir('below')", context="moved")
    assert box.shell("basename $PWD", context="moved").stdout == "below\n"
    failed = box.shell("echo partly; exit 3")
    assert failed.stdout == "partly\n"
    assert failed.error == Failed("Exit code 3", "")


def test_code_that_takes_too_long_is_stopped_and_the_context_goes_on(box: Box) -> None:
    box.run("before = 1")
    begun = time.monotonic()
    error = box.run("while True: pass", timeout=0.5).error
    assert error == Failed("Timeout", "stopped after 0.5 s")
    assert time.monotonic() - begun < 3
    assert box.run("before").result == "1"


def test_a_shell_command_that_takes_too_long_is_stopped(box: Box) -> None:
    assert box.shell("sleep 30", timeout=0.5).error == Failed("Timeout", "stopped after 0.5 s")


def test_too_much_output_stops_the_code(box: Box) -> None:
    run = box.run("while True: print('x' * 10_000)")
    assert run.error is not None
    assert run.error.name == "OutputLimit"
    assert len(run.stdout) <= LIMITS.output


def test_an_interrupt_stops_the_code_and_keeps_the_context(box: Box) -> None:
    async def interrupted(sandbox: Sandbox) -> Failed | None:
        box_run = asyncio.ensure_future(
            gather(sandbox.execute("kept = 5\nprint('on')\nwhile True: pass", context="main"))
        )
        await asyncio.sleep(0.5)
        await sandbox.interrupt("main")
        return (await box_run).error

    begun = time.monotonic()
    assert box.wait(interrupted) == Failed("Interrupted", "stopped by the person")
    assert time.monotonic() - begun < 2.5
    assert box.run("kept").result == "5"


def test_who_stops_listening_stops_the_code(box: Box) -> None:
    async def given_up(sandbox: Sandbox) -> None:
        run = asyncio.ensure_future(gather(sandbox.execute("kept = 6\nwhile True: pass", context="main")))
        await asyncio.sleep(0.5)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    box.wait(given_up)
    begun = time.monotonic()
    assert box.run("kept").result == "6"
    assert time.monotonic() - begun < 2


def test_a_kernel_that_dies_is_a_failure_and_the_next_call_has_a_new_one(box: Box) -> None:
    box.run("lost = 1")
    error = box.run("import os; os._exit(1)", timeout=10).error
    assert error is not None
    assert error.name in ("KernelDied", "Timeout")
    after = box.run("'lost' in globals()")
    if after.error is not None and "run it again" in after.error.message:  # a server may still be restarting it
        after = box.run("'lost' in globals()")
    assert after.result == "False"


def test_contexts_are_made_listed_and_ended(box: Box) -> None:
    made = box.wait(lambda sandbox: sandbox.create_context("mine", "folder"))
    assert made.name == "mine"
    assert box.shell("basename $PWD", context="mine").stdout == "folder\n"
    assert "mine" in [each.name for each in box.wait(lambda sandbox: sandbox.contexts())]
    with pytest.raises(SandboxError, match="a context 'mine' already"):
        box.wait(lambda sandbox: sandbox.create_context("mine"))
    box.wait(lambda sandbox: sandbox.delete_context("mine"))
    assert "mine" not in [each.name for each in box.wait(lambda sandbox: sandbox.contexts())]
    with pytest.raises(SandboxError, match="no context 'mine'"):
        box.wait(lambda sandbox: sandbox.delete_context("mine"))
    with pytest.raises(SandboxError, match="A context is named with letters"):
        box.run("1", context="../up")


def test_files_are_written_read_listed_moved_and_removed(box: Box) -> None:
    data = bytes(range(256)) * 5000

    async def work(sandbox: Sandbox) -> None:
        files = sandbox.files
        await files.write("deep/er/data.bin", data)
        assert await files.read("deep/er/data.bin") == data
        assert [(each.path, each.kind, each.size) for each in await files.list("deep/er")] == [
            ("deep/er/data.bin", "file", len(data))
        ]
        stat = await files.stat("deep")
        assert stat.kind == "directory"
        assert stat.modified > 1e9
        await files.mkdir("new/folder")
        await files.move("deep/er/data.bin", "new/folder/moved.bin")
        assert (await files.stat("new/folder/moved.bin")).size == len(data)
        await files.write("other.txt", b"")
        with pytest.raises(SandboxError):
            await files.move("other.txt", "new/folder/moved.bin")
        await files.remove("new")
        await files.remove("other.txt")
        for gone in ("new", "deep/er/data.bin"):
            with pytest.raises(SandboxError):
                await files.read(gone)
        await files.write("big.txt", b"0123456789a")
        with pytest.raises(SandboxError, match="more than the 10 that are read"):
            await files.read("big.txt", 10)

    box.wait(work)


def test_code_and_files_are_of_one_place(box: Box) -> None:
    box.run("open('made.txt', 'w').write('by code')", context="fresh")
    assert box.wait(lambda sandbox: sandbox.files.read("made.txt")) == b"by code"


def test_processes_are_started_followed_and_killed(box: Box) -> None:
    async def work(sandbox: Sandbox) -> None:
        begun = await sandbox.processes.start("echo started; sleep 60")
        assert begun.running
        assert begun.pid in [each.pid for each in await sandbox.processes.list()]
        async with asyncio.timeout(10):
            while not (found := await sandbox.processes.get(begun.pid)).output:  # noqa: ASYNC110  # another process writes
                await asyncio.sleep(0.05)
        assert found.output == "started\n"
        killed = await sandbox.processes.kill(begun.pid)
        assert (killed.running, killed.code) == (False, -9)
        with pytest.raises(SandboxError, match="no process 999999"):
            await sandbox.processes.get(999999)

    box.wait(work)


def test_after_a_stop_files_are_there_and_variables_are_not(box: Box) -> None:
    async def work(sandbox: Sandbox) -> str:
        await gather(sandbox.execute("gone = 1; open('stays.txt', 'w').write('still')", context="main"))
        await sandbox.stop()
        assert not (await sandbox.health()).contexts
        run = await gather(sandbox.execute("'gone' in globals(), open('stays.txt').read()", context="main"))
        assert "variables of before are gone" in run.stderr
        return str(run.result)

    assert box.wait(work) == "(False, 'still')"


def test_runs_in_two_contexts_go_on_side_by_side(box: Box) -> None:
    async def work(sandbox: Sandbox) -> float:
        for name in ("one", "two"):
            await gather(sandbox.execute("import time", context=name))
        begun = time.monotonic()
        await asyncio.gather(*(gather(sandbox.execute("time.sleep(0.6)", context=name)) for name in ("one", "two")))
        return time.monotonic() - begun

    assert box.wait(work) < 1.15


def test_what_is_closed_stays_closed(box: Box) -> None:
    # The last test of each kind.
    box.wait(lambda sandbox: sandbox.close())
    with pytest.raises(SandboxError, match="closed"):
        box.run("1")
