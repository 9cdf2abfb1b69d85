"""Tools of MCP servers: their settings, their processes and connections, and the tools that a model may call."""
