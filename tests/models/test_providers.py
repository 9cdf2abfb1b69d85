from __future__ import annotations

from agentnb.models.providers import load_providers


def test_every_row_has_an_address_and_the_variable_of_its_key() -> None:
    rows = load_providers()
    assert rows["openai"].base_url == "https://api.openai.com/v1"
    assert rows["openai"].key == "OPENAI_API_KEY"
    for name, row in rows.items():
        assert row.name == name
        assert row.base_url.startswith("https://")
        assert row.key == row.key.upper() if row.key else True
