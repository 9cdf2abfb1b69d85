from __future__ import annotations

import asyncio
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, MutableMapping
from typing import Any

import anyio
import pandas as pd
import pytest

from agentnb.builtins.python import Python
from agentnb.errors import ToolError, UsageError
from agentnb.messages import Image, Text
from agentnb.tools.base import InlineRunner, ToolContext, ToolReturn, traits
from tests.tools.conftest import Call, Called

pytestmark = pytest.mark.anyio


async def test_statements_run_and_the_last_expression_is_the_result(call: Call) -> None:
    namespace: dict[str, object] = {"x": 20}
    got = await call(Python(), namespace, code="print('working')\ny = x * 2\ny + 2")
    assert [b.text for b in got.result.content if isinstance(b, Text)] == [
        "working",
        "42",
        "Variables: added y (int).",
    ]
    assert got.card == "working\n\nVariables\n  added y (int)\n"
    assert namespace["y"] == 40


@pytest.mark.parametrize("code", ["x = 1", "1 + 1;", "None", "", "# nothing"])
async def test_code_without_a_value_says_so_or_what_changed(call: Call, code: str) -> None:
    text = (await call(Python(), {}, code=code)).text
    assert text == ("(no output)\nVariables: added x (int)." if code == "x = 1" else "(no output)")


async def test_a_table_is_kept_by_handle_or_named_where_it_has_a_name(call: Call) -> None:
    namespace: dict[str, object] = {"df": pd.DataFrame({"a": [1, 2]})}
    named = await call(Python(), namespace, code="df")
    assert named.result.handle == "df"
    assert "python_1" not in namespace
    kept = await call(Python(), namespace, code="df * 2")
    assert kept.result.handle == "python_1"
    assert "added python_1 (DataFrame, 2 rows × 1 column)" in kept.text


async def test_top_level_await_runs_on_the_loop(call: Call) -> None:
    got = await call(
        Python(), {"asyncio": asyncio}, code="await asyncio.sleep(0)\nx = 3\nawait asyncio.sleep(0, x + 1)"
    )
    assert got.text == "4\nVariables: added x (int)."


async def test_an_awaiting_code_with_a_plain_end_has_its_value(call: Call) -> None:
    got = await call(Python(), {"asyncio": asyncio}, code="x = await asyncio.sleep(0, 5)\nx")
    assert got.text.startswith("5")


async def test_an_error_is_told_with_the_codes_own_lines_and_what_had_changed(call: Call) -> None:
    namespace: dict[str, object] = {}
    with pytest.raises(ToolError) as failed:
        await call(Python(), namespace, code="print('before')\nx = 1\ndef f():\n    return 1 / 0\nf()")
    said = str(failed.value)
    assert said.startswith("before\nTraceback (most recent call last):\n")
    assert "    return 1 / 0" in said
    assert 'File "<python 1>", line 5, in <module>' in said
    assert "ZeroDivisionError: division by zero\nVariables: added x (int), f (function)." in said
    assert "agentnb" not in said
    assert namespace["x"] == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = = 1", "SyntaxError"),
        ("!ls", "no lines with ! or %"),
        ("%time x", "no lines with ! or %"),
        ("x = '\0'", "null bytes"),
        ("(" * 500, "Nothing was run."),
        ("return 1", "'return' outside function"),
    ],
)
async def test_what_is_not_python_is_refused_before_anything_runs(call: Call, code: str, words: str) -> None:
    namespace: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ToolError, match=words):
            await call(Python(), namespace, code=code)
    assert namespace == {}


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemExit", "quit_ = exit; raise SystemExit(1)"])
async def test_exit_ends_the_code_and_nothing_else(call: Call, code: str) -> None:
    with pytest.raises(ToolError, match=r"SystemExit|NameError"):
        await call(Python(), {}, code=code)


async def test_an_error_that_cannot_say_what_it_is_is_told_by_its_name(call: Call) -> None:
    code = "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd"
    with pytest.raises(ToolError, match="Odd"):
        await call(Python(), {}, code=code)


async def test_very_long_output_is_cut_for_the_model_and_the_card(call: Call) -> None:
    got = await call(Python(), {}, code="for i in range(200_000): print(i)")
    assert len(got.text) < 12_000
    assert "left out" in got.text
    assert len(got.card) < 12_000


async def test_a_very_long_value_is_cut_and_kept_whole(call: Call) -> None:
    namespace: dict[str, object] = {}
    got = await call(Python(), namespace, code="'x' * 5_000_000")
    assert len(got.text) < 50_000
    assert namespace[str(got.result.handle)] == "x" * 5_000_000


async def test_a_loop_without_an_end_is_interrupted_and_what_it_did_can_be_undone() -> None:
    tool, namespace = Python(), {"n": 0}
    context = ToolContext(lambda _: None, namespace, InlineRunner())  # type: ignore[arg-type]  # ints are objects
    began = threading.Event()
    namespace["began"] = began  # type: ignore[assignment]  # as above
    presser = threading.Thread(target=lambda: (began.wait(5), signal.raise_signal(signal.SIGINT)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser.start()
    try:
        with anyio.fail_after(10), pytest.raises(asyncio.CancelledError):
            await tool.call({"code": "while True:\n    n += 1\n    began.set()"}, context)
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert namespace["n"] > 0
    tool.undo.undo()
    assert namespace["n"] == 0


async def test_variables_that_are_no_dictionary_are_carried_over(call: Call) -> None:
    class Shown(MutableMapping[str, object]):
        """Some of the variables, as a run within a run sees them."""

        def __init__(self, held: dict[str, object]) -> None:
            self.held = held

        def __getitem__(self, name: str) -> object:
            return self.held[name]

        def __setitem__(self, name: str, value: object) -> None:
            self.held[name] = value

        def __delitem__(self, name: str) -> None:
            del self.held[name]

        def __iter__(self) -> Iterator[str]:
            return iter(self.held)

        def __len__(self) -> int:
            return len(self.held)

    shown, tool = Shown({"a": 1, "b": 2}), Python()
    await call(tool, shown, code="c = a + b\ndel b\na = 5")  # type: ignore[arg-type]  # the point of it
    assert shown.held == {"a": 5, "c": 3}
    tool.undo.undo()
    assert shown.held == {"a": 1, "b": 2}


async def test_functions_that_it_defines_show_their_source(call: Call) -> None:
    import inspect

    namespace: dict[str, Any] = {"__name__": "__main__"}
    await call(Python(), namespace, code="def double(x):\n    return 2 * x")
    assert inspect.getsource(namespace["double"]) == "def double(x):\n    return 2 * x"


async def test_the_preview_shows_the_code_and_refuses_what_cannot_run() -> None:
    context = ToolContext(lambda _: None, {}, InlineRunner())
    shown = await Python().preview({"code": "x = '```'\n"}, context)
    assert shown == (Text("````python\nx = '```'\n````"),)
    with pytest.raises(ToolError, match="SyntaxError"):
        await Python().preview({"code": "x ="}, context)


async def test_it_asks_before_it_runs_and_is_told_to_the_model() -> None:
    tool = Python()
    assert (traits(tool).id, traits(tool).source, traits(tool).approval) == ("builtin-python", "built-in", "ask")
    spec = tool.spec({})
    assert spec.name == "python"
    assert spec.parameters["required"] == ["code"]
    assert "notebook" in spec.description


async def test_a_sandbox_takes_the_code_instead(call: Call) -> None:
    async def interpreter(code: str, context: ToolContext) -> ToolReturn:
        return ToolReturn((Text(f"ran {code} elsewhere"),))

    namespace: dict[str, object] = {}
    got = await call(Python(where="sandbox", interpreter=interpreter), namespace, code="x = 1")
    assert got.text == "ran x = 1 elsewhere"
    assert namespace == {}
    elsewhere = Python(where="sandbox", interpreter=interpreter)
    assert elsewhere.spec({}).description.startswith("Run Python code in a sandbox")
    assert traits(elsewhere).id == "builtin-python-sandbox", "a rule for it is none for the notebook's variables"
    with pytest.raises(UsageError, match="interpreter"):
        Python(where="sandbox")


class TestFigures:
    """Pictures come of figures, however they are left."""

    async def draw(self, call: Call, code: str) -> tuple[int, Called]:
        import matplotlib as mpl

        mpl.use("agg")
        import matplotlib.pyplot as plt

        plt.close("all")
        kept = plt.figure(77)
        got = await call(Python(), {"plt": plt}, code=code)
        left = plt.get_fignums()
        assert left == [77]
        assert plt.gcf() is kept
        plt.close("all")
        return sum(isinstance(block, Image) for block in got.result.content), got

    @pytest.mark.parametrize(
        ("code", "pictures"),
        [
            ("plt.figure(); plt.plot([1, 2]);", 1),
            ("fig, ax = plt.subplots()\nax.plot([1, 2])\nfig", 1),
            ("fig, ax = plt.subplots()\nax", 1),
            ("plt.figure(); plt.figure(); 5", 2),
            ("x = 1", 0),
        ],
    )
    async def test_each_new_figure_is_one_picture_and_is_closed(self, call: Call, code: str, pictures: int) -> None:
        count, _ = await self.draw(call, code)
        assert count == pictures


def test_nothing_is_loaded_for_figures_that_are_not_there() -> None:
    from agentnb.builtins.displayed import open_figures

    loaded = sys.modules.pop("matplotlib._pylab_helpers", None)
    try:
        assert open_figures() == {}
    finally:
        if loaded is not None:
            sys.modules["matplotlib._pylab_helpers"] = loaded
