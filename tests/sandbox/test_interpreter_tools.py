"""The code interpreter as tools: what a model is told, what a person is asked, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentnb.builtins.folder import Folder
from agentnb.errors import ToolError
from agentnb.jobs import LoopThread
from agentnb.messages import Content, Image, JSONObject, Text
from agentnb.sandbox.launch import Local
from agentnb.sandbox.process import ProcessSandbox
from agentnb.sandbox.sandboxes import Sandboxes, Wanted
from agentnb.sandbox.tools import DownloadTool, SandboxTools, interpreter_tools
from agentnb.tools.base import InlineRunner, Tool, ToolContext, ToolReturn, traits
from tests.sandbox.conftest import Box, started

NAMES = {
    "health", "run_code", "list_contexts", "create_context", "get_context", "delete_context", "read_file", "write_file",
    "file_system_list", "file_system_stat", "file_system_mkdir", "file_system_move", "file_system_remove",
    "file_system_upload", "file_system_download", "process_exec", "process_list", "process_get", "process_kill",
}  # fmt: skip


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    yield from started(Local())


class Called:
    """Calls tools over one sandbox, in a workspace folder."""

    def __init__(self, box: Box, folder: Path) -> None:
        self.box = box
        self.emitted: list[Content] = []
        found = interpreter_tools(lambda: box.sandbox, safe=lambda: True, folder=Folder(folder), prefix="")
        self.tools: dict[str, Tool] = {tool.name: tool for tool in found}

    def result(self, tool: str, /, **arguments: object) -> ToolReturn:
        given: JSONObject = arguments  # type: ignore[assignment]  # JSON it is
        context = ToolContext(self.emitted.append, {}, InlineRunner())
        return self.box.wait(lambda _: self.tools[tool].call(given, context))

    def says(self, tool: str, /, **arguments: object) -> str:
        return "\n".join(block.text for block in self.result(tool, **arguments).content if isinstance(block, Text))


@pytest.fixture
def called(box: Box, tmp_path: Path) -> Called:
    return Called(box, tmp_path)


def test_every_verb_is_a_tool_with_a_schema_and_words(called: Called) -> None:
    assert set(called.tools) == NAMES
    for name, tool in called.tools.items():
        spec = tool.spec({})
        assert len(spec.description) > 20, name
        assert "call" not in spec.parameters["properties"], name  # type: ignore[operator]  # an object
        assert traits(tool).id == f"sandbox-{name}"
    required = called.tools["run_code"].spec({}).parameters["required"]
    assert required == ["code"]


def test_code_streams_into_the_card_and_comes_back_whole(called: Called) -> None:
    code = "print('hello')\nimport matplotlib.pyplot as plt\nplt.plot([1]); plt.show()\n40 + 2"
    done = called.result("run_code", code=code)
    assert not done.is_error
    assert isinstance(done.content[0], Text)
    assert done.content[0].text == "hello\n42"
    assert isinstance(done.content[1], Image)
    assert Text("hello\n") in called.emitted
    assert any(isinstance(block, Image) for block in called.emitted)


def test_an_error_is_a_result_that_the_model_reads(called: Called) -> None:
    done = called.result("run_code", code="1 / 0")
    assert done.is_error
    assert isinstance(done.content[0], Text)
    assert done.content[0].text.endswith("ZeroDivisionError: division by zero")
    assert called.result("run_code", code="sleep 9", language="shell", timeout=0.2).is_error


def test_a_context_keeps_variables(called: Called) -> None:
    assert called.says("create_context", name="mine").startswith("mine is ready, in /")
    called.says("run_code", code="x = 7", context="mine")
    assert called.says("run_code", code="x", context="mine") == "7"
    assert called.says("get_context", name="mine").startswith("mine: idle, in /")
    assert "mine" in called.says("list_contexts")
    assert called.says("delete_context", name="mine") == "mine is ended."
    with pytest.raises(ToolError, match="no context 'mine'"):
        called.says("get_context", name="mine")


def test_files_and_pictures_are_read_and_written(called: Called) -> None:
    assert called.says("write_file", path="a.txt", content="é") == "a.txt: 2 bytes written."
    assert called.says("read_file", path="a.txt") == "é"
    assert "a.txt  2 bytes" in called.says("file_system_list")
    assert called.says("file_system_mkdir", path="sub") == "sub is there."
    assert called.says("file_system_move", source="a.txt", target="sub/b.txt") == "a.txt is now sub/b.txt."
    assert called.says("file_system_stat", path="sub") == "sub/"
    assert called.says("file_system_remove", path="sub") == "sub is gone."
    called.result(
        "run_code", code="open('p.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n...'); open('x', 'wb').write(b'\\xff')"
    )
    assert isinstance(called.result("read_file", path="p.png").content[0], Image)
    with pytest.raises(ToolError, match="neither text nor a picture"):
        called.result("read_file", path="x")


def test_files_go_in_and_out_of_the_workspace_folder_only(called: Called, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("data")
    (tmp_path.parent / "beside.txt").write_text("not yours")
    (tmp_path / "link").symlink_to(tmp_path.parent / "beside.txt")
    assert called.says("file_system_upload", source="in.txt", target="d/in.txt") == "d/in.txt: 4 bytes copied in."
    assert (
        called.says("file_system_download", source="d/in.txt", target="out/o.txt") == "out/o.txt: 4 bytes copied out."
    )
    assert (tmp_path / "out/o.txt").read_text() == "data"
    for path in ("../beside.txt", "link", "/etc/passwd"):
        with pytest.raises(ToolError, match="outside the workspace folder"):
            called.result("file_system_upload", source=path)
        with pytest.raises(ToolError, match="outside the workspace folder"):
            called.result("file_system_download", source="d/in.txt", target=path)
    assert (tmp_path.parent / "beside.txt").read_text() == "not yours"


def test_what_is_copied_out_is_what_a_person_was_shown(called: Called, tmp_path: Path) -> None:
    tool = called.tools["file_system_download"]
    assert isinstance(tool, DownloadTool)
    arguments: JSONObject = {"source": "made.py", "target": "setup.py"}
    context = ToolContext(lambda _: None, {}, InlineRunner(), "call-1")
    called.says("write_file", path="made.py", content="good = 1\n")
    (tmp_path / "setup.py").write_text("old")
    assert called.box.wait(lambda _: tool.preview(arguments, context)) == (
        Text("setup.py, 9 bytes, in the place of what is there:"),
        Text("good = 1\n"),
    )
    called.says("write_file", path="made.py", content="evil = 1\n")
    with pytest.raises(ToolError, match="changed while the person was asked"):
        called.box.wait(lambda _: tool.call(arguments, context))
    assert (tmp_path / "setup.py").read_text() == "old"
    called.box.wait(lambda _: tool.preview(arguments, context))
    called.box.wait(lambda _: tool.call(arguments, context))
    assert (tmp_path / "setup.py").read_text() == "evil = 1\n"


def test_processes_go_on_beside_calls(called: Called) -> None:
    pid = int(called.says("process_exec", command="echo on; sleep 60").split()[0])
    assert f"{pid}  running" in called.says("process_list")
    assert called.says("process_get", pid=pid).startswith(f"{pid}  running")
    assert called.says("process_kill", pid=pid) == f"{pid}  ended with -9  echo on; sleep 60"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("run_code", {}, "'code' is missing"),
        ("run_code", {"code": "1", "language": "perl"}, "'language'"),
        ("run_code", {"code": "1", "timeout": 0}, "timeout is a number of seconds"),
        ("run_code", {"code": "1", "context": "../x"}, "A context is named with letters"),
        ("read_file", {"path": "../../etc/passwd"}, "outside of the sandbox's folder"),
        ("process_kill", {"pid": 999999}, "no process 999999"),
    ],
)
def test_what_does_not_fit_is_told(called: Called, name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        called.result(name, **arguments)


def test_what_acts_asks_first_where_the_sandbox_is_not_safe() -> None:
    for safe in (True, False):
        tools = interpreter_tools(lambda: ProcessSandbox(Local()), safe=lambda safe=safe: safe, folder=Folder())
        asks = {tool.name.removeprefix("sandbox_") for tool in tools if traits(tool).approval == "ask"}
        always = {"file_system_download"}
        acts = {name for name in NAMES if name.split("_")[0] in ("run", "write", "create", "delete")}
        acts |= {"file_system_mkdir", "file_system_move", "file_system_remove", "file_system_upload"}
        acts |= {"process_exec", "process_kill"}
        assert asks == (always if safe else always | acts)


def test_a_person_is_shown_the_code_as_it_stands() -> None:
    tool = next(t for t in interpreter_tools(lambda: ProcessSandbox(Local())) if t.name == "sandbox_run_code")
    context = ToolContext([].append, {}, InlineRunner())
    shown = asyncio.run(tool.preview({"code": "a = 1\nb", "timeout": 5}, context))  # type: ignore[attr-defined]  # it has
    assert shown == (Text("timeout = 5.0"), Text("a = 1\nb"))


def test_without_a_workspace_folder_nothing_is_copied_in_or_out() -> None:
    names = {tool.name for tool in interpreter_tools(lambda: ProcessSandbox(Local()))}
    assert names == {f"sandbox_{name}" for name in NAMES if not name.endswith("load")}


def test_the_toolset_starts_nothing_and_says_where_there_can_be_no_sandbox() -> None:
    loop = LoopThread("none")
    sandboxes = Sandboxes(loop)
    tools = SandboxTools(sandboxes)
    assert tools.off_by_default
    assert tools.known()
    assert sandboxes.all() == {}
    vars(sandboxes)["unavailable"] = "bubblewrap is not installed. Install it"
    context = ToolContext([].append, {}, InlineRunner())
    with pytest.raises(ToolError, match=r"not installed. Install it. Or run it unprotected.*--unsafe"):
        asyncio.run(tools.known()[1].call({"code": "1"}, context))
    sandboxes.close()
    loop.close()


def test_the_built_in_tool_for_python_can_run_in_the_sandbox() -> None:
    loop = LoopThread("python")
    sandboxes = Sandboxes(loop)
    sandboxes.usual = Wanted("local")
    tools = SandboxTools(sandboxes)
    context = ToolContext([].append, {}, InlineRunner())

    async def work() -> list[ToolReturn]:
        return [await tools.interpret(code, context) for code in ("x = 4", "x")]

    done = asyncio.run_coroutine_threadsafe(work(), loop.loop).result(30)
    assert [each.content for each in done] == [(Text("(no output)"),), (Text("4"),)]
    sandboxes.close()
    loop.close()
