"""Markdown from trees, in GitHub's flavour.

Parts that Markdown lacks, such as alignment, colours and comments, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from collab.content.schema import Schema
from collab.content.trees import Node, children, inline_text, is_text, walk

from .markdown_inline import InlineMarkdown, escape_lines, image, list_start

__all__ = ["write_markdown"]

_LISTS = {"bulletList", "orderedList", "taskList"}


def write_markdown(tree: Node, schema: Schema) -> str:
    """Return the Markdown of the content of a tree's top node."""
    markdown = _MarkdownWriter(schema).blocks(children(tree))
    return f"{markdown}\n" if markdown else ""


class _MarkdownWriter:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._inline = InlineMarkdown(schema)
        self._cell = InlineMarkdown(schema, line_break="<br>")
        self._writers: dict[str, Callable[[Node], str]] = {
            "blockquote": self._quote,
            "bulletList": self._list,
            "codeBlock": self._code_block,
            "heading": self._heading,
            "horizontalRule": lambda node: "---",
            "image": lambda node: image(schema.attributes_of(node)),
            "orderedList": self._list,
            "paragraph": self._paragraph,
            "table": self._table,
            "taskList": self._list,
        }

    def blocks(self, nodes: Iterable[Node], between: str = "\n\n") -> str:
        """Return the Markdown of blocks; text that is not in one is a paragraph."""
        written: list[str] = []
        last, count = "", 0
        for node in self._wrapped(nodes):
            kind = self._schema.kind_of(node)
            # A list after one of its kind would be read as the same list.
            count = count + 1 if kind == last and kind in _LISTS else 0
            block = self._list(node, alternative=count % 2 == 1) if count else self._block(node)
            if block:
                written.append(block)
                last = kind
        return between.join(written)

    def _wrapped(self, nodes: Iterable[Node]) -> Iterable[Node]:
        for is_line, group in groupby(nodes, self._schema.is_inline):
            if is_line:
                yield {"type": "paragraph", "content": [*group]}
            else:
                yield from group

    def _block(self, node: Node) -> str:
        known = self._schema.node_types.get(node["type"])
        if known is not None and known.markdown is not None:
            return known.markdown(self._schema.attributes_of(node), self.blocks(children(node)))
        write = self._writers.get(self._schema.kind_of(node))
        return write(node) if write else self.blocks(children(node))

    def _paragraph(self, node: Node) -> str:
        return escape_lines(self._inline.write(children(node)))

    def _heading(self, node: Node) -> str:
        level = self._schema.attributes_of(node).get("level")
        sign = "#" * level if isinstance(level, int) and 0 < level <= 6 else "#"
        # Signs at the end would be read as the heading's own.
        text = re.sub(r"(#+)$", r"\\\1", self._cell.write(children(node)))
        return f"{sign} {text}".rstrip()

    def _quote(self, node: Node) -> str:
        lines = self.blocks(children(node)).split("\n")
        return "\n".join(f"> {line}".rstrip() for line in lines)

    def _code_block(self, node: Node) -> str:
        code = inline_text(node)
        language = self._schema.attributes_of(node).get("language") or ""
        runs = [len(run) for run in re.findall(r"`{3,}", code)]
        fence = "`" * max([3, *(run + 1 for run in runs)])
        info = re.sub(r"[`\s]", "", str(language))
        return f"{fence}{info}\n{code}\n{fence}" if code else f"{fence}{info}\n{fence}"

    def _list(self, node: Node, *, alternative: bool = False) -> str:
        items = children(node)
        is_tight = all(self._is_tight(item) for item in items)
        start = list_start(self._schema.attributes_of(node))
        number = start if isinstance(start, int) and 0 <= start < 10**9 else 1
        written = []
        for index, item in enumerate(items):
            sign = self._sign(node, number + index, alternative)
            written.append(self._item(item, sign, "\n" if is_tight else "\n\n"))
        return ("\n" if is_tight else "\n\n").join(written)

    def _sign(self, node: Node, number: int, alternative: bool) -> str:
        if self._schema.kind_of(node) == "orderedList":
            return f"{number}{')' if alternative else '.'} "
        return "* " if alternative else "- "

    def _is_tight(self, item: Node) -> bool:
        """Return whether an item is a paragraph, with nothing but lists after it."""
        first, rest = children(item)[:1], children(item)[1:]
        is_line = not first or self._schema.kind_of(first[0]) == "paragraph"
        if is_line and rest and self._paragraph(first[0]) == "<br>":
            # A line that is a tag is HTML up to the next blank line.
            return False
        return is_line and all(map(self._can_follow, rest))

    def _can_follow(self, node: Node) -> bool:
        """Return whether a node is a list that can follow a line without a blank one between."""
        if (
            self._schema.kind_of(node) not in _LISTS
            or list_start(self._schema.attributes_of(node)) != 1
        ):
            return False
        item = children(node)[:1]
        lines = children(item[0])[:1] if item else []
        return bool(lines and children(lines[0]))

    def _item(self, item: Node, sign: str, between: str) -> str:
        is_task = self._schema.kind_of(item) == "taskItem"
        content = self._task(item, between) if is_task else self.blocks(children(item), between)
        lines = content.split("\n")
        # A rule of dashes after the sign of an item would be one rule with it.
        lines[0] = "___" if lines[0] == "---" else lines[0]
        indent = " " * len(sign)
        rest = [f"{indent}{line}" if line else "" for line in lines[1:]]
        return "\n".join([f"{sign}{lines[0]}".rstrip(), *rest])

    def _task(self, item: Node, between: str) -> str:
        """Return the content of a task; nothing but a paragraph can be in the line of its box."""
        box = "[x]" if self._schema.attributes_of(item).get("checked") is True else "[ ]"
        inner = children(item)
        count = 1 if inner and self._schema.kind_of(inner[0]) == "paragraph" else 0
        line = f"{box} {self.blocks(inner[:count])}".rstrip()
        rest = self.blocks(inner[count:], between)
        return between.join(filter(None, [line, rest]))

    def _table(self, node: Node) -> str:
        rows = [children(row) for row in children(node)]
        texts = [[text for cell in row for text in self._cells(cell)] for row in rows]
        width = max((len(row) for row in texts), default=0)
        if not width:
            return ""
        has_header = all(self._schema.kind_of(cell) == "tableHeader" for cell in rows[0])
        header = texts.pop(0) if has_header else []
        aligned = rows[0] if rows else []
        rules = [self._rule(cell) for cell in aligned[:width]]
        lines = [header, rules + ["---"] * (width - len(rules)), *texts]
        return "\n".join(f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in lines)

    def _cells(self, cell: Node) -> Sequence[str]:
        """Return a cell's text, and empty ones for the other columns that it spans."""
        lines = (node for node in walk(cell) if any(map(self._schema.is_inline, children(node))))
        parts = [self._cell.write(_line(block)) for block in lines]
        text = "<br>".join(filter(None, parts)).replace("|", "\\|")
        span = self._schema.attributes_of(cell).get("colspan", 1)
        count = span if isinstance(span, int) and 0 < span <= 100 else 1
        return [text] + [""] * (count - 1)

    def _rule(self, cell: Node) -> str:
        align = self._schema.attributes_of(cell).get("align")
        return {"left": ":--", "center": ":-:", "right": "--:"}.get(str(align), "---")


def _line(block: Node) -> Sequence[Node]:
    return [
        child | {"text": child["text"].replace("\n", " ")} if is_text(child) else child
        for child in children(block)
    ]
