"""What goes wrong with models, for docs/MODELS.md: each error is made by the code that makes it for people."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from agentnb import Agent, FakeModel, messages
from agentnb.errors import AgentnbError
from agentnb.messages import Content, Image, Message, Text
from agentnb.models import failures
from agentnb.models.base import Model, Request
from agentnb.models.cassette import CassetteModel
from agentnb.models.http import Http
from agentnb.models.meter import Budget
from agentnb.models.options import Options
from agentnb.models.refusal import Source, refused, refused_in_stream
from agentnb.models.resolve import Models

_QUESTION = (Text("What is this?"),)
#: The head of a picture: it is never read further.
_PICTURE = b"\x89PNG\r\n\x1a\n"


def raised(fail: Callable[[], object]) -> AgentnbError:
    """The error that `fail` makes."""
    try:
        made = fail()
    except AgentnbError as error:
        return error
    assert isinstance(made, AgentnbError), f"{fail} did not fail"
    return made


def _ask(name: str, content: Sequence[Content] = _QUESTION, **options: object) -> None:
    """Ask a model without a key: what fails, fails before anything is sent."""
    model = Models(http=Http(), environ={}).open(name)
    asyncio.run(_all_of(model, Request((Message("user", tuple(content)),), options=Options.read(options))))


async def _all_of(model: Model, request: Request) -> None:
    async with aclosing(model.stream(request)) as events:
        async for _ in events:
            pass


def _wrong_answer() -> None:
    model = FakeModel(*["I do not know."] * 3, name="acme:small")
    asyncio.run(Agent(model, namespace={}, output=int).run("How many people live in Bern?"))


def _not_recorded() -> None:
    recorded, asked = (Request((messages.user(text),)) for text in ("How old is Bern?", "How old is Basel?"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.json"
        asyncio.run(_all_of(CassetteModel(FakeModel("Old."), path, mode="record"), recorded))
        asyncio.run(_all_of(CassetteModel(None, path, mode="replay"), asked))


_OPENAI = Source("openai", "api.openai.com", "OPENAI_API_KEY")


def _refused(status: int, body: object, **headers: str) -> AgentnbError:
    text = body if isinstance(body, str) else json.dumps({"error": body})
    return refused(_OPENAI, status, headers, text.encode())


#: When something goes wrong, and what makes it go wrong.
MISTAKES: Mapping[str, Callable[[], object]] = {
    "a slip in the provider's name": lambda: _ask("opnai:gpt-5-mini"),
    "a name that no provider is known for": lambda: _ask("my-own-model"),
    "no key": lambda: _ask("openai:gpt-5-mini"),
    "a key that is not accepted": lambda: _refused(401, {"message": "Incorrect API key provided."}),
    "an option that there is not": lambda: _ask("openai:gpt-5-mini", temprature=0),
    "an option that this model has not": lambda: _ask("openai:gpt-5-mini", top_k=40),
    "a picture for a model that reads only text": lambda: _ask("groq:openai/gpt-oss-20b", (Image(_PICTURE),)),
    "a model that there is not": lambda: refused(
        _OPENAI, 404, {}, b'{"error": "The model does not exist"}', model="gpt-5-mimi", known=("gpt-5-mini", "gpt-5")
    ),
    "a prompt that is too long": lambda: _refused(
        400, {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}
    ),
    "no money left": lambda: _refused(429, {"message": "You exceeded your quota.", "code": "insufficient_quota"}),
    "too many requests": lambda: _refused(429, {"message": "Rate limit reached."}, **{"retry-after": "2"}),
    "a server in trouble": lambda: _refused(503, {"message": "The server is overloaded."}),
    "a page in place of an answer": lambda: _refused(403, "<html><title>Access denied</title></html>"),
    "an error in the middle of an answer": lambda: refused_in_stream(
        _OPENAI, {"message": "The server had an error.", "code": "server_error"}, begun=True
    ),
    "a connection that ends too early": lambda: failures.broken("api.openai.com", ConnectionResetError()),
    "nobody there": lambda: failures.not_reached("127.0.0.1:8000", ConnectionRefusedError()),
    "no such host": lambda: failures.not_reached("api.opnai.com", socket.gaierror(socket.EAI_NONAME, "unknown")),
    "an answer that is not what was asked for, three times": _wrong_answer,
    "the next call would break a cap": lambda: Budget(0.05).hold("openai:gpt-5.5-pro", least=0.12, most=5.0),
    "a question that a cassette does not hold": _not_recorded,
}
