"""HTML as elements that know their attributes, styles and content.

Parsers of HTML take quadratic time for deep nesting, as the standard wants, and repeat
formatting that is never closed in every block. A program of a page makes neither, so such tags are
left out before the HTML is cleaned: all HTML is read in linear time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

__all__ = ["HtmlElement", "flatten_html", "parse_html"]

#: Elements without an end.
_VOID = frozenset(
    {"area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input"}
    | {"keygen", "link", "meta", "param", "source", "track", "wbr"}
)
#: Elements deeper inside each other are beside each other.
_MAX_DEPTH = 100
#: Elements that may be open at the same time, and those of them that format text.
_MAX_OPEN, _MAX_FORMATTING = 200, 32
#: Elements that stay open where the block around them ends.
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt"}
    | {"u"}
)
#: Elements that are closed by the next one, so that they are not inside each other.
_CLOSED = frozenset(
    {"caption", "colgroup", "dd", "dt", "li", "option", "p", "rp", "rt", "tbody", "td", "tfoot"}
    | {"th", "thead", "tr"}
)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")


@dataclass
class HtmlElement:
    """An element of HTML and its content."""

    tag: str
    attributes: dict[str, str]
    children: list[HtmlElement | str] = field(default_factory=list)

    @cached_property
    def styles(self) -> dict[str, str]:
        """The CSS properties that the element has itself."""
        styles: dict[str, str] = {}
        for declaration in self.attributes.get("style", "").split(";"):
            name, colon, value = declaration.partition(":")
            if colon:
                styles[name.strip().lower()] = value.strip()
        return styles

    def classes(self) -> list[str]:
        """Return the names in the attribute ``class``."""
        return self.attributes.get("class", "").split()

    def elements(self) -> Iterator[HtmlElement]:
        """Yield the elements directly inside."""
        return (child for child in self.children if isinstance(child, HtmlElement))

    def text(self) -> str:
        """Return the letters inside, and line ends where lines break."""
        if self.tag == "br":
            return "\n"
        return "".join(part if isinstance(part, str) else part.text() for part in self.children)

    def find(self, tag: str) -> HtmlElement | None:
        """Return the first element of that tag before any block that is inside."""
        for element in self.elements():
            if element.tag == tag:
                return element
            if element.tag in ("label", "p") and (found := element.find(tag)):
                return found
        return None


def flatten_html(html: str, dropped: Counter[str]) -> str:
    """Return HTML without the tags that would make its elements too deep.

    Args:
        html: of any kind.
        dropped: counts the elements that are left out; their content stays.
    """
    if html.count("<") <= _MAX_FORMATTING:
        return html
    parts: list[str] = []
    open_tags, done, position = _OpenTags(), 0, 0
    while tag := _TAG.search(html, position):
        position = html.find(">", tag.end()) + 1 or len(html)
        is_end, name = bool(tag[1]), tag[2].lower()
        if name in _VOID or name in _CLOSED:
            continue
        if not (open_tags.close(name) if is_end else open_tags.open(name)):
            parts.append(html[done : tag.start()])
            done = position
            if not is_end:
                dropped[f"nested <{name}>"] += 1
    return "".join([*parts, html[done:]])


class _OpenTags:
    """The tags that are open at a place of HTML."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        #: How often a tag of each name is open, and how often it was left out.
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._formatting = 0

    def open(self, name: str) -> bool:
        """Return whether a tag can be opened; it is open then."""
        is_formatting = name in _FORMATTING
        if name in ("a", "nobr") and self._counts[name]:
            # The one before is closed by it.
            return True
        used, most = len(self._blocks), _MAX_OPEN
        if is_formatting:
            used, most = self._formatting, _MAX_FORMATTING
        if used >= most:
            self._left_out[name] += 1
            return False
        if is_formatting:
            self._formatting += 1
        else:
            self._blocks.append(name)
        self._counts[name] += 1
        return True

    def close(self, name: str) -> bool:
        """Close a tag; return whether it was not left out."""
        if self._left_out[name]:
            self._left_out[name] -= 1
            return False
        if not self._counts[name]:
            return True
        if name in _FORMATTING:
            self._formatting -= 1
            self._counts[name] -= 1
            return True
        while (closed := self._blocks.pop()) != name:
            self._counts[closed] -= 1
        self._counts[name] -= 1
        return True


class _TreeBuilder(HTMLParser):
    """Builds elements from HTML in which every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = HtmlElement("", {})
        #: The open tags, each with the element that gets its content.
        self._open = [("", self.root)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = HtmlElement(tag, {name: value or "" for name, value in attrs})
        _, parent = self._open[-1]
        parent.children.append(element)
        if tag not in _VOID:
            self._open.append((tag, element if len(self._open) < _MAX_DEPTH else parent))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open[-1][0]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1][1].children.append(data)


def parse_html(html: str) -> HtmlElement:
    """Return an element without a tag that has the content of well-formed ``html``."""
    builder = _TreeBuilder()
    builder.feed(html)
    builder.close()
    return builder.root
