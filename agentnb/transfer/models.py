"""Models of `models.json` as ours, and back."""

from __future__ import annotations

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject
from agentnb.models.options import Options
from agentnb.transfer.secrets import Reveal, TakeOut, credential_name, put_back

#: The fields of a model, in the order in which files have them.
MODEL = (
    "model_id",
    "api_base",
    "model_name",
    "api_key",
    "api_key_name",
    "model_type",
    "api_protocol",
    "generate_params",
)
#: Under which key what is said of a model in our words is written, where that is not said by the rest.
OURS = "agentnb"
#: What is made of the rest, each time.
_MADE = ("base", "options")


def parse_model(entry: JSONObject, name: str, secrets: TakeOut) -> JSON:
    """What is kept of a model: its entry without its key, and what it is in our words."""
    ours = entry.get(OURS)
    if isinstance(ours, dict) and _said(_format(name, ours), entry):
        return secrets.value(ours, (name,))
    key = entry.get("api_key")
    rest: JSONObject = {field: each for field, each in entry.items() if field not in ("api_key", "api_key_name", OURS)}
    named = entry.get("api_key_name") or None
    if isinstance(key, str) and key.strip():
        named = secrets.credential(credential_name(name), key.strip())
    kept = secrets.value({"model_id": name, **rest}, (name,))
    body: JSONObject = {**(kept if isinstance(kept, dict) else {}), **({"api_key_name": named} if named else {})}
    return {**body, **_ours(body)}


def format_model(name: str, body: JSON, reveal: Reveal | None) -> JSON:
    """The entry of a model; its key is there only where `reveal` knows it."""
    given: JSONObject = body if isinstance(body, dict) else {}
    own: JSONObject = {field: value for field, value in given.items() if field not in _MADE}
    if "model_name" in given and {field: given.get(field) for field in _MADE} == _ours(own):
        entry: JSONObject = {"model_id": name, **own}
    else:
        entry = {**_format(name, given), OURS: given}
    key = entry.get("api_key_name")
    secret = reveal(key) if reveal and isinstance(key, str) else None
    entry["api_key"] = secret or ""
    if secret:
        del entry["api_key_name"]
    made = put_back(entry, reveal)
    out: JSONObject = made if isinstance(made, dict) else entry
    return {field: out[field] for field in (*(f for f in MODEL if f in out), *sorted(set(out) - set(MODEL)))}


def _ours(body: JSONObject) -> JSONObject:
    """What a model is in our words: `provider:name`, and options that it takes."""
    protocol = body.get("api_protocol")
    provider = protocol if isinstance(protocol, str) and protocol else "openai"
    options: JSONObject = {}
    as_they_are: JSONObject = {}
    params = body.get("generate_params")
    for name, value in params.items() if isinstance(params, dict) else ():
        try:
            Options.read({name: value})
            options[name] = value
        except UsageError:
            as_they_are[name] = value
    if as_they_are:
        options["body"] = as_they_are
    return {"base": f"{provider}:{body.get('model_name') or body.get('model_id') or ''}", "options": options}


def _format(name: str, ours: JSONObject) -> JSONObject:
    """An entry of what is kept in our words alone."""
    provider, _, model = str(ours.get("base") or ours.get("alias") or "").replace("/", ":", 1).partition(":")
    options = ours.get("options")
    entry: JSONObject = {
        "model_id": name,
        "api_base": ours.get("api_base") or "",
        "model_name": model or provider,
        "model_type": "llm",
        "api_protocol": provider if provider in ("ollama", "anthropic") else "openai",
        "generate_params": options if isinstance(options, dict) else {},
    }
    return {**entry, **({"api_key_name": ours["api_key_name"]} if ours.get("api_key_name") else {})}


def _said(made: JSONObject, entry: JSONObject) -> bool:
    """Whether a person has left an entry as it was written."""
    return all(entry.get(name) == value for name, value in made.items() if name != "api_key_name")
