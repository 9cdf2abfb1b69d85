"""`%browser`: pages in the agents' browser, and whether models are offered it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from agentnb.errors import UsageError
from agentnb.notebook import browser_magics
from agentnb.sandbox.browser_find import find_browser
from tests.notebook.conftest import Notebook
from tests.sandbox.site import Site, serve_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve_site() as running:
        yield running


def test_the_browser_is_offered_to_models_when_switched_on(notebook: Notebook) -> None:
    offered = notebook.workspace.toolbox.enabled
    assert not [name for name in offered() if name.startswith("browser_")]
    assert "27 tools. Those that act ask you first." in notebook.says("%browser on")
    assert "browser_navigate" in offered()
    assert notebook.says("%browser off") == "Models are not offered the browser."
    assert "browser_navigate" not in offered()
    assert not notebook.workspace.browser.running


def test_help_and_mistakes_say_what_there_is(notebook: Notebook) -> None:
    assert notebook.says("%browser --help").startswith("%browser                  the page in front")
    assert "does not know 'snapshoot'. Did you mean 'snapshot'?" in notebook.fails("%browser snapshoot")
    assert "only http, https, about:blank" in notebook.fails("%browser file:///etc/passwd")


def test_models_are_not_offered_a_browser_that_cannot_be(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_magics, "find_spec", {}.get)
    assert "Run: pip install 'agentnb[sandbox]'" in notebook.fails("%browser on")
    assert "browser_navigate" not in notebook.workspace.toolbox.enabled()


def test_without_a_browser_one_line_says_what_to_install(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setenv("AGENTNB_BROWSER", "/nowhere/chromium")
    assert "there is no such program. Install Chromium" in notebook.fails("%browser about:blank")


@pytest.mark.browser
def test_a_page_is_opened_seen_and_closed(notebook: Notebook, site: Site) -> None:
    try:
        find_browser(os.environ)
    except UsageError as error:
        pytest.skip(str(error))
    opened = notebook.run(f"%browser {site.url}/second")
    assert opened.error is None, opened.error
    assert opened.text == f"Second\n{site.url}/second"
    assert len(opened.mime("image/jpeg")) == 1
    assert 'heading "The second page"' in notebook.says("%browser snapshot")
    assert f"→ 1. {site.url}/second" in notebook.says("%browser tabs")
    assert notebook.run("%browser shot full").mime("image/jpeg")
    assert notebook.run("%browser").mime("image/jpeg")
    assert notebook.says("%browser close") == "The browser is closed."
    assert not notebook.workspace.browser.running
