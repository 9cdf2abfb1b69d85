"""Where a `$ref` leads: through documents that are all at hand, and never in a circle."""

from __future__ import annotations

from urllib.parse import unquote, urldefrag, urljoin

from agentnb.errors import UsageError
from agentnb.messages import JSON
from agentnb.openapi.documents import Documents
from agentnb.openapi.shape import Node

_MOST_HOPS = 50


class References:
    """Follows the references of documents that were gathered."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    @property
    def root(self) -> Node:
        """The first document."""
        return Node(self._documents.by_uri[self._documents.root], self._documents.root)

    def follow(self, node: Node) -> Node:
        """What a node is, or refers to. Raises UsageError for a reference that leads nowhere, or to itself."""
        for _ in range(_MOST_HOPS):
            ref = node.fields.get("$ref")
            if not isinstance(ref, str):
                return node
            target = self.at(node.uri, ref)
            if target is None:
                raise UsageError(f"the reference {ref[:120]!r} leads nowhere")
            node = target
        raise UsageError(f"the reference {ref!r:.120} leads in a circle")

    def at(self, uri: str, ref: str) -> Node | None:
        """What a reference in the document `uri` leads to, one step far; None where there is nothing."""
        target, fragment = urldefrag(urljoin(uri, ref)) if not ref.startswith("#") else (uri, ref[1:])
        if target not in self._documents.by_uri:
            return None
        value = self._documents.by_uri[target]
        if not fragment:
            return Node(value, target)
        if not fragment.startswith("/"):
            return None
        for part in unquote(fragment)[1:].split("/"):
            step = _step(value, part.replace("~1", "/").replace("~0", "~"))
            if step is None:
                return None
            (value,) = step
        return Node(value, target)


def _step(value: JSON, part: str) -> tuple[JSON] | None:
    match value:
        case dict() if part in value:
            return (value[part],)
        case list() if part.isdecimal() and len(part) < 9 and int(part) < len(value):
            return (value[int(part)],)
    return None
