"""The whole way, with nothing scripted: the magics in a kernel, HTTP, and a real model in llama.cpp's own server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.kernel.conftest import Kernel
from tests.llama import LlamaServer, llama_server

pytestmark = [pytest.mark.kernel, pytest.mark.model, pytest.mark.xdist_group("model")]


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    with llama_server() as running:
        yield running


def test_a_real_model_answers_in_a_cell_and_a_wrong_key_does_not(kernel: Kernel, server: LlamaServer) -> None:
    kernel.ok(f"import os\nos.environ['MY_KEY'] = {server.key!r}")
    kernel.ok(f"%model openai:anything --api-base {server.url}/v1 --api-key-name MY_KEY")
    answered = kernel.ok("%%agent\nSay hello to everybody, in one sentence.")
    assert re.search(r"\w", "".join(answered.mime("text/markdown")))  # what so small a model says, nobody can foretell
    kernel.ok("os.environ['MY_KEY'] = 'sk-llama-secret-2'")
    refused = kernel.run("%%agent\nAnd good bye.")
    assert refused.status == "error"
    assert refused.error is not None
    assert "MY_KEY" in refused.error
    assert "secret" not in json.dumps(refused.outputs) + refused.error + refused.stdout
