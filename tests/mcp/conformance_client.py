"""The client that the official conformance suite runs: our hub, which lists a server's tools and calls each of them.

    python conformance_client.py URL

$MCP_CONFORMANCE_SCENARIO names what is tried, $MCP_CONFORMANCE_CONTEXT may hold the calls that are to be made.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import httpx2

from agentnb.errors import AgentnbError
from agentnb.mcp.hub import McpHub
from agentnb.mcp.tool import McpTool
from agentnb.messages import JSON, JSONObject
from agentnb.tools.base import InlineRunner, Question, Reply, ToolContext

_KNOWN = {"clientId": "client_id", "clientSecret": "client_secret"}


class Agreeing:
    """Says yes to whatever is asked, with what the form begins with."""

    async def ask(self, question: Question) -> Reply:
        values = dict(question.values or {})
        fields = question.fields or {}
        properties = fields.get("properties")
        for name, schema in (properties if isinstance(properties, dict) else {}).items():
            if name not in values and name in (fields.get("required") or ()):
                values[name] = example(schema)
        return Reply("accept", values)


def example(schema: object) -> JSON:
    """A value that a schema allows."""
    about = schema if isinstance(schema, dict) else {}
    for key in ("const", "default"):
        if key in about:
            return about[key]
    if enum := about.get("enum"):
        return enum[0]
    match about.get("type"):
        case "integer" | "number":
            return 5
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {name: example(each) for name, each in about.get("properties", {}).items()}
    return "text"


async def _visit(link: str) -> None:
    """What a browser does with a link to sign in: it follows where that leads."""
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        await browser.get(link)


async def client(url: str, wanted: str) -> str:
    """Use a server as the suite's scenarios want it; `wanted` is their context. Gives what came of it, in lines."""
    given = json.loads(wanted or "{}")
    oauth: dict[str, JSON] = {"clientMetadataUrl": "https://conformance-test.local/client-metadata.json"}
    oauth |= {ours: given[theirs] for ours, theirs in _KNOWN.items() if theirs in given}
    visits: set[asyncio.Task[None]] = set()
    hub = McpHub(sign_in=lambda _, link: visits.add(asyncio.create_task(_visit(link))))
    server = hub.add("conformance", {"url": url, "type": "http", "timeout": 25, "oauth": oauth})
    context = ToolContext(lambda _: None, {}, InlineRunner(), asker=Agreeing())
    said = []
    try:
        tools = {tool.remote: tool for tool in await server.ready()}
        for name, arguments in _calls(given, tools):
            try:
                said.append(f"{name}: {(await tools[name].call(arguments, context)).content}")
            except (AgentnbError, KeyError) as error:
                said.append(f"{name}: {error}")
    except AgentnbError as error:
        said.append(str(error))
    finally:
        await server.stop()
        await asyncio.to_thread(hub.close)
    return "\n".join(said)


def _calls(given: Mapping[str, Any], tools: Mapping[str, McpTool]) -> list[tuple[str, JSONObject]]:
    listed = given.get("toolCalls")
    if listed is not None:
        return [(call["name"], call.get("arguments") or {}) for call in listed]
    made = [(name, example(dict(tool.spec({}).parameters))) for name, tool in tools.items()]
    return [(name, arguments) for name, arguments in made if isinstance(arguments, dict)]


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(client(sys.argv[1], os.environ.get("MCP_CONFORMANCE_CONTEXT", ""))))
