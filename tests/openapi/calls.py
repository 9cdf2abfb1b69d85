"""What the tests of this folder share: documents in few words, and calls without an agent."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import anyio

from agentnb.messages import Content, Data, Text
from agentnb.models.http import Http
from agentnb.models.keys import Credentials
from agentnb.openapi import OpenApiTool, OpenApiTools, load
from agentnb.tools.base import InlineRunner, ToolContext, ToolReturn

SERVER = "https://api.example/v1"


def context(namespace: MutableMapping[str, object] | None = None) -> ToolContext:
    return ToolContext(lambda _: None, {} if namespace is None else namespace, InlineRunner())


async def call(tool: OpenApiTool, namespace: MutableMapping[str, object] | None = None, **arguments: Any) -> ToolReturn:
    try:
        with anyio.fail_after(10):
            return await tool.call(arguments, context(namespace))
    finally:
        await tool._service.http.aclose()


async def value(tool: OpenApiTool, **arguments: Any) -> Any:
    """The data of an answer."""
    (first, *_) = (await call(tool, **arguments)).content
    assert isinstance(first, Data), first
    return first.value


async def shown(tool: OpenApiTool, **arguments: Any) -> str:
    """The words of a preview."""
    return words(await tool.preview(arguments, context()))


def words(content: tuple[Content, ...]) -> str:
    return "\n".join(each.text if isinstance(each, Text) else str(each) for each in content)


def document(paths: dict[str, Any], *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "T"}, "servers": [{"url": SERVER}], "paths": paths, **more}


def operation(*parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document of one operation, `op`, which is a GET unless it has a body."""
    method = "post" if "requestBody" in more else "get"
    components = more.pop("components", {})
    path = more.pop("path", "/x")
    return document(
        {path: {method: {"operationId": "op", "parameters": list(parameters), **more}}}, components=components
    )


async def one(source: Any, **options: Any) -> OpenApiTool:
    """The tool `op` of a document."""
    return (await tools(source, **options))["op"]


async def tools(source: Any, **options: Any) -> OpenApiTools:
    http = Http()
    try:
        return await load(source, http=http, **options)
    finally:
        await http.aclose()


def schema(tool: OpenApiTool) -> Any:
    return dict(tool.spec({}).parameters)


def keys(folder: Path, **variables: str) -> dict[str, Any]:
    """The options of `load` for credentials that are these variables."""
    return {"environ": variables, "credentials": Credentials(variables, folder, providers=())}
