"""`agentnb store` says where things are, brings them out and in, and mends."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.__main__ import main
from agentnb.store import Store
from tests.transfer.conftest import SID, whole_tree, write_tree


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTNB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGENTNB_KEYRING", "off")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    return tmp_path / "home"


def test_everything_in_and_out_by_command(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(home / "agentnb.db")
    assert main(["store", "check"]) == 2
    assert "nothing has been kept yet" in capsys.readouterr().err
    assert main(["store", "import"]) == 2
    assert "there is no ~/.agents_runtime here" in capsys.readouterr().err
    write_tree(tmp_path / "person" / ".agents_runtime", whole_tree())
    assert main(["store", "import"]) == 0
    said = capsys.readouterr().out
    assert "Imported 1 session, 1 model, 3 tools, 2 MCP servers, 1 template, 1 agent" in said
    assert "sk-very-secret-1" not in said
    assert main(["store", "check"]) == 0
    assert "is sound" in capsys.readouterr().out
    assert main(["store", "export", str(tmp_path / "all.zip")]) == 0
    assert main(["store", "export", str(tmp_path / "one"), "--session", SID[:10]]) == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["chat_data"]
    assert main(["store", "export", "--with-secrets", str(tmp_path / "open")]) == 0
    assert "sk-very-secret-1" in (tmp_path / "open" / "models.json").read_text()
    capsys.readouterr()
    assert main(["store", "import", str(tmp_path / "all.zip")]) == 0
    assert "nothing new" in capsys.readouterr().out


def test_a_damaged_store_is_rescued(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(home)
    for n in range(200):
        store.records.put("template", f"t{n}", {"content": "x" * 200})
    store.close()
    file = home / "agentnb.db"
    for beside in home.glob("agentnb.db-*"):
        beside.unlink()
    file.write_bytes(file.read_bytes()[:-8192])
    assert main(["store", "check"]) in (1, 2)
    seen = capsys.readouterr()
    assert "agentnb store rescue" in seen.out + seen.err
    assert main(["store", "rescue"]) == 0
    said = capsys.readouterr().out
    assert "came over" in said
    assert "nothing was deleted" in said
    assert main(["store", "check"]) == 0
    assert main(["store", "rescue"]) == 0
    assert "nothing to rescue" in capsys.readouterr().out
