"""What a kernel of a Jupyter server answers, as the sandbox tells it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from agentnb.sandbox.base import Failed
from agentnb.sandbox.guest_kernels import Stop
from agentnb.sandbox.jupyter_server import Message, _Ending
from agentnb.sandbox.remote import _outputs


async def dropped() -> AsyncGenerator[Message, None]:
    yield "execute_reply", {"status": "aborted"}


@pytest.mark.anyio
async def test_code_that_a_restart_dropped_is_a_failure_and_no_empty_success() -> None:
    (failed,) = [each async for each in _outputs(dropped(), Stop(5, 1000))]
    assert isinstance(failed, Failed)
    assert failed.name == "KernelDied"
    assert "run it again" in failed.message


def test_a_reply_of_which_nothing_else_was_heard_is_no_empty_success() -> None:
    unheard = _Ending()
    unheard.takes("execute_reply", {"status": "ok"})
    assert "run it again" in unheard.why
    heard = _Ending()
    heard.takes("status", {"execution_state": "busy"})
    heard.takes("execute_reply", {"status": "ok"})
    assert heard.why == ""
