"""What each event adds: servers that ignore `incremental_output` send the whole text so far, again and again.

Which of the two a server does shows only as it goes: a piece that begins with all that came before it may be either.
Such pieces are held back until one tells.
"""

from __future__ import annotations

#: Pieces held back at most: by then, only repetition (a ruler of dashes) has left the question open.
_MOST_HELD = 8


class Growing:
    """What is known of one answer: whether its events hold all of the text so far. None: nothing yet."""

    __slots__ = ("whole",)

    def __init__(self) -> None:
        self.whole: bool | None = None


class Channel:
    """One text that grows: the answer, the reasoning, or the arguments of one call."""

    __slots__ = ("_growing", "_held", "_so_far")

    def __init__(self, growing: Growing) -> None:
        self._growing = growing
        self._so_far = ""
        self._held: list[str] = []

    def take(self, piece: str) -> str:
        """What is new in this event, as far as it is certain."""
        if not piece:
            return ""
        if self._growing.whole is None:
            return self._take_unsure(piece)
        before = self._resolved() if self._held else ""
        return before + (self._rest_of(piece) if self._growing.whole else piece)

    def settle(self, *, repeated: bool) -> str:
        """What was held back, now that no more of this text comes.

        `repeated` says that the last event brought nothing new: a text that stood in it again stood for itself.
        """
        if not self._held:
            return ""
        if self._growing.whole is None:
            self._growing.whole = repeated or self._tells(self._held[-1])
        return self._resolved()

    def _take_unsure(self, piece: str) -> str:
        if not self._so_far:
            self._so_far = piece
            return piece
        last = self._held[-1] if self._held else self._so_far
        extends = piece.startswith(last)
        self._held.append(piece)
        if not extends or len(self._held) > _MOST_HELD:
            self._growing.whole = False
        elif len(self._held) > 1 and self._tells(piece):
            self._growing.whole = True
        return "" if self._growing.whole is None else self._resolved()

    def _tells(self, piece: str) -> bool:
        """Whether a piece that begins with the text so far is more than that text said again ("ha", "haha")."""
        return bool(piece.replace(self._so_far, ""))

    def _resolved(self) -> str:
        held, self._held = self._held, []
        return self._rest_of(held[-1]) if self._growing.whole else "".join(held)

    def _rest_of(self, piece: str) -> str:
        if self._so_far.startswith(piece):
            return ""
        if piece.startswith(self._so_far):
            new = piece[len(self._so_far) :]
            self._so_far = piece
            return new
        self._so_far += piece
        return piece
