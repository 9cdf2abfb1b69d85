"""Kept variables: plain and secret, in this process and the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentnb.environment import Environment, is_secret_name
from agentnb.errors import UsageError
from agentnb.masking import Mask
from agentnb.models.vault import Vault
from agentnb.store import Store

SECRET = "hunter2-hunter2"


class Kernels:
    """Processes that share a person's folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = Store(home)
        self.mask = Mask()

    def start(self, **environ: str) -> tuple[Environment, dict[str, str]]:
        vault = Vault(self.home, {"AGENTNB_KEYRING": "off"})
        keys = {"work": SECRET}
        made = Environment(lambda: self.store.records, vault, self.home / "lock", environ, self.mask, keys.get)
        return made, environ


@pytest.fixture
def kernels(tmp_path: Path) -> Iterator[Kernels]:
    made = Kernels(tmp_path)
    yield made
    made.store.close()


def test_a_variable_is_there_at_once_and_in_the_next_kernel(kernels: Kernels) -> None:
    env, environ = kernels.start()
    env.set("REGION", "eu")
    assert environ == {"REGION": "eu"}
    later, environ = kernels.start()
    assert later.load() == []
    assert environ == {"REGION": "eu"}
    assert [(each.name, each.shown, each.source) for each in later.list()] == [("REGION", "eu", "here")]


def test_what_was_set_outside_goes_before_and_stays(kernels: Kernels) -> None:
    kernels.start()[0].set("REGION", "eu")
    env, environ = kernels.start(REGION="us")
    env.load()
    assert environ == {"REGION": "us"}
    assert env.list()[0].source == "outside"
    assert env.remove("REGION") is True
    assert environ == {"REGION": "us"}


def test_removing_takes_it_out_of_the_process_and_brings_back_what_was_before(kernels: Kernels) -> None:
    env, environ = kernels.start(B="outside")
    env.set("A", "1")
    env.set("B", "ours")
    env.set("B", "ours again")
    assert (env.remove("A"), env.remove("B")) == (False, True)
    assert environ == {"B": "outside"}
    assert env.list() == []


def test_a_value_that_the_user_changed_since_is_left(kernels: Kernels) -> None:
    env, environ = kernels.start()
    env.set("A", "1")
    environ["A"] = "2"
    assert env.remove("A") is True
    assert environ == {"A": "2"}


def test_a_secret_is_in_the_vault_only_and_masked_in_every_kernel(kernels: Kernels) -> None:
    env, environ = kernels.start()
    env.set_secret("DB_PASSWORD", SECRET)
    assert environ["DB_PASSWORD"] == SECRET
    assert env.hidden() == {"DB_PASSWORD"}
    assert SECRET not in json.dumps([record.body for record in kernels.store.records.all("env")])
    kernels.mask = Mask()
    later, environ = kernels.start()
    later.load()
    assert environ["DB_PASSWORD"] == SECRET
    assert later.hidden() == {"DB_PASSWORD"}
    assert kernels.mask(f"it is {SECRET}") == "it is [key]"
    [shown] = later.list()
    assert shown.secret
    assert SECRET not in repr(shown)
    later.remove("DB_PASSWORD")
    assert "DB_PASSWORD" not in environ
    assert SECRET not in (kernels.home / "secrets.json").read_text()


def test_a_secret_that_becomes_plain_leaves_the_vault(kernels: Kernels) -> None:
    env, _ = kernels.start()
    env.set_secret("A", SECRET)
    env.set("A", "plain")
    assert SECRET not in (kernels.home / "secrets.json").read_text()
    assert env.hidden() == set()


def test_a_secret_that_is_gone_is_named_and_the_others_are_there(kernels: Kernels) -> None:
    env, _ = kernels.start()
    env.set_secret("A", SECRET)
    env.set("B", "1")
    (kernels.home / "secrets.json").unlink()
    later, environ = kernels.start()
    [wrong] = later.load()
    assert wrong.startswith("A is not in the file")
    assert environ == {"B": "1"}


def test_what_was_imported_refers_to_a_credential(kernels: Kernels) -> None:
    kernels.store.records.put("env", "TOKEN", {"value": "${credential:work}"})
    kernels.store.records.put("env", "GONE", {"value": "${credential:lost}"})
    env, environ = kernels.start()
    assert env.load() == ["GONE is not in the credential lost any more. Set it again: %agentenv set."]
    assert environ == {"TOKEN": SECRET}
    assert [(each.name, each.shown, each.where) for each in env.list()] == [
        ("GONE", "[key]", "the credential lost"),
        ("TOKEN", "[key]", "the credential work"),
    ]
    assert kernels.mask(SECRET) == "[key]"
    env.remove("TOKEN")
    assert environ == {}


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "Ä", "A=B"])
def test_what_is_no_name_is_refused(kernels: Kernels, name: str) -> None:
    env, environ = kernels.start()
    with pytest.raises(UsageError, match="name"):
        env.set(name, "x")
    with pytest.raises(UsageError, match="name"):
        env.set_secret(name, SECRET)
    assert environ == {}


def test_bad_values_and_unknown_names_are_refused(kernels: Kernels) -> None:
    env, _ = kernels.start()
    with pytest.raises(UsageError, match="null character"):
        env.set("A", "a\0b")
    with pytest.raises(UsageError, match="nothing was kept"):
        env.set_secret("A", "  ")
    env.set("REGION", "x")
    with pytest.raises(UsageError, match="Did you mean 'REGION'"):
        env.remove("REGIO")


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "DB_PASSWORD", "github_token", "CLIENT_SECRET", "KEYS"])
def test_names_that_look_like_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert not is_secret_name(f"{name}_FILE")


def test_an_imported_value_that_no_process_takes_is_told_and_the_others_are_set(kernels: Kernels) -> None:
    kernels.store.records.put("env", "BAD", {"value": "a\0b"})
    kernels.store.records.put("env", "REGION", {"value": "eu"})
    env, environ = kernels.start()
    assert env.load() == ["BAD: A variable cannot hold the null character."]
    assert environ == {"REGION": "eu"}


def test_a_number_of_tokens_is_no_secret() -> None:
    assert not is_secret_name("MAX_TOKENS")
    assert not is_secret_name("MAX_TOKENS_IN_CONTEXT")
