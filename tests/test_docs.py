"""What the documents say is what is there: tables, options, variables, settings, floors, links."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from agentnb import config
from agentnb.notebook import (
    agent_verbs,
    credential_magics,
    env_magics,
    files_magics,
    mcp_magics,
    model_magics,
    openapi_verb,
    orders,
    replaying,
    sandbox_magics,
    session_orders,
    template_magics,
    transferring,
)
from docs import tables
from tests.test_architecture import modules, places

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "MODELS.md"
GUIDES = (GUIDE, ROOT / "docs" / "TOOLS.md")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Written on a command line of other programs, and words of `%tool` that take no value.
OTHERS = {"--nbval", "--strict", "--notebook", "--yes", "--replace", "--none"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_tables_of_the_guide_are_fresh() -> None:
    for guide in GUIDES:
        page = guide.read_text("utf-8")
        assert tables.render(page) == page, "run: .venv/bin/python -m docs.tables"


def test_every_table_has_its_place() -> None:
    pages = "".join(guide.read_text("utf-8") for guide in GUIDES)
    assert re.findall(r"^<!-- (?!end)(\w+) -->$", pages, re.MULTILINE) == list(tables.TABLES)


def test_a_stale_table_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "MODELS.md"
    page.write_text("before\n<!-- structured -->\nold\n<!-- end -->\nafter\n", "utf-8")
    monkeypatch.setattr(tables, "TARGETS", (page,))
    assert tables.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert tables.main([]) == 0
    assert page.read_text("utf-8").startswith("before\n<!-- structured -->\n\n| how | provider |")
    assert tables.main(["--check"]) == 0


@pages
def test_every_option_that_is_named_exists(page: Path) -> None:
    magics = (orders.OPTIONS, model_magics.ADD_OPTIONS, credential_magics.ADD_OPTIONS, mcp_magics.ADD_OPTIONS)
    others = (
        openapi_verb.OPTIONS,
        sandbox_magics.OPTIONS,
        files_magics.OPTIONS,
        replaying.OPTIONS,
        template_magics.VERSION,
        env_magics.OPTIONS,
        agent_verbs.OPTIONS,
        transferring.OPTIONS,
    )
    options = [option for each in (*magics, *others) for option in each]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text("utf-8")))
    flags = {flag for each in session_orders.FLAGS.values() for flag in each}
    assert named - {f"--{option.name}" for option in options} - flags - OTHERS == set()


def test_every_variable_of_ours_is_in_the_guide_and_no_other() -> None:
    variable = re.compile(r"AGENTNB_[A-Z_]+")
    used = {name for module in modules().values() for name in variable.findall(module.path.read_text("utf-8"))}
    told = {name for page in PAGES for name in variable.findall(page.read_text("utf-8"))}
    assert told == used


def test_the_settings_of_the_guide_are_all_there_are(tmp_path: Path) -> None:
    [example] = _blocks(GUIDE, "toml")
    (tmp_path / "config.toml").write_text(example, "utf-8")
    (tmp_path / "company.pem").touch()
    config.read({}, tmp_path)
    tables_of_it = tomllib.loads(example)
    named = {*tables_of_it.pop("http"), *tables_of_it.pop("usage"), *tables_of_it.pop("agent"), *tables_of_it}
    assert named == {field.name for field in dataclasses.fields(config.Settings)}


def test_the_page_on_architecture_has_the_floors_that_are_enforced() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE)
    told = {
        name.strip("/").replace("/", "."): int(floor) for floor, cell in rows for name in re.findall("`(.*?)`", cell)
    }
    for name, place in places().items():
        best = max((each for each in told if f"{name}.".startswith(f"{each}.")), key=len, default=None)
        assert best is not None, f"{name} is on no floor of docs/ARCHITECTURE.md"
        assert told[best] == place.floor, f"{name} is on floor {place.floor}"


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    places_in_it = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in places_in_it, target
        elif "://" not in target:
            assert (page.parent / target).exists(), target


@pages
def test_code_in_a_document_is_code(page: Path) -> None:
    for block in _blocks(page, "python"):
        ast.parse(
            re.sub(r"^(\w+ = )?%.*$", lambda found: f"{found[1]}None" if found[1] else "", block, flags=re.MULTILINE)
        )
