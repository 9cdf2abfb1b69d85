"""Generation options, tools and schemas in the words of OpenAI's dialects, and of those who speak them differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON, JSONObject
from agentnb.models.base import Request
from agentnb.models.dialect import Quirks
from agentnb.models.openai_parts import joined, tool_name
from agentnb.models.options import Thinking
from agentnb.models.strict import strict_schema

#: The options that the dialect has words for.
OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "thinking",
        "parallel_tool_calls",
        "cache",
    }
)
#: Their names here and there are the same.
_AS_THEY_ARE = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop")
#: Tokens that an effort comes to; beyond the last, a model thinks as much as it likes.
_BUDGETS = {"minimal": 1_024, "low": 4_096, "medium": 16_384}


def format_options(request: Request, quirks: Quirks) -> dict[str, object]:
    """The fields of a request that are not its messages. Raises UsageError for what cannot be said."""
    options = request.options
    given = options.given()
    out: dict[str, object] = {name: given[name] for name in _AS_THEY_ARE if name in given}
    if options.max_tokens is not None:
        out[quirks.max_tokens] = options.max_tokens
    if options.thinking is not None:
        out |= _thinking(options.thinking, quirks)
    if options.cache is not None:
        out["cache_control"] = {"type": "ephemeral", "ttl": options.cache}
    if request.output is not None:
        out["response_format"] = {"type": "json_schema", "json_schema": schema_fields(request)}
    choice = chosen(request, quirks)
    if request.tools:
        out["tools"] = [{"type": "function", "function": each} for each in tool_fields(request)]
        if choice in ("none", "required"):
            out["tool_choice"] = choice
        elif choice != "auto":
            out["tool_choice"] = {"type": "function", "function": {"name": tool_name(choice)}}
        if options.parallel_tool_calls is not None:
            out["parallel_tool_calls"] = options.parallel_tool_calls
    return joined(out, {key: value for key, value in options.body.items() if key != "messages"})


def chosen(request: Request, quirks: Quirks) -> str:
    """The tool choice. Raises UsageError for a tool that is not offered, and where no call can be demanded."""
    choice, names = request.tool_choice, [tool.name for tool in request.tools]
    if choice in ("auto", "none") or (choice == "required" and not names):
        return choice
    if choice not in ("required", *names):
        there = ", ".join(names) or "none"
        raise UsageError(
            f"There is no tool {choice!r} to choose.{nearest(choice, names)} The tools of this request: {there}; "
            "otherwise choose 'auto', 'none' or 'required'."
        )
    if not quirks.forced:
        raise UsageError(f"No tool call can be demanded of {quirks.provider}. Choose 'auto', and ask for it in words.")
    return choice


def tool_fields(request: Request) -> list[JSONObject]:
    """What is said of each tool."""
    return [
        {"name": tool_name(tool.name), "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in request.tools
    ]


def schema_fields(request: Request) -> JSONObject:
    """What is said of the schema of the answer."""
    assert request.output is not None
    schema, strict = strict_schema(request.output.schema)
    about: JSONObject = {"description": request.output.description} if request.output.description else {}
    return {"name": tool_name(request.output.name), **about, "schema": schema, "strict": strict}


def effort_of(thinking: Thinking) -> str:
    """The effort that is nearest to what is asked; "none" where nothing is to be thought."""
    match thinking:
        case "off" | 0:
            return "none"
        case "on":
            return "medium"
        case int() as budget:
            return next((effort for effort in ("low", "medium") if budget <= _BUDGETS[effort]), "high")
    return thinking


def _thinking(thinking: Thinking, quirks: Quirks) -> dict[str, object]:
    if quirks.thinking not in THINKING:
        known = ", ".join(THINKING)
        raise UsageError(f"{quirks.provider} has no way of thinking called {quirks.thinking!r}. There are: {known}.")
    return THINKING[quirks.thinking]("off" if thinking == 0 else thinking)


def _effort(thinking: Thinking) -> dict[str, object]:
    return {"reasoning_effort": effort_of(thinking)}


def _groq(thinking: Thinking) -> dict[str, object]:
    # Its models think unless they are told not to, and differ in the efforts they know.
    return {} if thinking == "on" else _effort(thinking)


def _openrouter(thinking: Thinking) -> dict[str, object]:
    match thinking:
        case "on" | "off":
            return {"reasoning": {"enabled": thinking == "on"}}
        case int():
            return {"reasoning": {"max_tokens": thinking}}
    return {"reasoning": {"effort": thinking}}


def _together(thinking: Thinking) -> dict[str, object]:
    return _openrouter(thinking) if thinking in ("on", "off") else _effort(thinking)


def _enable_thinking(thinking: Thinking) -> dict[str, object]:
    budget = thinking if isinstance(thinking, int) else _BUDGETS.get(thinking)
    out: dict[str, object] = {"enable_thinking": thinking != "off"}
    return out if budget is None else {**out, "thinking_budget": budget}


def _type(thinking: Thinking) -> dict[str, object]:
    return {"thinking": {"type": "disabled" if thinking == "off" else "enabled"}}


def _type_effort(thinking: Thinking) -> dict[str, object]:
    return _type(thinking) if thinking in ("on", "off") else {**_type(thinking), **_effort(thinking)}


def _adaptive(thinking: Thinking) -> dict[str, object]:
    return {"thinking": {"type": "disabled" if thinking == "off" else "adaptive"}}


def _template(thinking: Thinking) -> dict[str, object]:
    # Templates take what they know and leave the rest.
    told: dict[str, JSON] = {"enable_thinking": thinking != "off"}
    if thinking not in ("on", "off"):
        told["reasoning_effort"] = effort_of(thinking)
    return {"chat_template_kwargs": told}


#: The ways to say how much to think, by the names that providers.toml gives them.
THINKING: Mapping[str, Callable[[Thinking], dict[str, object]]] = MappingProxyType(
    {
        "effort": _effort,
        "groq": _groq,
        "openrouter": _openrouter,
        "together": _together,
        "enable_thinking": _enable_thinking,
        "type": _type,
        "type_effort": _type_effort,
        "adaptive": _adaptive,
        "template": _template,
    }
)
