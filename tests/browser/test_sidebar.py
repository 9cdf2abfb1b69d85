"""The sidebar in a real JupyterLab, against a small kernel side that speaks the same protocol."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import Lab

ROOT = Path(__file__).parents[2]
LOAD = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.browser.kernel_side import *\nk = Kernel()"
#: A cell that blocks its kernel for a minute, unless somebody interrupts it.
BLOCKED = """import time
k.start()
try:
    time.sleep(60)
    print("never stopped")
except KeyboardInterrupt:
    print("interrupted")
finally:
    k.end("stopped · 2 rounds", None)"""
#: A cell that awaits, as %%agent does, so that its kernel can handle messages meanwhile.
AWAITING = """import asyncio
k.start("thinking", 1)
while not k.stopped.is_set():
    await asyncio.sleep(0.01)
k.end("stopped · 1 round", None)
print("stopped by message")"""


@pytest.fixture
def sidebar(lab: Lab, request: pytest.FixtureRequest) -> Locator:
    name = request.node.name.split("[")[0]
    lab.open(f"{name}.ipynb", LOAD, BLOCKED, AWAITING, "k.asked", "k.start()", "k.end()")
    sidebar = lab.show_sidebar()
    lab.run(0)
    expect(sidebar).to_contain_text("qwen2.5-coder-0.5b")
    return sidebar


def test_the_sidebar_is_installed_and_enabled(lab: Lab) -> None:
    url = f"{lab.server.url}lab/api/extensions?token={lab.server.token}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        listed = {extension["name"]: extension for extension in json.load(answer)}
    assert listed["agentnb"]["enabled"]
    assert listed["agentnb"]["status"] == "ok"


def test_without_agentnb_it_offers_to_load_it_by_a_cell_of_the_notebook(lab: Lab) -> None:
    lab.open("empty.ipynb", "1 + 1")
    sidebar = lab.show_sidebar()
    expect(sidebar).to_contain_text("Run %load_ext agentnb in this notebook")
    lab.screenshot("sidebar-empty", sidebar)
    sidebar.get_by_role("button", name="Load agentnb").click()
    expect(lab.cell(0).locator(".cm-content")).to_have_text("%load_ext agentnb")
    expect(sidebar).to_contain_text("Nothing has run yet")
    expect(sidebar).to_contain_text("No tools yet")


def test_notebook_7_has_it_too(lab: Lab) -> None:
    lab.write("seven.ipynb", ["%load_ext agentnb"])
    lab.page.goto(f"{lab.server.url}notebooks/seven.ipynb?token={lab.server.token}")
    lab.ready()
    sidebar = lab.show_sidebar()
    lab.run(0)
    expect(sidebar).to_contain_text("Nothing has run yet")
    lab.screenshot("sidebar-notebook-7")


def test_a_page_without_notebooks_is_left_alone(lab: Lab) -> None:
    broken: list[str] = []
    lab.page.on("console", lambda message: broken.append(message.text) if "agentnb" in message.text else None)
    lab.write("listed.ipynb", ["1 + 1"])
    lab.page.goto(f"{lab.server.url}tree?token={lab.server.token}")
    expect(lab.page.get_by_role("listitem", name="listed.ipynb")).to_be_visible()
    assert lab.page.locator("#agentnb-sidebar:visible").count() == 0
    assert broken == []


def test_it_shows_the_model_the_tools_and_the_run_live(lab: Lab, sidebar: Locator) -> None:
    expect(sidebar).to_contain_text("2 of 3 on")
    expect(sidebar).to_contain_text("Nothing has run yet")
    lab.run(4)
    run = sidebar.get_by_role("article")
    expect(run).to_contain_text("Which species is the heaviest")
    expect(run).to_contain_text("runs mean_mass")
    expect(run).to_contain_text("Round 2")
    lab.run(5)
    expect(run).to_have_count(0)
    expect(sidebar).to_contain_text("done · 2 rounds · 312 tokens")


def test_a_switch_reaches_the_kernel(lab: Lab, sidebar: Locator) -> None:
    switch = sidebar.get_by_role("switch", name="plot_species")
    expect(switch).to_be_checked()
    switch.focus()
    lab.page.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    expect(sidebar).to_contain_text("1 of 3 on")
    lab.run(3)
    expect(lab.output(3)).to_contain_text("SetTool(name='plot_species', enabled=False")


def test_stop_interrupts_a_cell_that_blocks_its_kernel(lab: Lab, sidebar: Locator) -> None:
    lab.run(1, wait=False)
    sidebar.get_by_role("button", name="Stop").click()
    expect(lab.output(1)).to_contain_text("interrupted", timeout=5_000)
    expect(sidebar).to_contain_text("stopped · 2 rounds")


def test_stop_does_not_interrupt_a_cell_that_stops_by_itself(lab: Lab, sidebar: Locator) -> None:
    lab.run(2, wait=False)
    sidebar.get_by_role("button", name="Stop").click()
    expect(lab.output(2)).to_contain_text("stopped by message", timeout=5_000)
    assert "KeyboardInterrupt" not in lab.output(2).inner_text()


def test_nothing_is_stopped_where_nothing_runs(lab: Lab, sidebar: Locator) -> None:
    expect(sidebar.get_by_role("button", name="Stop")).to_have_count(0)
    requests: list[str] = []
    lab.page.on("request", lambda request: requests.append(request.url))
    assert not lab.page.evaluate("() => jupyterapp.commands.isEnabled('agentnb:stop')")
    lab.execute("agentnb:stop")
    lab.run(3)
    assert "StopRun" not in lab.output(3).inner_text()
    assert not [url for url in requests if "interrupt" in url]


def test_hostile_text_stays_text(lab: Lab, sidebar: Locator) -> None:
    lab.execute("notebook:insert-cell-below")
    lab.page.evaluate(
        """source => jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(source)""",
        "k.show(model=HOSTILE, tools=(PanelTool(HOSTILE, HOSTILE, True),), last=HOSTILE, error=HOSTILE)",
    )
    lab.execute("notebook:run-cell")
    expect(sidebar.get_by_role("switch")).to_have_count(1)
    assert sidebar.locator("img, b").count() == 0
    assert sidebar.inner_text().count("onerror") == 5
    assert lab.page.title() != "broken into"


def test_it_follows_the_active_notebook(lab: Lab, sidebar: Locator) -> None:
    lab.write("other.ipynb", ["1 + 1"])
    lab.switch("other.ipynb")
    expect(sidebar).to_contain_text("This notebook has no agent yet")
    lab.switch("test_it_follows_the_active_notebook.ipynb")
    expect(sidebar).to_contain_text("qwen2.5-coder-0.5b")


def test_a_restart_clears_it_and_loading_again_fills_it(lab: Lab, sidebar: Locator) -> None:
    lab.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(sidebar).to_contain_text("This notebook has no agent yet")
    lab.run(0)
    expect(sidebar).to_contain_text("qwen2.5-coder-0.5b")


def test_a_reloaded_page_finds_the_run_that_goes_on(lab: Lab, sidebar: Locator) -> None:
    lab.run(2, wait=False)
    expect(sidebar.get_by_role("article")).to_be_visible()
    lab.execute("docmanager:save")
    lab.page.reload()
    sidebar = lab.show_sidebar()
    expect(sidebar.get_by_role("article")).to_contain_text("thinking")
    sidebar.get_by_role("button", name="Stop").click()
    expect(sidebar).to_contain_text("stopped · 1 round")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_at_home_in_both_themes(lab: Lab, sidebar: Locator, theme: str) -> None:
    lab.dark(theme == "dark")
    lab.run(4)
    expect(sidebar.get_by_role("article")).to_be_visible()
    lab.screenshot(f"sidebar-running-{theme}")
    lab.screenshot(f"sidebar-running-{theme}-close", sidebar)
    lab.run(5)
    expect(sidebar).to_contain_text("done · 2 rounds")
    assert lab.screenshot(f"sidebar-done-{theme}", sidebar).stat().st_size > 5_000
