"""Nodes of a document and nodes that it should have, in a form in which they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, TypeAlias

from pycrdt import XmlElement, XmlFragment, XmlText

from collab.content.differences.alignment import words
from collab.content.schema import Schema, with_defaults
from collab.content.trees import MAX_DEPTH, Mark, Node, children, is_text, json_key
from collab.exceptions import ContentError

from .mark_keys import mark_key, mark_name
from .text_changes import Chunk, join_chunks, read_delta
from .xml_reader import NOT_CONTENT, attributes, node_name

__all__ = ["Item", "Items", "Parent"]

Parent: TypeAlias = XmlFragment | XmlElement


@dataclass
class Item:
    """An element, or the texts between two elements; in the document, or as it should be."""

    #: The kind of the node; empty for texts.
    name: str
    #: Numbers that are equal for equal items, without and with the attributes that identify nodes.
    plain_key: int
    full_key: int
    #: The value of the attribute that identifies the node; ``None`` without one.
    identity: Any = None
    #: Whether any node in it is identified.
    is_identified: bool = False
    #: The attributes that are not null, with defaults.
    attributes: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Item] = ()
    #: The content of each text.
    chunks: Sequence[Sequence[Chunk]] = ()
    #: The elements or texts of the document; none for an item of the wanted content.
    shared: Sequence[Any] = ()
    #: Names of attributes that the document has.
    stored: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The letters in it."""
        own = (chunk.value for chunks in self.chunks for chunk in chunks)
        texts = (each for each in own if isinstance(each, str))
        return " ".join([*texts, *(item.text for item in self.items)])

    @cached_property
    def words(self) -> Counter[str]:
        """The words in it."""
        return words(self.text)

    @property
    def is_empty_text(self) -> bool:
        """Whether it is texts without letters, which editors do not see."""
        return not self.name and not any(self.chunks)


class Items:
    """Makes items that can be compared with each other."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._numbers: dict[Hashable, int] = {}
        #: Names of nodes and marks in the document that the schema does not have.
        self.foreign: set[str] = set()
        #: Keys under which marks that the schema does not know are stored.
        self._mark_keys: dict[str, str] = {}

    # Of the document.

    def stored(self, parent: Parent, depth: int = 1) -> list[Item]:
        """Return the items in an element or a root."""
        if depth > MAX_DEPTH:
            raise ContentError(f"The document has more than {MAX_DEPTH} nodes inside each other.")
        items: list[Item] = []
        for is_texts, group in groupby(parent.children, lambda child: isinstance(child, XmlText)):
            if is_texts:
                items.append(self._stored_texts(list(group)))
            else:
                items += [self._stored_element(child, depth) for child in group]
        return items

    def _stored_element(self, element: Any, depth: int) -> Item:
        name, given = node_name(element), attributes(element)
        if name not in self._schema.node_types:
            self.foreign.add(name)
        item = self._element(name, given, self.stored(element, depth + 1))
        item.shared, item.stored = [element], frozenset(given) - NOT_CONTENT
        return item

    def _stored_texts(self, texts: Sequence[Any]) -> Item:
        chunks = [
            [Chunk(value, self._formatting(given)) for value, given in read_delta(text)]
            for text in texts
        ]
        item = self._texts(chunks)
        item.shared = texts
        return item

    def _formatting(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return formatting with the attributes that an editor completes."""
        formatting: dict[str, Any] = {}
        for key, value in given.items():
            if value is None or key in NOT_CONTENT:
                continue
            mark = self._schema.complete_mark({"type": mark_name(key), "attrs": value})
            self._mark_keys.setdefault(json_key(mark), key)
            if mark["type"] not in self._schema.mark_types:
                self.foreign.add(mark["type"])
            formatting[key] = mark.get("attrs", {})
        return formatting

    # As it should be.

    def wanted(self, nodes: Sequence[Node]) -> list[Item]:
        """Return the items of nodes."""
        items: list[Item] = []
        for is_texts, group in groupby(nodes, is_text):
            if is_texts:
                items.append(self._texts([join_chunks([self._chunk(node) for node in group])]))
            else:
                items += map(self._wanted_element, group)
        return items

    def _wanted_element(self, node: Node) -> Item:
        return self._element(node["type"], node.get("attrs") or {}, self.wanted(children(node)))

    def _chunk(self, node: Node) -> Chunk:
        marks = [self._schema.complete_mark(mark) for mark in node.get("marks", ())]
        return Chunk(node["text"], {self._key_of(mark): mark.get("attrs", {}) for mark in marks})

    def _key_of(self, mark: Mark) -> str:
        known = self._schema.mark_types.get(mark["type"])
        if known is None:
            return self._mark_keys.get(json_key(mark), str(mark["type"]))
        return mark_key(mark, known)

    # Both.

    def _element(self, name: str, given: Mapping[str, Any], items: Sequence[Item]) -> Item:
        known = self._schema.node_types.get(name)
        table = known.attributes if known else {}
        values = {
            key: value
            for key, value in with_defaults(table, given).items()
            if value is not None and key not in NOT_CONTENT
        }
        identities = self._schema.identities_of(name)
        identity = next((values[key] for key in identities if key in values), None)
        plain = {key: value for key, value in values.items() if key not in identities}
        seen = [item for item in items if not item.is_empty_text]
        return Item(
            name,
            self._number(name, json_key(plain), *(item.plain_key for item in seen)),
            self._number(name, json_key(values), *(item.full_key for item in seen)),
            identity,
            identity is not None or any(item.is_identified for item in items),
            values,
            items,
        )

    def _texts(self, chunks: Sequence[Sequence[Chunk]]) -> Item:
        joined = join_chunks([chunk for part in chunks for chunk in part])
        key = self._number("", *((json_key(value), json_key(marks)) for value, marks in joined))
        return Item("", key, key, chunks=chunks)

    def _number(self, *parts: Hashable) -> int:
        return self._numbers.setdefault(parts, len(self._numbers))
