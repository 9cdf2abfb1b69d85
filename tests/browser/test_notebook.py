"""A person at a notebook in a real JupyterLab: asks, watches, stops, saves, and comes back without a kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import Lab

DATA = Path(__file__).parents[2] / "notebooks" / "data" / "penguins.csv"
ASK = """%%agent answer <<
Which species is the heaviest on average, and by how much?
The columns are {{list(penguins)}}."""
CELLS = (
    '%load_ext agentnb\nimport pandas as pd\npenguins = pd.read_csv("penguins.csv")',
    "def mean_mass(df: pd.DataFrame, species: str) -> float:\n"
    '    """Mean body mass of a species, in grams."""\n'
    '    return round(df.loc[df["species"] == species, "body_mass_g"].mean(), 1)\n\n%tool mean_mass',
    ASK,
)
#: Steers what answers without a cell that a reader would see.
SILENTLY = """async code => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestExecute({code, silent: true, store_history: false}, true).done;
  if (reply.content.status !== 'ok') throw new Error(JSON.stringify(reply.content));
}"""
SHUT_DOWN = "async () => { await jupyterapp.shell.currentWidget.sessionContext.shutdown(); }"
SCRIPT = """
ws = get_ipython().run_line_magic("agentnb", "")
from agentnb import FakeModel
from agentnb.messages import Thinking
from agentnb.models.fake import call
ws.use_model(FakeModel(
    [Thinking("Three species, one function: I can ask for all three at once and compare."),
     *(call("mean_mass", df="penguins", species=s) for s in ("Adelie", "Chinstrap", "Gentoo"))],
    '''**Gentoo** penguins are the heaviest, by a good margin:

| species | mean body mass |
|---|---|
| Gentoo | 5076.0 g |
| Chinstrap | 3733.1 g |
| Adelie | 3700.7 g |

That is $5076.0 - 3733.1 \\\\approx 1343$ g more than the next.''',
    "That would be `penguins.groupby('species')`.", pace=%s))
"""


@pytest.fixture
def notebook(lab: Lab, request: pytest.FixtureRequest) -> Lab:
    """A notebook whose first cells were run, with a scripted model behind it."""
    shutil.copy(DATA, lab.server.root / "penguins.csv")
    lab.open("penguins.ipynb" if "beautiful" in request.node.name else f"{request.node.name}.ipynb", *CELLS)
    lab.run(0)
    lab.run(1)
    return lab


def script(lab: Lab, pace: float = 0.0) -> None:
    """Let the scripted model answer."""
    lab.page.evaluate(SILENTLY, SCRIPT % pace)


def answered(lab: Lab, cell: int) -> Locator:
    """The cell's output, once the answer is there."""
    output = lab.output(cell)
    expect(output).to_contain_text("are the heaviest")
    expect(output.locator("table")).to_contain_text("5076.0 g")
    expect(output).to_contain_text("2 rounds")
    return output


def test_a_run_is_beautiful_in_light_and_dark(notebook: Lab) -> None:
    script(notebook)
    sidebar = notebook.show_sidebar()
    notebook.run(2)
    output = answered(notebook, 2)
    expect(output).to_contain_text("mean_mass(df='penguins', species='Gentoo')")
    expect(sidebar).to_contain_text("mean_mass")
    expect(sidebar).to_contain_text("done")
    output.locator("summary", has_text="Gentoo").click()
    notebook.page.mouse.move(5, 5)
    notebook.screenshot("notebook-light")
    notebook.dark()
    notebook.screenshot("notebook-dark")


def test_thinking_and_answer_are_seen_while_they_stream(notebook: Lab) -> None:
    script(notebook, pace=0.05)
    notebook.run(2, wait=False)
    output = notebook.output(2)
    expect(output).to_contain_text("Three species, one")
    expect(output).not_to_contain_text("2 rounds")
    expect(output).to_contain_text("are the heaviest")
    answered(notebook, 2)


def test_stop_in_the_sidebar_ends_a_run_and_keeps_what_there_was(notebook: Lab) -> None:
    script(notebook, pace=0.5)
    sidebar = notebook.show_sidebar()
    notebook.run(2, wait=False)
    expect(notebook.output(2)).to_contain_text("Three sp")
    expect(sidebar).to_contain_text("Which species is the heaviest")
    notebook.screenshot("notebook-running")
    sidebar.get_by_role("button", name="Stop").first.click()
    expect(notebook.output(2)).to_contain_text("Interrupted")
    expect(notebook.output(2)).to_contain_text("Three sp")
    expect(sidebar).to_contain_text("interrupted")


def test_stop_works_while_the_cell_blocks_its_kernel(notebook: Lab) -> None:
    script(notebook, pace=0.5)
    sidebar = notebook.show_sidebar()
    notebook.page.evaluate(
        "code => { const c = jupyterapp.shell.currentWidget.content.widgets[2]; c.model.sharedModel.setSource(code); }",
        "%%time\n" + ASK,
    )
    notebook.run(2, wait=False)
    expect(notebook.output(2)).to_contain_text("Three sp")
    sidebar.get_by_role("button", name="Stop").first.click()
    expect(notebook.output(2)).to_contain_text("Interrupted")


def test_a_saved_notebook_shows_the_run_without_a_kernel(notebook: Lab) -> None:
    script(notebook)
    notebook.run(2)
    answered(notebook, 2)
    notebook.execute("docmanager:save")
    name = notebook.page.evaluate("() => jupyterapp.shell.currentWidget.context.path")
    notebook.page.evaluate(SHUT_DOWN)
    saved = notebook.server.root / name
    # As somebody else's file: not trusted, and with no kernel behind it.
    copy = notebook.server.root / f"copy-of-{name}"
    shutil.copy(saved, copy)
    assert saved.stat().st_size < 50_000
    notebook.open_without_kernel(copy.name)
    output = answered(notebook, 2)
    expect(output).to_contain_text("mean_mass(df='penguins', species='Adelie')")
    output.locator("summary", has_text="Adelie").click()
    notebook.screenshot("notebook-reopened")
