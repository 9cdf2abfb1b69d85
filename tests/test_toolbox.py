# ruff: noqa: ARG005 - fakes take what the interface gives them
"""The toolbox: where tools come from, what they are called, which are offered."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from agentnb.errors import ToolError, UsageError
from agentnb.messages import Content, JSONObject, Text, ToolSpec
from agentnb.toolbox import Removed, Toolbox
from agentnb.tools.base import Previewing, Tool, ToolContext, ToolReturn, Traits, traits
from agentnb.tools.function import tool
from agentnb.tools.loading import load
from agentnb.tools.naming import look_up


class Remote:
    """A tool of a server."""

    parallel = True

    def __init__(self, server: str, name: str) -> None:
        self.name = name
        self.traits = Traits(f"mcp-{server}-{name}", server, "ask")

    def spec(self, namespace: MutableMapping[str, object]) -> ToolSpec:
        return ToolSpec(self.name, "Of a server.", {"type": "object", "properties": {}})

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolReturn:
        return ToolReturn((Text(f"{self.name} ran"),))

    async def preview(self, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
        return (Text(f"would run {self.name}"),)


@dataclass
class Server:
    """A toolset that must be started before it knows its tools."""

    name: str
    tools: Sequence[str]
    started: bool = True
    made: list[Tool] = field(default_factory=list)

    def known(self) -> Sequence[Tool]:
        self.made = self.made or [Remote(self.name, name) for name in self.tools]
        return self.made if self.started else []

    async def ready(self) -> Sequence[Tool]:
        self.started = True
        return self.known()


def search(query: str) -> str:
    """Search here."""
    return query


def now() -> str:
    """Say the time."""
    return "12:00"


def box(**variables: object) -> Toolbox:
    return Toolbox(dict(variables), lambda: None)


def names(toolbox: Toolbox) -> dict[str, str]:
    return {each.name: each.id for each in toolbox.listed()}


def test_a_function_and_a_servers_tool_of_one_name_are_both_offered_the_other_by_its_id() -> None:
    toolbox = box(search=search)
    toolbox.add_toolset(Server("web", ["search", "open"]))
    toolbox.add(["search"])
    assert names(toolbox) == {"search": "function-search", "mcp-web-search": "mcp-web-search", "open": "mcp-web-open"}
    clashing = toolbox.all()["mcp-web-search"]
    assert clashing.spec({}).name == "mcp-web-search"


def test_the_first_of_two_servers_keeps_the_name() -> None:
    toolbox = box()
    for server in ("web", "files"):
        toolbox.add_toolset(Server(server, ["search"]))
    assert names(toolbox) == {"search": "mcp-web-search", "mcp-files-search": "mcp-files-search"}


def test_tools_whose_ids_are_the_same_are_all_there() -> None:
    toolbox = box()
    toolbox.add_toolset(Server("a-b", ["c"]))
    toolbox.add_toolset(Server("a", ["b-c"]))
    assert names(toolbox) == {"c": "mcp-a-b-c", "b-c": "mcp-a-b-c_2"}
    assert [each.toolset for each in toolbox.listed()] == ["a-b", "a"]


def test_a_tool_named_as_anothers_id_takes_nothing_from_it() -> None:
    toolbox = box(search=search, other=tool(now, name="mcp-web-search"))
    toolbox.add_toolset(Server("web", ["search"]))
    toolbox.add(["search"])
    assert sorted(names(toolbox)) == ["mcp-web-search", "mcp-web-search_2", "search"]


@pytest.mark.anyio
async def test_a_renamed_tool_is_the_same_under_another_name() -> None:
    toolbox = box()
    toolbox.add_toolset(Server("web", ["search"]))
    toolbox.rename("search", "find")
    offered = toolbox.enabled()["find"]
    context = ToolContext(lambda content: None, {}, None)  # type: ignore[arg-type]  # it runs nothing
    assert (await offered.call({}, context)).content == (Text("search ran"),)
    assert offered.parallel
    assert traits(offered) == Traits("mcp-web-search", "web", "ask")
    assert isinstance(offered, Previewing)
    assert await offered.preview({}, context) == (Text("would run search"),)
    assert offered.spec({}).name == "find"


def test_a_renamed_function_shows_no_preview_that_it_has_not() -> None:
    toolbox = box(search=search)
    toolbox.add(["search"])
    toolbox.rename("search", "find")
    assert not isinstance(toolbox.all()["find"], Previewing)
    toolbox.rename("find", "search")
    assert names(toolbox) == {"search": "function-search"}


def test_a_name_that_is_taken_or_none_is_refused() -> None:
    toolbox = box(search=search, now=now)
    toolbox.add(["search", "now"])
    with pytest.raises(UsageError, match="'now' is taken by function-now"):
        toolbox.rename("search", "now")
    with pytest.raises(UsageError, match="no name for a tool"):
        toolbox.rename("search", "two words")
    with pytest.raises(UsageError, match="Did you mean 'search'"):
        toolbox.rename("serch", "find")


def test_a_name_that_a_person_chose_is_kept_from_a_function_that_comes_later() -> None:
    toolbox = box(now=now)
    toolbox.add_toolset(Server("web", ["search"]))
    toolbox.rename("search", "now")
    toolbox.add(["now"])
    assert names(toolbox) == {"function-now": "function-now", "now": "mcp-web-search"}


def test_a_run_takes_tools_by_name_id_toolset_and_pattern() -> None:
    toolbox = box(search=search, now=now)
    toolbox.add_toolset(Server("clock", ["time_now", "time_zone", "alarm"]))
    toolbox.add(["search"])

    def picked(*wanted: str) -> list[str]:
        return [each.name for each in toolbox.pick(wanted)]

    assert picked("search", "function-search", "mcp-clock-alarm") == ["search", "alarm"]
    assert picked("clock") == ["time_now", "time_zone", "alarm"]
    assert picked("time*") == ["time_now", "time_zone"]
    assert picked("mcp-clock-*", "now") == ["time_now", "time_zone", "alarm", "now"]
    with pytest.raises(UsageError, match="No function 'zzz'"):
        picked("zzz")
    with pytest.raises(UsageError, match="No tool fits 'zzz\\*'"):
        picked("zzz*")


def test_a_pick_of_many_leaves_out_those_that_are_off_and_a_pick_of_one_does_not() -> None:
    toolbox = box()
    toolbox.add_toolset(Server("clock", ["time_now", "alarm"]))
    toolbox.enable("alarm", False)
    assert [each.name for each in toolbox.pick(["clock"])] == ["time_now"]
    assert [each.name for each in toolbox.pick(["alarm"])] == ["alarm"]
    toolbox.enable("clock", False)
    assert toolbox.enabled() == {}
    assert [each.name for each in toolbox.pick(["clock"])] == ["time_now", "alarm"]


def test_a_function_of_the_notebook_goes_before_a_toolsets_tool_of_its_name() -> None:
    toolbox = box(search=search)
    toolbox.add_toolset(Server("web", ["search"]))
    assert [toolbox.description(each) for each in toolbox.pick(["search"])] == ["Search here."]
    assert [toolbox.description(each) for each in toolbox.pick(["mcp-web-search"])] == ["Of a server."]


def test_picked_functions_that_clash_are_told_apart() -> None:
    toolbox = box(search=tool(search), again=tool(now, name="search"))
    assert [each.name for each in toolbox.pick(["search", "again"])] == ["search", "function-search_2"]


def test_a_tool_is_looked_up_by_name_then_by_id_then_by_the_name_it_has_at_home() -> None:
    toolbox = box(search=search)
    toolbox.add_toolset(Server("web", ["search"]))
    toolbox.add(["search"])
    assert toolbox.get("search").id == "function-search"
    assert toolbox.get("mcp-web-search").source == "web"
    toolbox.rename("search", "find")
    toolbox.rename("mcp-web-search", "web_search")
    assert toolbox.get("search").name == "find"
    run = {"find": toolbox.all()["web_search"]}
    assert look_up(run, "find") is run["find"]
    assert look_up(run, "mcp-web-search") is run["find"]
    with pytest.raises(UsageError, match=r"'web' is not a tool, but has some\. %tool list web shows them"):
        toolbox.get("web")
    assert look_up(run, "search") is None  # what a run was not given is not in it


def test_taking_tools_away_says_what_became_of_each() -> None:
    toolbox = box(search=search, marked=tool(now))
    toolbox.add_toolset(Server("web", ["open"]))
    toolbox.add(["search"])
    gone = toolbox.discard(["function-search", "zzz", "open", "now"])
    assert gone == Removed(("search",), ("zzz",), ("open", "now"))
    assert names(toolbox) == {"now": "function-now", "open": "mcp-web-open"}
    assert toolbox.enabled() == {}


def test_a_tool_that_comes_back_comes_back_on_and_under_its_own_name() -> None:
    toolbox = box(search=search)
    toolbox.add(["search"])
    toolbox.rename("search", "find")
    toolbox.remove("find")
    toolbox.add(["search"])
    assert list(toolbox.enabled()) == ["search"]


def test_switched_off_is_switched_off_under_every_name() -> None:
    toolbox = box(search=search)
    toolbox.add(["search"])
    toolbox.enable("search", False)
    toolbox.rename("search", "find")
    assert not toolbox.is_enabled("find")
    toolbox.add(["find"])
    assert toolbox.is_enabled("find")


def test_the_tools_of_a_toolset_are_known_once_it_is_ready() -> None:
    toolbox = box()
    toolbox.add_toolset(Server("web", ["open"], started=False))
    assert toolbox.pick(["web"]) == []
    anyio.run(toolbox.ready, ["web"])
    assert [each.name for each in toolbox.pick(["web"])] == ["open"]
    toolbox.remove_toolset("web")
    assert toolbox.all() == {}


class Broken(Server):
    """A toolset that cannot be started."""

    async def ready(self) -> Sequence[Tool]:
        raise ToolError("MCP server 'web' cannot be started: no such program.")


def test_a_toolset_that_cannot_start_is_named_and_is_left_alone_once_it_is_off() -> None:
    toolbox = box()
    other = Server("clock", ["alarm"], started=False)
    for server in (Broken("web", ["open"], started=False), other):
        toolbox.add_toolset(server)
    with pytest.raises(UsageError, match=r"no such program\. %tool off web goes on without it"):
        anyio.run(toolbox.ready)
    assert list(toolbox.enabled()) == ["alarm"]
    toolbox.enable("web", False)
    anyio.run(toolbox.ready)


def test_a_toolset_whose_tools_are_known_is_not_started_for_a_run() -> None:
    toolbox = box()
    toolbox.add_toolset(Broken("web", ["search"]))  # idle: its first call would start it
    anyio.run(toolbox.ready)
    assert list(toolbox.enabled()) == ["search"]


class Growing(Server):
    """A toolset that has more whenever it is asked."""

    live = True

    async def ready(self) -> Sequence[Tool]:
        self.made = [*self.known(), Remote(self.name, f"new_{len(self.made)}")]
        return self.made


def test_a_toolset_that_runs_is_asked_anew_for_each_round() -> None:
    toolbox = box()
    toolbox.add_toolset(Growing("web", ["search"]))
    anyio.run(toolbox.ready)
    assert list(toolbox.enabled()) == ["search", "new_1"]
    for name in ("search", "new_1"):
        toolbox.enable(name, False)
    anyio.run(toolbox.ready)
    assert len(toolbox.all()) == 2, "what is off is left alone"


def test_one_of_a_toolset_that_is_off_can_be_on_and_new_ones_are_off() -> None:
    toolbox = box()
    server = Server("clock", ["alarm", "now"])
    toolbox.add_toolset(server)
    toolbox.enable("clock", False)
    server.made.append(Remote("clock", "later"))
    assert toolbox.enabled() == {}
    toolbox.enable("now", True)
    assert list(toolbox.enabled()) == ["now"]
    toolbox.enable("clock", True)
    assert list(toolbox.enabled()) == ["alarm", "now", "later"]


class Dangerous(Server):
    """A toolset whose tools nobody wants unasked."""

    off_by_default = True


def test_a_toolset_may_be_off_until_somebody_wants_it() -> None:
    toolbox = box()
    toolbox.add_toolset(Dangerous("built-in", ["bash", "python"]))
    assert toolbox.enabled() == {}
    assert [each.name for each in toolbox.pick(["built-in"])] == ["bash", "python"]
    assert [each.name for each in toolbox.pick(["python"])] == ["python"]
    toolbox.enable("bash", True)
    assert list(toolbox.enabled()) == ["bash"]
    assert toolbox.discard(["bash"]).skipped == ("bash",)
    toolbox.add_toolset(Dangerous("built-in", ["bash", "python"]))
    assert toolbox.enabled() == {}


def test_tools_are_listed_by_kind() -> None:
    toolbox = box(search=search)
    toolbox.add_toolset(Server("web", ["open"]))
    toolbox.add(["search"])
    assert list(toolbox.of_kind("function")) == ["search"]
    assert list(toolbox.of_kind("mcp")) == ["open"]
    assert list(toolbox.of_kind("skill")) == []


@pytest.mark.parametrize("change", ["add", "enable", "rename", "discard", "add_toolset", "load"])
def test_every_change_is_told(change: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def double(n: int) -> int:\n    'Double.'\n    return 2 * n\n")
    told: list[int] = []
    toolbox = Toolbox({"search": search}, lambda: told.append(1))
    toolbox.add(["search"])
    before = len(told)
    match change:
        case "add":
            toolbox.add(["search"])
        case "enable":
            toolbox.enable("search", False)
        case "rename":
            toolbox.rename("search", "find")
        case "discard":
            toolbox.discard(["search"])
        case "add_toolset":
            toolbox.add_toolset(Server("web", []))
        case "load":
            toolbox.load(load(file), str(file))
    assert len(told) == before + 1


def test_a_tool_of_a_file_goes_before_what_the_notebook_has_until_its_cell_runs_again(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def search(query: str) -> str:\n    'Search the file.'\n    return query\n")
    variables: dict[str, object] = {"search": tool(search)}
    toolbox = Toolbox(variables, lambda: None)
    toolbox.load(load(file), str(file))
    assert toolbox.description(toolbox.all()["search"]) == "Search the file."
    assert toolbox.get("search").source == str(file)
    variables["search"] = tool(search)
    assert toolbox.description(toolbox.all()["search"]) == "Search here."
    toolbox.load(load(file), str(file))
    assert toolbox.discard(["search"]) == Removed((), (), ("search",))  # the notebook's own is still there


def test_a_panel_may_ask_on_another_thread_while_tools_come_and_go() -> None:
    variables: dict[str, object] = {"search": search}
    toolbox = Toolbox(variables, lambda: None)
    wrong: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                toolbox.listed()
            except BaseException as error:
                wrong.append(error)
                return

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(50):
        variables[f"f{number}"] = tool(now, name=f"f{number}")
        toolbox.add(["search"])
        toolbox.rename("search", f"find{number}")
        toolbox.discard(["search", f"find{number}"])
    stop.set()
    asking.join(5)
    assert wrong == []
