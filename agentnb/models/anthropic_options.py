"""Generation options, tools and schemas in the words of Anthropic's Messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agentnb.errors import UsageError
from agentnb.messages import JSON, JSONObject, ToolSpec
from agentnb.models.base import Request
from agentnb.models.openai_parts import joined, tool_name
from agentnb.models.options import Options

#: The options that the dialect has words for.
OPTIONS = frozenset({"temperature", "top_p", "top_k", "max_tokens", "stop", "thinking", "parallel_tool_calls", "cache"})
#: The dialect demands a bound; this one every model allows.
_MAX_TOKENS = 4096
_LEAST_BUDGET = 1024
#: What an effort comes to in tokens; with an answer beside it, every model allows them.
_BUDGETS = {
    "on": 8192,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 24_576,
}

#: What strict schemas have no keyword for: it is said in the description, and whoever asked checks it.
_IN_WORDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def format_options(request: Request, model: str) -> dict[str, object]:
    """The fields of a request that are not its messages. Raises UsageError for what cannot go together."""
    options = request.options
    out: dict[str, object] = {"max_tokens": _max_tokens(options), "stream": options.stream is not False}
    out |= {name: value for name, value in _sampling(options, model).items() if value is not None}
    out |= _thinking(options, model)
    if config := _output_config(request):
        out["output_config"] = config
    if tools := _tools(request):
        out["tools"] = tools
        if choice := _tool_choice(request):
            out["tool_choice"] = choice
    return joined(out, {k: v for k, v in options.body.items() if k not in ("messages", "tools")})


def with_thinking(options: Options, way: str) -> Options:
    """The options with what is said of thinking in the one `way` a model may know: "budget" or "adaptive"."""
    match way, options.thinking:
        case "budget", str(effort) if effort != "off":
            return replace(options, thinking=_BUDGETS[effort])
        case "adaptive", int(budget) if budget > 0:
            return replace(
                options,
                thinking="low" if budget <= _BUDGETS["low"] else "medium" if budget <= _BUDGETS["medium"] else "high",
            )
    return options


def cache_mark(options: Options) -> JSONObject:
    """What marks the end of what is to be cached, as a field to be added; empty where nothing is."""
    return {"cache_control": {"type": "ephemeral", "ttl": options.cache}} if options.cache else {}


def _budget(options: Options) -> int:
    return options.thinking if isinstance(options.thinking, int) else 0


def _max_tokens(options: Options) -> int:
    bound = options.max_tokens or _MAX_TOKENS
    budget = _budget(options)
    # The bound includes what is thought, and must leave something for the answer.
    return bound if bound > budget else budget + bound


def _sampling(options: Options, model: str) -> dict[str, object]:
    if _budget(options) and (options.temperature not in (None, 1) or options.top_k is not None):
        raise UsageError(
            f"{model} takes neither a temperature nor top_k with a thinking budget. Leave them out, or think with an "
            "effort, such as 'high'."
        )
    return {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "stop_sequences": None if options.stop is None else list(options.stop),
    }


def _thinking(options: Options, model: str) -> dict[str, object]:
    match options.thinking:
        case None:
            return {}
        case "off" | 0:
            return {"thinking": {"type": "disabled"}}
        case int() as budget:
            if budget < _LEAST_BUDGET:
                raise UsageError(
                    f"A thinking budget of {budget} tokens is too small for {model}. Give {_LEAST_BUDGET} or more, or "
                    "an effort, such as 'low'."
                )
            return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    # Without it, newer models keep what they think to themselves.
    return {"thinking": {"type": "adaptive", "display": "summarized"}}


def _output_config(request: Request) -> dict[str, object]:
    out: dict[str, object] = {}
    thinking = request.options.thinking
    if isinstance(thinking, str) and thinking not in ("off", "on"):
        # The least effort there is here is called low.
        out["effort"] = "low" if thinking == "minimal" else thinking
    if request.output is not None:
        out["format"] = {"type": "json_schema", "schema": strict_schema(dict(request.output.schema))}
    return out


def _tools(request: Request) -> list[object]:
    # Tools that the provider runs itself come in its own words, beside ours.
    own = request.options.body.get("tools")
    tools = [*map(_tool, request.tools), *(own if isinstance(own, list) else ())]
    if tools and isinstance(tools[-1], dict):
        tools[-1] = tools[-1] | cache_mark(request.options)
    return tools


def _tool(tool: ToolSpec) -> object:
    schema = {"type": "object", **tool.parameters}
    return {"name": tool_name(tool.name), "description": tool.description, "input_schema": schema}


def _tool_choice(request: Request) -> JSONObject:
    choice = request.tool_choice
    if _budget(request.options) and choice != "none":
        choice = "auto"  # with a budget to think, no call can be demanded
    one = {"disable_parallel_tool_use": True} if request.options.parallel_tool_calls is False else {}
    match choice:
        case "none":
            return {"type": "none"}
        case "auto":
            return {"type": "auto", **one} if one else {}
        case "required":
            return {"type": "any", **one}
    return {"type": "tool", "name": tool_name(choice), **one}


def strict_schema(schema: JSON) -> JSON:
    """A JSON Schema as strict output takes it: closed objects, and in words what it has no keyword for."""
    if isinstance(schema, list):
        return [strict_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out: JSONObject = {}
    for key, value in schema.items():
        if _in_words(key, value):
            continue
        match key, value:
            case (("properties" | "$defs" | "definitions"), dict()):
                out[key] = {name: strict_schema(each) for name, each in value.items()}
            case (("items" | "anyOf" | "allOf" | "prefixItems"), _):
                out[key] = strict_schema(value)
            case "oneOf", _:
                out["anyOf"] = strict_schema(value)
            case _:
                out[key] = value
    if "properties" in out:
        out.setdefault("additionalProperties", False)
    return out | _described(schema)


def _in_words(key: str, value: JSON) -> bool:
    if key == "minItems" and value in (0, 1):
        return False
    return key in _IN_WORDS or (key == "format" and value not in _FORMATS)


def _described(schema: Mapping[str, JSON]) -> JSONObject:
    said = ", ".join(f"{key}: {value}" for key, value in schema.items() if _in_words(key, value))
    if not said:
        return {}
    return {"description": f"{schema.get('description') or ''} ({said})".lstrip()}
