"""The stack against a server that goes wrong in every way it can: the fault run of `bench`, in small."""

from __future__ import annotations

import anyio
import pytest

from bench.faults import BARRED, run

pytestmark = pytest.mark.anyio


async def test_every_request_to_a_failing_server_ends_whole_or_in_an_error_of_ours() -> None:
    with anyio.fail_after(60):
        outcome = await run(60, seed=7)
    assert sum(outcome.ends.values()) == 60
    assert {end: outcome.ends[end] for end in BARRED} == dict.fromkeys(BARRED, 0)
    assert outcome.ends["whole"] >= 30
    assert len(outcome.faults) > 15
