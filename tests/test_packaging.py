"""What installing agentnb gives, and what its files must not carry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import agentnb
from extension import protocol

ROOT = Path(__file__).parents[1]
INSTALLED = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "agentnb"


def _project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"])


def _json(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_package_and_sidebar_have_one_version() -> None:
    versions = {
        "pyproject.toml": _project()["version"],
        "agentnb": agentnb.__version__,
        "extension/package.json": _json(ROOT / "extension" / "package.json")["version"],
        "extension/package-lock.json": _json(ROOT / "extension" / "package-lock.json")["version"],
    }
    assert set(versions.values()) == {agentnb.__version__}, versions


def test_the_installed_package_is_this_one() -> None:
    assert distribution("agentnb").version == agentnb.__version__
    assert [each.value for each in entry_points(group="console_scripts", name="agentnb")] == ["agentnb.__main__:main"]


def test_make_lab_finds_the_commands_of_the_virtual_environment() -> None:
    if not shutil.which("make"):
        pytest.skip("no make on this machine")
    done = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f'PATH="{ROOT}/.venv/bin:$PATH" .venv/bin/jupyter lab' in done.stdout


def test_the_sidebar_is_installed_where_jupyterlab_looks() -> None:
    build = _json(INSTALLED / "package.json")["jupyterlab"]
    assert isinstance(build, dict)
    assert (INSTALLED / build["_build"]["load"]).is_file()
    assert _json(INSTALLED / "install.json")["packageName"] == "agentnb"


def test_the_installed_sidebar_is_built_from_these_sources() -> None:
    built = INSTALLED.stat().st_mtime
    sources = [*(ROOT / "extension" / "src").iterdir(), *(ROOT / "extension" / "style").iterdir()]
    newer = [path.name for path in sources if path.stat().st_mtime > built]
    assert newer == [], "changed since the sidebar was built; run: make install"


def test_jupyterlab_finds_the_sidebar_enabled() -> None:
    command = [sys.executable, "-m", "jupyter", "labextension", "list", "--verbose"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", listed.stdout + listed.stderr)
    assert re.search(rf"agentnb v{agentnb.__version__} enabled OK", plain), plain


def test_the_generated_messages_are_fresh() -> None:
    assert protocol.TARGET.read_text(encoding="utf-8") == protocol.render()


def test_a_message_that_typescript_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot write"):
        protocol.typescript({"type": "object", "patternProperties": {}})


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"type": "array", "items": {"$ref": "#/$defs/PanelTool"}}, "ReadonlyArray<IPanelTool>"),
        ({"enum": ["a", "b"], "type": "string"}, "'a' | 'b'"),
        ({"const": "state", "type": "string"}, "'state'"),
    ],
)
def test_a_schema_becomes_typescript(schema: dict[str, object], expected: str) -> None:
    assert protocol.typescript(schema) == expected


def test_lock_files_name_no_host_to_download_from() -> None:
    lock = (ROOT / "extension" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    hosts = re.findall(r"https?://[^/\"]*(?:registry|npm|pypi|mirror)[^/\"]*", lock)
    assert hosts == []
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "extension" / ".npmrc").read_text(encoding="utf-8")


def test_every_dependency_is_explained() -> None:
    explained = (ROOT / "docs" / "DEPENDENCIES.md").read_text(encoding="utf-8")
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(project["dependencies"], list)
    assert isinstance(extras, dict)
    python = [*project["dependencies"], *(each for extra in extras.values() for each in extra)]
    names = {re.split(r"[\[<>=~ ]", each)[0] for each in python} - {"agentnb"}
    package = _json(ROOT / "extension" / "package.json")
    for kind in ("dependencies", "devDependencies"):
        found = package[kind]
        assert isinstance(found, dict)
        names |= set(found)
    assert sorted(name for name in names if f"`{name}`" not in explained) == []


def test_no_file_needs_more_than_a_lower_bound_for_what_users_install() -> None:
    dependencies = _project()["dependencies"]
    assert isinstance(dependencies, list)
    assert [each for each in dependencies if not re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", each)] == []
