"""A person who is asked during a run, in a real JupyterLab: sees what would happen, decides, edits, and goes on."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.lab import Lab

#: Steers what answers without a cell that a reader would see.
SILENTLY = """async code => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestExecute({code, silent: true, store_history: false}, true).done;
  if (reply.content.status !== 'ok') throw new Error(JSON.stringify(reply.content));
}"""

FORM = """from agentnb.messages import Text
from agentnb.notebook.asking.widget import ask_widget
from agentnb.tools.base import Choice, Question

replies = []
question = Question(
    "Where shall it go?",
    (Text(
        "--- a/report.md\\n+++ b/report.md\\n@@ -1,3 +1,3 @@\\n # Penguins\\n"
        "-Gentoo are heavy.\\n+Gentoo weigh 5.1 kg.\\n <b>end</b>"
    ),),
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where it goes."},
            "note": {"type": "string", "format": "multiline"},
            "pieces": {"type": "integer", "minimum": 1, "default": 2},
            "weight": {"type": "number"},
            "express": {"type": "boolean", "default": True},
            "size": {"enum": ["small", "large"]},
            "extras": {"type": "array", "items": {"enum": ["gift wrap", "insurance"]}},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city", "tags"],
    },
    None,
    (Choice("send", "Send", "primary", fields=True), Choice("no", "Decline", "danger")),
)
form = ask_widget(question, replies.append)
form"""


def dark(lab: Lab, on: bool) -> None:
    """Change the theme, and wait until JupyterLab has drawn itself anew."""
    lab.dark(on)
    expect(lab.page.locator("#jupyterlab-splash")).to_have_count(0)


def test_a_form_says_what_is_wrong_and_gives_typed_values(lab: Lab) -> None:
    lab.open(
        "form.ipynb",
        FORM,
        "print(replies[0].values)",
        "form.ready('Sent.')",
        "print([each.choice for each in replies])",
    )
    lab.run(0)
    form = lab.output(0).locator(".agentnb-ask")
    form.wait_for()
    send = form.get_by_role("button", name="Send")
    send.click()
    expect(form.get_by_role("alert").filter(has_text="This is needed.")).to_have_count(2)
    expect(form.get_by_label("city")).to_be_focused()
    form.get_by_label("city").fill("Punta Arenas")
    form.get_by_label("pieces").fill("0")
    form.get_by_label("tags").fill('{"a": 1}')
    form.get_by_label("express").uncheck()
    form.get_by_label("size").select_option("large")
    form.get_by_label("insurance").check()
    send.click()
    expect(form.get_by_role("alert").filter(has_text="At least 1.")).to_be_visible()
    expect(form.get_by_role("alert").filter(has_text="A JSON list")).to_be_visible()
    lab.screenshot("form-light", form)
    dark(lab, True)
    lab.screenshot("form-dark", form)
    dark(lab, False)
    form.get_by_label("pieces").fill("3")
    form.get_by_label("tags").fill('["a", {"b": null}]')
    form.get_by_label("weight").fill("1.5e3")
    send.click()
    expect(send).to_be_disabled()
    lab.run(1)
    values = "{'city': 'Punta Arenas', 'pieces': 3, 'weight': 1500, 'express': False, 'size': 'large', "
    expect(lab.output(1)).to_contain_text(values + "'extras': ['insurance'], 'tags': ['a', {'b': None}]}")
    lab.run(2)
    expect(form).to_contain_text("Sent.")
    expect(send).to_be_enabled()
    form.get_by_role("button", name="Decline").click()
    lab.run(3)
    expect(lab.output(3)).to_contain_text("['send', 'no']")


#: A module of the notebook's folder: a tool that shows what it would change, and a model that calls it.
REPORTS = """import difflib
from agentnb import FakeModel
from agentnb.messages import Text, ToolSpec
from agentnb.models.fake import call
from agentnb.tools.base import ToolReturn, Traits

report = ["# Penguins", "Gentoo are heavy.", "<b>Sources</b>: palmerpenguins"]
edit = call("edit_report", old="Gentoo are heavy.", new="Gentoo weigh 5.1 kg on average.")


class EditReport:
    name, parallel, traits = "edit_report", False, Traits("function-edit_report", approval="ask")

    def spec(self, namespace):
        words = {"old": {"type": "string", "description": "The line as it stands."}, "new": {"type": "string"}}
        parameters = {"type": "object", "properties": words, "required": ["old", "new"]}
        return ToolSpec(self.name, "Change a line of the report.", parameters)

    def _changed(self, old, new):
        return [new if line == old else line for line in report]

    async def preview(self, arguments, context):
        lines = difflib.unified_diff(report, self._changed(**arguments), "report.md", "report.md", lineterm="")
        return (Text("\\n".join(lines)),)

    async def call(self, arguments, context):
        report[:] = self._changed(**arguments)
        return ToolReturn((Text("changed"),))


class Reports:
    name = "reports"

    def known(self):
        return [EditReport()]

    async def ready(self):
        return self.known()


def begin(workspace, *turns):
    workspace.toolbox.add_toolset(Reports())
    workspace.use_model(FakeModel(*turns, name="fake:writer"))
"""
FORGET = 'get_ipython().run_line_magic("agentnb", "").policy.forget("function-edit_report")'
CELLS = ("%load_ext agentnb", "%%agent\nWrite down how heavy Gentoo penguins are.", "reports.report[1]")
BEGIN = 'import reports\nreports.begin(get_ipython().run_line_magic("agentnb", ""), %s)'


def question(lab: Lab, cell: int = 1) -> Locator:
    """What a cell asks, once it is drawn."""
    asked = lab.output(cell).locator(".agentnb-ask")
    asked.wait_for()
    return asked


def begun(lab: Lab, name: str, turns: str = '[reports.edit], "The report says it now."') -> Locator:
    """A notebook whose cell asks."""
    (lab.server.root / "reports.py").write_text(REPORTS, "utf-8")
    lab.open(name, *CELLS)
    lab.run(0)
    lab.page.evaluate(SILENTLY, BEGIN % turns)
    lab.run(1, wait=False)
    return question(lab)


def answered(lab: Lab) -> Locator:
    """The cell's output after the answer: the run has gone on, and no widget is left."""
    output = lab.output(1)
    expect(output).to_contain_text("2 rounds")
    expect(output.locator(".agentnb-ask")).to_have_count(0)
    expect(output).not_to_contain_text("Error displaying widget")
    return output


def test_a_call_is_shown_with_its_diff_and_approved_by_a_click(lab: Lab) -> None:
    sidebar_says = "asks you: edit_report"
    asked = begun(lab, "approve.ipynb")
    sidebar = lab.show_sidebar()
    expect(sidebar).to_contain_text(sidebar_says)
    expect(asked.locator(".added")).to_have_text("+Gentoo weigh 5.1 kg on average.")
    expect(asked.locator("b")).to_have_count(0)
    lab.page.mouse.move(5, 5)
    lab.screenshot("asking-light")
    dark(lab, True)
    lab.screenshot("asking-dark")
    asked.get_by_role("button", name="Approve").click()
    output = answered(lab)
    expect(output).to_contain_text("Allow edit_report?")
    expect(output).to_contain_text("you: Approve")
    expect(sidebar).to_contain_text("done")
    lab.run(2)
    expect(lab.output(2)).to_contain_text("Gentoo weigh 5.1 kg on average.")
    lab.screenshot("asking-answered-dark")
    dark(lab, False)
    lab.screenshot("asking-answered-light")
    lab.execute("docmanager:save")
    saved = (lab.server.root / "approve.ipynb").read_text("utf-8")
    assert "widget" not in saved
    assert "you: Approve" in saved


def test_arguments_are_edited_with_the_keyboard_before_the_call_runs(lab: Lab) -> None:
    asked = begun(lab, "edit.ipynb")
    edit = asked.get_by_role("button", name="Edit arguments")
    expect(edit).to_be_enabled()
    edit.focus()
    lab.page.keyboard.press("Enter")
    field = asked.get_by_label("new")
    expect(asked.get_by_label("old")).to_be_focused()
    lab.page.keyboard.press("Tab")
    expect(field).to_be_focused()
    field.fill("Gentoo weigh 5,076 g.")
    lab.screenshot("asking-edit-light", lab.cell(1))
    # A text that must be there may be empty, where the person empties it.
    asked.get_by_label("old").fill("# Penguins")
    field.fill("")
    asked.get_by_role("button", name="Use these").click()
    expect(answered(lab)).to_contain_text("you: Edit arguments")
    lab.page.evaluate(SILENTLY, "assert reports.report[:2] == ['', 'Gentoo are heavy.']")


def test_a_call_is_denied_with_a_reason_that_the_model_reads(lab: Lab) -> None:
    asked = begun(lab, "deny.ipynb", "[reports.edit], lambda asked: asked.messages[-1].content[0].text")
    asked.get_by_role("button", name="Deny").click()
    reason = asked.get_by_label("Reason")
    expect(reason).to_be_focused()
    reason.fill("dd: it is <b>final</b>")
    lab.screenshot("asking-deny-light", lab.cell(1))
    reason.press("Enter")
    expect(answered(lab)).to_contain_text("did not allow this call of edit_report. They said: dd: it is <b>final</b>")
    lab.run(2)
    expect(lab.output(2)).to_contain_text("Gentoo are heavy.")


def test_always_is_asked_once_and_stop_closes_a_question(lab: Lab) -> None:
    again = 'reports.call("edit_report", old="# Penguins", new="# All penguins")'
    asked = begun(lab, "always.ipynb", f'[reports.edit], [{again}], "Both.", [reports.edit]')
    asked.get_by_role("button", name="Always in this session").click()
    expect(lab.output(1)).to_contain_text("3 rounds")
    expect(lab.output(1).get_by_text("Allow edit_report?")).to_have_count(1)
    lab.page.evaluate(SILENTLY, FORGET)
    lab.run(1, wait=False)
    question(lab)
    lab.execute("notebook:interrupt-kernel")
    expect(lab.output(1)).to_contain_text("%agent resume asks again")
    expect(lab.output(1).locator(".agentnb-ask")).to_have_count(0)
    expect(lab.output(1)).to_contain_text("not answered")


#: Code with everything that colours could get wrong; the end is not closed.
CODE = """# it's <b>bold</b>
s = f'{x!r} # no comment' + "it's"
t = '''a
# b'''
for_ = 0x1f if s else 1e3
u = \"\"\"'''"""


def test_code_is_shown_in_colours_and_whole(lab: Lab) -> None:
    lab.open("code.ipynb", "%load_ext agentnb", "%%agent\nRun it.")
    lab.run(0)
    (lab.server.root / "reports.py").write_text(REPORTS, "utf-8")
    begin = f"""import reports
from agentnb.messages import Text
async def preview(self, arguments, context):
    return (Text("In here:\\n```python\\n" + {CODE!r} + "\\n```"),)
reports.EditReport.preview = preview
reports.begin(get_ipython().run_line_magic("agentnb", ""), [reports.edit], "Done.")"""
    lab.page.evaluate(SILENTLY, begin)
    lab.run(1, wait=False)
    asked = question(lab)
    code = asked.locator("pre.code")
    assert code.evaluate("each => each.textContent") == CODE
    expect(code.locator(".comment")).to_have_text(["# it's <b>bold</b>"])
    expect(code.locator(".string")).to_have_text(["'{x!r} # no comment'", '"it\'s"', "'''a\n# b'''", "\"\"\"'''"])
    expect(code.locator(".keyword")).to_have_text(["if", "else"])
    expect(code.locator(".number")).to_have_text(["0x1f", "1e3"])
    expect(code.locator("b")).to_have_count(0)
    lab.screenshot("asking-code-light", lab.cell(1))
    asked.get_by_role("button", name="Deny").click()
    asked.get_by_label("Reason").press("Enter")
    expect(lab.output(1)).to_contain_text("Done.")


def test_a_question_of_a_kernel_that_is_gone_says_so(lab: Lab) -> None:
    asked = begun(lab, "restarted.ipynb")
    lab.page.evaluate("async () => { await jupyterapp.shell.currentWidget.sessionContext.restartKernel(); }")
    asked.get_by_role("button", name="Approve").click()
    expect(asked).to_contain_text("%agent resume asks again")
