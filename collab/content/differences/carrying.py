"""Carries parts that a format lacks over into content that was written in that format.

Markdown knows no colours, plain text no marks at all. A writer who gets a document as Markdown,
changes a word and gives it back has changed a word: parts that Markdown lacks must stay. The
old content is therefore *seen* as the writer saw it, by way of the format; each difference between
that and the new content has changed, and only that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from collab.content.schema import Schema
from collab.content.trees import Node, children, inline_text, json_key, make_text

from .alignment import align, anchors, similarity, words
from .inline_carrying import carry_inline

__all__ = ["See", "carry_over"]

#: Returns a block as it is after it was written in a format and read again: some blocks, or none.
See: TypeAlias = Callable[[Node], Sequence[Node]]


def carry_over(old: Node, new: Node, see: See, schema: Schema, dropped: Counter[str]) -> Node:
    """Return ``new`` with the parts of ``old`` that its format lacks.

    Args:
        old: the content before, with the attributes that the schema completes.
        new: the content as it should be, the same way.
        see: the way of a block through the format.
        schema: of both.
        dropped: counts nodes that could not be kept.
    """
    carrier = _Carrier(schema, dropped)
    return new | {"content": carrier.blocks(children(old), children(new), see)}


@dataclass
class _Seen:
    """A block as the writer saw it, or a part of it."""

    node: Node
    #: The index of the block.
    origin: int


class _Carrier:
    def __init__(self, schema: Schema, dropped: Counter[str]) -> None:
        self._schema = schema
        self._dropped = dropped

    def blocks(self, old: Sequence[Node], new: Sequence[Node], see: See) -> list[Node]:
        """Return the blocks of ``new`` with their unseen parts in ``old``."""
        result: list[Node] = []
        i = j = 0
        equal = anchors([self._key(node) for node in old], [self._key(node) for node in new])
        for one, other in [*equal, (len(old), len(new))]:
            gone = old[i:one]
            result += self._changed(gone, [see(node) for node in gone], new[j:other])
            result += old[one : one + 1]
            i, j = one + 1, other + 1
        return result

    def _changed(
        self, gone: Sequence[Node], views: Sequence[Sequence[Node]], came: Sequence[Node]
    ) -> list[Node]:
        """Return the blocks that take the place of some blocks.

        Args:
            gone: the blocks.
            views: of each, as it was seen.
            came: the blocks that are in their place now.
        """
        seen = [_Seen(part, index) for index, view in enumerate(views) for part in view]
        seen_keys = [self._key(each.node) for each in seen]
        came_keys = [self._key(node) for node in came]
        pairs = align(seen_keys, came_keys, lambda i, j: _likeness(seen[i].node, came[j]))
        same = Counter(
            seen[i].origin
            for i, j in pairs
            if i is not None and j is not None and seen_keys[i] == came_keys[j]
        )
        result: list[tuple[int | None, Node]] = []
        done: set[int | None] = set()
        for i, j in pairs:
            if j is None:
                continue
            origin = None if i is None else seen[i].origin
            if i is None or origin is None:
                result.append((None, came[j]))
            elif same[origin] == len(views[origin]):
                if origin not in done:
                    result.append((origin, gone[origin]))
            elif len(views[origin]) == 1:
                result.append((origin, self._merge(gone[origin], seen[i].node, came[j])))
            else:
                result.append((origin, came[j]))
            done.add(origin)
        return _with_unseen(gone, views, result)

    def _merge(self, old: Node, seen: Node, new: Node) -> Node:
        """Return a changed node, which is of the kind that was seen, with its unseen parts."""
        if old["type"] != seen["type"]:
            return self._merge_unsaid(old, seen, new)
        merged: Node = {"type": new["type"]}
        before, view = old.get("attrs", {}), seen.get("attrs", {})
        attributes = dict(before)
        for key, value in new.get("attrs", {}).items():
            if key not in view or view[key] != value:
                attributes[key] = value
        if attributes:
            merged["attrs"] = attributes
        content = self._merge_content(old, seen, new)
        return merged | ({"content": content} if content else {})

    def _merge_unsaid(self, old: Node, seen: Node, new: Node) -> Node:
        """Return a changed node of a kind that its format could not say."""
        lines = all(self._schema.holds_text(node["type"]) for node in (old, seen, new))
        if not lines:
            self._dropped[f"node {old['type']}"] += 1
            return new
        content = carry_inline(children(old), children(seen), children(new), self._schema)
        if self._schema.node_types[old["type"]].is_code:
            text = "".join(node.get("text", "\n") for node in content)
            content = [make_text(text)] if text else []
        bare = {key: value for key, value in old.items() if key != "content"}
        return bare | ({"content": content} if content else {})

    def _merge_content(self, old: Node, seen: Node, new: Node) -> list[Node]:
        inner, inner_seen = children(old), children(seen)
        if self._schema.holds_text(old["type"]):
            return carry_inline(inner, inner_seen, children(new), self._schema)
        if len(inner) != len(inner_seen):
            return children(new)
        return self._changed(inner, [[each] for each in inner_seen], children(new))

    def _key(self, node: Node) -> str:
        return json_key(self._without_identity(node))

    def _without_identity(self, node: Node) -> Node:
        identities = self._schema.identities_of(node["type"])
        bare: dict[str, Any] = dict(node)
        if identities and "attrs" in node:
            bare["attrs"] = {k: v for k, v in node["attrs"].items() if k not in identities}
        if "content" in node:
            bare["content"] = [self._without_identity(child) for child in node["content"]]
        return bare


def _likeness(seen: Node, new: Node) -> float | None:
    if seen["type"] != new["type"]:
        return None
    return similarity(words(inline_text(seen)), words(inline_text(new)))


def _with_unseen(
    gone: Sequence[Node],
    views: Sequence[Sequence[Node]],
    result: Sequence[tuple[int | None, Node]],
) -> list[Node]:
    """Return the nodes of ``result`` with the blocks that the format did not show.

    Such a block stays if the blocks around it do.
    """
    last = {origin: position for position, (origin, _) in enumerate(result)}
    visible = [index if view else None for index, view in enumerate(views)]
    before, after = _nearest(visible), _nearest(visible[::-1])[::-1]
    following: dict[int | None, list[Node]] = {}
    for index, view in enumerate(views):
        around = {before[index], after[index]} - {None}
        if not view and (around <= last.keys() if around else not result):
            following.setdefault(before[index], []).append(gone[index])
    nodes = following.pop(None, [])
    for position, (origin, node) in enumerate(result):
        nodes.append(node)
        if origin is not None and last[origin] == position:
            nodes += following.get(origin, [])
    return nodes


def _nearest(indices: Sequence[int | None]) -> list[int | None]:
    """Return for each place the last index up to there."""
    nearest: list[int | None] = []
    last: int | None = None
    for index in indices:
        last = last if index is None else index
        nearest.append(last)
    return nearest
