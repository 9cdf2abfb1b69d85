"""Services described by OpenAPI 3.0 to 3.2 as tools: `await load("https://…/openapi.json")`."""

from __future__ import annotations

from agentnb.openapi.tool import OpenApiTool
from agentnb.openapi.toolset import OpenApiTools, load

__all__ = ["OpenApiTool", "OpenApiTools", "load"]
