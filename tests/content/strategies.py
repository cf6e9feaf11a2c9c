"""Content of any shape, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from collab.content import BLOCKNOTE, TIPTAP
from collab.content.trees import Mark, Node, document, join_texts, make_node, make_text

__all__ = ["block_lists", "deltas", "documents", "inline", "texts"]

#: Letters of one to four bytes, of both directions, that join each other or mean formatting.
LETTERS = [
    *"ab c*_`[]<>&\\#-+.1!|~\"'\n",
    "é",
    "\u0301",
    "ß",
    "漢",
    "字",
    "ש",
    "ل",
    "😀",
    "👩‍👩‍👧",
    "🇦🇹",
]

texts = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8).map("".join)
_MARKS: list[Mark] = [
    {"type": "link", "attrs": {"href": "/a?b=1&c=(2)"}},
    *({"type": name} for name in ("bold", "italic", "strike", "underline", "highlight")),
]
_CODE: list[Mark] = [{"type": "code"}]
_marks = st.lists(
    st.sampled_from(_MARKS), unique_by=lambda mark: str(mark["type"]), max_size=3
) | st.just(_CODE)
_inline_nodes = st.sampled_from(
    [make_node("hardBreak"), make_node("mention", {"id": "7", "label": "Ann"})]
)
inline = st.lists(st.builds(make_text, texts, _marks) | _inline_nodes, max_size=5).map(join_texts)

_paragraph = st.builds(
    lambda content, align: make_node("paragraph", {"textAlign": align}, content),
    inline,
    st.sampled_from([None, "center"]),
)
_leaf = st.one_of(
    _paragraph,
    st.builds(
        lambda content, level: make_node("heading", {"level": level}, content),
        inline,
        st.integers(1, 6),
    ),
    st.builds(lambda text: make_node("codeBlock", {}, [make_text(text)]), texts),
    st.just(make_node("horizontalRule")),
    st.just(make_node("image", {"src": "/a.png", "alt": "A"})),
)


def _containers(blocks: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(blocks, min_size=1, max_size=3)

    def items(kind: str, attributes: dict[str, Any]) -> st.SearchStrategy[list[Node]]:
        item = st.builds(
            lambda first, rest: make_node(kind, attributes, [first, *rest]),
            _paragraph,
            st.lists(blocks, max_size=2),
        )
        return st.lists(item, min_size=1, max_size=3)

    cell = st.builds(
        lambda kind, content: make_node(kind, {}, content),
        st.sampled_from(["tableCell", "tableHeader"]),
        some,
    )
    rows = st.lists(
        st.lists(cell, min_size=1, max_size=3).map(lambda cells: make_node("tableRow", {}, cells)),
        min_size=1,
        max_size=2,
    )
    return st.one_of(
        some.map(lambda content: make_node("blockquote", {}, content)),
        items("listItem", {}).map(lambda content: make_node("bulletList", {}, content)),
        items("listItem", {}).map(lambda content: make_node("orderedList", {"start": 3}, content)),
        items("taskItem", {"checked": True}).map(
            lambda content: make_node("taskList", {}, content)
        ),
        rows.map(lambda content: make_node("table", {}, content)),
    )


_blocks = st.recursive(_leaf, _containers, max_leaves=6)
#: Documents of Tiptap, as its JSON is.
documents = st.lists(_blocks, min_size=1, max_size=5).map(
    lambda blocks: document(TIPTAP.complete(blocks))
)


# BlockNote. A line end belongs to the text before it, so that no text begins with one.
_words = st.lists(
    st.sampled_from([letter for letter in LETTERS if letter != "\n"]), min_size=1, max_size=5
).map("".join)
_lines = st.builds("{}{}{}".format, _words, st.sampled_from(["", "\n", "\n\n"]), _words)
_looks: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(True) for name in ("bold", "italic", "underline", "strike")},
        "textColor": st.sampled_from(["red", "blue"]),
    },
)
_styles = _looks | st.just({"code": True})
_styled = st.builds(
    lambda text, styles: {"type": "text", "text": text, "styles": styles}, _lines, _styles
)


def _apart(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return texts without those that look as the one before, with which they would be one."""
    return [
        part
        for index, part in enumerate(parts)
        if not index or part.get("styles") != parts[index - 1].get("styles")
    ]


_runs = st.lists(_styled, min_size=1, max_size=3).map(_apart)
#: Code has no other marks, and a link is one.
_linked = st.fixed_dictionaries({"type": st.just("text"), "text": _lines, "styles": _looks})
_link_runs = st.builds(
    lambda number, content: {"type": "link", "href": f"/{number}", "content": content},
    st.integers(0, 10**9),
    st.lists(_linked, min_size=1, max_size=2).map(_apart),
)
_block_inline = st.lists(_runs | _link_runs.map(lambda link: [link]), max_size=3).map(
    lambda groups: _apart([part for group in groups for part in group])
)


def _block(
    kind: str, content: st.SearchStrategy[Any] | None, **props: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Return blocks of a type, without children, as BlockNote has them."""
    table = BLOCKNOTE.node_types[kind].attributes
    usual = {key: each.default for key, each in table.items() if each.default is not None}
    given = st.fixed_dictionaries({}, optional=props)
    parts = {
        "id": st.just(""),
        "type": st.just(kind),
        "props": given.map(lambda own: usual | own),
        "children": st.just([]),
    }
    return st.fixed_dictionaries(parts | ({} if content is None else {"content": content}))


_LOOK = {
    "textColor": st.sampled_from(["default", "red"]),
    "textAlignment": st.sampled_from(["left", "center"]),
}
_leaves = st.one_of(
    *(_block(name, _block_inline, **_LOOK) for name in ("paragraph", "bulletListItem")),
    _block("toggleListItem", _block_inline, **_LOOK),
    _block("heading", _block_inline, level=st.integers(1, 6), **_LOOK),
    _block("checkListItem", _block_inline, checked=st.booleans()),
    _block("numberedListItem", _block_inline, start=st.integers(1, 9)),
    _block("quote", _block_inline),
    _block(
        "codeBlock",
        texts.map(lambda text: [{"type": "text", "text": text, "styles": {}}]),
        language=st.sampled_from(["text", "python"]),
    ),
    _block("divider", None),
    _block("image", None, url=st.just("/a.png"), previewWidth=st.integers(1, 900)),
    _block("file", None, name=_words),
)


def _with_children(blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda block, children: block | {"children": children},
        _leaves,
        st.lists(blocks, max_size=3),
    )


def _numbered(blocks: list[dict[str, Any]], start: str = "") -> list[dict[str, Any]]:
    """Return blocks with ids that say where each is."""
    return [
        block
        | {"id": f"{start}{index}", "children": _numbered(block["children"], f"{start}{index}.")}
        for index, block in enumerate(blocks)
    ]


#: Documents of BlockNote: lists of blocks.
block_lists = st.lists(
    st.recursive(_leaves, _with_children, max_leaves=5), min_size=1, max_size=4
).map(_numbered)

# Quill.
_attributes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "bold": st.just(True),
        "color": st.sampled_from(["red", "#00f"]),
        "link": st.just("/a?b=1&c=(2)"),
        "script": st.sampled_from(["sub", "super"]),
        "header": st.integers(1, 6),
        "list": st.sampled_from(["bullet", "ordered", "checked"]),
        "indent": st.integers(1, 4),
        "align": st.just("right"),
        "code-block": st.sampled_from([True, "python"]),
    },
)
_inserts = texts | st.sampled_from(
    [{"image": "/a.png"}, {"video": "/v"}, {"formula": "e=mc^2"}, {"mention": {"id": 7}}]
)
_operations = st.builds(
    lambda insert, attributes: (
        {"insert": insert} | ({"attributes": attributes} if attributes else {})
    ),
    _inserts,
    _attributes,
)


def _joined(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a delta without texts that look as the one before, with which they would be one."""
    return [
        operation
        for index, operation in enumerate(operations)
        if not index
        or not isinstance(operation["insert"], str)
        or not isinstance(operations[index - 1]["insert"], str)
        or operation.get("attributes") != operations[index - 1].get("attributes")
    ]


#: Documents of Quill: deltas.
deltas = st.lists(_operations, min_size=1, max_size=6).map(_joined)
