"""Shared by every test: the async backend, and isolation from the user's own settings."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
