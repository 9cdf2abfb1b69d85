from __future__ import annotations

from agentnb.masking import Mask
from agentnb.notebook.publisher import MaskedPublisher


class Seen:
    """What a front end was given."""

    def __init__(self) -> None:
        self.shown: list[dict[str, object]] = []
        self.written: list[str] = []

    def show(self, data: dict[str, object], metadata: dict[str, object], *, display_id: str, update: bool) -> None:
        self.shown.append({**data, "to": display_id, "update": update, **metadata})

    def write(self, text: str) -> None:
        self.written.append(text)


def _publisher() -> tuple[MaskedPublisher, Seen]:
    mask, seen = Mask(), Seen()
    mask.add("sk-secret-1")
    return MaskedPublisher(seen, mask), seen


def test_a_secret_is_masked_in_every_text_that_is_shown() -> None:
    publisher, seen = _publisher()
    run = {"messages": [{"text": "my key is sk-secret-1"}]}
    publisher.show({"text/plain": "sk-secret-1!", "x/run+json": run}, {}, display_id="a", update=True)
    assert seen.shown == [
        {"text/plain": "[key]!", "x/run+json": {"messages": [{"text": "my key is [key]"}]}, "to": "a", "update": True}
    ]


def test_a_picture_is_left_alone() -> None:
    publisher, seen = _publisher()
    publisher.show({"image/png": "sk-secret-1"}, {}, display_id="a", update=False)
    assert seen.shown[0]["image/png"] == "sk-secret-1"


def test_a_secret_that_comes_in_pieces_is_seen_whole() -> None:
    publisher, seen = _publisher()
    for piece in ("the key sk-", "sec", "ret-1 is", " kept\n"):
        publisher.write(piece)
    assert "".join(seen.written) == "the key [key] is kept\n"


def test_a_word_without_end_is_let_go() -> None:
    publisher, seen = _publisher()
    publisher.write("x" * 5000)
    assert seen.written == ["x" * 5000]
