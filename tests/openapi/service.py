"""A real service with a document of its own: FastAPI under uvicorn on 127.0.0.1."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, Header, HTTPException, Query, Request, Response, Security, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from pydantic import BaseModel

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
KEY = "sk-very-secret-1234"


class Pet(BaseModel):
    name: str
    kind: str = "cat"
    weight: float | None = None
    parents: list["Pet"] = []


def app() -> FastAPI:
    """What the tests ask: places for arguments, ways to say who asks, kinds of answers."""
    service = FastAPI(title="Pet Shop")

    @service.get("/pets/{pet_id}", operation_id="get_pet", tags=["pets"])
    def get_pet(
        pet_id: str,
        fields: Annotated[list[str] | None, Query()] = None,
        limit: Annotated[int, Query(le=100)] = 10,
        x_trace: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        """Look one pet up."""
        return {"id": pet_id, "fields": fields, "limit": limit, "trace": x_trace}

    @service.post("/pets", status_code=201, tags=["pets"])
    def add_pet(pet: Pet, response: Response, dry: bool = False) -> dict[str, Any]:
        response.headers["Location"] = f"/pets/{pet.name}"
        return {"added": pet.model_dump(), "dry": dry}

    @service.put("/pets/{name}")
    def rename(name: str, pet: Pet) -> dict[str, Any]:
        return {"path": name, "body": pet.name}

    @service.post("/form")
    def form(a: Annotated[str, Form()], b: Annotated[list[int], Form()]) -> dict[str, Any]:
        return {"a": a, "b": b}

    @service.post("/upload")
    async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, Any]:
        return {"text": (await file.read()).decode(), "note": note}

    _protect(service)
    _answer(service)
    return service


def _protect(service: FastAPI) -> None:
    for place, scheme in {
        "header": APIKeyHeader(name="X-Key", scheme_name="in_header"),
        "query": APIKeyQuery(name="key", scheme_name="in_query"),
        "cookie": APIKeyCookie(name="key", scheme_name="in_cookie"),
    }.items():

        def guarded(key: Annotated[str, Security(scheme)]) -> dict[str, Any]:
            if key != KEY:
                raise HTTPException(403, f"wrong key {key}")
            return {"you": "in", "said": key}

        service.get(f"/key/{place}", operation_id=f"key_{place}")(guarded)

    @service.get("/bearer", operation_id="bearer")
    def bearer(token: Annotated[Any, Security(HTTPBearer(scheme_name="token"))]) -> dict[str, Any]:
        return {"ok": token.credentials == KEY}

    @service.get("/basic", operation_id="basic")
    def basic(pair: Annotated[HTTPBasicCredentials, Security(HTTPBasic(scheme_name="pair"))]) -> dict[str, Any]:
        return {"user": pair.username, "ok": pair.password == KEY}


def _answer(service: FastAPI) -> None:
    @service.get("/image", operation_id="image")
    def image() -> Response:
        return Response(PNG, media_type="image/png")

    @service.get("/text", operation_id="text")
    def text() -> PlainTextResponse:
        return PlainTextResponse("grüße", media_type="text/plain")

    @service.get("/file", operation_id="file")
    def file() -> Response:
        head = {"content-disposition": 'attachment; filename="../pets.zip"'}
        return Response(b"PK\x03\x04\0\xff", media_type="application/zip", headers=head)

    @service.get("/big", operation_id="big")
    def big() -> list[int]:
        return list(range(20_000))

    @service.delete("/nothing", operation_id="nothing", status_code=204)
    def nothing() -> None:
        return None

    @service.get("/fail/{status}", operation_id="fail")
    def fail(status: int) -> Response:
        raise HTTPException(status, "x" * 10_000, headers={"retry-after": "7"})

    @service.get("/away", operation_id="away")
    def away(request: Request, to: str, key: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> RedirectResponse:
        del request, key
        return RedirectResponse(to)


@contextmanager
def running() -> Iterator[str]:
    """Its address while it runs."""
    server = uvicorn.Server(uvicorn.Config(app(), port=0, log_level="error", ws="none", lifespan="off"))
    socket = server.config.bind_socket()
    socket.listen()  # who asks before the server is ready, waits
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        socket.close()
