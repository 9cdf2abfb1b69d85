"""Where a document may come from, and how far it may refer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentnb.errors import UsageError
from agentnb.models.http import Http
from agentnb.openapi import load
from agentnb.openapi.documents import called, references
from tests.openapi.calls import document, one, schema, shown, tools
from tests.provider import Answer, Asked, provider
from tests.provider import document as answer

pytestmark = pytest.mark.anyio

PATHS = {"/x": {"get": {"operationId": "op"}}}
YAML = """
openapi: 3.1.0
info: {title: In YAML, version: 2020-01-01}
servers: [{url: https://api.example}]
paths:
  /x:
    get:
      operationId: op
      parameters: [{name: n, in: query, schema: {type: integer, default: 3}}]
      responses: {200: {description: fine}}
"""


async def _refused(source: Any, match: str, **options: Any) -> None:
    with pytest.raises(UsageError, match=match) as raised, anyio.fail_after(10):
        await tools(source, **options)
    assert "\n" not in str(raised.value)


async def test_a_document_is_a_dict_a_text_a_file_or_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(document(PATHS)))
    sources: list[Any] = [document(PATHS), json.dumps(document(PATHS)), YAML, tmp_path / "a.yaml", f"{tmp_path}/a.json"]
    for source in sources:
        assert (await one(source)).name == "op"
    async with provider(Answer([YAML.encode()], content_type="text/yaml")) as server:
        assert (await tools(f"{server.url}/openapi.yaml")).name == "in-yaml"


async def test_numbers_and_dates_of_yaml_are_json(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML.replace("3.1.0", "3.1"))
    assert schema(await one(tmp_path / "a.yaml"))["properties"] == {"n": {"type": "integer", "default": 3}}


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("missing.yaml", "There is no file"),
        ("{broken", "not valid JSON"),
        ("a: [1\nb: 2", "neither JSON nor YAML"),
        ("[1, 2]\n", "no OpenAPI document|is not an OpenAPI document"),
        ({"a": 1}, "no OpenAPI: it has no field 'openapi'"),
        ({"swagger": "2.0", "paths": {}}, "npx swagger2openapi"),
        ({"openapi": "4.0.0"}, "OpenAPI 4.0.0"),
        ({"openapi": "3.1.0", "x": object()}, "holds a object, which no JSON has"),
        (7, "not a int"),
        (document({}), "gives no tools"),
        ("/dev/zero", "There is no file"),
    ],
)
async def test_what_is_no_document_is_refused_in_one_line(source: Any, match: str) -> None:
    await _refused(source, match)


async def test_an_address_without_a_document_is_refused() -> None:
    async with provider(answer({}, 404)) as server:
        await _refused(f"{server.url}/openapi.json?key=sk-1", r"/v1/openapi\.json answers with HTTP 404")


def test_an_address_is_named_without_its_query() -> None:
    assert called("https://me:sk-1@a.example/x.json?key=sk-1") == "https://a.example/x.json"


# Documents in several files


def _split(ref: str) -> dict[str, Any]:
    parameter = {"name": "n", "in": "query", "schema": {"$ref": ref}}
    return document({"/x": {"get": {"operationId": "op", "parameters": [parameter]}}})


async def test_files_beside_the_document_are_read(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "a.json").write_text(json.dumps(_split("parts/b.yaml#/Size")))
    (tmp_path / "parts" / "b.yaml").write_text("Size: {$ref: 'c.json'}\n")
    (tmp_path / "parts" / "c.json").write_text('{"type": "integer", "maximum": 9}')
    assert schema(await one(tmp_path / "a.json"))["properties"]["n"] == {"type": "integer", "maximum": 9}


@pytest.mark.parametrize("ref", ["../b.json", "/etc/passwd", "file:///etc/passwd", "link.json", "file://host/b.json"])
async def test_a_file_outside_the_folder_is_not_read(tmp_path: Path, ref: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "b.json").write_text("{}")
    (folder / "link.json").symlink_to(tmp_path / "b.json")
    (folder / "a.json").write_text(json.dumps(_split(ref)))
    await _refused(folder / "a.json", "outside its folder, which is not read|which a file must not")


async def test_a_folder_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    for name in ("in", "inside"):
        (tmp_path / name).mkdir()
    (tmp_path / "inside" / "b.json").write_text("{}")
    (tmp_path / "in" / "a.json").write_text(json.dumps(_split("../inside/b.json")))
    await _refused(tmp_path / "in" / "a.json", "outside its folder")


async def test_a_file_does_not_lead_into_the_network(tmp_path: Path) -> None:
    async with provider(answer({"type": "string"})) as server:
        (tmp_path / "a.json").write_text(json.dumps(_split(f"{server.url}/b.json")))
        await _refused(tmp_path / "a.json", "which a file must not")
        await _refused(_split(f"{server.url}/b.json"), "has no place of its own")
        assert not server.requests


async def test_an_address_leads_to_its_own_server_and_to_no_other() -> None:
    async with provider(answer({"type": "string"})) as other:

        def site(asked: Asked) -> Answer:
            match asked.path:
                case "/v1/near.json":
                    return answer(_split("types/b.json#/N"))
                case "/v1/types/b.json":
                    return answer({"N": {"type": "boolean"}})
            return answer(_split(f"{other.url}/b.json"))

        async with provider(site) as server:
            assert schema(await one(f"{server.url}/near.json"))["properties"]["n"] == {"type": "boolean"}
            await _refused(f"{server.url}/far.json", "on another server, which is not followed")
            await _refused(f"{server.url}/file.json", "on another server")
        assert not other.requests


async def test_a_document_may_call_itself_by_its_own_name() -> None:
    source = _split("https://id.example/openapi.json#/components/schemas/N")
    source |= {"$self": "https://id.example/openapi.json", "components": {"schemas": {"N": {"type": "integer"}}}}
    assert schema(await one(source))["properties"]["n"] == {"type": "integer"}


def test_examples_hold_no_references() -> None:
    value = {"example": {"$ref": "no"}, "properties": {"example": {"$ref": "yes"}}, "x-a": {"$ref": "no"}}
    assert list(references({"a": value})) == ["yes"]


async def test_too_many_documents_are_not_fetched() -> None:
    def endless(asked: Asked) -> Answer:
        number = int("0" + "".join(filter(str.isdigit, asked.path[3:])))
        return answer({**_split(f"{number + 1}.json"), "info": {}})

    async with provider(endless) as server:
        await _refused(f"{server.url}/0.json", "more than 100 documents")
        assert len(server.requests) == 100


# Hostile ones


async def test_a_document_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    await _refused(document({}, more=deep), "200 levels deep")
    await _refused('{"a":' * 100_000, "levels deep|not valid JSON")
    await _refused("a:\n  " + "[" * 100_000, "neither JSON nor YAML")
    (tmp_path / "a.json").write_text(json.dumps({"a": deep}))
    await _refused(tmp_path / "a.json", "200 levels deep")


async def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    await _refused("\n".join(lines), "more than 1,000,000 values")
    await _refused("openapi: 3.1.0\na: &a [*a]", "200 levels deep")


async def test_a_document_that_is_too_big_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(30_000_000)
    await _refused(tmp_path / "a.json", "bigger than 20 MB")


async def test_ten_thousand_operations_are_tools_at_once() -> None:
    node: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/s/T"}}}}}
    source = document({f"/{n}": {"post": node} for n in range(10_000)}, components={"s": {"T": {"type": "object"}}})
    with anyio.fail_after(10):
        found = await tools(source)
    assert len(found) == 10_000
    assert "POST https://api.example/v1/77" in await shown(found["POST_77"], body={})


async def test_a_document_of_every_kind_of_nonsense_gives_what_is_left_of_it() -> None:
    for nonsense in (None, 7, "x", [], {}, [[]], {"$ref": 7}, {"$ref": "#/nowhere"}, {"$ref": "#"}):
        source = document(
            {
                "/bad": {"get": {"parameters": nonsense, "requestBody": nonsense, "tags": nonsense}, "post": nonsense},
                "/worse": nonsense,
                "/{a}": {"get": {"operationId": nonsense, "security": nonsense, "servers": nonsense}},
            },
            info=nonsense,
            security=nonsense,
        )
        found = await load(source, http=Http())
        (tool,) = [each for each in found if each.operation.path == "/{a}"]
        assert (await shown(tool, a="1")).startswith("GET https://api.example/v1/1")
