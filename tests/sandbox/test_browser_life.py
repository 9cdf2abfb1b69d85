"""A browser's life: it starts when needed, stops when idle, comes back when it dies, and never outlives Python."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import psutil
import pytest

from agentnb.errors import MissingExtra, ToolError, UsageError
from agentnb.jobs import LoopThread
from agentnb.sandbox.browser import Browser
from agentnb.sandbox.browser_tabs import Tabs
from agentnb.workspace import Workspace
from tests.sandbox.browsing import Hands, browsing, ref_of
from tests.sandbox.site import Site, serve_site

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

PAGE = "data:text/html,<title>Here</title><p>I am here"


@pytest.fixture(scope="module")
def site() -> Generator[Site]:
    with serve_site() as running:
        yield running


@pytest.fixture(scope="module")
def browser(site: Site) -> Generator[Browser]:
    with browsing(allow=[site.url], patience=2) as running:
        yield running


def chromiums() -> list[psutil.Process]:
    """The browsers that this process has started and that still run."""
    children = psutil.Process().children(recursive=True)
    found = []
    for child in children:
        try:
            command = child.cmdline()
        except psutil.Error:
            continue
        if "--remote-debugging-pipe" in command and not any(word.startswith("--type=") for word in command):
            found.append(child)
    return found


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # nothing tells when a process has ended
            await anyio.sleep(0.02)


async def test_it_starts_at_first_use_and_stops_when_idle() -> None:
    with browsing(idle=0.3) as browser:
        assert not browser.running
        seen = await browser.open(PAGE)
        assert (seen.title, browser.running, len(chromiums())) == ("Here", True, 1)
        await until(lambda: not browser.running and not chromiums())
        assert (await browser.open(PAGE)).title == "Here"
        assert [recording.id for recording in browser.recordings.all()] == ["recording-1", "recording-2"]


async def test_one_that_died_is_replaced(browser: Browser) -> None:
    await browser.open(PAGE)
    for each in chromiums():
        each.kill()
    await until(lambda: not browser.running)
    assert (await browser.open(PAGE)).title == "Here"


async def test_a_call_whose_browser_dies_says_so_and_the_next_one_works(browser: Browser) -> None:
    do = Hands(browser)
    await do("navigate", url=PAGE)

    async def kill(tabs: Tabs) -> None:
        for each in chromiums():
            each.kill()
        await (await tabs.current()).wait_for_timeout(5_000)

    with pytest.raises(ToolError, match=r"^the browser ended during wait. The next call starts a fresh one"):
        await browser.run("wait", kill)
    assert "I am here" in await do("navigate", url=PAGE)


async def test_a_page_that_computes_for_ever_is_given_up_while_all_else_goes_on(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    await do("navigate", url=PAGE)
    with anyio.fail_after(8):
        frozen = asyncio.ensure_future(do("evaluate", expression="() => { while (true) {} }"))
        # The loop on which all runs go answers at once meanwhile.
        for _ in range(10):
            with anyio.fail_after(1):
                await browser._background.do(lambda: asyncio.sleep(0.01))
        with pytest.raises(ToolError, match="the page hung or crashed during browser_evaluate and was closed"):
            await frozen
    assert "Title: Order" in await do("navigate", url=site.url)


async def test_a_click_that_freezes_the_page_is_given_up(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    page = await do("navigate", url=f"{site.url}/loop")
    with anyio.fail_after(20), pytest.raises(ToolError, match="the page hung or crashed during browser_click"):
        await do("click", ref=ref_of(page, 'button "Freeze"'))
    assert "about:blank" in await do("tabs")


async def test_a_page_whose_renderer_crashes_is_given_up(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    await do("navigate", url=site.url)

    async def crash(tabs: Tabs) -> None:
        page = await tabs.current()
        session = await tabs.context.new_cdp_session(page)
        await session.send("Page.crash")

    with pytest.raises(ToolError, match="crashed"):
        await browser.see("crash", crash)
    assert "Title: Order" in await do("navigate", url=site.url)


async def test_a_server_that_never_answers_is_given_up(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    with anyio.fail_after(10), pytest.raises(ToolError, match="browser_navigate did not work"):
        await do("navigate", url=f"{site.url}/hang")
    assert "Title: Order" in await do("navigate", url=site.url)


async def test_an_address_where_nothing_answers_is_said_in_plain_words(browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ToolError, match=r"did not work: nothing answers there\. Check the address, and the network\."):
        await browser.open(f"https://127.0.0.1:{port}")


async def test_a_page_that_never_ends_loading_is_used_all_the_same(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    page = await do("navigate", url=f"{site.url}/stuck")
    assert 'button "1"' in await do("click", ref=ref_of(page, 'button "Use me"'))


async def test_a_call_that_is_cancelled_leaves_a_working_browser(browser: Browser, site: Site) -> None:
    do = Hands(browser)
    await do("navigate", url=site.url)
    with anyio.move_on_after(0.2) as scope:
        await do("wait_for", seconds=30)
    assert scope.cancelled_caught
    with anyio.fail_after(5):
        assert "Order" in await do("title")


async def test_other_programs_reach_it_where_that_was_asked_for() -> None:
    with browsing(debugging=True) as browser:
        url = await Hands(browser)("cdp_url")
        answer = await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(f"{url}/json/version", timeout=5).read())
        assert json.loads(answer)["webSocketDebuggerUrl"].startswith("ws://127.0.0.1:")


async def test_tabs_are_filmed_where_ffmpeg_is_and_else_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with browsing(video=True) as browser:
        with pytest.raises(
            ToolError, match=r"Films need playwright's own ffmpeg, .* playwright install ffmpeg"
        ) as said:
            await browser.open(PAGE)
        if sys.platform != "linux":
            return
        wanted = str(said.value.__cause__.__cause__)  # type: ignore[union-attr]  # playwright names the path
        program = Path(wanted.split("doesn't exist at ")[1].splitlines()[0])
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\nfor last; do :; done\nexec cat > "$last"\n')  # keeps the frames as they come
        program.chmod(0o755)
        await browser.open(PAGE)
        await browser.close()
        [recording] = browser.recordings.all()
        [film] = recording.films
        assert film.stat().st_size > 0


async def test_without_a_debugging_port_there_is_no_address(browser: Browser) -> None:
    with pytest.raises(UsageError, match="no debugging port"):
        await browser.cdp_url()


async def test_a_workspace_ends_its_browser() -> None:
    others = set(chromiums())
    workspace = Workspace(environ={**os.environ, "OPENAI_API_KEY": "sk-secret-of-the-kernel"})
    await workspace.browser.open(PAGE)
    [chromium] = set(chromiums()) - others
    assert "sk-secret-of-the-kernel" not in chromium.environ().values()
    workspace.close()
    await until(lambda: not chromium.is_running() or chromium.status() == psutil.STATUS_ZOMBIE)


SCRIPT = """
import asyncio, os, signal, sys, psutil
from agentnb.sandbox.browser import Browser
async def main():
    browser = Browser()
    await browser.open("data:text/html,hello")
    if sys.argv[1] == "kill":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)  # what the stop button does to a kernel
        await asyncio.sleep(0.3)
        print((await browser.open("data:text/html,<title>still here</title>")).title, file=sys.stderr)
    print(*[child.pid for child in psutil.Process().children(recursive=True)], flush=True)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def ended(how: str, folder: Path) -> tuple[int | None, str, list[int]]:
    """How a Python with a browser ended, what it said, and the processes that it had."""
    environ = {**os.environ, "TMPDIR": str(folder)}  # one that is killed tidies nothing up
    ran = await anyio.run_process([sys.executable, "-c", SCRIPT, how], check=False, start_new_session=True, env=environ)
    return ran.returncode, ran.stderr.decode(), [int(pid) for pid in ran.stdout.split()]


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_a_stop_button_leaves_it_and_nothing_is_left_when_python_ends() -> None:
    # Not pytest's folder: Chromium's sockets lie in there, and their paths must be short.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, anyio.fail_after(60):
        exited, killed = await asyncio.gather(ended("exit", Path(folder)), ended("kill", Path(folder)))
    assert exited[0] == 0, exited[1]
    assert (killed[0], killed[1].strip()) == (-signal.SIGKILL, "still here")
    assert min(len(exited[2]), len(killed[2])) > 2
    await until(lambda: not any(map(_runs, (*exited[2], *killed[2]))))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_what_does_not_start_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries: libnss3.so' >&2; exit 127\n")
    broken.chmod(0o755)
    background = LoopThread()
    for program, says in ((str(broken), "did not start: .*libnss3"), ("/nowhere", "there is no such program")):
        browser = Browser(background, environ={**os.environ, "AGENTNB_BROWSER": program})
        with pytest.raises(ToolError, match=says) as caught:
            await browser.open(PAGE)
        assert "\n" not in str(caught.value)
        assert not browser.running
    background.close()


async def test_without_playwright_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright.async_api", None)
    background = LoopThread()
    with pytest.raises((MissingExtra, ToolError), match=r"agentnb\[sandbox\]"):
        await Browser(background).open(PAGE)
    background.close()
