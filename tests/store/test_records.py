"""Things under a name keep their history, and can be brought back."""

from __future__ import annotations

import pytest

from agentnb.errors import UsageError
from agentnb.store import Store


def test_a_change_is_a_new_version_and_the_same_again_is_none(store: Store) -> None:
    assert store.records.put("template", "sum", {"content": "a"}).version == 1
    assert store.records.put("template", "sum", {"content": "a"}).version == 1
    assert store.records.put("template", "sum", {"content": "b"}).version == 2
    assert store.records.get("template", "sum").body == {"content": "b"}
    assert store.records.get("template", "sum", 1).body == {"content": "a"}
    with pytest.raises(UsageError, match=r"has no version 7\. It has 1 to 2"):
        store.records.get("template", "sum", 7)


def test_what_was_removed_is_not_listed_and_can_be_restored(store: Store) -> None:
    store.records.put("agent", "ann", {"a": 1})
    store.records.remove("agent", "ann")
    assert not store.records.names("agent")
    with pytest.raises(UsageError, match="There is no agent 'ann'"):
        store.records.get("agent", "ann")
    store.records.restore("agent", "ann")
    assert store.records.get("agent", "ann").body == {"a": 1}


def test_a_name_that_is_taken_is_not_taken_again(store: Store) -> None:
    store.records.put("template", "one", {"content": "1"})
    store.records.put("template", "two", {"content": "2"})
    with pytest.raises(UsageError, match="There is a template 'two' already"):
        store.records.rename("template", "one", "two")
    store.records.rename("template", "one", "three")
    assert list(store.records.names("template")) == ["three", "two"]
    with pytest.raises(UsageError, match="Did you mean 'three'"):
        store.records.get("template", "thre")
