"""An installed Chromium is found, or it is said what to install."""

from __future__ import annotations

import os

import pytest

from agentnb.errors import UsageError
from agentnb.sandbox import browser_find
from agentnb.sandbox.browser_find import find_browser, own_sandbox


def test_the_variable_goes_before_what_is_installed() -> None:
    known = {"/opt/chrome": "/opt/chrome", "chromium": "/usr/bin/chromium"}
    assert find_browser({"AGENTNB_BROWSER": " /opt/chrome "}, known.get) == "/opt/chrome"
    assert find_browser({"AGENTNB_BROWSER": ""}, known.get) == "/usr/bin/chromium"


def test_chrome_and_edge_will_do() -> None:
    assert find_browser({}, {"google-chrome": "/c"}.get) == "/c"
    assert find_browser({}, {"microsoft-edge": "/e"}.get) == "/e"


def test_where_there_is_none_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_find, "_usual_places", lambda _: [])
    with pytest.raises(UsageError, match=r"^No Chromium.*apt install chromium.*\$AGENTNB_BROWSER\.$"):
        find_browser({}, lambda _: None)
    with pytest.raises(UsageError, match="'/no/chrome', and there is no such program"):
        find_browser({"AGENTNB_BROWSER": "/no/chrome"}, lambda _: None)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users")
def test_only_root_goes_without_the_sandbox_of_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not own_sandbox()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert own_sandbox()
