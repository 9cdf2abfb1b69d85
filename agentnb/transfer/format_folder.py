"""A store as the files of `~/.agents_runtime`: what a person can read, edit, and bring back."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentnb.messages import JSON, JSONObject, Message, ToolResult
from agentnb.store import Store
from agentnb.store.moved import MovedRun, MovedSession, Said
from agentnb.store.records import Kind
from agentnb.transfer.format_messages import format_message, format_messages, format_result
from agentnb.transfer.kept import keep_beside, keep_result, mark_turns
from agentnb.transfer.models import format_model
from agentnb.transfer.named import format_agent, format_tool
from agentnb.transfer.parse_folder import ARTIFACT, CHATS, INDEX
from agentnb.transfer.parse_messages import Reader
from agentnb.transfer.parse_sessions import BESIDE
from agentnb.transfer.report import Note
from agentnb.transfer.secrets import ENV, Reveal, is_hidden, put_back, reference
from agentnb.transfer.texts import format_json, with_front_matter
from agentnb.transfer.times import format_time

#: A file: its path, with `/`, and what is in it.
File: TypeAlias = tuple[str, bytes]
_UNSAFE = re.compile(r"[^\w.@+=, -]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index of sessions."""

    name: str
    values: JSONObject


def format_records(store: Store, reveal: Reveal | None, note: Note) -> Iterator[File]:
    """The files of everything that is kept under a name. Secrets stay references, unless `reveal` knows them."""
    bodies = {kind: {each.name: each.body for each in store.records.all(kind)} for kind in _KINDS}
    models: list[JSON] = [format_model(name, body, reveal) for name, body in bodies["model"].items()]
    yield _file("models.json", models)
    yield _file("tools.json", [format_tool(name, body, reveal) for name, body in bodies["tool"].items()])
    servers: JSONObject = {name: put_back(body, reveal) for name, body in bodies["mcp_server"].items()}
    yield _file("mcp_servers.json", {"mcpServers": servers})
    templates: list[JSON] = [_template(name, body) for name, body in bodies["template"].items()]
    yield _file("prompt_templates.json", templates)
    variables: JSONObject = {name: _value(name, body, reveal) for name, body in bodies["env"].items()}
    yield _file("env.json", variables)
    files: set[str] = set()
    for name, body in bodies["agent"].items():
        file = _UNSAFE.sub("_", name).strip(".")[:100] or "agent"
        while file.lower() in files:
            file += "_"
        files.add(file.lower())
        yield _file(f"agents/{file}.json", format_agent(name, body, reveal))
    if settings := store.records.names("setting"):
        note(f"This layout has no place for settings ({', '.join(settings[:5])}); a bundle (.zip) has.")


_KINDS: tuple[Kind, ...] = ("model", "tool", "mcp_server", "template", "env", "agent")


def _template(name: str, body: JSON) -> JSON:
    if isinstance(body, dict):
        return {"template_id": name, **body}
    return {"template_id": name, "content": body if isinstance(body, str) else ""}


def _value(name: str, body: JSON, reveal: Reveal | None) -> JSON:
    """The value of a variable; a secret refers to itself, unless it is revealed."""
    if is_hidden(body):
        return (reveal(ENV + name) if reveal else None) or reference(name)
    return body.get("value", "") if isinstance(body, dict) else body


def format_session(moved: MovedSession, note: Note) -> Iterator[File | Entry]:
    """The files of a session, and its line in the index."""
    folder = f"{CHATS}/{moved.id}"
    by_id = {each.run.head.id: each for each in moved.runs}
    turns = [by_id[turn.run] for turn in moved.turns if turn.gone is None and turn.run in by_id]
    messages = [list(_messages(run)) for run in turns]
    mark_turns(messages)
    count = sum(map(len, messages))
    meta: JSONObject = {
        "session_id": moved.id,
        "created_at": format_time(moved.created),
        "updated_at": format_time(moved.updated),
        "turn_count": count,
        "last_total_tokens": moved.tokens,
    }
    yield _file(f"{folder}/conversation.json", {"meta": meta, "messages": [each for turn in messages for each in turn]})
    yield from _subs(folder, moved, turns)
    yield from _memory(folder, moved, [len(each) for each in messages])
    for artifact in moved.artifacts:
        yield f"{folder}/{_artifact_path(artifact.name)}", artifact.data
    if any(turn.gone is not None for turn in moved.turns):
        note(f"{moved.id}: this layout has no place for turns that were taken back; a bundle (.zip) has.")
    known: JSONObject = {**meta, "title": moved.title, "last_inference_at": meta["updated_at"]}
    yield Entry(moved.id, {name: known[name] for name in INDEX})


def _artifact_path(name: str) -> str:
    """Where a file of a session lies in its folder; those of sub-conversations are in theirs."""
    if re.fullmatch(rf"((.+-)?sub_[\w-]+/)+({ARTIFACT}[^/\\\0]+|summary\.md|memory\.md)", name):
        return name
    return ARTIFACT + name.replace("/", "%2F").replace("\\", "%5C").replace("\0", "")


def _messages(moved: MovedRun) -> Iterator[JSONObject]:
    """The messages of a run, with what the layout has no words for beside them."""
    kept = moved.run.head.options.get(BESIDE)
    beside = kept.get("messages") if isinstance(kept, dict) else None
    made = list(format_messages(moved.said, beside if isinstance(beside, Mapping) else {}, moved.run.usage))
    number = 0
    for said in moved.said:
        number = _keep(said, made, number)
    yield from made


def _keep(said: Said, made: Sequence[JSONObject], number: int) -> int:
    message = said.message
    results = [block for block in message.content if isinstance(block, ToolResult)]
    if message.role != "tool" or len(results) != len(message.content) or not results:
        plain = format_message(message, said.created)
        read = _read([plain])
        keep_beside(made[number], message, read)
        return number + 1
    for at, result in enumerate(results):
        back = _read([format_result(result, said.created)])
        keep_result(made[number + at], result, back.content if back else ())
    return number + len(results)


def _read(values: list[JSON] | list[JSONObject]) -> Message | None:
    reads = Reader("", lambda _: None, 0.0, lambda *_: None).read([*values])
    return reads[0].message if len(reads) == 1 else None


def _subs(folder: str, moved: MovedSession, turns: Sequence[MovedRun]) -> Iterator[File]:
    """The runs within, each in a folder of its own in that of the run that started it."""
    below: dict[str | None, list[MovedRun]] = defaultdict(list)
    for each in moved.runs:
        below[each.run.head.within].append(each)
    pending = [(run.run.head.id, folder, moved.id) for run in turns]
    seen: set[str] = set()
    while pending:
        parent, path, above = pending.pop(0)
        for sub in below.pop(parent, ()):
            head = sub.run.head
            name = head.label if re.fullmatch(r"(.+-)?sub_[\w.-]+", head.label) else f"sub_{int(sub.run.started * 1e6)}"
            while f"{path}/{name}" in seen:
                name += "_"
            seen.add(f"{path}/{name}")
            messages: list[JSON] = [*_messages(sub)]
            meta: JSONObject = {
                "session_id": name,
                "parent_session_id": above,
                "created_at": format_time(sub.run.started),
                "updated_at": format_time(sub.run.ended or sub.run.started),
                "turn_count": len(messages),
            }
            yield _file(f"{path}/{name}/conversation.json", {"meta": meta, "messages": messages})
            pending.append((head.id, f"{path}/{name}", name))


def _memory(folder: str, moved: MovedSession, lengths: Sequence[int]) -> Iterator[File]:
    if moved.summaries:
        last = moved.summaries[-1]
        head: dict[str, str | int] = {
            "session_id": moved.id,
            "summary_version": last.version,
            "summarized_up_to_turn": sum(lengths[: last.upto]),
            "updated_at": format_time(last.created),
        }
        yield f"{folder}/summary.md", with_front_matter(head, last.text).encode()
    if moved.memories:
        entries: list[JSON] = [
            {
                "entry_type": each.type,
                "content": each.content,
                "source_turn_index": sum(lengths[: each.turn]),
                "confidence": each.confidence,
                "created_at": format_time(each.created),
            }
            for each in moved.memories
        ]
        head = {"session_id": moved.id, "entry_count": len(entries), "updated_at": format_time(moved.updated)}
        yield f"{folder}/memory.md", with_front_matter(head, format_json(entries).strip()).encode()


def format_index(entries: Sequence[Entry]) -> File:
    """The index of the sessions."""
    return _file(f"{CHATS}/index.json", {each.name: each.values for each in entries})


def _file(path: str, value: JSON) -> File:
    return path, format_json(value).encode("utf-8", "replace")
