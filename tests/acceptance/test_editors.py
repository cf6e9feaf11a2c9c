"""The editors themselves, in Chromium, on documents that Python has written."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page
from pycrdt import Doc

from collab.content import from_html, from_json, from_markdown, to_json
from tests.content.editors import DIRECTORY, comparable, recorded
from tests.content.test_editors import SCHEMAS, VALUES, joined
from tests.harness.chromium import new_context
from tests.harness.server import Server

pytestmark = pytest.mark.browser

MARKDOWN = """\
# A *title*

Some **bold _and italic_**, ~~old~~ `code`, [a link](/x), 👩‍👩‍👧 and שלום.\\
A second line.

3. one
   - nested
4. two

- [x] done
- [ ] to do

> A quote

```python
x = 1
```

---

| a | b |
| --- | --: |
| c | **d** |

![A picture](/a.png)

The end
"""
HTML = """
<h2 style="text-align: center">Title</h2><p><b>a <i>b</i></b><i> c</i> <u>d</u> <mark>e</mark></p>
<ul><li>one<ol start=3><li>two<p>three</p></li></ol></li></ul>
<table><tr><th colspan=2>h</th></tr><tr><td>x</td><td><p>y</p></td></tr></table>
<pre><code class="language-py">x &lt; 1\n\ny</code></pre><p>a<br>b</p><p></p><p>end</p>
"""
LINE_FORMATS = {"align", "blockquote", "code-block", "header", "indent", "list"}
#: Stores updates of a file, by the names of their documents.
STORE = """
    import base64, json
    from pathlib import Path
    from collab import documents

    for name, update in json.loads(Path({path!r}).read_text()).items():
        documents.send_doc_update(name, base64.b64decode(update))
"""
#: Prints all that is stored.
STORED = """
    import json
    from asgiref.sync import async_to_sync
    from collab import documents
    from collab.conf import get_storage

    found = {info.name: async_to_sync(get_storage().load)(info.name)
             for info in documents.list_documents()}
    print(json.dumps({name: [update.hex() for update in stored.updates]
                      for name, stored in found.items()}))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The editors as one script."""
    script = tmp_path_factory.mktemp("editors") / "editors.js"
    esbuild = DIRECTORY / "node_modules" / ".bin" / "esbuild"
    subprocess.run(
        [esbuild, "browser.js", "--bundle", "--log-level=error", f"--outfile={script}"],
        cwd=DIRECTORY,
        check=True,
    )
    return script


@pytest.fixture
def page(browser: Browser, bundle: Path, server: Server) -> Iterator[Page]:
    """A page of the server that has the editors."""
    with new_context(browser) as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.add_script_tag(path=bundle)
        yield page
    assert errors == []


def written(editor: str) -> Iterator[Doc[Any]]:
    """Yield documents as Python writes them: of JSON, HTML and Markdown."""
    schema = SCHEMAS[editor]
    for document in recorded(editor)["documents"]:
        doc: Doc[Any] = Doc()
        from_json(doc, None, prepared(editor, document[VALUES.get(editor, "json")]), schema)
        yield doc
    for read, content in ((from_html, HTML), (from_markdown, MARKDOWN)):
        doc = Doc()
        read(doc, None, content, schema)
        yield doc


def with_ids(blocks: list[dict[str, Any]], prefix: str = "block") -> list[dict[str, Any]]:
    """Return blocks with ids of their own: two that have the same one get others in the editor."""
    return [
        each
        | {"id": f"{prefix}-{number}", "children": with_ids(each["children"], f"{prefix}-{number}")}
        for number, each in enumerate(blocks)
    ]


def is_even(node: dict[str, Any]) -> bool:
    """Return whether tables have rows of one length and no widths; others are shown mended."""
    inner = node.get("content", [])
    rows = {len(row.get("content", [])) for row in inner} if node["type"] == "table" else set()
    widths = node.get("attrs", {}).get("colwidth")
    return len(rows) < 2 and not widths and all(map(is_even, inner))


def prepared(editor: str, value: Any) -> Any:
    """Return content in the form in which its editor has nothing to mend."""
    if editor == "tiptap":
        # Tiptap shows an empty paragraph at the end, if there is none.
        return value | {"content": [*filter(is_even, value["content"]), {"type": "paragraph"}]}
    return with_ids(value) if editor == "blocknote" else value


def visible(editor: str, value: Any) -> Any:
    """Return JSON of an editor without what makes no difference in its view."""
    if editor == "quill":
        return visible_lines(value)
    if editor == "blocknote":
        return json.loads(json.dumps(value), object_hook=without_nulls)
    return comparable(value)


def without_nulls(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the keys whose values are null."""
    return {key: value for key, value in found.items() if value is not None}


def visible_lines(delta: list[dict[str, Any]]) -> list[Any]:
    """Return the lines of a delta as Quill shows them: in code, there is nothing but text."""
    lines: list[Any] = []
    parts: list[dict[str, Any]] = []
    for operation in delta:
        insert, given = operation["insert"], operation.get("attributes", {})
        for part in re.split("(\n)", insert) if isinstance(insert, str) else [insert]:
            if part == "\n":
                formats = {key: item for key, item in given.items() if key in LINE_FORMATS}
                if "code-block" in formats:
                    texts = [each["insert"] for each in parts if isinstance(each["insert"], str)]
                    parts = [{"insert": "".join(texts)}] if texts else []
                lines.append((joined(parts), formats))
                parts = []
            elif part:
                formats = {key: item for key, item in given.items() if key not in LINE_FORMATS}
                parts.append({"insert": part} | ({"attributes": formats} if formats else {}))
    lines += [(joined(parts), {})] if parts else []
    while lines and lines[-1] == ([], {}):
        # Of the empty lines at the end, one is Quill's own.
        lines.pop()
    return lines


@pytest.mark.parametrize("editor", sorted(SCHEMAS.keys() - {"lexical"}))
def test_an_editor_shows_what_python_has_written_and_changes_not_a_byte(
    editor: str, server: Server, page: Page, tmp_path: Path
) -> None:
    docs = {f"{editor} {number}": doc for number, doc in enumerate(written(editor))}
    path = tmp_path / "updates.json"
    updates = {name: base64.b64encode(doc.get_update()).decode() for name, doc in docs.items()}
    path.write_text(json.dumps(updates))
    server.run_code(STORE.format(path=str(path)))
    before = server.run_code(STORED)
    for name, doc in docs.items():
        shown = page.evaluate(
            "([editor, url, room]) => show(editor, url, room)",
            [editor, f"ws://127.0.0.1:{server.port}/ws", quote(name)],
        )
        assert shown["changes"] == 0, name
        value = to_json(doc, schema=SCHEMAS[editor])
        assert visible(editor, shown["json"]) == visible(editor, value), name
    server.terminate()
    assert server.run_code(STORED) == before
