from __future__ import annotations

import pytest

from agentnb import messages
from agentnb.models.base import Request
from agentnb.models.fake import FakeModel
from agentnb.models.options import Options
from agentnb.models.preset import PresetModel
from tests.streams import collect

pytestmark = pytest.mark.anyio


async def test_a_preset_option_holds_where_the_request_says_nothing() -> None:
    fake = FakeModel("a", "b")
    model = PresetModel(fake, Options(temperature=0.5, seed=1))
    await collect(model, Request((messages.user("x"),), options=Options(temperature=1.0)))
    assert fake.requests[0].options == Options(temperature=1.0, seed=1)
    assert model.name == fake.name
