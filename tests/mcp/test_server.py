"""A server: started at first use, shared, stopped, restarted, with all that it says meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import anyio
import pytest

from agentnb.errors import ToolError
from agentnb.mcp.hub import McpHub
from agentnb.mcp.server import McpServer
from agentnb.messages import Text
from agentnb.tools.base import Reply
from tests.mcp.conftest import Clock, Person, Seen, answers, gone, is_there, nasty

pytestmark = pytest.mark.anyio


async def test_nothing_is_started_before_it_is_used(server: McpServer) -> None:
    assert (server.state, server.pid, server.known()) == ("stopped", None, ())
    names = [tool.name for tool in await server.ready()]
    assert (server.state, names[0]) == ("running", "echo")
    assert is_there(server.pid or 0)


async def test_all_calls_go_to_one_process(hub: McpHub, server: McpServer) -> None:
    pids: set[str] = set()

    async def ask() -> None:
        pids.add(answers(await hub.call("nasty", "pid")))

    async with anyio.create_task_group() as calls:
        for _ in range(8):
            calls.start_soon(ask)
    assert pids == {str(server.pid)}


async def test_calls_come_from_any_loop(hub: McpHub, server: McpServer) -> None:
    said: list[str] = []

    def elsewhere() -> None:
        said.append(answers(asyncio.run(hub.call("nasty", "echo", {"text": "from a thread"}))))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    said.append(answers(await server.call("echo", {"text": "from here"}, Seen().context())))
    await anyio.to_thread.run_sync(thread.join)
    assert sorted(said) == ["from a thread", "from here"]


async def test_a_tool_says_what_the_server_says_of_it(server: McpServer) -> None:
    tool = (await server.ready())[0]
    spec = tool.spec({})
    assert (spec.name, spec.description) == ("echo", "It can echo.\nReally.")
    assert dict(spec.parameters)["properties"] == {"text": {"type": "string"}, "size": {"type": "integer"}}
    assert (tool.traits.id, tool.traits.source, tool.traits.approval) == ("mcp-nasty-echo", "nasty", "ask")
    assert tool.parallel


async def test_names_are_made_fit_for_models_and_stay_apart(hub: McpHub, server: McpServer) -> None:
    tools = {tool.remote: tool.name for tool in await server.ready()}
    assert (tools["a b/c"], tools["a.b c"]) == ("a_b_c", "a_b_c_2")
    assert answers(await hub.call("nasty", "a_b_c_2")) == "a.b c was called"


async def test_only_what_the_settings_allow_runs_unasked(hub: McpHub) -> None:
    server = nasty(hub, alwaysAllow=["echo"])
    approvals = {tool.name: tool.traits.approval for tool in await server.ready()}
    assert (approvals["echo"], approvals["crash"]) == ("always", "ask")


async def test_a_crash_is_an_error_and_the_next_call_starts_it_again(server: McpServer) -> None:
    seen = Seen().context()
    before = answers(await server.call("pid", {}, seen))
    with pytest.raises(
        ToolError, match=r"MCP server 'nasty' exited \(code 3\): it was too much\. .* starts the server"
    ):
        await server.call("crash", {}, seen)
    assert (server.state, server.trouble) == ("failed", "exited (code 3): it was too much")
    assert server.known()  # they can be called, and that starts it
    after = answers(await server.call("pid", {}, seen))
    assert before != after
    assert server.state == "running"
    await gone(int(before))


async def test_every_call_that_was_under_way_learns_of_a_crash(server: McpServer) -> None:
    seen = Seen().context()
    await server.ready()
    hanging = [asyncio.create_task(server.call("hang", {}, seen)) for _ in range(3)]
    await server.call("echo", {}, seen)
    with pytest.raises(ToolError):
        await server.call("crash", {}, seen)
    for call in hanging:
        with pytest.raises(ToolError, match="exited"):
            await call


async def test_a_cancelled_call_tells_the_server_which_stays_usable(server: McpServer) -> None:
    seen = Seen().context()
    pid = answers(await server.call("pid", {}, seen))
    call = asyncio.create_task(server.call("hang", {}, seen))
    with anyio.fail_after(5):
        while "hang" not in answers(await server.call("heard", {}, seen)):
            pass
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while "cancelled" not in (heard := answers(await server.call("heard", {}, seen))):
            pass
    number = heard.split(",")[0].removeprefix("hang ")
    assert heard == f"hang {number}, cancelled {number}"
    assert answers(await server.call("pid", {}, seen)) == pid


async def test_progress_and_log_lines_go_into_the_card(server: McpServer) -> None:
    seen = Seen()
    assert answers(await server.call("progress", {}, seen.context())) == "done"
    assert answers(await server.call("log", {"size": 2}, seen.context())) == "logged"
    assert seen.progress == [(1.0, 2.0, "step 1"), (2.0, 2.0, "step 2")]
    assert seen.text == '[warning db] {"row": 0}\n[warning db] {"row": 1}\n'


async def test_a_log_without_an_end_is_cut(server: McpServer) -> None:
    seen = Seen()
    await server.call("log", {"size": 1000}, seen.context())
    assert len(seen.blocks) == 201
    assert seen.blocks[-1] == Text("[further log lines are left out]\n")


async def test_new_tools_are_there_at_once(server: McpServer) -> None:
    assert "teleport" not in [tool.name for tool in await server.ready()]
    await server.call("grow", {"text": "teleport"}, Seen().context())
    assert "teleport" in [tool.name for tool in await server.ready()]
    assert "teleport" in [tool.name for tool in server.known()]


async def test_the_person_fills_in_what_a_server_asks(server: McpServer) -> None:
    person = Person(Reply("accept", {"name": "Ada", "secret": "not asked for"}))
    said = json.loads(answers(await server.call("ask", {}, Seen().context(person))))
    assert said == {"action": "accept", "content": {"age": 30, "name": "Ada"}}
    (question,) = person.asked
    assert question.title == "MCP server 'nasty' asks"
    assert question.body == (Text("Who are you?"),)
    assert question.values == {"age": 30}
    assert [choice.id for choice in question.choices] == ["accept", "decline"]


@pytest.mark.parametrize("person", [None, Person(None), Person(Reply("decline"))])
async def test_where_nobody_answers_the_server_is_refused(server: McpServer, person: Person | None) -> None:
    said = answers(await server.call("ask", {}, Seen().context(person)))
    assert json.loads(said) == {"action": "decline"}


async def test_a_link_is_shown_before_it_is_followed(server: McpServer) -> None:
    person = Person(Reply("accept"))
    said = answers(await server.call("link", {}, Seen().context(person)))
    assert json.loads(said) == {"action": "accept"}
    assert "example.com:\nhttps://example.com/login" in str(getattr(person.asked[0].body[0], "text", ""))


async def test_what_is_no_link_is_not_shown(server: McpServer) -> None:
    person = Person()
    said = answers(await server.call("link", {"text": "javascript:alert(1)"}, Seen().context(person)))
    assert json.loads(said) == {"action": "decline"}
    assert person.asked == []


async def test_the_clock_stands_while_the_person_thinks(hub: McpHub) -> None:
    server = nasty(hub, timeout=1)

    class Slow(Person):
        async def ask(self, question: object) -> Reply | None:
            await anyio.sleep(1.2)
            return Reply("accept", {"name": "Slow"})

    await server.ready()
    assert "Slow" in answers(await server.call("ask", {}, Seen().context(Slow())))


async def test_idle_servers_are_stopped_and_start_again_when_used(hub: McpHub, server: McpServer, clock: Clock) -> None:
    seen = Seen().context()
    pid = int(answers(await server.call("pid", {}, seen)))
    clock.now += 299
    assert await hub.reap() == []
    clock.now += 1
    assert await hub.reap() == ["nasty"]
    assert server.state == "stopped"
    assert server.known()
    await gone(pid)
    assert answers(await server.call("echo", {"text": "again"}, seen)) == "again"


async def test_a_server_at_work_is_not_idle(hub: McpHub, server: McpServer, clock: Clock) -> None:
    seen = Seen().context()
    await server.ready()
    call = asyncio.create_task(server.call("hang", {}, seen))
    with anyio.fail_after(5):
        while server.idle is not None:  # noqa: ASYNC110  # nothing tells of it
            await anyio.sleep(0.01)
    clock.now += 1000
    assert await hub.reap() == []
    call.cancel()
    await asyncio.wait({call})


async def test_zero_lets_servers_run(hub: McpHub, server: McpServer, clock: Clock) -> None:
    hub.idle = 0
    await server.ready()
    clock.now += 1e6
    assert await hub.reap() == []


async def test_what_a_server_has_started_ends_with_it(server: McpServer) -> None:
    pid = int(answers(await server.call("child", {}, Seen().context())))
    assert is_there(pid)
    await server.stop()
    await gone(pid)


async def test_servers_inherit_little_and_find_the_programs_of_the_notebook(
    hub: McpHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    server = nasty(hub, env={"OWN": "mine"})
    env = json.loads(answers(await server.call("env", {}, Seen().context())))
    assert env["OWN"] == "mine"
    assert "OPENAI_API_KEY" not in env
    assert env["PATH"].split(":")[0] == sys.executable.rpartition("/")[0]


async def test_a_server_of_the_older_kind_that_ends_at_a_newer_word_is_spoken_to_as_it_wants(hub: McpHub) -> None:
    server = nasty(hub, "strict")
    assert answers(await server.call("echo", {"text": "old"}, Seen().context())) == "old"
