"""The editors themselves: programs for Node.js that say what JavaScript makes of documents."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias

from pycrdt import Doc

__all__ = ["Corpus", "canonical_html", "comparable", "load", "made", "recorded"]

DIRECTORY = Path(__file__).parents[1] / "editors"
RECORDED = Path(__file__).parent / "corpora"
#: Documents of each editor that are recorded.
COUNT = 10
#: Returns documents of an editor, and what it says of them.
Corpus: TypeAlias = Callable[[str], dict[str, Any]]
#: Seconds; only a program that hangs takes as long.
TIMEOUT = 300


@cache
def recorded(editor: str) -> dict[str, Any]:
    """Return documents that an editor wrote before: ``python -m tests.content.editors`` does."""
    kept: dict[str, Any] = json.loads((RECORDED / f"{editor}.json").read_text())
    return kept


@cache
def made(editor: str, count: int = 100) -> dict[str, Any]:
    """Return documents that an editor writes now, and what it says of them."""
    result = subprocess.run(
        ["node", "corpus.js", editor, str(count)],
        cwd=DIRECTORY,
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    documents: dict[str, Any] = json.loads(result.stdout)
    return documents


def load(document: dict[str, Any]) -> Doc[Any]:
    """Return a document of the corpus as a Doc."""
    doc: Doc[Any] = Doc()
    doc.apply_update(base64.b64decode(document["update"]))
    return doc


def comparable(value: Any) -> Any:
    """Return JSON of nodes without what makes no difference: order of marks, empty parts."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: comparable(item) for key, item in value.items()}
    if "marks" in found:
        found["marks"].sort(key=lambda mark: json.dumps(mark, sort_keys=True))
    if isinstance(found.get("attrs"), dict):
        found["attrs"] = {key: item for key, item in found["attrs"].items() if item is not None}
    return {key: item for key, item in found.items() if key != "content" or item}


class _Events(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.events.append(
            (tag, sorted((name, _style(name, value or "")) for name, value in attrs))
        )

    def handle_endtag(self, tag: str) -> None:
        self.events.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.events and isinstance(self.events[-1], list):
            data = self.events.pop()[0] + data
        self.events.append([data])


def _style(name: str, value: str) -> str:
    return value.replace("; ", ";").rstrip(";") if name == "style" else value


def canonical_html(html: str) -> list[Any]:
    """Return HTML as tags with sorted attributes, and texts."""
    parser = _Events()
    parser.feed(html)
    parser.close()
    return parser.events


if __name__ == "__main__":
    for name in ("tiptap", "basic", "blocknote", "quill", "lexical", "everyday"):
        kept = json.dumps(made(name, COUNT), ensure_ascii=False, indent=None)
        (RECORDED / f"{name}.json").write_text(f"{kept}\n")
