"""All forms at once: a long session is written in each, soon."""

from __future__ import annotations

import time

from agentnb.exporting import FORMS
from agentnb.store import Store
from tests.exporting.conftest import many


def test_a_thousand_turns_are_written_within_seconds(store: Store) -> None:
    conversation = many(store, 1000)
    begun = time.perf_counter()
    written = {suffix: form(conversation) for suffix, form in FORMS.items()}
    assert time.perf_counter() - begun < 15  # 0.9 s where nothing else runs
    assert written[".md"].count("\n## ") == 1000
    assert written[".html"].count("<section ") == 1000
    assert "<details><summary>1,000 turns" in written[".html"]
    assert written[".json"].count('"role": "user"') == 1000
    assert written[".ipynb"].count("%%agent") == 1000
