"""The host's end of the pipe: a program inside that dies, hangs, floods or lies harms nobody."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from agentnb.errors import SandboxError
from agentnb.sandbox import channel
from agentnb.sandbox.channel import Channel, Died
from agentnb.sandbox.launch import Launch

pytestmark = pytest.mark.anyio

#: What every program here begins with: `say` sends a frame, `heard` waits for one.
BEGIN = """
import json, os, struct, sys
def raw(data): os.write(1, data)
def say(**frame):
    data = json.dumps(frame).encode()
    raw(struct.pack(">I", len(data)) + data)
def heard():
    size = struct.unpack(">I", sys.stdin.buffer.read(4))[0]
    return json.loads(sys.stdin.buffer.read(size))
"""
READY = 'say(id=0, done="x")\n'


def _launch(code: str) -> Launch:
    return Launch((sys.executable, "-I", "-c", BEGIN + code), b"")


async def _asked(code: str) -> object:
    """What one request gets from a program."""
    opened = await Channel.open(_launch(READY + code))
    try:
        async with asyncio.timeout(10):
            return await opened.ask("anything")
    finally:
        await opened.close()


async def test_a_request_gets_its_answer() -> None:
    assert await _asked("r = heard(); say(id=r['id'], done=[r['op'], 1])") == ["anything", 1]


async def test_an_error_is_a_sandbox_error_in_one_line() -> None:
    with pytest.raises(SandboxError, match=r"^no such file$"):
        await _asked("r = heard(); say(id=r['id'], error='no\\nsuch \\x1b[1mfile')")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("heard()", "it was killed from inside"),
        ("heard(); raw(b'\\xff' * 1000)", "it sent more than it may"),
        ("heard(); raw(struct.pack('>I', 3) + b'{[}')", "it sent what is no JSON"),
        ("heard(); raw(struct.pack('>I', 200_000) + b'[' * 200_000)", "it sent what is no JSON"),
        ("heard(); raw(struct.pack('>I', 2) + b'[]')", "it sent what is no answer"),
        ("heard(); say(id='one', done=1)", "it sent what is no answer"),
        ("r = heard()\nwhile True: say(id=r['id'], kind='stream', content={'text': 'x' * 1_000_000})",
         "it sent more than it may"),
        ("heard(); os.kill(os.getpid(), 9)", "it was killed from inside"),
    ],
)  # fmt: skip
async def test_a_program_that_misbehaves_is_ended_and_whoever_waits_is_told(code: str, said: str) -> None:
    begun = time.monotonic()
    with pytest.raises(Died, match=said):
        await _asked(code)
    assert time.monotonic() - begun < 5


async def test_answers_to_nobody_are_dropped() -> None:
    assert await _asked("r = heard(); say(id=999, done=1); say(id=r['id'], done=2)") == 2


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit('bwrap: No permissions to create new namespace')", "bwrap: No permissions to create new namespace"),
        ("import time; time.sleep(60)", "it does not answer"),
        ("raw(b'Python 3.11 on linux')", "it sent more than it may"),
    ],
)
async def test_a_program_that_does_not_start_says_why(code: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_START", 0.5)
    with pytest.raises(Died, match=said):
        await Channel.open(_launch(code))


async def test_a_command_that_is_not_there_says_so() -> None:
    ended: list[bool] = []
    with pytest.raises(Died, match="/no/such/program does not start"):
        await Channel.open(Launch(("/no/such/program",), b"", ended=lambda: ended.append(True)))
    assert ended == [True]


async def test_a_stream_that_is_left_asks_the_program_to_stop() -> None:
    code = """
first = heard(); say(id=first["id"], kind="stream", content={"text": "a"})
stop = heard(); say(id=stop["id"], done=None); say(id=first["id"], done={})
last = heard(); say(id=last["id"], done=[stop["op"], stop["target"] == first["id"]])
heard()
"""
    opened = await Channel.open(_launch(READY + code))
    stream = opened.stream("execute")
    assert await anext(stream) == ("stream", {"text": "a"})
    await stream.aclose()
    assert await opened.ask("anything") == ["stop", True]
    assert opened._calls == {}
    await opened.close()
