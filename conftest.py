"""What holds for tests and tutorials alike: their markers, one worker for what shares a server, no silent skips in CI.

`AGENTNB_REQUIRE=browser,kernel` turns a skip of such a test into a failure, so that a machine without a browser
cannot pass for one with it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
#: Directories whose tests need the thing that the marker names.
MARKED = {"tests/browser": "browser", "tests/kernel": "kernel", "notebooks": "kernel"}


def _marker(path: Path) -> str | None:
    return next((mark for folder, mark in MARKED.items() if path.is_relative_to(ROOT / folder)), None)


def _required() -> set[str]:
    return set(filter(None, os.environ.get("AGENTNB_REQUIRE", "").split(",")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = _marker(item.path)
        if mark:
            item.add_marker(mark)
        if mark == "browser":
            # One worker owns the JupyterLab server.
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif item.path.suffix == ".ipynb":
            # The cells of a tutorial share a kernel, in order.
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, what: str) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{what} tests may not be skipped here (AGENTNB_REQUIRE). {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    missing = next((mark for mark in sorted(_required()) if item.get_closest_marker(mark)), None)
    if missing and report.skipped and not hasattr(report, "wasxfail"):
        _refuse_skip(report, missing)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    mark = _marker(collector.path)
    if mark in _required() and report.skipped:
        _refuse_skip(report, str(mark))
    return report
