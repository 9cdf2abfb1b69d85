"""What we use of a Jupyter server: kernels and files over HTTP, the channels of a kernel over a websocket."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from agentnb.errors import MissingExtra, SandboxError, UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.render.terminal import one_line
from agentnb.sandbox.guest_kernels import GRACE, Stop

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio.client import ClientConnection

_TIMEOUT = 30.0
_TICK = 0.1
#: Bytes of one message, and of one file, at most.
_LONGEST = 128 << 20
#: What a server says, of itself, when a kernel has died.
_DEAD = ("dead", "restarting", "autorestarting")
Message = tuple[str, JSONObject]


class Server:
    """A Jupyter server at `url` (http or https), with its token."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"A Jupyter server has an address such as http://127.0.0.1:8888, not {url[:100]!r}.")
        self.name = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
        self._base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        self._headers = {"Authorization": f"token {token}"} if token else {}
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Server({self.name!r})"

    async def request(self, method: str, path: str, body: JSONObject | None = None) -> JSON:
        """What the server answers under `/api/`. Raises SandboxError, also for any status >= 400."""
        import httpx

        if self._client is None:
            # Redirects would carry the token elsewhere.
            self._client = httpx.AsyncClient(headers=self._headers, timeout=_TIMEOUT, follow_redirects=False)
        try:
            answer = await self._client.request(method, f"{self._base}/api/{quote(path, safe='/?=&')}", json=body)
        except httpx.HTTPError as error:
            raise SandboxError(f"{self.name} does not answer ({one_line(str(error), 200)}).") from None
        if answer.status_code >= 300:
            raise SandboxError(f"{self.name} refused: {_reason(answer.status_code, answer.content)}")
        try:
            found: JSON = orjson.loads(answer.content) if answer.content else None
        except orjson.JSONDecodeError:
            raise SandboxError(f"{self.name} answered what is no JSON. Is it a Jupyter server?") from None
        return found

    async def connect(self, kernel: str) -> ClientConnection:
        """The channels of a kernel. Raises SandboxError."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError:
            raise MissingExtra("A sandbox on a Jupyter server", "sandbox") from None
        address = (
            f"{'ws' + self._base.removeprefix('http')}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        )
        try:
            return await connect(
                address, additional_headers=self._headers, max_size=_LONGEST, open_timeout=_TIMEOUT, close_timeout=2
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise SandboxError(f"{self.name} gives no channels ({one_line(str(error), 200)}).") from None

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _reason(status: int, body: bytes) -> str:
    if status in (401, 403):
        return "the token is missing or wrong. Put it into a variable: --token VARIABLE (JUPYTER_TOKEN, if not said)"
    try:
        said = orjson.loads(body)
        message = said.get("message") if isinstance(said, dict) else None
    except orjson.JSONDecodeError:
        message = None
    return one_line(str(message or f"status {status}"), 300)


class _Ending:
    """Whether an execution is over: its reply has come, and the kernel is idle or says nothing more."""

    def __init__(self) -> None:
        self.reply: JSONObject | None = None
        self.died = ""
        self._heard = False
        self._idle = False
        self._lost_at = 0.0

    @property
    def why(self) -> str:
        """Why it is no end as it should be; empty where it is."""
        # What a kernel says before its server has joined it again after a restart, nobody hears.
        unheard = self.reply is not None and not self._heard
        return self.died or (
            "its kernel was restarted meanwhile, what it said is lost; run it again" if unheard else ""
        )

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected."""
        # A server that thinks it is flooded drops messages, the one that says "idle" among them.
        lost = 0 < self._lost_at < time.monotonic()
        return bool(self.died) or (self.reply is not None and (self._idle or lost))

    def takes(self, kind: str, content: JSONObject) -> bool:
        """Whether this message is about the end; others are for whoever listens."""
        self._heard = self._heard or kind not in ("", "execute_reply")
        match kind:
            case "execute_reply":
                self.reply, self._lost_at = content, time.monotonic() + 1
            case "status":
                self._idle = self._idle or content.get("execution_state") == "idle"
            case "died":
                self.died = "its kernel died; variables are gone"
        return kind in ("", "execute_reply", "status", "died")


class RemoteKernel:
    """One kernel of a server, which runs one piece of code after the other."""

    def __init__(self, server: Server, id: str) -> None:  # noqa: A002  # the server's word
        self.id = id
        self.lock = asyncio.Lock()
        self.stop: Stop | None = None
        self._server = server
        self._channels: ClientConnection | None = None

    async def execute(
        self, code: str, stop: Stop, expressions: JSONObject | None = None
    ) -> AsyncGenerator[Message, None]:
        """Messages of Jupyter's kinds until the code has ended, the `execute_reply` last. Raises SandboxError."""
        from websockets.exceptions import ConnectionClosed

        async with self.lock:
            self.stop = stop
            try:
                if self._channels is None:
                    self._channels = await self._server.connect(self.id)
                request = _execute_request(code, expressions or {})
                await self._channels.send(json.dumps(request))
                async for message in self._answers(self._channels, str(request["id"]), stop):
                    yield message
            except ConnectionClosed:
                self._channels = None
                yield "died", {"why": f"{self._server.name} closed the connection; variables may be gone"}
            finally:
                self.stop = None

    async def _answers(self, channels: ClientConnection, run: str, stop: Stop) -> AsyncGenerator[Message, None]:
        kill_at, ending = 0.0, _Ending()
        try:
            while not ending.over:
                if stop.check() and not kill_at:
                    kill_at = time.monotonic() + GRACE
                    await self.interrupt()
                if 0 < kill_at < time.monotonic():
                    ending.died = "it did not stop when asked; its kernel was started anew, variables are gone"
                    await self._server.request("POST", f"kernels/{self.id}/restart")
                    break
                try:
                    async with asyncio.timeout(_TICK):
                        kind, content = _parse(await channels.recv(), run)
                except TimeoutError:
                    continue
                if not ending.takes(kind, content):
                    yield kind, content
        finally:
            if not ending.over:
                # Nobody reads on: what runs is stopped, and its messages go with the connection.
                stop.ask("Interrupted", "stopped by the person")
                await asyncio.shield(self._abandon())
        if ending.why:
            yield "died", {"why": ending.why}
        if stop.reason is not None:
            yield "stopped", {"name": stop.reason[0], "message": stop.reason[1]}
        yield "execute_reply", ending.reply or {}

    async def interrupt(self) -> None:
        """Stop what runs, and keep the kernel."""
        await self._server.request("POST", f"kernels/{self.id}/interrupt")

    async def close(self) -> None:
        """End it."""
        await self._disconnect()
        await self._server.request("DELETE", f"kernels/{self.id}")

    async def _abandon(self) -> None:
        await self.interrupt()
        await self._disconnect()

    async def _disconnect(self) -> None:
        channels, self._channels = self._channels, None
        if channels is not None:
            await channels.close()


def _execute_request(code: str, expressions: JSONObject) -> JSONObject:
    run = uuid.uuid4().hex
    header: JSONObject = {
        "msg_id": run, "msg_type": "execute_request", "username": "agentnb", "session": run, "version": "5.3",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip
    content: JSONObject = {
        "code": code, "silent": False, "store_history": True, "user_expressions": expressions, "allow_stdin": False,
        "stop_on_error": False,
    }  # fmt: skip
    return {
        "id": run, "header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": [],
        "channel": "shell",
    }  # fmt: skip


def _parse(data: str | bytes, run: str) -> Message:
    """A message of this run (empty for any other): its kind and content; `died` where the server says so."""
    try:
        message = orjson.loads(data) if isinstance(data, str) else {}
    except orjson.JSONDecodeError:
        return "", {}
    if not isinstance(message, dict):
        return "", {}
    parent, header, content = (message.get(each) for each in ("parent_header", "header", "content"))
    kind = str(header.get("msg_type")) if isinstance(header, dict) else ""
    content = content if isinstance(content, dict) else {}
    if kind == "status" and content.get("execution_state") in _DEAD:
        return "died", {}
    return (kind, content) if isinstance(parent, dict) and parent.get("msg_id") == run else ("", {})
