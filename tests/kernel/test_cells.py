"""`%%agent` in a real kernel: what a person types, and what the notebook keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kernel.conftest import Cell, Kernel

ADD = '''
def add(a: int, b: int) -> int:
    """Add two numbers."""
    import threading
    print("in", threading.current_thread().name)
    return a + b
'''


def model(kernel: Kernel, script: str) -> None:
    """Let a scripted model answer."""
    kernel.ok(f"ws.use_model(FakeModel({script}))")


def test_an_answer_streams_under_the_cell_and_lands_in_variables(kernel: Kernel) -> None:
    model(kernel, "'It is **3**.'")
    cell = kernel.ok("%%agent answer << -o again\nWhat is 1 + 2?", "a")
    assert cell.mime("text/markdown") == ["It is **3**."]
    assert kernel.value("str(_), answer is again, _ is answer, answer.usage.total > 0") == (
        "('It is **3**.', True, True, True)"
    )


def test_a_notebook_function_is_a_tool_and_runs_on_the_main_thread(kernel: Kernel) -> None:
    kernel.ok(ADD)
    assert kernel.ok("%tool add").stdout == "add: ready as a tool.\n"
    model(kernel, 'call("add", a=1, b=2), "3"')
    cell = kernel.ok("%%agent\nWhat is 1 + 2?")
    card = cell.mime("text/plain")[0]
    assert "add(a=1, b=2)" in card
    assert "in MainThread" in card
    assert cell.stdout == ""


def test_an_async_tool_shares_objects_of_the_kernels_loop(kernel: Kernel) -> None:
    kernel.ok(
        "import asyncio\nlock = asyncio.Lock()\nawait lock.acquire()\nlock.release()\n"
        "async def locked() -> str:\n    'Use the lock.'\n    async with lock:\n        await asyncio.sleep(0.01)\n"
        "        return 'held by the loop of the kernel' if asyncio.get_running_loop() is loop else 'another loop'\n"
        "loop = asyncio.get_running_loop()"
    )
    for head in ("", "%%time\n"):
        model(kernel, 'call("locked"), "ok"')
        cell = kernel.ok(f"{head}%%agent -t locked\nGo")
        assert "held by the loop of the kernel" in cell.mime("text/plain")[0]


def test_a_threaded_tool_runs_beside_another(kernel: Kernel) -> None:
    kernel.ok(
        "import threading\nboth = threading.Barrier(2, timeout=5)\n"
        "@tool(thread=True)\ndef meet(name: str) -> str:\n    'Meet.'\n    both.wait()\n    return name"
    )
    model(kernel, '[call("meet", name="ann"), call("meet", name="bob")], "met"')
    kernel.ok("%%agent\nGo")
    assert kernel.value("[r.text for r in _.messages[2].content]") == "['ann', 'bob']"


def test_the_plain_magic_works_under_another_magic(kernel: Kernel) -> None:
    kernel.ok(ADD)
    model(kernel, 'call("add", a=1, b=2), "3"')
    cell = kernel.ok("%%time\n%%agent -t add\nWhat is 1 + 2?")
    assert cell.mime("text/markdown") == ["3"]
    assert "Wall time" in cell.stdout


def test_a_line_asks_too(kernel: Kernel) -> None:
    model(kernel, "'fine'")
    assert kernel.ok('%agent --session none How\'s it going, "you"?').mime("text/markdown") == ["fine"]
    assert kernel.value("_.messages[0].text") == 'How\'s it going, "you"?'


def test_placeholders_are_expressions_and_braces_are_literal(kernel: Kernel) -> None:
    model(kernel, "'ok'")
    kernel.ok("x = 20\nd = {'a': {'b': 1}}")
    kernel.ok('%%agent\n{{x + 1}} {x} {"json": 1} {{d["a"]["b"]}} $x')
    assert kernel.value("_.messages[0].text") == '21 {x} {"json": 1} 1 $x'


def test_cells_and_errors_can_be_referred_to(kernel: Kernel) -> None:
    failing = kernel.run("1/0")
    number = next(m["content"]["execution_count"] for m in failing.messages if m["msg_type"] == "execute_input")
    model(kernel, "'ok'")
    kernel.ok(f"%%agent\nFix {{{{Err[{number}]}}}} of {{{{In[{number}]}}}}")
    prompt = kernel.value("_.messages[0].text")
    assert "ZeroDivisionError: division by zero" in prompt
    assert "1/0" in prompt


def test_an_undefined_name_fails_the_cell_before_anything_is_sent(kernel: Kernel) -> None:
    model(kernel, "'never'")
    kernel.ok("sales = 1")
    cell = kernel.run("%%agent\n{{salse}}")
    assert cell.status == "error"
    assert cell.ename == "PromptError"
    assert "sales" in (cell.error or "")
    assert kernel.value("ws.model.requests, ws.session.turns") == "([], [])"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%agent --modle x\nhi", "no option --modle. Did you mean '--model'?"),
        ("%%agent what is this\nhi", "takes its prompt from the lines below"),
        ("%%agent\n\n", "needs a prompt"),
        ("%%agent -f pdf\nhi", "--format 'pdf' is not known"),
        ("%%agent -t nothing\nhi", "No function 'nothing'"),
        ("%%agent -p '{x'\nhi", "--params is not valid JSON"),
        ("%%agent -m opnai:x\nhi", "Unknown provider 'opnai'. Did you mean 'openai'?"),
        ("%%agent -s 'be\nhi", "is never closed"),
        ("%%agent class <<\nhi", "takes the name of a variable, not 'class'"),
        ("%%agent -i no/figure.png\nhi", "--image no/figure.png: there is no such file"),
        ("%model nobody-has-this", "does not name a model"),
        ("%model -p '{}'", "go with a model"),
        ("%%agent --no-tools -t print\nhi", "contradict each other"),
        ("%session old", "%session has no verb 'old'"),
        ("%tool nothing", "No function 'nothing'"),
        ("%tool rm nothing", "No tool 'nothing'"),
        ("%%tool\nx = 1", "defines no function"),
        ("%agentnb please", "takes export, import, or nothing"),
    ],
)
def test_a_mistake_gets_one_line_that_names_it(kernel: Kernel, cell: str, says: str) -> None:
    model(kernel, "'never'")
    ran = kernel.run(cell)
    assert ran.status == "error"
    assert says in (ran.error or "")
    assert "\n" not in (ran.error or "")
    traceback = next(m["content"]["traceback"] for m in ran.messages if m["msg_type"] == "error")
    assert len(traceback) == 1


def test_the_next_cell_remembers_and_a_cell_that_runs_again_replaces_its_turn(kernel: Kernel) -> None:
    model(kernel, "'one', 'two', 'three', 'four'")
    kernel.ok("%%agent\nfirst", "a")
    kernel.ok("%%agent\nsecond", "b")
    assert kernel.value("[m.text for m in ws.model.requests[1].messages]") == "['first', 'one', 'second']"
    kernel.ok("%%agent\nfirst again", "a")
    assert kernel.value("[m.text for m in ws.model.requests[2].messages]") == "['first again']"
    kernel.ok("%%agent\nthird", "c")
    assert kernel.value("[m.text for m in ws.model.requests[3].messages]") == (
        "['first again', 'three', 'second', 'two', 'third']"
    )


def test_a_cell_can_stand_alone_or_begin_again(kernel: Kernel) -> None:
    model(kernel, "'1', '2', '3', '4'")
    kernel.ok("%%agent\nfirst", "a")
    kernel.ok("%%agent --session none\nalone", "b")
    assert kernel.value("[m.text for m in ws.model.requests[1].messages]") == "['alone']"
    kernel.ok("%%agent --session new\nfresh", "c")
    kernel.ok("%%agent\nnext", "d")
    assert kernel.value("[m.text for m in ws.model.requests[3].messages]") == "['fresh', '3', 'next']"


def test_a_conversation_begins_again_where_a_person_says_so(kernel: Kernel) -> None:
    model(kernel, "'1', '2'")
    kernel.ok("%%agent\nfirst", "a")
    assert kernel.ok("%session").stdout.endswith(" · 1 turn\n")
    assert kernel.ok("%session new").stdout.endswith(" · 0 turns\n")
    kernel.ok("%%agent\nfresh", "b")
    assert kernel.value("[m.text for m in ws.model.requests[1].messages]") == "['fresh']"


def test_an_earlier_answer_goes_into_a_prompt_as_its_text(kernel: Kernel) -> None:
    model(kernel, "'It is 3.', 'ok'")
    kernel.ok("%%agent answer <<\nfirst")
    kernel.ok("%%agent --session none\nIs this right? {{answer}}")
    assert kernel.value("_.messages[0].text") == "Is this right? It is 3."


def test_a_tool_that_takes_its_time_is_shown_while_it_runs(kernel: Kernel) -> None:
    kernel.ok(
        "import os, time\ndef wait(path: str) -> str:\n    'Wait for a file.'\n    print('at the door')\n"
        "    while not os.path.exists(path):\n        time.sleep(0.01)\n    return 'there'"
    )
    path = kernel.value("__import__('tempfile').mktemp()")
    model(kernel, f'["Let me wait.", call("wait", path={path!r})], "ok"')

    def watch(cell: Cell) -> None:
        if "at the door" in json.dumps(cell.outputs):
            Path(path).touch()

    cell = kernel.finish(kernel.start("%%agent -t wait\nGo"), watch)
    Path(path).unlink()
    assert cell.status == "ok"
    assert cell.mime("text/markdown") == ["Let me wait.", "ok"]


def test_a_figure_that_a_tool_returns_is_shown_once(kernel: Kernel) -> None:
    kernel.ok(
        "%matplotlib inline\nimport matplotlib.pyplot as plt\ndef draw():\n    'Draw.'\n"
        "    figure, axes = plt.subplots()\n    axes.plot([1, 2])\n    return figure"
    )
    model(kernel, 'call("draw"), "ok"')
    assert len(kernel.ok("%%agent -t draw\nGo").mime("image/png")) == 1
    assert len(kernel.ok("draw_1").mime("image/png")) == 1


def test_a_terminal_lets_a_cell_have_its_lines(kernel: Kernel) -> None:
    ask = "get_ipython().check_complete('%%agent answer <<')[0], get_ipython().check_complete('%%agent\\nhi\\n\\n')[0]"
    assert kernel.value(ask) == "('incomplete', 'complete')"


def test_a_tool_that_cannot_be_described_is_named_and_the_others_are_listed(kernel: Kernel) -> None:
    kernel.ok("@tool\ndef bad(x: 'Nowhere'):\n    'B'\n@tool\ndef good():\n    'G'")
    [listed] = kernel.ok("%tool").mime("text/plain")
    assert re.search(r"on +good +notebook +always +G", listed)
    assert "Tool 'bad', parameter 'x'" in listed
    model(kernel, "'never'")
    assert "Tool 'bad', parameter 'x'" in (kernel.run("%%agent\nhi").error or "")


def test_a_function_that_is_defined_again_is_the_new_tool(kernel: Kernel) -> None:
    kernel.ok("def size() -> str:\n    'Say a size.'\n    return 'small'")
    kernel.ok("%tool size")
    kernel.ok("def size() -> str:\n    'Say a size.'\n    return 'large'")
    model(kernel, 'call("size"), "ok"')
    kernel.ok("%%agent\nGo")
    assert kernel.value("_.messages[2].content[0].text") == "large"


def test_a_tool_cell_defines_and_registers(kernel: Kernel) -> None:
    cell = kernel.ok("%%tool\ndef half(x: float) -> float:\n    'Halve it.'\n    return x / 2\nunit = 'kg'")
    assert cell.stdout == "half: ready as a tool.\n"
    assert kernel.value("half(3), unit, list(ws.toolbox.enabled())") == "(1.5, 'kg', ['half'])"
    assert re.search(r"on +half +notebook +always +Halve it\.", kernel.ok("%tool").mime("text/plain")[0])
    kernel.ok("%tool off half")
    assert re.search(r"off +half", kernel.ok("%tool").mime("text/plain")[0])
    assert kernel.ok("%tool rm half").stdout == "deleted: half\n"
    assert "No tools yet" in kernel.ok("%tool").mime("text/plain")[0]


def test_a_tool_cell_that_fails_registers_nothing(kernel: Kernel) -> None:
    cell = kernel.run("%%tool\ndef f() -> int:\n    'Doc.'\n    return 1\n1/0")
    assert cell.status == "error"
    assert kernel.value("list(ws.toolbox.enabled())") == "[]"


def test_decorated_functions_are_tools_while_they_exist(kernel: Kernel) -> None:
    kernel.ok("@tool\ndef f() -> int:\n    'Doc.'\n    return 1")
    assert kernel.value("list(ws.toolbox.enabled())") == "['f']"
    kernel.ok("del f")
    assert kernel.value("list(ws.toolbox.enabled())") == "[]"


def test_a_dry_run_shows_the_messages_and_sends_nothing(kernel: Kernel) -> None:
    kernel.ok(ADD + "x = 41")
    model(kernel, "'never'")
    cell = kernel.ok("%%agent --dry-run -t add -s 'Be brief.'\nWhat is {{x}}?")
    for words in ("nothing was sent", "Be brief.", "What is 41?", "add(a, b): Add two numbers."):
        assert words in cell.stdout
    assert kernel.value("ws.model.requests") == "[]"


def test_markup_in_an_answer_is_shown_as_text(kernel: Kernel) -> None:
    model(kernel, "'Look: <script>alert(1)</script> <img src=x onerror=alert(1)>'")
    cell = kernel.ok("%%agent\nGo")
    shown = json.dumps(cell.outputs)
    assert "<script" not in cell.mime("text/markdown")[0]
    assert "<img" not in cell.mime("text/markdown")[0]
    assert all("<script" not in html for html in cell.mime("text/html"))
    assert "alert(1)" in shown


def test_a_result_frame_is_kept_by_name_and_can_be_used_next(kernel: Kernel) -> None:
    kernel.ok(
        "import pandas as pd\nsales = pd.DataFrame({'product': list('abc'), 'n': [3, 1, 2]})\n"
        "@tool\ndef top(df: pd.DataFrame, n: int = 2) -> pd.DataFrame:\n    'The best rows.'\n"
        "    return df.nlargest(n, 'n')"
    )
    model(kernel, 'call("top", df="sales"), call("top", df="top_1", n=1), "a"')
    kernel.ok("%%agent\nGo")
    assert kernel.value("list(top_2['product'])") == "['a']"
    assert kernel.value("top_1.shape") == "(2, 2)"


def test_the_workspace_is_at_hand(kernel: Kernel) -> None:
    assert "agentnb workspace" in kernel.ok("%agentnb").mime("text/plain")[0]


def test_unloading_takes_everything_back(kernel: Kernel) -> None:
    kernel.ok("%unload_ext agentnb")
    assert kernel.run("%%agent\nhi").status == "error"
    kernel.ok("%load_ext agentnb")


def test_static_mode_shows_each_display_once_and_leaves_the_same(kernel: Kernel) -> None:
    kernel.ok(ADD)
    script = 'call("add", a=1, b=2), "It is *3*."'
    model(kernel, script)
    live = kernel.ok("%%agent -t add --session none\nGo").outputs
    kernel.ok("import os\nos.environ['AGENTNB_DISPLAY'] = 'static'")
    model(kernel, script)
    static = kernel.ok("%%agent -t add --session none\nGo")
    kernel.ok("os.environ['AGENTNB_DISPLAY'] = 'live'")
    assert static.outputs == live
    assert [m["msg_type"] for m in static.messages].count("update_display_data") == 0
