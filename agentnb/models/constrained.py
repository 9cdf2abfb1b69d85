"""How tools are offered to a small model: one constrained decision, then a plain answer.

Measured on models of 0.1 to 1.5 billion parameters: none can use the native tool syntax of its template;
held to a schema and shown examples, 0.5 billion choose one tool well and 1.5 billion can work in a loop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agentnb.errors import UsageError, nearest
from agentnb.messages import JSON, Block, Data, File, JSONObject, Message, Text, ToolCall, ToolResult, ToolSpec, system
from agentnb.models import structured
from agentnb.models.base import Request
from agentnb.models.decision import grammar_schema, union_schema
from agentnb.models.examples import example_turns, first_sentence, shape, signature, word, words

#: A rough measure that errs on the safe side for English and code.
CHARACTERS_PER_TOKEN = 3
#: How much of a tool's result the model reads, in characters: its small context must hold everything else too.
RESULT_BUDGET = 1500
#: Tokens kept free for the answer and the template's own words.
_RESERVE = 768
#: A failed call may be tried again once; more often, a small model only repeats itself.
_TRIES = 2
_SAY = "Answer in one or two plain sentences, giving each value with its name and unit."
_AS_JSON = "Answer as JSON of this form, with the real values:"
_SAY_WHY = "Say in one plain sentence what went wrong."
#: How little it takes to keep 0.5 billion parameters from answering what they cannot know: two more of 27 questions
#: went to the right tool, at the price of one needless call in 18 that needed none.
_REPLY_BIAS = -0.5
_REPLIES: tuple[tuple[str, JSONObject], ...] = (
    ("Hi!", {"reply": "Hello! How can I help you?"}),
    ("Tell me a short poem.", {"reply": "Roses are red, violets are blue."}),
    ("What is the capital of Japan?", {"reply": "The capital of Japan is Tokyo."}),
)


Step: TypeAlias = Literal["chat", "decide", "answer"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine is asked: chat messages, the schema that its answer must fit (None: free text), words made a
    little more or less likely, and whether the answer is a decision between tools."""

    messages: tuple[JSONObject, ...]
    schema: JSONObject | None = None
    bias: tuple[tuple[str, float], ...] = ()
    decides: bool = False


def next_step(request: Request, *, one_tool: bool) -> Step:
    """What the model should do: talk, choose between tools, or put the tools' results into words."""
    turn = current_turn(request.messages)
    results = [result for _, result in _results(turn)]
    if request.tools and request.tool_choice not in ("auto", "none"):
        return "decide"
    if not request.tools or request.tool_choice == "none":
        return "answer" if results else "chat"
    if one_tool:
        enough = len(results) >= _TRIES or any(not result.is_error for result in results)
    else:  # a call that repeats itself would do so for ever
        calls = [(call.name, call.arguments) for message in turn for call in message.calls]
        enough = len(set(calls)) < len(calls)
    return "answer" if results and enough else "decide"


def current_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages from the last user message on."""
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=0)
    return messages[last:]


def _divided(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """What was said before the current turn, and the turn."""
    turn = current_turn(messages)
    return messages[: len(messages) - len(turn)], turn


def chat_prompt(request: Request, *, context: int) -> Prompt:
    """Plain conversation; what tools were once used is left out."""
    before, turn = _divided(request.messages)
    return Prompt(_fit(_opening(request.messages), _spoken(before), _spoken(turn), context))


def answer_prompt(request: Request, *, context: int) -> Prompt:
    """The question with the results of its tools, to be answered in words."""
    before, turn = _divided(request.messages)
    question = read_text(turn[0].content) if turn and turn[0].role == "user" else ""
    results = list(_results(turn))
    failed = bool(results) and all(result.is_error for _, result in results)
    asked = "\n\n".join((*_facts(results, request.tools), f"{question}\n{_SAY_WHY if failed else _SAY}"))
    return Prompt(_fit(_opening(request.messages), _spoken(before), [_say("user", asked)], context))


def decide_prompt(request: Request, *, context: int, one_tool: bool = True) -> Prompt:
    """The constrained choice: tools, worked examples, then the conversation in the same JSON.

    Raises UsageError where `tool_choice` names no tool.
    """
    tools = [t for t in request.tools if request.tool_choice in ("auto", "required", t.name)]
    if not tools:
        names = [t.name for t in request.tools]
        wanted = request.tool_choice
        raise UsageError(f"No tool is called {wanted!r}.{nearest(wanted, names)} There are: {', '.join(names)}.")
    reply = request.tool_choice == "auto"
    before, turn = _divided(request.messages)
    if reply and (named := _named(tools, turn)):
        tools, reply = named, False
    known = [(tool, grammar_schema(tool.parameters)) for tool in tools]
    rules = [_text(message) for message in _opening(request.messages)]
    rules.append('Decide, as one JSON object. To use a tool: {"tool": NAME, "arguments": {...}}.')
    if reply:
        rules.append('If no tool helps (greetings, thanks, general knowledge): {"reply": TEXT}.')
        rules.append("Numbers and facts about the user's data come only from a tool: you do not know them.")
    rules.append("Tools:\n" + "\n".join(f"- {signature(tool, schema)}" for tool, schema in known))
    first = [_say("system", "\n".join(rules))]
    for question, decision in _with_replies(example_turns(known), reply=reply):
        first += [_say("user", question), _say("assistant", _dump(decision))]
    said = _fit(first, _decided(before), _decided(turn), context)
    bias = (("reply", _REPLY_BIAS),) if reply and one_tool else ()
    return Prompt(said, union_schema(tools, reply=reply), bias, decides=True)


def _named(tools: Sequence[ToolSpec], turn: Sequence[Message]) -> list[ToolSpec]:
    """The tools that a question which nothing has been done for calls by their names: `penguin-report` is meant by
    "look into the penguin report". Names of one word may stand there by chance, and do not count.
    """
    if not turn or turn[0].role != "user" or any(_results(turn)):
        return []
    asked = f" {_spaced(read_text(turn[0].content))} "
    return [tool for tool in tools if " " in (name := _spaced(tool.name)) and f" {name} " in asked]


def _spaced(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def output_prompt(request: Request, step: Step, *, context: int, one_tool: bool = True) -> Prompt:
    """The same steps where JSON of a schema is asked for: between tools it is one of the choices, else the answer."""
    assert request.output is not None
    if step == "decide":
        return decide_prompt(structured.prepared(request, "tool"), context=context, one_tool=one_tool)
    schema = grammar_schema(request.output.schema)
    told = replace(request, messages=(system(f"{_AS_JSON} {_dump(shape(schema))}"), *request.messages))
    prompt = chat_prompt(told, context=context) if step == "chat" else answer_prompt(told, context=context)
    return replace(prompt, schema=schema)


def _with_replies(turns: list[tuple[str, JSONObject]], *, reply: bool) -> list[tuple[str, JSONObject]]:
    """Replies first: what stands last is imitated most, and a made-up number is worse than a needless call."""
    return [*_REPLIES, *turns] if reply else turns


def _spoken(messages: Sequence[Message]) -> list[JSONObject]:
    """What people and model said to each other, without tools."""
    return [_say(m.role, text) for m in messages if m.role in ("user", "assistant") and (text := read_text(m.content))]


def _decided(messages: Sequence[Message]) -> list[JSONObject]:
    """The conversation as decisions: calls and replies in the JSON that the model is to write."""
    said: list[JSONObject] = []
    for message in messages:
        if message.role == "user":
            said.append(_say("user", read_text(message.content)))
        elif message.role == "tool":
            said.append(_say("user", "\n".join(_result_lines([message]))))
        elif message.role == "assistant":
            if text := read_text(message.content):
                said.append(_say("assistant", _dump({"reply": text})))
            said += [_say("assistant", _call(call)) for call in message.calls]
    return said


def _call(call: ToolCall) -> str:
    return f'{{"tool": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}'


def _results(messages: Sequence[Message]) -> Iterator[tuple[ToolCall | None, ToolResult]]:
    """Each result with the call it answers."""
    calls = {call.id: call for message in messages for call in message.calls}
    for message in messages:
        for block in message.content:
            if isinstance(block, ToolResult):
                yield calls.get(block.call_id), block


def _result_lines(messages: Sequence[Message]) -> Iterator[str]:
    """`name returned: …` for each result, cut to the budget they share."""
    results = list(_results(messages))
    for _, result in results:
        verb = "failed" if result.is_error else "returned"
        yield f"{result.name} {verb}: {cut(read_text(result.content), RESULT_BUDGET // len(results))}"


def _facts(results: Sequence[tuple[ToolCall | None, ToolResult]], tools: Sequence[ToolSpec]) -> Iterator[str]:
    """Results as a person would note them: code and JSON would be answered with talk about code."""
    known = {tool.name: first_sentence(tool.description) for tool in tools}
    for call, result in results:
        what = known.get(result.name) or result.name.replace("_", " ")
        arguments = _parsed(call.arguments) if call else None
        given = f" ({words(arguments)})" if isinstance(arguments, dict) and arguments else ""
        text = cut(_listed(read_text(result.content)), RESULT_BUDGET // len(results))
        yield f"{what}{given} failed: {text}" if result.is_error else f"{what}{given}:\n{text}"


def _listed(text: str) -> str:
    """A flat JSON object as a list, one line for each value; anything else as it is."""
    match _parsed(text):
        case dict(values) if values and not any(isinstance(value, dict | list) for value in values.values()):
            return "\n".join(f"- {key}: {word(value)}" for key, value in values.items())
    return text


def _parsed(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except ValueError:
        return None
    return value


def cut(text: str, budget: int) -> str:
    """The text, with its middle replaced by a visible mark where it is longer than `budget` characters."""
    if len(text) <= budget:
        return text
    head = budget * 2 // 3
    left_out = len(text) - budget
    return f"{text[:head]}\n[… {left_out} characters left out …]\n{text[head + left_out :]}"


def read_text(content: Sequence[Block]) -> str:
    """The blocks as this model can read them: what is not text is named, so that it does not vanish silently."""
    return "\n".join(filter(None, (_read(block) for block in content)))


def _read(block: Block) -> str:
    match block:
        case Text(text):
            return text
        case Data(value):
            return json.dumps(value, ensure_ascii=False)
        case File(name=name):
            return f"[file {name}: this model reads text only]"
        case ToolCall() | ToolResult():
            return ""
        case _ if block.type in ("image", "audio"):
            return f"[{block.type}: this model reads text only]"
    return ""


def _opening(messages: Sequence[Message]) -> list[JSONObject]:
    """All system messages as one, if there are any: templates take one, and at the beginning."""
    text = "\n\n".join(filter(None, (read_text(m.content) for m in messages if m.role == "system")))
    return [_say("system", text)] if text else []


def _fit(
    first: list[JSONObject], before: list[JSONObject], turn: list[JSONObject], context: int
) -> tuple[JSONObject, ...]:
    """`first`, then the turn's question, what came last, and as much else of the newest as the context holds."""
    question, later = turn[:1], turn[1:]
    room = (context - _RESERVE) * CHARACTERS_PER_TOKEN - _length(first) - _length(question)
    kept = _newest(later, room) or later[-1:]
    earlier = _newest(before, room - _length(kept)) if len(kept) == len(later) else []
    while earlier and earlier[0]["role"] != "user":
        earlier = earlier[1:]
    return (*first, *earlier, *question, *kept)


def _newest(messages: list[JSONObject], room: int) -> list[JSONObject]:
    start = len(messages)
    while start and (room := room - _length(messages[start - 1 : start])) >= 0:
        start -= 1
    return messages[start:]


def _length(messages: Sequence[JSONObject]) -> int:
    return sum(len(_text(message)) for message in messages)


def _say(role: str, text: str) -> JSONObject:
    return {"role": role, "content": text}


def _text(message: JSONObject) -> str:
    return str(message["content"])


def _dump(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
