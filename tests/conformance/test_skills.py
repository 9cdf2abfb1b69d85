"""The reference implementation's own cases: what is a skill, what it says of itself, how a model is told of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agentnb.errors import UsageError
from agentnb.skills.parse import parse
from agentnb.skills.prompt import prompt
from agentnb.skills.properties import properties
from agentnb.skills.skill import read_skill
from agentnb.skills.validate import validate
from tests.conformance.conftest import conformance_dir

_FILE = conformance_dir() / "skills" / "skills_ref_cases.json"


def _cases() -> list[Any]:
    if not _FILE.exists():
        reason = f"no conformance cases at {conformance_dir()} (set AGENTNB_CONFORMANCE)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    loaded = json.loads(_FILE.read_text("utf-8"))
    return [pytest.param(case, id=f"{at}-{case['op']}-{case['test']}") for at, case in enumerate(loaded)]


def _folder(base: Path, skill: dict[str, Any]) -> Path:
    folder = base / skill["dir_name"]
    if skill["exists"] and not skill["is_dir"]:
        folder.write_text("a file")
    elif skill["exists"]:
        folder.mkdir()
    for name, text in skill["files"].items():
        (folder / name).write_text(text, "utf-8")
    return folder


def _check_parse(case: dict[str, Any], _: Path) -> None:
    if "raises" in case:
        with pytest.raises(UsageError):
            parse(case["content"])
        return
    document = parse(case["content"])
    assert (document.fields, document.body) == (case["metadata"], case["body"])


def _check_properties(case: dict[str, Any], base: Path) -> None:
    folder = _folder(base, case["skill"])
    if "raises" in case:
        with pytest.raises(UsageError):
            properties(folder)
        return
    assert properties(folder).as_json() == case["result"]


def _check_validate(case: dict[str, Any], base: Path) -> None:
    folder = _folder(base, case["skill"])
    found = validate(folder)
    assert bool(found) == bool(case["errors"]), found
    if found:
        with pytest.raises(UsageError):
            read_skill(folder)
    else:
        assert read_skill(folder).folder == folder


def _check_prompt(case: dict[str, Any], base: Path) -> None:
    made = prompt([_folder(base, skill) for skill in case["skills"]])
    # The recorded paths are those of the machine that recorded them.
    where = re.compile(r"(?<=<location>\n)/data/[^/]+(?=/)")
    assert made == where.sub(str(base.resolve()), case["result"])


_CHECKS = {
    "parse_frontmatter": _check_parse,
    "read_properties": _check_properties,
    "validate": _check_validate,
    "to_prompt": _check_prompt,
}


@pytest.mark.parametrize("case", _cases())
def test_the_reference_agrees(case: dict[str, Any], tmp_path: Path) -> None:
    _CHECKS[case["op"]](case, tmp_path)
