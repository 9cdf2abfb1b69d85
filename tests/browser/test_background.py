"""Runs in the background of a real JupyterLab: their cards grow under their own cells, whatever else runs."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab

#: Steers what answers without a cell that a reader would see.
SILENTLY = """async code => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestExecute({code, silent: true, store_history: false}, true).done;
  if (reply.content.status !== 'ok') throw new Error(JSON.stringify(reply.content));
}"""
SCRIPT = """
ws = get_ipython().run_line_magic("agentnb", "")
from agentnb import FakeModel
from agentnb.messages import Text, Thinking
from agentnb.models.fake import call
ws.use_model(FakeModel(%s, pace=%s))
"""
ANSWER = """'''Three species, and one of them stands out.

| species | mean body mass |
|---|---|
| Gentoo | 5076.0 g |
| Chinstrap | 3733.1 g |

''' + "Gentoo penguins are the heaviest. " * 6"""


def script(lab: Lab, turns: str, pace: float = 0.0) -> None:
    """Let a scripted model answer."""
    lab.page.evaluate(SILENTLY, SCRIPT % (turns, pace))


def test_a_card_grows_under_its_cell_while_another_cell_runs(lab: Lab) -> None:
    lab.open(
        "background.ipynb",
        "%load_ext agentnb",
        "%%agent answer << --bg\nWhich species is the heaviest?",
        "import time\ntime.sleep(60)",
        "%agent list",
        "print((await answer).text[:20])",
    )
    lab.run(0)
    script(lab, f"[Thinking('Three species, so I compare their means.'), Text({ANSWER})]", 0.05)
    lab.run(1)
    lab.run(2, wait=False)
    card = lab.output(1)
    expect(card).to_contain_text("Run 1 runs in the background · %agent stop 1 ends it")
    expect(card).to_contain_text("one of them stands out")
    sidebar = lab.show_sidebar()
    expect(sidebar).to_contain_text("Which species is the heaviest?")
    lab.screenshot("background-growing")
    expect(card).to_contain_text("1 round")
    expect(card).to_contain_text("Run 1 ran in the background")
    expect(lab.cell(2).locator(".jp-InputPrompt").first).to_contain_text("[*]")
    expect(lab.output(2)).to_have_text("")
    lab.execute("notebook:interrupt-kernel")
    lab.finished(2)
    lab.run(3)
    expect(lab.output(3)).to_contain_text("Which species is the heaviest?")
    lab.run(4)
    expect(lab.output(4)).to_contain_text("Three species")
    lab.screenshot("background-ended")
    lab.execute("docmanager:save")
    saved = (lab.server.root / "background.ipynb").read_text("utf-8")
    assert "Gentoo penguins are the heaviest." in saved
    assert "agent stop" not in saved


def test_it_asks_under_its_own_cell_and_takes_its_turn_when_the_kernel_is_free(lab: Lab) -> None:
    lab.open(
        "background-asks.ipynb",
        "%load_ext agentnb\nsaved = []\ndef save(path: str) -> str:\n    'Save a file.'\n    saved.append(path)\n"
        "    return f'saved {path}'\n%tool save",
        "%%agent answer << --bg\nSave it.",
        "import time\ntime.sleep(5)",
        "saved",
    )
    lab.run(0)
    script(lab, "[call('save', path='a.md')], 'Done.'")
    lab.page.evaluate(SILENTLY, "ws.policy.remember('function-save', 'ask')")
    lab.run(1)
    lab.run(2, wait=False)
    card = lab.output(1)
    expect(card).to_contain_text("Run 1 waits until the kernel is free to run its tool")
    lab.screenshot("background-waits")
    asked = card.locator(".agentnb-ask")
    asked.wait_for()
    lab.screenshot("background-asks")
    asked.get_by_role("button", name="Approve").click()
    expect(card).to_contain_text("2 rounds")
    expect(card).to_contain_text("you: Approve")
    expect(card.locator(".agentnb-ask")).to_have_count(0)
    lab.run(3)
    expect(lab.output(3)).to_contain_text("['a.md']")
