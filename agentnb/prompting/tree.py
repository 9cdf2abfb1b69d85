"""Nested values as JSON that reads well and is cut by structure: first members, then a mark that counts the rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence, Set, ValuesView
from itertools import islice

from agentnb.prompting.budget import cut, mark
from agentnb.prompting.plain import is_from, safe_repr, scalar

_WIDTH = 100
_DEEPEST = 20
_INDENT = "  "


@dataclasses.dataclass(frozen=True, slots=True)
class _Members:
    """A container opened: `items` are (what goes before, the member itself)."""

    open: str
    close: str
    items: Iterable[tuple[str, object]]
    count: int

    @property
    def noun(self) -> str:
        return "keys" if self.open == "{" else "items"


def json_text(value: object, room: int) -> str:
    """`value` as indented JSON of about `room` characters at most; members JSON does not know become strings."""
    return _cut_down(value, room, ())


def has_members(value: object) -> bool:
    """Whether `json_text` would open it."""
    return _open(value) is not None


def fields(value: object) -> dict[str, object] | None:
    """The fields of a dataclass, a pydantic model or a named tuple; None for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name, "<not set>") for f in dataclasses.fields(value) if f.repr}
    if is_from(value, "pydantic", "BaseModel"):
        hidden = {name for name, field in type(value).model_fields.items() if not field.repr}  # type: ignore[attr-defined]  # known by name alone
        return {name: item for name, item in value if name not in hidden}  # type: ignore[attr-defined]  # as above
    if isinstance(value, tuple) and isinstance(names := getattr(value, "_fields", None), tuple):
        return dict(zip(names, value, strict=True))
    return None


def _open(value: object) -> _Members | None:
    mapping = value if isinstance(value, Mapping) else fields(value)
    if mapping is not None:
        pairs = ((f"{_key(key)}: ", mapping[key]) for key in mapping)
        return _Members("{", "}", pairs, len(mapping))
    if isinstance(value, Set):
        return _Members("[", "]", (("", item) for item in _ordered(value)), len(value))
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return None
    if isinstance(value, (Sequence, ValuesView)):
        return _Members("[", "]", (("", item) for item in value), len(value))
    if is_from(value, "numpy", "ndarray") and value.ndim:  # type: ignore[attr-defined]  # known by name alone
        return _Members("[", "]", (("", item) for item in value), len(value))  # type: ignore[attr-defined, arg-type]
    return None


def _ordered(value: Set[object]) -> Iterable[object]:
    # A set's own order changes from one kernel to the next; large ones are not worth the sorting.
    return sorted(value, key=safe_repr) if len(value) <= 10_000 else value


def _key(key: object) -> str:
    plain = scalar(key)
    return _dumps(plain if isinstance(plain, str) else safe_repr(key) if isinstance(key, tuple) else str(plain))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _whole(value: object, room: int, parents: tuple[int, ...]) -> str | None:
    """All of it, or None as soon as it is seen not to fit: never more work than `room` asks for."""
    members = None if id(value) in parents or len(parents) > _DEEPEST else _open(value)
    if members is None:
        text = _leaf(value, parents)
        return text if len(text) <= room else None
    if members.count * 3 > room + 3:
        return None
    parts = []
    for before, item in members.items:
        text = _whole(item, room - len(before), (*parents, id(value))) or ""
        if not text or (room := room - len(before) - len(text) - 2) < -2:
            return None
        parts.append(before + text)
    return _join(members, parts)


def _cut_down(value: object, room: int, parents: tuple[int, ...]) -> str:
    whole = _whole(value, room, parents)
    if whole is not None:
        return whole
    members = None if id(value) in parents or len(parents) > _DEEPEST else _open(value)
    if members is None:
        return _cut_leaf(value, room, parents)
    parts: list[str] = []
    room -= 40  # the mark's own
    for before, item in members.items:
        text = _next_member(item, members, len(parts), room - len(before), (*parents, id(value)))
        if parts and (text is None or len(before) + len(text) > room):
            break
        parts.append(before + (text or "…"))
        room -= len(parts[-1]) + 2 + parts[-1].count("\n") * len(_INDENT)
    if (left_out := members.count - len(parts)) > 0:
        parts.append(mark(left_out, members.count, members.noun))
    return _join(members, parts)


def _next_member(item: object, members: _Members, shown: int, room: int, parents: tuple[int, ...]) -> str | None:
    """A list's members are alike: whole ones or none. Every key of an object tells something new: a share for each."""
    if members.open == "[" and shown:
        return _whole(item, room, parents)
    rest = min(members.count - shown, 12 if members.open == "{" else 2)
    return _cut_down(item, room // rest, parents)


def _leaf(value: object, parents: tuple[int, ...]) -> str:
    if id(value) in parents:
        return '"(contains itself)"'
    return _dumps(scalar(value))


def _cut_leaf(value: object, room: int, parents: tuple[int, ...]) -> str:
    plain = scalar(value) if id(value) not in parents else "(contains itself)"
    return _dumps(cut(plain, max(room, 60), tail=0.2)) if isinstance(plain, str) else _dumps(plain)


def _join(members: _Members, parts: list[str]) -> str:
    line = f"{members.open}{', '.join(parts)}{members.close}"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    if members.open == "[" and all(len(p) <= 24 for p in islice(parts, 20)) and "\n" not in line:
        body = ",\n".join(_filled(parts))
    else:
        body = ",\n".join(parts)
    body = body.replace("\n", "\n" + _INDENT)
    return f"{members.open}\n{_INDENT}{body}\n{members.close}"


def _filled(parts: list[str]) -> Iterable[str]:
    """Short members share lines, as in a paragraph."""
    line = ""
    for part in parts:
        if line and len(line) + len(part) + 2 > _WIDTH:
            yield line
            line = ""
        line = f"{line}, {part}" if line else part
    yield line
