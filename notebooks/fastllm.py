"""FastLLM, an invented provider, as a real HTTP server on this machine: it repeats what it hears, extracts a little.

Its API is like OpenAI's and yet different: the system prompt has a field of its own, an answer is `output.text`, a
stream is `delta.text` until `done`.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "fk-1234567890"


@functools.cache
def serve() -> str:
    """The address of the server, which runs in the background from the first call on."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _FastLLM)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class _FastLLM(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != f"Bearer {KEY}":
            self._reply(401, [json.dumps({"error": {"message": "Unknown key", "code": "bad_key"}}).encode()])
        elif asked["stream"]:
            self._reply(200, _chunks(asked), "text/event-stream")
        else:
            whole = {"id": "resp_123", "output": _output(asked), "usage": _usage(asked)}
            self._reply(200, [json.dumps(whole).encode()])

    def _reply(self, status: int, blocks: Iterable[bytes], kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        try:
            for block in blocks:
                self.wfile.write(block)
        except OSError:
            pass  # whoever asked has heard enough

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _chunks(asked: dict[str, Any]) -> Iterator[bytes]:
    """The answer word by word; calls come whole, with the last chunk."""
    output = _output(asked)
    words = re.findall(r"\S+\s*", output["text"])
    for text in words[:-1]:
        yield _event({"id": "resp_123", "delta": {"text": text}, "done": False})
    last = {"text": "".join(words[-1:]), "tool_calls": output["tool_calls"]}
    yield _event({"id": "resp_123", "delta": last, "done": True, "usage": _usage(asked)})


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _output(asked: dict[str, Any]) -> dict[str, Any]:
    last = asked["messages"][-1]
    tools = {tool["name"]: tool["parameters"] for tool in asked.get("tools") or ()}
    name = asked.get("tool_choice") if asked.get("tool_choice") in tools else next(iter(tools), None)
    if name is None or last["role"] == "tool":
        return {"text": f"You said: {last['content']}", "tool_calls": []}
    call = {"id": "call_1", "name": name, "arguments": json.dumps(_found(last["content"], tools[name]))}
    return {"text": "", "tool_calls": [call]}


def _found(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Numbers for what is a number, words for lists and names: as much as it understands."""
    numbers, names = re.findall(r"\d+", text), re.findall(r"\b[A-Z][a-z]+", text)
    found: dict[str, Any] = {}
    for key, kind in schema["properties"].items():
        match kind.get("type"):
            case "integer":
                found[key] = int(numbers.pop(0)) if numbers else 0
            case "array":
                found[key] = re.findall(r"[a-z]+", re.split(r"\blikes?\b", text)[-1].replace(" and ", " "))
            case _:
                found[key] = names.pop(0) if names else ""
    return found


def _usage(asked: dict[str, Any]) -> dict[str, int]:
    words = sum(len(str(message["content"]).split()) for message in asked["messages"])
    return {"input_tokens": words, "output_tokens": len(str(_output(asked)).split())}
