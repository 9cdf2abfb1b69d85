from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentnb.errors import CredentialError
from agentnb.masking import Mask
from agentnb.models.keys import Credentials, Entry
from agentnb.models.private_files import locked
from agentnb.models.providers import Provider

OPENAI = Provider("openai", "https://api.openai.com/v1", key="OPENAI_API_KEY")
GROQ = Provider("groq", "https://api.groq.com/openai/v1", key="GROQ_API_KEY")
OLLAMA = Provider("ollama", "http://127.0.0.1:11434")
ROWS = (OPENAI, GROQ, OLLAMA)
KEY = "sk-stored-0123456789"


class Ring:
    """A keyring in memory."""

    def __init__(self, *, forgets: bool = False) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.asked = 0
        self._forgets = forgets

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if not self._forgets:
            self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


class BrokenRing(Ring):
    """A keyring that nobody unlocked."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(f"the collection of {service[:7]}\nis locked for {username}.")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.get_password(service, username[: len(password)])


def _store(home: Path, environ: dict[str, str] | None = None, ring: Ring | None = None, **more: object) -> Credentials:
    environ = {"AGENTNB_KEYRING": "off", **(environ or {})}
    return Credentials(environ, home, ring, providers=ROWS, **more)  # type: ignore[arg-type]  # a mask


def _key(store: Credentials, provider: Provider = OPENAI, key_name: str | None = None) -> str:
    found = store.find(provider, key_name)
    assert found is not None
    return found.secrets["key"]


def _fails(store: Credentials, provider: Provider = OPENAI, key_name: str | None = None) -> str:
    with pytest.raises(CredentialError) as raised:
        store.find(provider, key_name)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_stored_credential_goes_before_the_variable(tmp_path: Path) -> None:
    store = _store(tmp_path, {"OPENAI_API_KEY": "sk-variable-0123"})
    assert _key(store) == "sk-variable-0123"
    store.add("work", "openai", "api_key", {"key": KEY})
    found = store.find(OPENAI)
    assert found is not None
    assert (found.secrets["key"], found.where) == (KEY, "the credential 'work'")
    store.add("home", "openai", "api_key", {"key": "sk-newer-0123456789"})
    assert _key(store) == "sk-newer-0123456789"
    assert _key(store, key_name="work") == KEY
    assert _key(store, key_name="OPENAI_API_KEY") == "sk-variable-0123"


def test_a_listed_name_finds_what_it_lists(tmp_path: Path) -> None:
    store = _store(tmp_path, {"GROQ_API_KEY": "gsk-variable-0123", "OPENAI_API_KEY": "sk-variable-0123"})
    store.add("work", "openai", "api_key", {"key": KEY})
    rows = {row.name: row for row in ROWS}
    assert [_key(store, rows[entry.provider], entry.name) for entry in store.list()] == [KEY, "gsk-variable-0123"]


def test_without_any_the_error_names_the_variable_and_the_command(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert _fails(store, GROQ) == (
        "No key for 'groq': GROQ_API_KEY is not set. Set it to a key for api.groq.com, or store one: "
        "%credential add groq"
    )
    assert "OTHER_KEY is not set" in _fails(store, GROQ, "OTHER_KEY")
    assert store.find(OLLAMA) is None
    assert not tmp_path.joinpath("credentials.json").exists()


def test_a_server_that_asks_for_none_gets_what_was_stored_for_it(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.add("ollama", "ollama", "basic", {"user": "me", "password": "a-password"})
    found = store.find(OLLAMA)
    assert found is not None
    assert found.type == "basic"


def test_a_disabled_credential_refuses_at_once_whatever_else_there_is(tmp_path: Path) -> None:
    store = _store(tmp_path, {"OPENAI_API_KEY": "sk-variable-0123"})
    store.add("openai", "openai", "api_key", {"key": KEY})
    store.enable("openai", False)
    said = "The credential for 'openai' is disabled. Enable it: %credential enable openai"
    assert _fails(store) == _fails(store, key_name="openai") == said
    store.enable("openai")
    assert _key(store) == KEY
    store.add("work", "openai", "api_key", {"key": "sk-work-0123456789"})
    store.enable("work", False)
    assert _key(store) == KEY


def test_a_stored_key_is_had_by_its_name_alone(tmp_path: Path) -> None:
    store = _store(tmp_path, {"OPENAI_API_KEY": "sk-variable-0123"})
    store.add("work", "openai", "api_key", {"key": KEY})
    store.add("door", "ollama", "basic", {"user": "me", "password": "a-password"})
    assert store.key("work") == KEY
    assert [store.key(name) for name in ("door", "openai", "OPENAI_API_KEY", "none")] == [None] * 4
    store.enable("work", False)
    assert store.key("work") is None


def test_a_provider_whose_key_is_in_a_variable_is_disabled_too(tmp_path: Path) -> None:
    store = _store(tmp_path, {"GROQ_API_KEY": "gsk-variable-0123"})
    store.enable("groq", False)
    assert _fails(store, GROQ) == "The credential for 'groq' is disabled. Enable it: %credential enable groq"
    assert "disabled" in _fails(store, GROQ, "GROQ_API_KEY")
    assert _fails(_store(tmp_path, {"GROQ_API_KEY": "gsk-variable-0123"}), GROQ).endswith("enable groq")
    assert [(e.name, e.enabled) for e in store.list()] == [("groq", False)]
    store.enable("groq", True)
    assert _key(store, GROQ) == "gsk-variable-0123"


def test_a_list_shows_where_keys_are_and_hardly_anything_of_them(tmp_path: Path) -> None:
    store = _store(tmp_path, {"GROQ_API_KEY": "gsk_0123456789abcd", "OPENAI_API_KEY": "sk-unused-0123456789"})
    made = store.add("work", "openai", "api_key", {"key": KEY})
    store.add("short", "openai", "api_key", {"key": "sk-012345678"})
    store.add("site", "ollama", "basic", {"user": "someone", "password": "a-long-password-0123"})
    store.add("aws", "openai", "ak_sk", {"access_key": "AKIA0123456789XYZ", "secret_key": "s" * 20})
    where = f"the file {tmp_path / 'secrets.json'}"
    assert store.list() == (
        Entry("work", "openai", "api_key", True, where, "sk-…6789"),
        Entry("short", "openai", "api_key", True, where, ""),
        Entry("site", "ollama", "basic", True, where, "someone"),
        Entry("aws", "openai", "ak_sk", True, where, "AKI…9XYZ"),
        Entry("groq", "groq", "api_key", True, "GROQ_API_KEY", "gsk…abcd"),
    )
    assert made == store.list()[0]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such modes")
def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    old = os.umask(0)
    try:
        _store(home).add("work", "openai", "api_key", {"key": KEY})
    finally:
        os.umask(old)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in home.iterdir()} == {
        "credentials.json": 0o600,
        "credentials.lock": 0o600,
        "secrets.json": 0o600,
    }
    assert KEY not in (home / "credentials.json").read_text()
    (home / "secrets.json").chmod(0o644)
    said = _fails(_store(home))
    file = home / "secrets.json"
    assert said == f"Others can read {file} (mode 0644), so it is not used. Run: chmod 600 {file}"


def test_the_keyring_holds_the_secrets_where_there_is_one(tmp_path: Path) -> None:
    ring = Ring()
    store = _store(tmp_path, ring=ring)
    assert store.add("work", "openai", "api_key", {"key": KEY}).where == "the keyring"
    assert not (tmp_path / "secrets.json").exists()
    assert json.loads(ring.held[f"agentnb ({tmp_path})", "work"]) == {"key": KEY}
    other = _store(tmp_path, ring=ring)
    assert other.list() == store.list()
    asked = ring.asked
    assert [_key(other) for _ in range(3)] == [KEY] * 3
    # It may ask the person each time: so it is asked once.
    assert ring.asked == asked + 1
    other.remove("work")
    assert not ring.held
    assert "OPENAI_API_KEY is not set" in _fails(store)


@pytest.mark.parametrize("ring", [Ring(forgets=True), BrokenRing()])
def test_a_keyring_that_keeps_nothing_is_replaced_by_the_file(tmp_path: Path, ring: Ring) -> None:
    store = _store(tmp_path, ring=ring)
    assert store.add("work", "openai", "api_key", {"key": KEY}).where == f"the file {tmp_path / 'secrets.json'}"
    assert _key(_store(tmp_path, ring=ring)) == KEY


def test_a_keyring_that_fails_or_forgot_says_what_to_do(tmp_path: Path) -> None:
    _store(tmp_path, ring=Ring()).add("work", "openai", "api_key", {"key": KEY})
    said = _fails(_store(tmp_path, ring=BrokenRing()))
    assert (
        said
        == "The keyring failed: the collection of agentnb is locked for work. Unlock it, or set AGENTNB_KEYRING=off."
    )
    for other in (_store(tmp_path, ring=Ring()), _store(tmp_path)):
        assert _fails(other) == "The credential 'work' is not in the keyring any more. Store it: %credential add work"
    with pytest.raises(CredentialError, match="The keyring failed"):
        _store(tmp_path, ring=BrokenRing()).remove("work")


def test_a_keyring_that_does_not_give_up_a_secret_is_an_error(tmp_path: Path) -> None:
    class Holding(Ring):
        def delete_password(self, service: str, username: str) -> None:
            raise PermissionError(service, username)

    store = _store(tmp_path, ring=Holding())
    store.add("work", "openai", "api_key", {"key": KEY})
    with pytest.raises(CredentialError, match="did not give up 'work'"):
        store.remove("work")
    assert _key(store) == KEY
    # What no keyring holds any more is forgotten all the same.
    _store(tmp_path).remove("work")
    assert store.list() == ()


def test_a_secret_that_moves_to_the_keyring_leaves_the_file(tmp_path: Path) -> None:
    _store(tmp_path).add("work", "openai", "api_key", {"key": KEY})
    _store(tmp_path, ring=Ring()).add("work", "openai", "api_key", {"key": KEY})
    assert KEY not in (tmp_path / "secrets.json").read_text()


def test_a_change_by_another_process_is_seen_at_once(tmp_path: Path) -> None:
    one, other = _store(tmp_path), _store(tmp_path)
    one.add("work", "openai", "api_key", {"key": KEY})
    assert _key(other) == KEY
    one.add("work", "openai", "api_key", {"key": "sk-rotated-0123456789"})
    assert _key(other) == "sk-rotated-0123456789"
    one.enable("work", False)
    assert "disabled" in _fails(other)
    one.remove("work")
    assert "is not set" in _fails(other)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agentnb.models.keys import Credentials\n"
        "store = Credentials({'AGENTNB_KEYRING': 'off'}, Path(sys.argv[1]))\n"
        "for i in range(10): store.add(f'{sys.argv[2]}{i}', 'openai', 'api_key', {'key': f'sk-{sys.argv[2]}-{i:010}'})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "abc"]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    store = _store(tmp_path)
    assert len(store.list()) == 30
    assert {_key(store, key_name=entry.name) for entry in store.list()} == {
        f"sk-{name}-{i:010}" for name in "abc" for i in range(10)
    }
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_lock_that_is_never_given_up_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.models.private_files._LOCK_TRIES", 2)
    with locked(tmp_path / "credentials.lock"), pytest.raises(CredentialError, match=r"keeps .* locked"):
        _store(tmp_path).add("work", "openai", "api_key", {"key": KEY})


def test_names_that_mean_nothing_are_refused_with_the_nearest(tmp_path: Path) -> None:
    store = _store(tmp_path, {"GROQ_API_KEY": "gsk-variable-0123"})
    store.add("work", "openai", "api_key", {"key": KEY})
    with pytest.raises(CredentialError, match=r"There is no credential 'wrok'\. Did you mean 'work'"):
        store.remove("wrok")
    with pytest.raises(CredentialError, match="There is no credential 'nobody'"):
        store.enable("nobody", False)
    with pytest.raises(CredentialError, match="The key of 'groq' is in GROQ_API_KEY, not here"):
        store.remove("groq")
    for name in ("", "a b", "../x", "x" * 65, "ä"):
        with pytest.raises(CredentialError, match="cannot name a credential"):
            store.add(name, "openai", "api_key", {"key": KEY})


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"credentials": []}',
        '{"disabled": 1}',
        '{"credentials": {"work": {}}}',
        '{"credentials": {"work": {"provider": "openai", "type": "x", "enabled": true, "place": "file"}}}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(content)
    file.chmod(0o600)
    assert str(file) in _fails(_store(tmp_path))


def test_a_damaged_secret_is_as_good_as_none(tmp_path: Path) -> None:
    _store(tmp_path).add("work", "openai", "api_key", {"key": KEY})
    (tmp_path / "secrets.json").write_text('{"work": {"key": 1}}')
    assert "is not in the file" in _fails(_store(tmp_path))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CredentialError, match=r"cannot be written: .*\. Set AGENTNB_HOME to another folder"):
        _store(tmp_path / "file").add("work", "openai", "api_key", {"key": KEY})


def test_all_secrets_that_are_read_are_masked(tmp_path: Path) -> None:
    mask = Mask()
    _store(tmp_path).add("work", "openai", "api_key", {"key": KEY})
    store = _store(tmp_path, {"GROQ_API_KEY": "gsk-variable-0123"}, mask=mask)
    assert store.secrets() == ("gsk-variable-0123", KEY)
    store.find(GROQ)
    assert mask(f"{KEY} gsk-variable-0123") == "[key] [key]"
    assert KEY not in repr(store)


def test_without_a_keyring_on_the_machine_the_file_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backends.fail import Keyring as Fails
    from keyring.backends.null import Keyring as Null

    for name, found in (("fail", Fails), ("null", Null)):
        monkeypatch.setattr(keyring, "get_keyring", lambda found=found: found())
        store = Credentials({}, tmp_path / name, providers=ROWS)
        assert store.add("work", "openai", "api_key", {"key": KEY}).where.startswith("the file")
        assert _key(store) == KEY


def test_nothing_heavy_is_imported_to_look_for_a_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agentnb.models.keys import Credentials\n"
        "from agentnb.models.providers import Provider\n"
        "Credentials({'K': 'sk-1'}, Path(sys.argv[1])).find(Provider('p', key='K'))\n"
        "print([m for m in ('keyring', 'platformdirs', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_damaged_secret_keeps_no_other_from_being_masked(tmp_path: Path) -> None:
    keys = Credentials({"AGENTNB_KEYRING": "off"}, tmp_path, providers=ROWS)
    for at in range(4):
        keys.add(f"key{at}", "openai", "api_key", {"key": f"{KEY}{at}"})
    for damaged in ("key0", "key2"):
        held = json.loads((tmp_path / "secrets.json").read_text())
        (tmp_path / "secrets.json").write_text(json.dumps({**held, damaged: 7}))
    found = Credentials({"AGENTNB_KEYRING": "off"}, tmp_path, providers=ROWS).secrets()
    assert found == (f"{KEY}1", f"{KEY}3")


def test_every_variable_that_may_hold_a_key_is_masked(tmp_path: Path) -> None:
    row = Provider("kimi", "https://api.moonshot.ai/v1", key="MOONSHOT_API_KEY", key_names=("KIMI_API_KEY",))
    environ = {"MOONSHOT_API_KEY": "sk-one-0123", "KIMI_API_KEY": "sk-two-0123"}
    assert Credentials(environ, tmp_path, providers=[row]).secrets() == ("sk-one-0123", "sk-two-0123")
