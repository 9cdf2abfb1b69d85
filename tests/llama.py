"""llama.cpp's own HTTP server with a real, small model: what an OpenAI-compatible server is like when nobody wrote it
for our tests. Run as a program, it is the server, which ends with its standard input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentnb.errors import ConnectionFailed
from agentnb.models import weights

MODEL = "smollm2-135m"


def model_file() -> Path:
    """The model, fetched once into the user's cache; without a source the test is skipped, and says why."""
    pytest.importorskip("xllamacpp")
    try:
        return weights.pull(MODEL)
    except ConnectionFailed as reason:
        pytest.skip(str(reason))


@dataclass(frozen=True)
class LlamaServer:
    """Where it listens, without /v1, and the only key it accepts."""

    url: str
    key: str = field(repr=False)


@contextmanager
def llama_server(key: str = "sk-llama-secret-1") -> Iterator[LlamaServer]:
    """A server of its own process, on a port that the system chose."""
    command = [sys.executable, __file__, str(model_file())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{key}\n")
        process.stdin.flush()
        url = process.stdout.readline().strip()
        assert url, "the server did not start"
        try:
            yield LlamaServer(url, key)
        finally:
            process.kill()


def _serve(path: str) -> None:
    import xllamacpp as llama

    params = llama.CommonParams()
    params.model.path = path
    params.n_ctx = 2048
    params.n_parallel = params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = -1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [sys.stdin.readline().strip()]
    server = llama.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1])
