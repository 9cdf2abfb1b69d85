from __future__ import annotations

import gc

from agentnb import messages
from agentnb.models.wire import WireCache


def test_what_was_made_of_a_message_is_kept_by_identity_and_variant() -> None:
    cache: WireCache[str] = WireCache()
    one, twin = messages.user("hi"), messages.user("hi")
    assert cache.get(one, "a") is None
    assert cache.keep(one, "a", "made") == "made"
    assert cache.get(one, "a") == "made"
    assert cache.get(one, "b") is None
    assert cache.get(twin, "a") is None


def test_what_was_made_goes_with_its_message() -> None:
    cache: WireCache[str] = WireCache()
    for i in range(100):
        cache.keep(messages.user(str(i)), "a", "made")
    gc.collect()
    assert len(cache) == 0
