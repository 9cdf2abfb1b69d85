"""The exported page in a real browser: it loads nothing, runs nothing, and suits a light and a dark screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from agentnb import exporting
from agentnb.store import Store
from tests.exporting.conftest import hostile_in

_BRIGHTNESS = """() => {
  const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
  return (r + g + b) / 3;
}"""


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_a_hostile_page_loads_and_runs_nothing(browser: Browser, tmp_path: Path, scheme: str, bright: bool) -> None:
    store = Store(tmp_path / "home")
    file = tmp_path / "page.html"
    file.write_text(exporting.page(hostile_in(store)), "utf-8")
    store.close()
    page = browser.new_page(color_scheme="light" if scheme == "light" else "dark")
    asked: list[str] = []
    opened: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert opened == []
    assert page.locator("script, iframe").count() == 0
    assert (page.evaluate(_BRIGHTNESS) > 128) is bright
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.close()
