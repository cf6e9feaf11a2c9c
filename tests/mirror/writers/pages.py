"""Forms of pages as a browser fills them in."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

__all__ = ["form_data"]


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, list[str]] = {}
        self._textarea: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name")
        if tag == "input" and name:
            kind = found.get("type")
            is_checkable = kind in ("checkbox", "radio")
            if kind != "submit" and (not is_checkable or "checked" in found):
                self.data.setdefault(name, []).append(found.get("value") or "on" * is_checkable)
        elif tag == "textarea" and name:
            self._textarea = name
            self.data[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in found:
            self.data.setdefault(self._select, []).append(found.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.data[self._textarea][0] += data


def form_data(html: str, **changes: Any) -> dict[str, list[str]]:
    """Return what a browser sends of the forms in a page, with CRLF at the ends of lines."""
    form = _Form()
    form.feed(html)
    data = form.data | {
        name: [*value] if isinstance(value, list) else [value] for name, value in changes.items()
    }
    return {
        name: [
            value.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n") for value in values
        ]
        for name, values in data.items()
    }
