"""What is seen while something starts."""

from __future__ import annotations

import pytest

from agentnb.notebook import starting
from agentnb.notebook.starting import Notice
from tests.notebook.test_publisher import Seen


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A front end that is told at once."""
    monkeypatch.setattr(starting, "SOON", 0.0)
    return Seen()


def test_words_come_once_and_go_when_it_is_over(seen: Seen) -> None:
    with Notice(seen, "Starting <b>…") as notice:
        notice.tick()
        notice.tick()
    assert [(shown["text/plain"], shown["update"]) for shown in seen.shown] == [("Starting <b>…", False), ("", True)]
    assert "Starting &lt;b&gt;…" in str(seen.shown[0]["text/html"])
    assert len({shown["to"] for shown in seen.shown}) == 1


def test_a_terminal_has_its_line_back(seen: Seen) -> None:
    with Notice(seen, "Starting…", live=False) as notice:
        notice.tick()
    assert seen.written == ["Starting…", "\r\x1b[K"]


def test_what_fails_takes_its_words_along(seen: Seen) -> None:
    def start() -> None:
        with Notice(seen, "Starting…") as notice:
            notice.tick()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        start()
    assert seen.shown[-1]["text/plain"] == ""


def test_nothing_is_said_of_what_is_not_wanted_or_over_at_once(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    with Notice(seen, "Starting…", on=False) as notice:
        notice.tick()
    monkeypatch.setattr(starting, "SOON", 60.0)
    with Notice(seen, "Starting…") as notice:
        notice.tick()
    assert (seen.shown, seen.written) == ([], [])
