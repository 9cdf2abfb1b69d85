"""Templates in a real kernel: in both roles, awaited and blocked, and by a form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.conftest import Kernel
from tests.kernel.test_tool_calls import WIDGET, click, updates

SETUP = """
%load_ext agentnb
from agentnb import FakeModel
ws = %agentnb
model = FakeModel(*[f"answer {n}" for n in range(9)])
ws.use_model(model)
sent = lambda: [m.text for m in model.requests[-1].messages]
"""
SUM = "%%template sum\nSummarise in {{language}}:\n\n{{text}}"


@pytest.fixture(scope="module")
def _asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    names = {"DISPLAY": "live", "CONTEXT": "none", "HOME": home, "KEYRING": "off"}
    kernel = Kernel({f"AGENTNB_{name}": value for name, value in names.items()})
    yield kernel
    kernel.stop()


@pytest.fixture
def asking(_asking: Kernel) -> Kernel:
    """A kernel with a model that answers, and a template."""
    _asking.ok("%reset -f")
    _asking.ok("%load_ext agentnb\n%unload_ext agentnb")
    _asking.ok(SETUP)
    _asking.ok(SUM)
    _asking.ok("%session new")
    return _asking


@pytest.mark.parametrize("magic", ["", "%%time\n"], ids=["awaited", "blocked"])
def test_a_cell_asks_with_templates_in_both_roles(asking: Kernel, magic: str) -> None:
    asking.ok("%%template role\nYou are {{who}}.")
    asking.ok("text = 'All {{of}} it.'")
    cell = asking.ok(
        f"{magic}%%agent --template sum language={{{{'Fr' + 'ench'}}}} --system-template role who=me\nNow."
    )
    assert "answer 0" in "".join(cell.mime("text/markdown"))
    assert asking.value("sent()") == str(["You are me.", "Summarise in French:\n\nAll {{of}} it.\n\nNow."])


def test_a_line_is_a_cell_without_words(asking: Kernel) -> None:
    asking.ok("%template use sum language=French text=it -o answer")
    assert asking.value("answer.text, sent()[-1]") == str(("answer 0", "Summarise in French:\n\nit"))
    cell = asking.run("%template use sum language=French")
    assert (cell.ename, cell.status) == ("PromptError", "error")
    assert asking.value("len(model.requests)") == "1"


def test_templates_outlive_the_kernel_s_extension(asking: Kernel) -> None:
    asking.ok("%unload_ext agentnb\n%load_ext agentnb")
    assert "sum · version 1" in asking.ok("%template show sum").stdout


def form(kernel: Kernel, line: str) -> str:
    """Show a form; its widget's id."""
    [shown] = [out for out in kernel.ok(line, "form").outputs if WIDGET in out]
    assert "Without widgets: %%agent --template" in str(shown["text/plain"])
    return str(shown[WIDGET]["model_id"])  # type: ignore[index]  # a model, as JSON


def test_a_form_asks_at_each_run_and_shows_the_card_below(asking: Kernel) -> None:
    asking.ok("text = 'All {{of}} it.'")
    model = form(asking, "%template form sum -o answer")
    for at, language in enumerate(("French", '"{{x}}" [1]')):
        click(asking, model, type="reply", choice="run", changed={"language": language})
        shown = updates(asking, "round")
        assert any(f"answer {at}" in text for text in shown.values())
        assert asking.value("sent()[-1]") == f"Summarise in {language}:\n\nAll {{{{of}}}} it."
        assert asking.value("answer.text") == f"answer {at}"
    assert asking.value("len(ws.session.turns)") == "1"


def test_what_a_form_leaves_as_it_is_is_the_notebooks_own(asking: Kernel) -> None:
    asking.ok("%%template count\n{{n}} and {{n + 1}}: {{table}} {{long}}")
    asking.ok("n, table, long = 1, {'a': 1}, 'x' * 30_000")
    model = form(asking, "%template form count")
    click(asking, model, type="reply", choice="run", changed={"long": "short"})
    updates(asking, "round")
    assert asking.value("sent()[-1]") == '1 and 2: {"a": 1} short'
    click(asking, model, type="reply", choice="run", changed={"n": "5", "long": "x", "table": "none"})
    updates(asking, "round")
    assert asking.value("sent()[-1]") == "5 and 6: none x"


def test_a_form_says_what_is_missing(asking: Kernel) -> None:
    model = form(asking, "%template form sum")
    click(asking, model, type="reply", choice="run", changed={"language": "French"})
    # The form's own state goes to the front end as a message of its comm.
    for _ in range(100):
        message = asking.client.get_iopub_msg(timeout=5)
        state = message["content"].get("data", {}).get("state", {}) if message["msg_type"] == "comm_msg" else {}
        if "no value for {{text}}" in str(state.get("state", "")):
            break
    else:
        pytest.fail("The form said nothing.")
    assert asking.value("len(model.requests)") == "0"
