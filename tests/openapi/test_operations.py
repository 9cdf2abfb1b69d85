"""Operations of hand-written documents of 3.0, 3.1 and 3.2: names, arguments, bodies, servers, security."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from agentnb.errors import ToolError, UsageError
from agentnb.messages import Content, Data, File, Image, Text
from agentnb.tools.base import Previewing, Toolset, traits
from tests.openapi.calls import call, context, document, keys, one, operation, schema, shown, tools
from tests.openapi.service import PNG
from tests.provider import Answer, provider
from tests.provider import document as answer

pytestmark = pytest.mark.anyio

OLD = """
openapi: 3.0.3
info: {title: Old Service, version: '1'}
servers:
- url: https://{region}.old.example/{base}/
  variables: {region: {default: eu, enum: [eu, us]}, base: {default: v2}}
tags: [{name: pets}]
paths:
  /pets/{petId}:
    parameters:
    - {name: petId, in: path, required: true, schema: {type: integer}}
    - {name: lang, in: query, schema: {type: string}, description: of the path}
    get:
      tags: [pets]
      summary: One pet
      parameters:
      - {name: lang, in: query, schema: {type: string, nullable: true}, description: of the operation}
      - {$ref: '#/components/parameters/Page'}
      responses: {'200': {description: ok}}
    put:
      operationId: put pet!
      requestBody:
        required: true
        content:
          text/plain: {schema: {type: string}}
          application/vnd.pet+json: {schema: {$ref: '#/components/schemas/Pet'}}
      responses: {'200': {description: ok}}
components:
  parameters:
    Page: {name: 'page[size]', in: query, schema: {type: integer}, style: form}
  schemas:
    Pet:
      allOf:
      - {type: object, required: [name], properties: {name: {type: string}}}
      - {type: object, properties: {tag: {type: string, nullable: true}, id: {type: integer, readOnly: true}}}
"""

NEW = """
openapi: 3.2.0
info: {title: New Service, version: '1'}
servers: [{url: https://new.example, name: main}]
paths:
  /search:
    query:
      operationId: search
      requestBody: {content: {application/json: {schema: {type: object, properties: {q: {type: [string, 'null']}}}}}}
    additionalOperations:
      COPY:
        operationId: copy
        parameters:
        - {name: all, in: querystring, content: {application/x-www-form-urlencoded: {schema: {type: object}}}}
"""


async def test_a_document_of_3_0_is_read() -> None:
    old = await tools(OLD)
    assert [tool.name for tool in old] == ["GET_pets_petId", "put_pet"]
    assert old.name == "old-service"
    get, put = old
    assert get.description == "One pet"
    properties = schema(get)["properties"]
    assert list(properties) == ["petId", "lang", "page_size"]
    assert properties["lang"] == {"type": ["string", "null"], "description": "of the operation"}
    assert schema(get)["required"] == ["petId"]
    assert await shown(get, petId=3, page_size=5) == "GET https://eu.old.example/v2/pets/3?page%5Bsize%5D=5"
    assert schema(put)["required"] == ["petId", "name"]
    assert list(schema(put)["properties"]) == ["petId", "lang", "name", "tag"]
    text = await shown(put, petId=3, name="Kim", tag=None)
    assert "content-type: application/vnd.pet+json\nData(value={'name': 'Kim', 'tag': None}" in text


async def test_a_document_of_3_2_is_read() -> None:
    new = await tools(NEW)
    assert [tool.operation.label for tool in new] == ["QUERY /search", "COPY /search"]
    assert await shown(new["copy"], all={"a b": 1, "c": [2, 3]}) == "COPY https://new.example/search?a%20b=1&c=2&c=3"
    async with provider(answer({"found": 1})) as server:
        found = (await tools(NEW, server=server.url))["search"]
        assert not (await call(found, q="x")).is_error
        asked = server.requests[0]
        assert (asked.method, asked.path, asked.body) == ("QUERY", "/v1/search", b'{"q": "x"}')


async def test_a_set_of_operations_is_a_toolset_of_tools_that_can_be_shown_before_they_run() -> None:
    old = await tools(OLD, name="Mine", approval="always")
    toolset: Toolset = old
    assert [*toolset.known()] == [*await toolset.ready()] == [*old]
    assert all(isinstance(tool, Previewing) for tool in old)
    assert traits(old["put_pet"]).id == "openapi-mine-put_pet"
    assert traits(old["put_pet"]).approval == "always"
    with pytest.raises(UsageError, match=r"no tool 'put_pets'. Did you mean 'put_pet'"):
        old["put_pets"]


# Names


async def test_names_are_such_as_models_can_call_and_each_once() -> None:
    ids = ["get/pets", "get pets", "get_pets", "", "ü", "x" * 100, "x" * 99]
    source = document({f"/{n}": {"get": {"operationId": each}} for n, each in enumerate(ids)})
    names = [tool.name for tool in await tools(source)]
    assert names == ["get_pets", "get_pets_2", "get_pets_3", "GET_3", "operation", "x" * 64, "x" * 62 + "_2"]


# Which operations


PICKED = document(
    {
        "/a": {"get": {"operationId": "get_a", "tags": ["read"]}, "post": {"operationId": "post_a", "tags": ["write"]}},
        "/b": {"get": {"operationId": "get.b", "tags": ["read", "b"]}},
    }
)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"only": ["get_a"]}, ["get_a"]),
        ({"only": ["get.b", "POST /a"]}, ["post_a", "get_b"]),
        ({"only": ["get*"]}, ["get_a", "get_b"]),
        ({"tags": ["read"]}, ["get_a", "get_b"]),
        ({"tags": ["b", "write"]}, ["post_a", "get_b"]),
        ({"tags": ["read"], "only": ["*a"]}, ["get_a"]),
    ],
)
async def test_operations_are_chosen_by_name_and_tag(options: Any, names: list[str]) -> None:
    assert [tool.name for tool in await tools(PICKED, **options)] == names


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"only": ["get_aa"]}, "no operation 'get_aa'. Did you mean 'get_a'"),
        ({"tags": ["reed"]}, "has the tag 'reed'. Did you mean 'read'"),
    ],
)
async def test_what_there_is_not_cannot_be_chosen(options: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        await tools(PICKED, **options)


async def test_an_operation_that_cannot_be_read_is_left_out_and_named() -> None:
    source = document({"/a": {"get": {"parameters": [{"$ref": "#/nowhere"}]}}, "/b": {"get": {}}})
    found = await tools(source)
    assert [tool.name for tool in found] == ["GET_b"]
    assert found.left_out == {"GET /a": "the reference '#/nowhere' leads nowhere"}


# Arguments


async def test_parameters_of_one_name_are_told_apart_by_their_place() -> None:
    string = {"schema": {"type": "string"}}
    tool = await one(
        operation(
            {"name": "id", "in": "cookie", **string},
            {"name": "id", "in": "query", **string},
            {"name": "id", "in": "header", **string},
            {"name": "id", "in": "path", "required": True, **string},
            path="/x/{id}",
        )
    )
    assert list(schema(tool)["properties"]) == ["id", "id_query", "id_header", "id_cookie"]
    text = await shown(tool, id="p", id_query="q", id_header="h", id_cookie="c;d")
    assert text == "GET https://api.example/v1/x/p?id=q\nid: h\ncookie: id=c%3Bd"


@pytest.mark.parametrize("name", ["Host", "content-length", "Authorization", "Cookie", "bad name", "x\r\ny"])
async def test_headers_that_change_how_a_request_is_read_are_no_arguments(name: str) -> None:
    tool = await one(operation({"name": name, "in": "header", "schema": {"type": "string"}}))
    assert schema(tool)["properties"] == {}


async def test_a_header_with_a_line_break_is_refused(tmp_path: Path) -> None:
    async with provider(answer({})) as server:
        source = operation({"name": "x-a", "in": "header", "schema": {"type": "string"}})
        tool = await one(source, server=server.url, **keys(tmp_path))
        with pytest.raises(ToolError, match="characters that no header has"):
            await call(tool, **{"x-a": "1\r\nx-b: 2"})
        assert not server.requests


@pytest.mark.parametrize("segments", [("..",), (".",), ("%2e%2e",), ("a", ".."), (".", ".")])
async def test_a_value_never_leads_to_another_path(segments: tuple[str, ...]) -> None:
    names = [f"p{n}" for n in range(len(segments))]
    path = "/x/" + ("/" if segments[0] == "a" else "").join(f"{{{name}}}" for name in names)
    tool = await one(operation(path=path))
    arguments = dict(zip(names, segments, strict=True))
    if segments == ("%2e%2e",):
        assert await shown(tool, **arguments) == "GET https://api.example/v1/x/%252e%252e"
        return
    with pytest.raises(ToolError, match="would lead elsewhere"):
        await shown(tool, **arguments)


async def test_a_parameter_with_a_media_type_is_written_as_json() -> None:
    content = {"application/json": {"schema": {"type": "object"}}}
    tool = await one(operation({"name": "q", "in": "query", "content": content}))
    assert await shown(tool, q={"a": 1}) == "GET https://api.example/v1/x?q=%7B%22a%22%3A1%7D"


# Bodies


def _body(written: Any, kind: str = "application/json", media: Any = None, **more: Any) -> dict[str, Any]:
    return operation(requestBody={"content": {kind: {"schema": written, **(media or {})}}, **more})


OBJECT = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}


async def test_what_an_optional_body_requires_counts_only_where_there_is_one() -> None:
    tool = await one(_body(OBJECT, required=False))
    assert "required" not in schema(tool)
    assert await shown(tool) == "POST https://api.example/v1/x"
    with pytest.raises(ToolError, match="'a' is a required property"):
        await shown(tool, b=1)
    assert "required" in schema(await one(_body(OBJECT)))


@pytest.mark.parametrize(
    "written",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {**OBJECT, "additionalProperties": True},
        {"oneOf": [OBJECT, {"type": "string"}]},
        {"type": "object", "properties": {"@type": {"type": "string"}}},
        {},
    ],
)
async def test_a_body_that_is_no_plain_object_is_one_argument(written: Any) -> None:
    assert list(schema(await one(_body(written)))["properties"]) == ["body"]


async def test_bodies_are_written_in_the_form_that_is_asked_for() -> None:
    tool = await one(_body({"type": "array", "items": {}}, required=True))
    assert "Data(value=['ü', None]" in await shown(tool, body=["ü", None])
    tool = await one(_body({}, "text/csv"))
    assert (await shown(tool, body="a,b\n1,2")).endswith("content-type: text/csv\na,b\n1,2")
    encoding = {"b": {"style": "form", "explode": False}}
    form = {"type": "object", "properties": {"a": {"type": "object"}, "b": {"type": "array"}, "c": {"type": "array"}}}
    tool = await one(_body(form, "application/x-www-form-urlencoded", media={"encoding": encoding}))
    assert (await shown(tool, a={"x": 1}, b=[1, 2], c=[3, 4])).endswith("a=%7B%22x%22%3A1%7D&b=1,2&c=3&c=4")


async def test_parts_of_a_form_cannot_break_out_of_it() -> None:
    form = {"type": "object", "properties": {"a": {"type": "string"}, "f": {"type": "string", "format": "binary"}}}
    encoding = {"f": {"contentType": "text/csv"}}
    tool = await one(_body(form, "multipart/form-data", media={"encoding": encoding}))
    text = await shown(tool, a="--x\r\n", f="1,2")
    boundary = text.partition("boundary=")[2].partition("\n")[0]
    assert text.count(f"--{boundary}\r\n") == 2
    assert 'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n' in text
    source = _body({"type": "object", "additionalProperties": True}, "multipart/form-data")
    assert 'name="a%22%0D%0Ab"' in await shown(await one(source), body={'a"\r\nb': "x"})


# Servers


async def test_the_nearest_server_is_asked() -> None:
    source = document(
        {
            "/a": {"get": {"servers": [{"url": "https://a.example"}]}, "servers": [{"url": "https://p.example"}]},
            "/b": {"get": {}, "servers": [{"url": "https://p.example/"}]},
            "/c": {"get": {}},
        }
    )
    found = await tools(source)
    assert found.hosts == ("https://a.example", "https://p.example", "https://api.example/v1")
    assert (await tools(source, server="http://localhost:1/z/")).hosts == ("http://localhost:1/z",)


async def test_a_relative_server_is_beside_its_document() -> None:
    for url, place in (("/api/v3", "/api/v3"), ("v4", "/v1/v4"), ("../v5/", "/v5")):
        async with provider(answer({**operation(), "servers": [{"url": url}]})) as server:
            found = await tools(f"{server.url}/openapi.json")
        assert found.hosts == (server.url.removesuffix("/v1") + place,)


async def test_variables_of_a_server_are_filled_in() -> None:
    assert (await tools(OLD, variables={"region": "us"})).hosts == ("https://us.old.example/v2",)
    with pytest.raises(UsageError, match=r"'region' is one of eu, us, not 'evil'|no server"):
        await tools(OLD, variables={"region": "evil"})


@pytest.mark.parametrize(
    "url", ["/v1", "ftp://a.example", "javascript:1", "https://me:pw@a.example", "https://{x}/", ""]
)
async def test_without_a_server_that_can_be_reached_one_must_be_named(url: str) -> None:
    with pytest.raises(UsageError, match=r"names no server that can be reached. Name one: --server URL"):
        await tools({**operation(), "servers": [{"url": url}]})


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://x", "https://me:sk-1@x", "https://x?key=sk-1", "https://x y", "//x"]
)
async def test_a_server_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        await tools(operation(), server=url)
    assert "sk-1" not in str(raised.value)


async def test_a_document_of_the_network_does_not_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    source = {**operation(), "servers": [{"url": "http://169.254.169.254/latest"}]}
    async with provider(answer(source)) as outside:
        monkeypatch.setenv("http_proxy", outside.url)
        with pytest.raises(UsageError, match="inside this network"):
            await tools("http://web.example/openapi.json")
        assert len(await tools("http://web.example/openapi.json", server="http://169.254.169.254/latest")) == 1


# Security


def _secured(*requirements: Any, **schemes: Any) -> dict[str, Any]:
    return operation(security=[*requirements], components={"securitySchemes": schemes})


HEADER = {"type": "apiKey", "in": "header", "name": "X-Key"}
QUERY = {"type": "apiKey", "in": "query", "name": "k"}
SECRETS = {"ONE": "sk-first-secret", "TWO": "sk-second-secret"}


async def _headers(source: Any, folder: Path, auth: Any) -> tuple[str, dict[str, str]]:
    async with provider(answer({})) as server:
        tool = await one(source, server=server.url, auth=auth, **keys(folder, **SECRETS))
        await call(tool)
        return server.requests[0].path, dict(server.requests[0].headers)


async def test_schemes_that_go_together_are_both_shown(tmp_path: Path) -> None:
    source = _secured({"a": [], "b": []}, a=HEADER, b=QUERY)
    path, headers = await _headers(source, tmp_path, {"a": "ONE", "b": "TWO"})
    assert (path, headers["x-key"]) == ("/v1/x?k=sk-second-secret", "sk-first-secret")
    # One secret is not handed out to two.
    path, headers = await _headers(source, tmp_path, "ONE")
    assert path == "/v1/x"
    assert "x-key" not in headers


@pytest.mark.parametrize("scheme", [{"type": "oauth2", "flows": {}}, {"type": "openIdConnect"}])
async def test_tokens_of_other_kinds_are_shown_as_bearer(tmp_path: Path, scheme: Any) -> None:
    _, headers = await _headers(_secured({"o": ["scope"]}, o=scheme), tmp_path, "ONE")
    assert headers["authorization"] == "Bearer sk-first-secret"


async def test_the_first_alternative_that_is_supported_is_taken(tmp_path: Path) -> None:
    source = _secured({"m": []}, {"gone": []}, {"a": []}, m={"type": "mutualTLS"}, a=HEADER)
    assert (await _headers(source, tmp_path, "ONE"))[1]["x-key"] == "sk-first-secret"


async def test_an_operation_that_is_open_is_told_nothing(tmp_path: Path) -> None:
    source = {**_secured(a=HEADER), "security": [{"a": []}]}
    _, headers = await _headers(source, tmp_path, "ONE")
    assert not {"x-key", "authorization"} & headers.keys()


async def test_where_a_document_declares_nothing_a_credential_is_a_bearer(tmp_path: Path) -> None:
    assert (await _headers(operation(), tmp_path, "ONE"))[1]["authorization"] == "Bearer sk-first-secret"


async def test_a_custom_header_is_shown_as_it_is(tmp_path: Path) -> None:
    options = keys(tmp_path, AGENTNB_KEYRING="off")
    options["credentials"].add("mine", "mine", "custom_header", {"name": "X-Mine", "value": "sk-custom-secret"})
    async with provider(answer({})) as server:
        tool = await one(_secured({"a": []}, a=HEADER), server=server.url, auth="mine", **options)
        await call(tool)
        assert server.requests[0].headers["x-mine"] == "sk-custom-secret"


# What models and services may do


@pytest.mark.parametrize("place", ["query", "path", "cookie"])
async def test_half_a_character_is_sent_as_a_question_mark(place: str) -> None:
    path = "/{q}" if place == "path" else "/x"
    tool = await one(operation({"name": "q", "in": place, "schema": {}}, path=path))
    assert "%3F" in await shown(tool, q="\ud800") or "q=?" in await shown(tool, q="\ud800")


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (Answer([b'{"a": '], content_type="application/json"), Text('{"a": ')),
        (Answer([b"[" * 50_000], content_type="text/html"), None),
        (Answer([b"[" * 5_000], content_type="application/problem+json"), Text("[" * 5_000)),
        (Answer([b"plain"], content_type=""), Text("plain")),
        (Answer([b"7"], content_type=""), Data(7)),
        (Answer([b'"words"'], content_type="application/json"), Text("words")),
        (Answer(["größe".encode("latin-1")], content_type="text/plain; charset=latin-1"), Text("größe")),
        (Answer([b"x"], content_type="text/plain; charset=nonsense"), Text("x")),
        (Answer([b"a,b"], content_type="application/vnd.x+xml"), Text("a,b")),
        (Answer([PNG], content_type="text/plain"), Image(PNG, "image/png")),
    ],
)
async def test_what_a_service_says_of_its_answer_is_not_believed_blindly(sent: Answer, kind: Content | None) -> None:
    async with provider(sent) as server:
        made = await call(await one(operation(), server=server.url))
    assert made.content == (kind,) if kind else made.handle == "op_1"


async def test_a_long_answer_is_read_beside_the_loop_and_kept() -> None:
    rows = [{"n": n, "words": "x" * 100} for n in range(20_000)]
    namespace: dict[str, Any] = {"op_1": "mine"}
    async with provider(answer(rows)) as server:
        made = await call(await one(operation(), server=server.url), namespace)
    assert made.handle == "op_2"
    assert namespace == {"op_1": "mine", "op_2": rows}


async def test_a_service_that_never_finishes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.openapi.tool.SECONDS", 0.1)
    async with provider(Answer([b"a"], end="silent")) as server:
        with pytest.raises(ToolError, match="did not finish its answer within"):
            await call(await one(operation(), server=server.url))


async def test_more_than_can_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentnb.openapi.tool.MOST_READ", 1_000)
    async with provider(Answer([b"a" * 900] * 3)) as server:
        with pytest.raises(ToolError, match="sends more than"):
            await call(await one(operation(), server=server.url))


@pytest.mark.parametrize("value", ["a/b", "%2e%2e", "a%2Fb", "a?b#c", "ü ;", "..%2f..", "[x]{y}|\\^`"])
async def test_a_value_arrives_as_it_was_given(value: str) -> None:
    tool = operation({"name": "q", "in": "query", "schema": {}}, path="/{p}/end")
    async with provider(answer({})) as server:
        made = await one(tool, server=server.url)
        await call(made, p=value, q=value)
        asked = urlsplit(server.requests[0].path)
    assert asked.path.count("/") == 3
    assert unquote(asked.path) == f"/v1/{value}/end"
    assert parse_qs(asked.query) == {"q": [value]}


async def test_arguments_are_checked_without_a_request() -> None:
    tool = await one(operation({"name": "q", "in": "query", "schema": {"type": "integer"}}))
    tool.check({"q": 1}, context())
    with pytest.raises(ToolError, match="q: 'x' is not of type 'integer'"):
        tool.check({"q": "x"}, context())


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('attachment; filename="a b.zip"', "a b.zip"),
        ("attachment; filename=../../b.zip", "b.zip"),
        ("attachment; filename=\"c.zip\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.zip", "grüße.zip"),
        ('attachment; filename="..\\\\d.zip"', "d.zip"),
        ("attachment", "x"),
    ],
)
async def test_a_file_is_called_as_the_service_calls_it_without_folders(said: str, name: str) -> None:
    sent = Answer([b"PK\x03\x04"], content_type="application/zip", headers={"content-disposition": said})
    async with provider(sent) as server:
        made = await call(await one(operation(), server=server.url))
    assert made.content[1] == File(name, b"PK\x03\x04", "application/zip")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"type": "string"}, {}),
        ({"type": ["string", "null"]}, {"a": None}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"a": None}),
        ({"oneOf": [{"type": "string"}]}, {}),
        ({"type": "null"}, {"a": None}),
        ({}, {"a": None}),
    ],
)
async def test_null_is_sent_where_a_field_takes_it_and_else_left_out(written: Any, sent: Any) -> None:
    source = _body({"type": "object", "properties": {"a": written, "b": {"type": "integer"}}}, required=True)
    _, data = await (await one(source)).preview({"a": None, "b": 1}, context())
    assert data == Data(sent | {"b": 1})


async def test_cookies_and_query_strings_are_written_in_their_ways() -> None:
    tool = await one(
        operation(
            {"name": "a", "in": "cookie", "schema": {}, "explode": False},
            {"name": "b", "in": "cookie", "schema": {}},
            {"name": "s", "in": "querystring", "content": {"text/plain": {"schema": {"type": "string"}}}},
            {"name": "p", "in": "path", "content": {"application/json": {"schema": {}}}},
            path="/x/{p}",
        )
    )
    text = await shown(tool, a=[1, 2], b={"c": "d e", "f": 1}, s="q=1&r=ü", p={"a": 1})
    assert text.splitlines() == [
        "GET https://api.example/v1/x/%7B%22a%22%3A1%7D?q=1&r=%C3%BC",
        "cookie: a=1%2C2",
        "cookie: c=d%20e",
        "cookie: f=1",
    ]
