from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from agentnb.models.http import Http
from tests.openapi.service import running


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    client = Http(silence=5)
    yield client
    await client.aclose()
