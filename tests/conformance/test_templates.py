"""What a model received for messages that name a template, as a service of the reference implementation sent it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentnb.errors import UsageError
from agentnb.store import Store
from agentnb.templates import Templates
from tests.conformance.conftest import conformance_dir

_FILE = conformance_dir() / "upstream_api" / "agent_service_golden.json"


def _recorded() -> dict[str, Any]:
    if not _FILE.exists():
        return {}
    recorded: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    return recorded


_EXCHANGES = [each for each in _recorded().get("exchanges", ()) if "template" in str(each["request"])]
if not _EXCHANGES:
    pytestmark = pytest.mark.skip(reason=f"no conformance cases at {conformance_dir()} (set AGENTNB_CONFORMANCE)")


def _manage(shelf: Templates, request: dict[str, Any]) -> None:
    """What a service does with a request about templates."""
    name = request["path"].removeprefix("/v1/prompt-templates").strip("/")
    body = request["body"] or {}
    match request["method"]:
        case "POST":
            shelf.create(content=body["content"], template_id=body.get("template_id"))
        case "PUT":
            shelf.update(name, body["content"], template_id=body.get("template_id"))
        case "DELETE":
            shelf.delete(name)


def _said(shelf: Templates, message: dict[str, Any]) -> str:
    if "prompt_template" not in message:
        return str(message["content"])
    return shelf.served(message["prompt_template"], message["arguments"], content=message.get("content", ""))


def _text(content: object) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content or ())  # type: ignore[attr-defined]  # JSON


def test_the_model_receives_what_it_was_recorded_to_receive(tmp_path: Path) -> None:
    shelf, checked = Templates(Store(tmp_path).records), 0
    for exchange in _EXCHANGES:
        request, response = exchange["request"], exchange["response"]
        if request["path"].startswith("/v1/prompt-templates"):
            if response["status"] < 400:
                _manage(shelf, request)
                listed = [{"template_id": each.name, "content": each.content} for each in shelf.list_all()]
                assert response["json"].get("templates", listed) == listed, exchange["name"]
            else:
                with pytest.raises(UsageError):
                    _manage(shelf, request)
        elif any("prompt_template" in each for each in request["body"].get("messages", ())):
            sent = exchange["model_requests"][0]["body"]["messages"]
            asked = [_said(shelf, each) for each in request["body"]["messages"]]
            assert [_text(each["content"]) for each in sent] == asked, exchange["name"]
            checked += 1
    assert checked >= 3
    kept = json.loads(_recorded()["data_dir_tree"]["prompt_templates.json"])
    assert kept == [{"template_id": each.name, "content": each.content} for each in shelf.list_all()]
