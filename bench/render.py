"""What showing a stream costs: `python -m bench.render [--rounds 3]`; a real kernel, every iopub frame counted.

An answer of 80 kB in 20,000 chunks goes through `%%agent`, at full speed and at 1,000 and 2,000 chunks a second;
beside it the least a kernel can do with the same stream: a thin httpx client that parses each event and shows nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from bench import provider

MESSAGES_BAR, BYTES_BAR, GROWTH_BAR, CPU_BAR = 25, 4.0, 4.5, 1.45
LONG, SHORT = 20_000, 5_000

_DECODE = """
import httpx, json
def decode(model):
    rest, size = b"", 0
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with httpx.Client(trust_env=False, timeout=600) as client:
        with client.stream("POST", "http://127.0.0.1:PORT/v1/chat/completions", json=body) as response:
            for block in response.iter_bytes():
                *events, rest = (rest + block).split(b"\\n\\n")
                for event in events:
                    if event[6:] != b"[DONE]":
                        for choice in json.loads(event[6:])["choices"]:
                            size += len(choice["delta"].get("content") or "")
    return size
decode("stream-20")
"""
_AGENT = """
%load_ext agentnb
%model openai:MODEL --api-base http://127.0.0.1:PORT/v1 --api-key-name BENCH_KEY
"""


@dataclass(slots=True)
class Traffic:
    """What one cell put on iopub, and what it cost the kernel."""

    times: list[float] = field(default_factory=list)
    size: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    error: str | None = None

    @property
    def busiest(self) -> int:
        """The most messages within any second."""
        return max((sum(begin <= t < begin + 1 for t in self.times) for begin in self.times), default=0)


class Kernel:
    """A kernel of this Python; runs cells and counts what they send."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        environ = os.environ | {"BENCH_KEY": "sk-bench", "AGENTNB_DISPLAY": "live"}
        self.manager.start_kernel(env=environ, extra_arguments=["--IPKernelApp.log_level=ERROR"])
        self.client: BlockingKernelClient = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def stop(self) -> None:
        """End it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code: str) -> Traffic:
        """Run a cell; every frame until it is idle again counts."""
        socket, session = self.client.iopub_channel.socket, self.client.session
        traffic, began, cpu = Traffic(), time.perf_counter(), self._cpu()
        asked = self.client.execute(code, store_history=False)
        while True:
            if not socket.poll(120_000):
                raise TimeoutError(f"The kernel said nothing for two minutes. Cell: {code!r}")
            frames = socket.recv_multipart()
            traffic.times.append(time.perf_counter() - began)
            traffic.size += sum(map(len, frames))
            _, parts = session.feed_identities(frames)
            kind, content = json.loads(parts[1])["msg_type"], json.loads(parts[4])
            if kind == "error":
                traffic.error = f"{content['ename']}: {content['evalue']}"
            idle = kind == "status" and content["execution_state"] == "idle"
            if idle and json.loads(parts[2]).get("msg_id") == asked:
                break
        traffic.cpu, traffic.seconds = self._cpu() - cpu, time.perf_counter() - began
        return traffic

    def _cpu(self) -> float:
        """Seconds of CPU the kernel has used, from /proc."""
        pid = self.manager.provisioner.pid  # type: ignore[union-attr]  # a local kernel has one
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_provider() -> Iterator[int]:
    """The provider in its own process; gives its port."""
    with subprocess.Popen(provider.COMMAND, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def measure(port: int, model: str, *, shown: bool) -> Traffic:
    """One answer in a fresh, warmed kernel."""
    kernel = Kernel()
    try:
        if shown:
            kernel.run(_AGENT.replace("PORT", str(port)).replace("MODEL", "stream-20"))
            kernel.run("%%agent --session none\nhi")
            kernel.run(f"%model openai:{model} --api-base http://127.0.0.1:{port}/v1 --api-key-name BENCH_KEY")
            traffic = kernel.run("%%agent --session none\nhi")
        else:
            kernel.run(_DECODE.replace("PORT", str(port)))
            traffic = kernel.run(f"size = decode({model!r})")
    finally:
        kernel.stop()
    if traffic.error or (shown and traffic.size < traffic_floor(model)):
        raise RuntimeError(f"The cell did not show the answer: {traffic.error or traffic}")
    return traffic


def text_bytes(chunks: int) -> int:
    """The size of the answer itself."""
    whole, rest = divmod(chunks, len(provider.TOKENS))
    return len("".join(provider.TOKENS).encode()) * whole + len("".join(provider.TOKENS[:rest]).encode())


def traffic_floor(model: str) -> int:
    """Fewer bytes than the answer has cannot have shown it."""
    return text_bytes(provider.script(model).stream)


def line(what: str, value: float, bar: float) -> bool:
    """Print one figure beside its bar."""
    good = value <= bar
    print(f"{what:58} {value:9.2f}   bar {bar:6.2f}   {'ok' if good else 'OVER'}", flush=True)  # noqa: T201
    return good


def figures(port: int, pace: int, rounds: int) -> list[bool]:
    """All figures at one pace (chunks a second; 0 is as fast as it goes)."""
    name, tail = (f"{pace}/s", f"_pace-{pace}") if pace else ("full speed", "")
    runs: dict[tuple[int, bool], list[Traffic]] = {}
    for _ in range(rounds):
        for chunks, shown in ((SHORT, True), (LONG, True), (LONG, False)):
            runs.setdefault((chunks, shown), []).append(measure(port, f"stream-{chunks}{tail}", shown=shown))
    long, short = runs[LONG, True], runs[SHORT, True]
    size = statistics.median(t.size for t in long)
    cpu, decode = (statistics.median(t.cpu for t in runs[LONG, shown]) for shown in (True, False))
    wall = statistics.median(t.seconds for t in long)
    messages = statistics.median(len(t.times) for t in long)
    print(f"\n{name}: {LONG} chunks in {wall:.1f} s, {messages:.0f} messages, {size / 1e3:.0f} kB")  # noqa: T201
    out = [
        line("iopub messages in the busiest second", max(t.busiest for t in long + short), MESSAGES_BAR),
        line("iopub bytes / bytes of the answer", size / text_bytes(LONG), BYTES_BAR),
        line(f"bytes at {LONG} chunks / at {SHORT}", size / statistics.median(t.size for t in short), GROWTH_BAR),
    ]
    if pace:
        out.append(line(f"kernel CPU / decode only ({cpu:.2f} s / {decode:.2f} s)", cpu / decode, CPU_BAR))
    else:
        print(f"kernel CPU {cpu:.2f} s, decode only {decode:.2f} s (no bar without a pace)")  # noqa: T201
    return out


def main() -> None:
    """Measure and print; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pace", type=int, nargs="+", default=[0, 2000, 1000], help="chunks a second; 0: no pace")
    options = parser.parse_args()
    with running_provider() as port:
        good = [ok for pace in options.pace for ok in figures(port, pace, options.rounds)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
