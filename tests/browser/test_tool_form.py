"""A tool's form in a real JupyterLab: filled in, run, approved, and its card below."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab

SETUP = """%load_ext agentnb
import pandas as pd
penguins = pd.DataFrame({"mass": [3750, 5000]})
def heavier(df: pd.DataFrame, than: int = 4000, unit: "Literal['g', 'kg']" = "g") -> pd.DataFrame:
    "Rows that weigh more."
    return df[df.mass > than]
from typing import Literal
%tool heavier"""


def test_a_form_runs_a_tool_and_shows_its_card_below(lab: Lab) -> None:
    lab.open("tool-form.ipynb", SETUP, "%tool approve heavier ask", "%tool form heavier -o heavy", "print(len(heavy))")
    for cell in (0, 1, 2):
        lab.run(cell)
    form = lab.output(2).locator(".agentnb-ask").first
    form.wait_for()
    form.get_by_label("df").select_option("penguins")
    form.get_by_label("than").fill("4000")
    form.get_by_role("button", name="Run").click()
    approve = lab.output(2).get_by_role("button", name="Approve")
    approve.click()
    expect(lab.output(2)).to_contain_text("called directly")
    expect(lab.output(2)).to_contain_text("heavier(df='penguins'")
    expect(form).to_contain_text("Done: the result is in heavy.")
    lab.screenshot("tool-form", lab.output(2))
    lab.run(3)
    expect(lab.output(3)).to_contain_text("1")
