"""The layout of BlockNote: its value is a list of blocks."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from pycrdt import Doc

from collab.content.editors.rich import RICH
from collab.content.schema import BlockFacts, Schema
from collab.content.shared_types.prosemirror import XmlLayout
from collab.content.shared_types.xml_reader import read_xml
from collab.content.shared_types.xml_writer import write_xml
from collab.content.trees import JSON, Node, children, document

from .blocks import block_text, blocks_of, tree_of
from .trees import KNOWN_BLOCKS, blocks_in, nodes_of

__all__ = ["BlockNoteLayout"]

#: Rich trees without the parts that BlockNote lacks.
_TREE = RICH.without("mention", "highlight", "subscript", "superscript", "font", "size").extend(
    # Tiptap's rows may be empty.
    nodes=[replace(RICH.node_types["tableRow"], content="(tableCell | tableHeader)+")]
)
#: Nodes around blocks and in tables.
_FRAME = frozenset(
    {"doc", "text", "hardBreak", "blockContainer", "blockGroup", "tableParagraph", "tableRow"}
    | {"tableCell", "tableHeader"}
)


class BlockNoteLayout(XmlLayout):
    """Content whose value is BlockNote's blocks."""

    def tree_schema(self, schema: Schema) -> Schema:
        return _tree_schema(schema)

    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        return blocks_of(read_xml(doc, field, schema), schema)

    def to_tree(self, value: JSON, schema: Schema) -> Node:
        return document(self.tree_schema(schema).complete(nodes_of(value)))

    def from_tree(self, tree: Node, schema: Schema, old: JSON) -> JSON:
        return blocks_in(children(tree))

    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        stored = read_xml(doc, field, schema)
        if value != blocks_of(stored, schema):
            write_xml(doc, field, tree_of(value, schema, stored), schema)

    children_key = "children"

    def wrap_blocks(self, blocks: list[JSON]) -> JSON:
        return blocks

    def unwrap_blocks(self, value: JSON) -> list[JSON]:
        blocks: list[JSON] = value
        return blocks

    def describe_block(self, block: JSON) -> BlockFacts:
        return BlockFacts(block["type"], block.get("id"), block_text(block))


@lru_cache(maxsize=32)
def _tree_schema(schema: Schema) -> Schema:
    """Return the schema of trees, with a project's own blocks."""
    known = KNOWN_BLOCKS | _FRAME
    own = [node for node in schema.nodes if node.name not in known]
    own = [node if node.is_inline else replace(node, group="block") for node in own]
    return _TREE.extend(nodes=own) if own else _TREE
