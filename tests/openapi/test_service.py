"""Tools of a real service, from the document it writes of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.errors import CredentialError, ToolError
from agentnb.messages import Data, File, Image, Text
from agentnb.models.http import Http
from agentnb.openapi import OpenApiTools, load
from tests.openapi.calls import call, keys, shown, value, words
from tests.openapi.service import KEY, PNG
from tests.provider import document as answer
from tests.provider import provider

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(service: str, http: Http, tmp_path: Path) -> OpenApiTools:
    return await load(f"{service}/openapi.json", http=http, **keys(tmp_path))


async def _with(service: str, http: Http, folder: Path, auth: object, **variables: str) -> OpenApiTools:
    options = keys(folder, **variables)
    return await load(f"{service}/openapi.json", http=http, auth=auth, **options)  # type: ignore[arg-type]


async def test_each_operation_is_a_tool_of_its_own(shop: OpenApiTools, service: str) -> None:
    assert shop.name == "pet-shop"
    assert shop.hosts == (service,)
    assert "get_pet" in [tool.name for tool in shop]
    assert not shop.left_out
    pet = shop["get_pet"]
    assert pet.description == "Get Pet\n\nLook one pet up."
    assert pet.traits.id == "openapi-pet-shop-get_pet"
    assert (pet.traits.source, pet.traits.approval, pet.parallel) == ("pet-shop", "ask", True)


async def test_path_query_and_header_reach_the_service(shop: OpenApiTools) -> None:
    got = await value(shop["get_pet"], pet_id="1", fields=["x", "y&z"], limit=3, **{"x-trace": "t1"})
    assert got["fields"] == ["x", "y&z"]
    assert (got["limit"], got["trace"]) == (3, "t1")


async def test_a_value_with_everything_in_it_is_one_part_of_the_path(shop: OpenApiTools) -> None:
    assert (await value(shop["get_pet"], pet_id="ü ?#%&+"))["id"] == "ü ?#%&+"


async def test_a_null_stands_for_an_argument_that_was_left_out(shop: OpenApiTools) -> None:
    assert (await value(shop["get_pet"], pet_id="1", limit=None, fields=None))["limit"] == 10


async def test_the_fields_of_a_body_stand_beside_the_parameters(shop: OpenApiTools) -> None:
    done = await call(shop["add_pet_pets_post"], name="Kim", weight=1.5, parents=[{"name": "Jo"}], dry=True)
    data, head = done.content
    assert isinstance(data, Data)
    parents = [{"name": "Jo", "kind": "cat", "weight": None, "parents": []}]
    assert data.value == {"added": {"name": "Kim", "kind": "cat", "weight": 1.5, "parents": parents}, "dry": True}
    assert head == Text("location: /pets/Kim")


async def test_a_body_whose_field_is_called_as_a_parameter_is_an_argument_of_its_own(shop: OpenApiTools) -> None:
    got = await value(shop["rename_pets__name__put"], name="old", body={"name": "new"})
    assert got == {"path": "old", "body": "new"}


async def test_forms_are_sent_as_forms(shop: OpenApiTools) -> None:
    assert await value(shop["form_form_post"], a="x&y=ü", b=[1, 2]) == {"a": "x&y=ü", "b": [1, 2]}
    assert await value(shop["upload_upload_post"], file="the text\n", note="n") == {"text": "the text\n", "note": "n"}


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"pet_id": "1", "limit": "many"}, "limit: 'many' is not valid|limit: 'many' is not of type 'integer'"),
        ({"pet_id": "1", "limit": 1000}, "limit: 1000 is greater than the maximum of 100"),
        ({}, "'pet_id' is a required property"),
        ({"pet_id": "1", "limits": 1}, "has no argument 'limits'. Did you mean 'limit'"),
        ({"pet_id": ".."}, "would lead elsewhere"),
        ({"pet_id": ""}, "an empty text is no part of the path"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_by_their_place(
    shop: OpenApiTools, arguments: dict[str, object], place: str
) -> None:
    with pytest.raises(ToolError, match=place):
        await call(shop["get_pet"], **arguments)
    with pytest.raises(ToolError, match=place):
        await shown(shop["get_pet"], **arguments)


async def test_wrong_values_deep_in_a_body_are_named_by_their_place(shop: OpenApiTools) -> None:
    with pytest.raises(ToolError, match=r"name: 3 is not of type 'string'; parents: 'Jo' is not of type 'array'"):
        await call(shop["add_pet_pets_post"], name=3, parents="Jo")
    with pytest.raises(ToolError, match=r"body\.name: 3 is not of type 'string'"):
        await call(shop["rename_pets__name__put"], name="old", body={"name": 3})


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_a_key_goes_where_the_service_wants_it_and_is_seen_nowhere(
    service: str, http: Http, tmp_path: Path, place: str
) -> None:
    tool = (await _with(service, http, tmp_path, "SHOP", SHOP=KEY))[f"key_{place}"]
    got = await call(tool)
    assert got.content == (Data({"you": "in", "said": "[key]"}),)
    seen = [await shown(tool), repr(tool), repr(tool.operation), repr(got), repr(vars(tool))]
    assert not [each for each in seen if KEY in each]
    assert "with the credential 'SHOP'" in seen[0]


async def test_a_refusal_that_repeats_the_key_does_not_show_it(service: str, http: Http, tmp_path: Path) -> None:
    wrong = "sk-another-secret-99"
    got = await call((await _with(service, http, tmp_path, "SHOP", SHOP=wrong))["key_query"])
    assert got.is_error
    assert words(got.content) == 'Error: GET /key/query answered HTTP 403 Forbidden.\n{"detail":"wrong key [key]"}'


async def test_tokens_and_passwords_are_shown_as_http_has_them(service: str, http: Http, tmp_path: Path) -> None:
    named = {"token": "TOKEN", "pair": "PAIR"}
    shop = await _with(service, http, tmp_path, named, TOKEN=KEY, PAIR=f"me:{KEY}")
    assert await value(shop["bearer"]) == {"ok": True}
    assert await value(shop["basic"]) == {"user": "me", "ok": True}


async def test_a_stored_credential_is_read_at_each_call(service: str, http: Http, tmp_path: Path) -> None:
    options = keys(tmp_path, AGENTNB_KEYRING="off")
    stored = options["credentials"]
    stored.add("shop", "shop", "basic", {"user": "me", "password": KEY})
    shop = await load(f"{service}/openapi.json", http=http, auth="shop", **options)
    assert await value(shop["basic"]) == {"user": "me", "ok": True}
    with pytest.raises(ToolError, match=r"type basic, but what is asked for is apiKey in header 'X-Key'"):
        await call(shop["key_header"])
    stored.enable("shop", False)
    with pytest.raises(ToolError, match="disabled"):
        await call(shop["basic"])


async def test_a_credential_that_there_is_not_is_said_before_any_call(service: str, http: Http, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="no credential and no variable 'SHIP'"):
        await _with(service, http, tmp_path, "SHIP", SHOP=KEY)


async def test_an_operation_that_wants_a_credential_says_so_where_none_was_given(shop: OpenApiTools) -> None:
    got = await call(shop["bearer"])
    assert got.is_error
    assert "It asks for a credential (bearer), and none was given" in words(got.content)


async def test_no_secret_follows_a_redirect_to_another_host(service: str, http: Http, tmp_path: Path) -> None:
    shop = await _with(service, http, tmp_path, "SHOP", SHOP=KEY)
    async with provider(answer({"far": True})) as far:
        assert await value(shop["away"], to=far.url) == {"far": True}
        assert "x-key" not in far.requests[0].headers
        assert KEY not in str(far.requests)


async def test_answers_are_what_they_are(shop: OpenApiTools) -> None:
    assert (await call(shop["image"])).content == (Image(PNG, "image/png"),)
    assert (await call(shop["text"])).content == (Text("grüße"),)
    assert words((await call(shop["nothing"])).content) == "HTTP 204 No Content, with nothing in it."
    namespace: dict[str, object] = {}
    got = await call(shop["file"], namespace)
    assert got.content[1] == File("pets.zip", b"PK\x03\x04\0\xff", "application/zip")
    assert namespace[str(got.handle)] == b"PK\x03\x04\0\xff"


async def test_a_big_answer_is_cut_for_the_model_and_kept_whole(shop: OpenApiTools) -> None:
    namespace: dict[str, object] = {}
    got = await call(shop["big"], namespace)
    assert namespace == {"big_1": list(range(20_000))}
    assert got.handle == "big_1"
    assert len(words(got.content)) < 45_000


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_a_refusal_is_an_error_with_a_bounded_body(shop: OpenApiTools, status: int) -> None:
    got = await call(shop["fail"], status=status)
    text = words(got.content)
    assert got.is_error
    assert text.startswith(f"Error: GET /fail/{{status}} answered HTTP {status} ")
    assert "more characters left out" in text
    assert text.endswith("retry-after: 7")
    assert len(text) < 4_500


async def test_a_preview_shows_method_address_and_body(shop: OpenApiTools, service: str) -> None:
    text = await shown(shop["add_pet_pets_post"], name="Kim", dry=True)
    assert text.startswith(f"POST {service}/pets?dry=true\ncontent-type: application/json\n")
    assert "Data(value={'name': 'Kim'}" in text


async def test_a_service_that_is_gone_is_an_error_the_model_reads(http: Http) -> None:
    async with provider(answer({})) as gone:
        url = gone.url
    source = {"openapi": "3.1.0", "info": {}, "servers": [{"url": url}], "paths": {"/x": {"get": {}}}}
    tool = (await load(source, http=http))["GET_x"]
    with pytest.raises(ToolError, match="connection refused"):
        await call(tool)
