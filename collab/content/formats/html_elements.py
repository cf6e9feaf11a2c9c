"""HTML as elements that can be asked for what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

__all__ = ["HtmlElement", "parse_html"]

#: Elements without an end.
_VOID = frozenset(
    {"area", "br", "col", "embed", "hr", "img", "input", "link", "source", "track", "wbr"}
)
#: Elements deeper inside each other are beside each other.
_MAX_DEPTH = 100


@dataclass
class HtmlElement:
    """An element of HTML and what is inside it."""

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


class _TreeBuilder(HTMLParser):
    """Builds elements from HTML in which every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = HtmlElement("", {})
        #: The tags that are open, and the element that takes what is in each.
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
    """Return an element without a tag that holds what well-formed ``html`` says."""
    builder = _TreeBuilder()
    builder.feed(html)
    builder.close()
    return builder.root
