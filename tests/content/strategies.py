"""Content of any shape, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from collab.content import TIPTAP
from collab.content.trees import Mark, Node, document, join_texts, make_node, make_text

__all__ = ["documents", "inline", "texts"]

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
