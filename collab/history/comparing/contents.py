"""Two states of a document, read root by root and compared.

A root with a schema, of XML or of a text is compared as a tree of blocks; maps and arrays are
compared as values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pycrdt import Doc, Text, XmlFragment

from collab.content.editors.names import find_schema
from collab.content.editors.rich import RICH
from collab.content.formats.html_writer import tag
from collab.content.schema import Attribute, NodeType, Schema
from collab.content.shared_types.texts import read_chunks
from collab.content.shared_types.xml_reader import read_xml
from collab.content.trees import Node, document, is_text, make_node, make_text, walk
from collab.history.authorship.blame import labels_of, mark
from collab.history.comparing.blocks import compare_trees
from collab.history.comparing.changes import Comparison, ContentChange, PieceKind
from collab.history.comparing.html import ComparisonWriter, values_html
from collab.history.comparing.listing import list_changes
from collab.history.comparing.values import compare_values
from collab.history.keeping.states import decode
from collab.history.present import Present
from collab_storage.array_texts import without_array_texts
from collab_storage.authorship import AuthorRange
from collab_storage.render import render_value, root_type
from collab_storage.subdocuments import temporary_doc
from collab_storage.versions import VersionState

__all__ = ["compare_states"]

State = Present | Sequence[VersionState]

#: The trees of texts, whose blocks are lines, and of XML of an editor that is not known.
_UNKNOWN: Final[Schema] = RICH.extend(
    name="lines",
    nodes=[
        NodeType(name="line", content="inline*", group="block", html="p"),
        NodeType(name="embed", group="inline", is_inline=True, attributes={"value": Attribute()}),
    ],
)


def compare_states(
    states: tuple[State, State],
    field: str | None,
    schema: Schema | str | None,
    ranges: Sequence[AuthorRange],
) -> Comparison:
    """Compare two states of a document.

    Args:
        states: the earlier and the later one.
        field: the name of the root that holds the content; by default the schema's.
        schema: of that root, if it has one.
        ranges: the authors of insertions.

    Raises:
        ContentError: nodes are nested too deeply.
    """
    before, after = map(_update, states)
    marked, labels = mark(after, ranges)
    known = None if schema is None else find_schema(schema)
    users = {label: user for label, (user, _) in labels.items()}
    with (
        temporary_doc(before) as one,
        temporary_doc(after) as other,
        temporary_doc(marked) as copy,
    ):
        return _Comparing((one, other, copy), users, known, field).compare()


def _update(state: State) -> bytes:
    update = state.update if isinstance(state, Present) else decode(state)
    return without_array_texts(update)


class _Comparing:
    """The comparison of two Docs.

    Args:
        docs: the earlier, the later, and a copy of this with labels of authors for letters.
        users: by label.
        schema: of the root that holds the content, if it has one.
        field: the name of that root.
    """

    def __init__(
        self,
        docs: tuple[Doc[Any], Doc[Any], Doc[Any]],
        users: Mapping[str, str | None],
        schema: Schema | None,
        field: str | None,
    ) -> None:
        self._docs = docs
        self._users = users
        self._schema = schema
        self._field = None if schema is None else field or schema.field
        self._classes: dict[str | None, int] = {}

    def compare(self) -> Comparison:
        """Return the comparison, the root with a schema first."""
        known = [] if self._field is None else [self._field]
        names = {*self._docs[0].keys(), *self._docs[1].keys()}
        changes, parts = list[ContentChange](), list[str]()
        for name in [*known, *sorted(names.difference(known))]:
            found, html = self._root(name)
            changes += found
            parts += [tag("div", {"class": "collab-root", "data-root": name}, html)] if html else []
        return Comparison(changes, "".join(parts), [*self._classes])

    def _root(self, name: str) -> tuple[list[ContentChange], str]:
        trees = self._trees(name)
        if trees is None:
            found = [*compare_values(*self._values(name), name)]
            return found, values_html(found)
        schema, (old, new, marked) = trees
        authors = dict(_authors(new, marked, self._users))
        blocks = compare_trees(old, new, schema, authors)
        changes = [*list_changes(blocks, name, authors)]
        self._number_authors(changes)
        return changes, ComparisonWriter(schema, authors, self._classes).write(blocks)

    def _trees(self, name: str) -> tuple[Schema, Sequence[Node]] | None:
        """Return the schema of a root, and its tree in each Doc; ``None`` if it has values."""
        if name == self._field and self._schema and self._schema.layout.native is None:
            schema, layout = self._schema, self._schema.layout
            trees = [layout.to_tree(layout.read(doc, name, schema), schema) for doc in self._docs]
            return layout.tree_schema(schema), trees
        roots = [root_type(doc, name) for doc in self._docs]
        for kind, read in _READERS.items():
            fits = [isinstance(root, kind) for root in roots if root is not None]
            if fits and all(fits):
                return _UNKNOWN, [read(doc, name) for doc in self._docs]
        return None

    def _values(self, name: str) -> tuple[Any, Any]:
        """Return a root as JSON has it, before and after."""
        old, new = (render_value(root_type(doc, name)) for doc in self._docs[:2])
        empty = type(old if new is None else new)
        return (empty() if old is None else old), (empty() if new is None else new)

    def _number_authors(self, changes: Sequence[ContentChange]) -> None:
        for change in changes:
            for piece in change.pieces:
                if piece.kind == PieceKind.ADDED:
                    self._classes.setdefault(piece.by, len(self._classes))


def _text_tree(doc: Doc[Any], name: str) -> Node:
    """Return the tree of a text: its lines."""
    lines: list[list[Node]] = [[]]
    for chunk in read_chunks(doc, name):
        marks = [_mark(key, value) for key, value in chunk.formatting.items()]
        if not isinstance(chunk.value, str):
            node = make_node("embed", {"value": chunk.value})
            lines[-1].append(node | ({"marks": marks} if marks else {}))
            continue
        for index, part in enumerate(chunk.value.split("\n")):
            if index:
                lines.append([])
            if part:
                lines[-1].append(make_text(part, marks))
    return document([make_node("line", {}, line) for line in lines])


def _mark(key: str, value: Any) -> Node:
    if value is True:
        return {"type": key}
    return {"type": key, "attrs": value if isinstance(value, dict) else {"value": value}}


_READERS: Final[Mapping[type, Callable[[Doc[Any], str], Node]]] = {
    Text: _text_tree,
    XmlFragment: lambda doc, name: read_xml(doc, name, _UNKNOWN),
}


def _authors(
    tree: Node, marked: Node, users: Mapping[str, str | None]
) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Yield the author of each letter of the text nodes of a tree, by their ids."""
    for node, other in zip(walk(tree), walk(marked), strict=False):
        if is_text(node) and is_text(other):
            labels = labels_of(node["text"], other["text"])
            yield id(node), [users.get(label) for label in labels]
