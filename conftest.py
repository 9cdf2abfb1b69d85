"""What holds for tests and tutorials alike: their markers, one worker for what shares a server, no silent skips in CI.

`AGENTNB_REQUIRE=browser,kernel` turns a skip of such a test into a failure, so that a machine without a browser
cannot pass for one with it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent
#: Directories and files whose tests need the thing that the marker names.
MARKED = {
    "tests/browser": "browser",
    "tests/kernel": "kernel",
    "notebooks": "kernel",
    "tests/notebook/test_sandbox_magics.py": "sandbox",
    "tests/sandbox/test_escapes.py": "sandbox",
    "tests/sandbox/test_sandbox_contract.py": "sandbox",
}


def _marker(path: Path) -> str | None:
    return next((mark for folder, mark in MARKED.items() if path.is_relative_to(ROOT / folder)), None)


def _required() -> set[str]:
    return set(filter(None, os.environ.get("AGENTNB_REQUIRE", "").split(",")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if mark := _marker(item.path):
            item.add_marker(mark)


class _TogetherScheduling(LoadScopeScheduling):
    """A worker takes whole files: a file's fixtures are made once, and the cells of a tutorial stay in order.

    All browser tests go to one worker, which owns the JupyterLab server. Asked by name rather than by the mark
    `xdist_group`, which pytest-xdist 3.8 writes where pytest 9 no longer looks.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _TogetherScheduling:
    # In the order of collection: the browser tests come first, and take longest.
    config.option.loadscopereorder = False
    return _TogetherScheduling(config, log)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many recorded cases of each family passed; none is left out in silence."""
    counts: dict[str, dict[str, int]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            file = report.nodeid.partition("::")[0]
            if file.startswith("tests/conformance/") and getattr(report, "when", "call") in ("call", "setup"):
                family = counts.setdefault(Path(file).stem.removeprefix("test_"), {})
                family[outcome] = family.get(outcome, 0) + 1
    if counts:
        terminalreporter.section("recorded cases", sep="-")
        for family, found in sorted(counts.items()):
            said = ", ".join(f"{count} {outcome}" for outcome, count in found.items())
            terminalreporter.write_line(f"{family:<14} {said}")
    for title, rows in sorted(_tables(terminalreporter).items()):
        terminalreporter.section(title, sep="-")
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            terminalreporter.write_line("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip())


def _tables(terminalreporter: pytest.TerminalReporter) -> dict[str, list[list[str]]]:
    """What tests recorded for a table, row by row: `record_property("table:TITLE", [cell, …])`."""
    tables: dict[str, list[list[str]]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, row in getattr(report, "user_properties", ()):
                if name.startswith("table:"):
                    tables.setdefault(name.removeprefix("table:"), []).append(row)
    return tables
