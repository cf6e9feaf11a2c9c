"""Trees into shared XML with the smallest edit: equal nodes keep their identity.

Elements that are equal stay untouched, an element that has changed is changed inside, a text is
changed by letters, and only new nodes are inserted, and missing ones deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from collab.content.differences.alignment import Pair, align, similarity
from collab.content.schema import Schema
from collab.content.trees import Node, children, document
from collab.content.validation import check

from .text_changes import change_text, write_chunks
from .xml_items import Item, Items, Parent

__all__ = ["write_xml"]


def write_xml(doc: Doc[Any], field: str, tree: Node, schema: Schema) -> None:
    """Give a root the content of a tree.

    Nodes and marks that the schema does not have are accepted if the document has such already:
    its editor knows them. A tree without nodes empties the root as an editor does, which leaves
    an empty paragraph; a root that has nothing stays so.

    Raises:
        InvalidContent: the tree does not fit the schema. Nothing is changed.
    """
    with doc.transaction():
        root = doc.get(field, type=XmlFragment)
        items = Items(schema)
        stored = items.stored(root)
        if tree in (document([]), {"type": "doc"}):
            if not stored:
                return
            tree = schema.smallest("doc")
        check(tree, schema, items.foreign)
        _XmlWriter(schema).change(root, stored, items.wanted(children(tree)))


class _XmlWriter:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def change(self, parent: Parent, old: Sequence[Item], new: Sequence[Item]) -> None:
        """Make the items of ``parent`` those that it should have."""
        index = 0
        for gone, kept, came in _edits(_align(old, new)):
            count = sum(len(old[item].shared) for item in gone)
            if count and not new and len(old) == 1 and not old[0].name:
                # Another editor may be typing in this text.
                change_text(old[0].shared, old[0].chunks, [])
            elif count:
                del parent.children[index : index + count]
            self.insert(parent, index, [new[item] for item in came])
            index += len(came)
            if kept is not None:
                self._change_item(old[kept[0]], new[kept[1]])
                index += len(old[kept[0]].shared)

    def insert(self, parent: Parent, index: int, new: Sequence[Item]) -> None:
        """Insert items; the last first, as finding a place takes as long as it is far away."""
        for item in reversed(new):
            if not item.name:
                text = parent.children.insert(index, XmlText())
                write_chunks(text, item.chunks[0])
                continue
            element = parent.children.insert(index, XmlElement(item.name))
            identity = {key: str(uuid.uuid4()) for key in self._schema.identities_of(item.name)}
            for key, value in (identity | dict(item.attributes)).items():
                element.attributes[key] = value
            self.insert(element, 0, item.items)

    def _change_item(self, old: Item, new: Item) -> None:
        if _is_equal(old, new):
            return
        if not old.name:
            change_text(old.shared, old.chunks, new.chunks[0])
            return
        self._change_attributes(old, new)
        self.change(old.shared[0], old.items, new.items)

    def _change_attributes(self, old: Item, new: Item) -> None:
        identities = self._schema.identities_of(old.name)
        stored = old.shared[0].attributes
        for key, value in new.attributes.items():
            if not _is_same(old.attributes.get(key), value):
                stored[key] = value
        for key in sorted(old.stored - new.attributes.keys()):
            if key not in identities:
                del stored[key]


def _is_equal(old: Item, new: Item) -> bool:
    if new.is_identified:
        return old.full_key == new.full_key
    return old.plain_key == new.plain_key


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same; in Python, ``True`` equals 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _align(old: Sequence[Item], new: Sequence[Item]) -> list[Pair]:
    """Return pairs of items; those that are identified find each other by that."""
    by_identity = any(item.identity is not None for item in new)

    def key(item: Item) -> Any:
        identified = by_identity and item.identity is not None
        return ("identity", item.identity) if identified else item.plain_key

    def likeness(old_index: int, new_index: int) -> float | None:
        one, other = old[old_index], new[new_index]
        if one.name != other.name or other.identity not in (None, one.identity):
            return None
        return similarity(one.words, other.words)

    return align([key(item) for item in old], [key(item) for item in new], likeness)


def _edits(
    pairs: Sequence[Pair],
) -> Iterator[tuple[list[int], tuple[int, int] | None, list[int]]]:
    """Yield the items that go, and those that come, before each pair that stays."""
    gone: list[int] = []
    came: list[int] = []
    for old, new in pairs:
        if old is not None and new is not None:
            yield gone, (old, new), came
            gone, came = [], []
            continue
        gone += [] if old is None else [old]
        came += [] if new is None else [new]
    yield gone, None, came
