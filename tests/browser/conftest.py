"""One JupyterLab server for all browser tests, one Chromium per file, one page per test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.lab import PATIENCE, Lab, Server, serve

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str:
    path = os.environ.get("AGENTNB_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium (or set AGENTNB_CHROMIUM)")
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    _chromium()
    with serve(tmp_path_factory.mktemp("jupyterlab")) as running:
        yield running


# Playwright's synchronous API keeps an event loop running in this thread for as long as it is open. One per file
# rather than per session leaves the thread to the asynchronous tests that a worker may run afterwards.
@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    path = _chromium()
    expect.set_options(timeout=PATIENCE * 1e3)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=ARGUMENTS) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Generator[Page]:
    with browser.new_context(viewport={"width": 1360, "height": 850}, device_scale_factor=2) as context:
        context.set_default_timeout(PATIENCE * 1e3)
        yield context.new_page()


@pytest.fixture
def lab(server: Server, page: Page) -> Generator[Lab]:
    yield Lab(server, page)
    server.shut_kernels_down()  # twenty idle kernels would slow down every test after them


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of what a failed test saw last."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and isinstance(lab, Lab):
        lab.screenshot(f"failed-{item.name}")
    return report
