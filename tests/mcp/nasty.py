"""A server over stdio that does whatever a server should not: run with a word that says what. It needs no SDK."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

TOOLS = ["echo", "big", "picture", "crash", "hang", "junk", "flood", "endless", "grow", "progress", "log", "ask"]
TOOLS += ["link", "child", "pid", "heard", "wrong", "env", "wait", "noise", "odd", "a b/c", "a.b c"]
heard: list[str] = []


def send(message: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **dict(message)}) + "\n")  # type: ignore[call-overload]
    sys.stdout.flush()


def answer(request: dict, result: object) -> None:
    send({"id": request["id"], "result": result})


def says(request: dict, text: str, **more: object) -> None:
    answer(request, {"content": [{"type": "text", "text": text}], **more})


def listed() -> list[dict]:
    schema = {"type": "object", "properties": {"text": {"type": "string"}, "size": {"type": "integer"}}}
    return [{"name": name, "description": f"It can {name}.\nReally.", "inputSchema": schema} for name in TOOLS]


def ask(request: dict, params: dict) -> None:
    send({"id": "q1", "method": "elicitation/create", "params": params})
    reply = json.loads(sys.stdin.readline())
    says(request, json.dumps(reply.get("result", reply.get("error")), sort_keys=True))


def crash(request: dict, _: dict) -> None:
    sys.stderr.write("it was too much\n")
    sys.stderr.flush()
    os._exit(3)


def hang(request: dict, _: dict) -> None:
    heard.append(f"hang {request['id']}")  # and no answer, ever


def junk(request: dict, _: dict) -> None:
    sys.stdout.write('Hello!\n\n{"not": "json-rpc"}\n[1, 2]\n{broken\n\x00\x01\n')
    says(request, "after the junk")


def flood(request: dict, _: dict) -> None:
    while True:
        sys.stdout.write("la la la\n" * 10_000)


def endless(request: dict, _: dict) -> None:
    while True:
        sys.stdout.write("x" * 1_000_000)


def odd(request: dict, _: dict) -> None:
    line = json.dumps(
        {"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": "caf?"}]}}
    )
    sys.stdout.flush()
    sys.stdout.buffer.write(line.encode().replace(b"?", b"\xe9 \\ud83d \\udc27 \\ud83d\\udc27") + b"\n")
    sys.stdout.buffer.flush()


def noise(request: dict, _: dict) -> None:
    while True:
        send({"method": "notifications/message", "params": {"level": "info", "data": "y" * 100_000}})


def big(request: dict, arguments: dict) -> None:
    says(request, "z" * (arguments["size"] * 1_000_000))


def picture(request: dict, arguments: dict) -> None:
    data = "AAAA" * (arguments["size"] * 250_000)
    answer(request, {"content": [{"type": "image", "data": data, "mimeType": "image/png"}]})


def grow(request: dict, arguments: dict) -> None:
    TOOLS.append(arguments["text"])
    send({"method": "notifications/tools/list_changed"})
    says(request, "grown")


def progress(request: dict, _: dict) -> None:
    token = request["params"]["_meta"]["progressToken"]
    for done in (1, 2):
        told = {"progressToken": token, "progress": done, "total": 2, "message": f"step {done}"}
        send({"method": "notifications/progress", "params": told})
    says(request, "done")


def log(request: dict, arguments: dict) -> None:
    for number in range(arguments.get("size", 1)):
        params = {"level": "warning", "logger": "db", "data": {"row": number}}
        send({"method": "notifications/message", "params": params})
    says(request, "logged")


def child(request: dict, _: dict) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    quiet = "import time; print('up', flush=True); time.sleep(99)"
    started = subprocess.Popen(
        [sys.executable, "-c", code if "stubborn" in sys.argv else quiet], stdout=subprocess.PIPE, text=True
    )
    started.stdout.readline()
    says(request, str(started.pid))


def wait(request: dict, arguments: dict) -> None:
    time.sleep(0.05)
    says(request, arguments["text"])


FORM = {
    "message": "Who are you?",
    "requestedSchema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 30}},
    },
}
URL = {"mode": "url", "message": "Log in.", "url": "https://example.com/login", "elicitationId": "1"}
CALLS: dict[str, Callable[[dict, dict], None]] = {
    "echo": lambda request, arguments: says(request, arguments.get("text", "")),
    "ask": lambda request, _: ask(request, FORM),
    "link": lambda request, arguments: ask(request, URL | ({"url": arguments["text"]} if "text" in arguments else {})),
    "pid": lambda request, _: says(request, str(os.getpid())),
    "heard": lambda request, _: says(request, ", ".join(heard)),
    "wrong": lambda request, _: answer(request, {"content": "no list"}),
    "env": lambda request, _: says(request, json.dumps(dict(os.environ))),
    "crash": crash, "hang": hang, "junk": junk, "flood": flood, "endless": endless, "noise": noise, "odd": odd,
    "big": big, "picture": picture, "grow": grow, "progress": progress, "log": log, "child": child, "wait": wait,
}  # fmt: skip


def handle(request: dict) -> None:
    match request.get("method"):
        case "initialize":
            capabilities = {"tools": {"listChanged": True}, "logging": {}}
            info = {"name": "nasty", "version": "1"}
            version = request["params"]["protocolVersion"]
            answer(request, {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
        case "tools/list":
            answer(request, {"tools": listed()})
        case "tools/call":
            name = request["params"]["name"]
            call = CALLS.get(name, lambda request, _: says(request, f"{name} was called"))
            call(request, request["params"].get("arguments") or {})
        case "notifications/cancelled":
            heard.append(f"cancelled {request['params']['requestId']}")
        case _ if "id" in request:
            send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})


def main(how: str) -> None:
    match how:
        case "die":
            sys.exit("no database here")
        case "silent":
            time.sleep(99)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "chatty":
            sys.stdout.write("Listening on stdio...\n")
    for line in sys.stdin:
        request = json.loads(line)
        if how == "strict" and request.get("method") == "server/discover":
            sys.exit("expected initialize")
        handle(request)
    while how == "stubborn":
        time.sleep(1)


main(sys.argv[1] if len(sys.argv) > 1 else "")
