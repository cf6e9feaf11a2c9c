"""Schemas: the nodes and marks that an editor knows, and how each looks in other formats.

A schema says the same as the editor's own, in a table: an editor deletes, for all users, what its
schema does not allow, so content is checked before it is written into a document.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias

from pycrdt import Doc, Text, XmlText

from collab.exceptions import ContentError

from .expressions import ContentExpression
from .trees import JSON, Mark, Node, children, is_text, join_texts, make_node, make_text

if TYPE_CHECKING:
    from .formats.html_elements import HtmlElement

__all__ = [
    "REQUIRED",
    "Attribute",
    "BlockFacts",
    "HtmlOutput",
    "Layout",
    "Letter",
    "MarkType",
    "NodeType",
    "ParseRule",
    "Schema",
    "SharedText",
]

#: The default of an attribute that must be given.
REQUIRED: Final = "<required>"

#: HTML attributes that are addresses, and those whose value no check makes safe.
_ADDRESSES = frozenset(
    {"action", "background", "cite", "data", "formaction", "href", "poster", "src", "xlink:href"}
)
_UNSAFE = frozenset({"srcdoc", "srcset", "style"})

SharedText: TypeAlias = Text | XmlText
#: A tag, or a function of the node or mark, with all its attributes, and the HTML inside.
HtmlOutput: TypeAlias = str | Callable[[Node, str], str]
#: Attributes that an HTML element gives a node, or a function that finds them, or says ``None``
#: if the element is not such a node.
ParseRule: TypeAlias = "Mapping[str, Any] | Callable[[HtmlElement], Mapping[str, Any] | None]"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An attribute of a node or a mark.

    Args:
        default: its value where none is given; :data:`REQUIRED` if there is no such.
        types: types that a value may have; all if none is named.
        html: the HTML attribute that holds it.
        style: the CSS property that holds it.
        is_url: it is an address; only addresses with a safe protocol are written to HTML. So are
            those in HTML attributes that are addresses.
        is_identity: it names the node for good. It is made where it is missing, and content
            without it keeps that of the node which it replaces.

    Raises:
        ValueError: the HTML attribute is code, styles or other HTML.
    """

    default: Any = None
    types: tuple[type, ...] = ()
    html: str | None = None
    style: str | None = None
    is_url: bool = False
    is_identity: bool = False

    def __post_init__(self) -> None:
        name = (self.html or "").lower()
        if name.startswith("on") or name in _UNSAFE:
            raise ValueError(
                f"The HTML attribute {name!r} cannot hold what others write: it is code, styles or"
                " other HTML. Name one that begins with data-, or a CSS property by style=."
            )

    @property
    def holds_url(self) -> bool:
        """Whether its value is an address."""
        return self.is_url or (self.html or "").lower() in _ADDRESSES

    def allows(self, value: Any) -> bool:
        """Return whether the attribute may have this value."""
        if type(value) is type(self.default) and value == self.default:
            return bool(self.default != REQUIRED)
        if not self.types or isinstance(value, bool):
            return not self.types or bool in self.types
        return isinstance(value, self.types)


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """A kind of node.

    Args:
        name: its name in the editor.
        like: the node of :data:`TIPTAP` that it is written as in Markdown and text, if that has
            another name.
        content: the content expression; empty for a node without children.
        group: names of the groups that it belongs to, with spaces between.
        attributes: by name.
        marks: names of the marks that its text may have; ``None`` for all.
        is_inline: it is in the text, as a mention is.
        is_code: its text is shown as it is, spaces and line ends included.
        html: how it looks in HTML; where that is not said, it is an element with the attribute
            ``data-node``.
        parse: the HTML elements that become such a node, as selectors: ``h1``,
            ``li[data-type=taskItem]``, or ``[data-note]``; with the attributes they say.
        markdown: how it looks in Markdown, of its attributes and its content in Markdown; by
            default as its content.
        text: the same for plain text.
    """

    name: str
    like: str = ""
    content: str = ""
    group: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    marks: tuple[str, ...] | None = None
    is_inline: bool = False
    is_code: bool = False
    html: HtmlOutput | None = None
    parse: Mapping[str, ParseRule] = field(default_factory=dict)
    markdown: Callable[[Mapping[str, Any], str], str] | None = None
    text: Callable[[Mapping[str, Any], str], str] | None = None


@dataclass(frozen=True, kw_only=True)
class MarkType:
    """A kind of mark: bold, a link, a comment.

    Args:
        name: its name in the editor.
        like: see :class:`NodeType`.
        attributes: by name.
        overlaps: a text may have it several times with other attributes, as comments
            (ProseMirror's ``excludes: ""``).
        excludes: names of the marks that a text with this one cannot have; ``None`` for all.
        html: see :class:`NodeType`.
        parse: see :class:`NodeType`; ``[style:font-weight=bold]`` selects by a CSS property.
        markdown: signs before and after the text.
    """

    name: str
    like: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    overlaps: bool = False
    excludes: tuple[str, ...] | None = ()
    html: HtmlOutput | None = None
    parse: Mapping[str, ParseRule] = field(default_factory=dict)
    markdown: tuple[str, str] | None = None


class BlockFacts(NamedTuple):
    """Type, id and text of a block."""

    type: str
    id: str | None
    text: str


class Letter(NamedTuple):
    """A letter of a line, or a node in it, in the shared types."""

    #: The shared text that it is in; ``None`` for a node that is an element.
    text: SharedText | None
    #: The indices in that, in bytes, before and after it.
    start: int
    end: int


class Layout(ABC):
    """The layout of content in a document.

    The *value* of a content is what the editor itself calls its JSON: ProseMirror's tree,
    BlockNote's blocks, Quill's delta, a string. A *tree* is the same in the nodes and marks of
    ``tree_schema``, of which all other formats are written.
    """

    #: The format of the value, if that is a string that needs no conversion.
    native: str | None = None

    def tree_schema(self, schema: Schema) -> Schema:
        """Return the schema of the trees that :meth:`to_tree` returns."""
        return schema

    @abstractmethod
    def read(self, doc: Doc[Any], field: str, schema: Schema) -> JSON:
        """Return the value of a root."""

    @abstractmethod
    def to_tree(self, value: JSON, schema: Schema) -> Node:
        """Return the tree of a value."""

    @abstractmethod
    def from_tree(self, tree: Node, schema: Schema, old: JSON) -> JSON:
        """Return the value of a tree that takes the place of the value ``old``."""

    @abstractmethod
    def write(self, doc: Doc[Any], field: str, value: JSON, schema: Schema) -> None:
        """Give a root a value, with the smallest edit.

        Raises:
            InvalidContent: the value does not fit the schema. Nothing is changed.
        """

    @abstractmethod
    def change_lines(
        self, doc: Doc[Any], field: str, schema: Schema, change: Callable[[list[Node]], list[Node]]
    ) -> None:
        """Change lines of text: give each, as inline nodes, to a function and write what it
        returns."""

    @abstractmethod
    def letters(self, doc: Doc[Any], field: str) -> list[list[Letter]]:
        """Return the letters of each line that :meth:`change_lines` has."""

    #: The key of a block under which its own blocks are; ``None`` if content has no blocks.
    children_key: ClassVar[str | None] = None

    def wrap_blocks(self, blocks: list[JSON]) -> JSON:
        """Return the value whose blocks these are."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def unwrap_blocks(self, value: JSON) -> list[JSON]:
        """Return the blocks at the top of a value."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def describe_block(self, block: JSON) -> BlockFacts:
        """Return the data of a block."""
        raise ContentError("This content is a text, not blocks: use find_text and replace_text.")

    def anchors(self, doc: Doc[Any], field: str, schema: Schema) -> dict[tuple[int, ...], Hashable]:
        """Return the anchors of blocks by path; they hold while others edit the document."""
        return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Schema:
    """The content that an editor knows, and where it keeps it.

    Args:
        name: names it in settings, commands and errors.
        field: the name of the root that the editor uses by default.
        nodes: in the order of the editor's own schema; the first that holds text is what bare text
            goes to.
        marks: in the order of the editor's own schema, which is the order they are written in.
        layout: how the content lies in a document.
        top: the node at the top.
    """

    name: str
    field: str
    nodes: Sequence[NodeType]
    marks: Sequence[MarkType]
    layout: Layout
    top: str = "doc"

    def extend(
        self,
        *,
        nodes: Iterable[NodeType] = (),
        marks: Iterable[MarkType] = (),
        name: str | None = None,
        field: str | None = None,
    ) -> Schema:
        """Return a schema with more nodes and marks, or others in the place of those it has."""
        return replace(
            self,
            name=name or self.name,
            field=field or self.field,
            nodes=tuple(_merge(self.nodes, nodes)),
            marks=tuple(_merge(self.marks, marks)),
        )

    def without(self, *names: str) -> Schema:
        """Return a schema without some nodes and marks, which the editor does not have."""
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.name not in names),
            marks=tuple(mark for mark in self.marks if mark.name not in names),
        )

    @cached_property
    def node_types(self) -> Mapping[str, NodeType]:
        """The nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def mark_types(self) -> Mapping[str, MarkType]:
        """The marks by name."""
        return {mark.name: mark for mark in self.marks}

    @cached_property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The names of the nodes that a name in a content expression stands for."""
        groups: dict[str, list[str]] = {}
        for node in self.nodes:
            for group in (node.name, *node.group.split()):
                groups.setdefault(group, []).append(node.name)
        return groups

    @cached_property
    def expressions(self) -> Mapping[str, ContentExpression]:
        """The compiled content expressions by the name of their node."""
        return {node.name: ContentExpression(node.content, self.groups) for node in self.nodes}

    @cached_property
    def _ranks(self) -> Mapping[str, int]:
        return {mark.name: rank for rank, mark in enumerate(self.marks)}

    def complete(self, nodes: Iterable[Node]) -> list[Node]:
        """Return nodes as an editor has them in its JSON: with all attributes and sorted marks."""
        return join_texts(self._complete_node(node) for node in nodes)

    def _complete_node(self, node: Node) -> Node:
        if is_text(node):
            marks = [self.complete_mark(mark) for mark in node.get("marks", ())]
            return make_text(node["text"], self.sort_marks(marks))
        completed = make_node(node["type"], self.attributes_of(node), self.complete(children(node)))
        if node.get("marks"):
            marks = [self.complete_mark(mark) for mark in node["marks"]]
            completed["marks"] = self.sort_marks(marks)
        return completed

    def complete_mark(self, mark: Mark) -> Mark:
        """Return a mark with all attributes."""
        given = mark.get("attrs")
        # Documents of early editors have ``true`` in the place of attributes.
        given = given if isinstance(given, dict) else {}
        values = self.attributes_of({"type": mark["type"], "attrs": given})
        return {"type": mark["type"], "attrs": values} if values else {"type": mark["type"]}

    def sort_marks(self, marks: Iterable[Mark]) -> list[Mark]:
        """Return marks in the order of the schema, unknown ones last and by name."""
        unknown = len(self._ranks)
        return sorted(
            marks, key=lambda mark: (self._ranks.get(mark["type"], unknown), mark["type"])
        )

    def holds_text(self, name: str) -> bool:
        """Return whether a node of this name holds text, as a paragraph does."""
        expression = self.expressions.get(name)
        return expression is not None and any(
            self.node_types[inner].is_inline for inner in expression.names
        )

    @cached_property
    def first_line_type(self) -> NodeType:
        """The kind of node that bare text goes to: the first that holds text and is not code."""
        return next(
            node
            for node in self.nodes
            if self.holds_text(node.name) and not node.is_code and not node.is_inline
        )

    def smallest(self, name: str, above: frozenset[str] = frozenset()) -> Node:
        """Return a node with the least that it must have inside, such as an empty paragraph.

        Args:
            name: of the node.
            above: names of the nodes around it, which it cannot have inside again.
        """
        expression, around = self.expressions[name], above | {name}
        names = [inner for inner in expression.names if inner not in around]
        node = make_node(name)
        if names and not expression.matches(()):
            inner = min(names, key=lambda each: not self.holds_text(each))
            node["content"] = [self.smallest(inner, around)]
        return node

    def is_inline(self, node: Node) -> bool:
        """Return whether a node is text, or stands in a line of text."""
        known = self.node_types.get(node["type"])
        return is_text(node) or (known is not None and known.is_inline)

    def kind_of(self, node: Node) -> str:
        """Return the name of the kind of node, or mark, that formats write a node or a mark as."""
        known = self.node_types.get(node["type"]) or self.mark_types.get(node["type"])
        return (known.like if known else "") or str(node["type"])

    def identities_of(self, name: str) -> list[str]:
        """Return the attributes that identify nodes of a name."""
        known = self.node_types.get(name)
        table = known.attributes if known else {}
        return [key for key, attribute in table.items() if attribute.is_identity]

    def attributes_of(self, node: Node) -> Mapping[str, Any]:
        """Return the attributes of a node or a mark, with defaults where it has none."""
        known = self.node_types.get(node["type"]) or self.mark_types.get(node["type"])
        given: Mapping[str, Any] = node.get("attrs") or {}
        return given if known is None else with_defaults(known.attributes, given)


def with_defaults(attributes: Mapping[str, Attribute], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all ``attributes``, and of others that are given."""
    values = {key: attribute.default for key, attribute in attributes.items()}
    values.update(given)
    return values


def _merge(old: Iterable[Any], new: Iterable[Any]) -> Iterable[Any]:
    return ({part.name: part for part in old} | {part.name: part for part in new}).values()
