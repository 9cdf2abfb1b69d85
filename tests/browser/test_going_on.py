"""A notebook in a real JupyterLab keeps in its own file which conversation it is part of."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.lab import Lab

LOAD = """%load_ext agentnb
from agentnb import FakeModel
ws = %agentnb
model = FakeModel("I am Ann.", "I said it.")
ws.use_model(model)"""


def test_a_renamed_notebook_goes_on_with_its_conversation(lab: Lab) -> None:
    lab.open("before.ipynb", LOAD, "%%agent\nWho are you?", "print(ws.session.id)")
    for cell in range(3):
        lab.run(cell)
    session = lab.output(2).inner_text().strip()
    lab.page.wait_for_function("() => jupyterapp.shell.currentWidget.context.model.getMetadata('agentnb')")
    lab.execute("docmanager:save")
    file = lab.server.root / "before.ipynb"
    assert json.loads(file.read_text("utf-8"))["metadata"]["agentnb"] == {"session": session}

    lab.server.shut_kernels_down()
    renamed = file.with_name("after.ipynb")
    file.rename(renamed)
    lab.open("after.ipynb")
    lab.run(0)
    lab.run(2)
    expect(lab.output(2)).to_contain_text(session)
