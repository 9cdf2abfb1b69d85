"""What a person is shown of a call before it may run, and the two answers that every such question has."""

from __future__ import annotations

import json

from agentnb.messages import Content, JSONObject, Text
from agentnb.tools.base import Choice, Previewing, Tool, ToolContext

APPROVE = Choice("approve", "Approve", "primary")
DENY = Choice("deny", "Deny", "danger", reason=True)


async def previewed(tool: Tool, arguments: JSONObject, context: ToolContext) -> tuple[Content, ...]:
    """What a call would do, as the tool shows it; its arguments where it cannot. Raises ToolError."""
    if isinstance(tool, Previewing):
        return await tool.preview(arguments, context)
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return (Text("\n".join(lines) or "(no arguments)"),)
