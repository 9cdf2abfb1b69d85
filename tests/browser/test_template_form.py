"""A template's form in a real JupyterLab: begun with the notebook's variables, filled in, run, its card below."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.lab import Lab

SETUP = """%load_ext agentnb
from agentnb import FakeModel
ws = %agentnb
fake = FakeModel("**Les manchots** pèsent 4 kg.", "Noch einmal.")
ws.use_model(fake)
text = "Penguins weigh 4 kg.\\n<b>They</b> swim well."
penguins = {"mass": [3750, 5000]}"""
TEMPLATE = """%%template report
Summarise in {{language}} for {{audience}}:

{{text}}

{{penguins}}"""


def test_a_form_asks_with_a_template_and_shows_the_card_below(lab: Lab) -> None:
    lab.open(
        "template-form.ipynb", SETUP, TEMPLATE, "%template form report -o answer", "print(answer.messages[0].text)"
    )
    for cell in (0, 1, 2):
        lab.run(cell)
    form = lab.output(2).locator(".agentnb-ask").first
    form.wait_for()
    assert form.get_by_label("text").input_value() == "Penguins weigh 4 kg.\n<b>They</b> swim well."
    expect(form).to_contain_text("Left empty: the notebook's penguins, of type dict.")
    form.get_by_label("language").fill("<i>French</i> {{text}}")
    form.get_by_label("audience").fill("children")
    form.get_by_role("button", name="Run").click()
    expect(lab.output(2)).to_contain_text("Les manchots pèsent 4 kg.")
    expect(form).to_contain_text("Done: the result is in answer.")
    lab.screenshot("template-form", lab.output(2))
    lab.run(3)
    expect(lab.output(3)).to_contain_text("Summarise in <i>French</i> {{text}} for children:")
    expect(lab.output(3)).to_contain_text("<b>They</b> swim well.")
