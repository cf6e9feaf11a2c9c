"""Blame: the author of each letter.

pycrdt does not say which insertion a letter of a text is. So a copy of the document is made in
which each letter is replaced, in the bytes of the document, by one that stands for its author. The
copy has the same structure, and a text of it has an author in the place of each letter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pycrdt import Text

from collab.documents.contents import content_schema
from collab.documents.document_content import convert
from collab.engine.hub.working_copies import blocking
from collab.history.authorship.authors import attributed, by_client
from collab.history.jobs import run_history_job
from collab.history.present import Present
from collab_storage.authorship import AuthorRange
from collab_storage.structs import STRING, Struct, read_structs
from collab_storage.subdocuments import temporary_doc
from collab_storage.updates import read_varuint, varuint

if TYPE_CHECKING:
    # Imported when it is used: most projects only pass updates on.
    from collab.content import Schema

__all__ = ["Run", "ablame", "ablame_html", "blame", "blame_html", "labels_of", "mark"]

#: Letters that stand for authors: each of one UTF-16 unit.
_FIRST, _LAST = 0xE000, 0xF8FF
#: Stands for an unknown author.
_UNKNOWN = 0xF8FF
#: Signs around a run; no letters, so that they have no other meaning in a text.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"


@dataclass(frozen=True, slots=True)
class Run:
    """Letters of a text that have one author.

    Args:
        start: index of the first in the text, as a Python string.
        end: index behind the last.
        user_id: primary key of the author, as text; ``None`` if unknown.
        at: when the server got the last of them.
    """

    start: int
    end: int
    user_id: str | None
    at: datetime | None


Author = tuple[str | None, datetime | None]


async def ablame(name: str, field: str) -> list[Run]:
    """Return the authors of a text, a root of type ``Y.Text``, from its beginning to its end.

    Args:
        name: the document.
        field: the name of the root.

    Raises:
        DocumentNotFound: nothing of that name is stored.
    """
    present, authorship = await attributed(name)
    return await run_history_job(present.size, text_runs, present, field, authorship.ranges)


async def ablame_html(name: str, *, field: str | None = None) -> tuple[str, list[str | None]]:
    """Return a document as HTML in which each letter is in a ``span`` of its author's class.

    Args:
        name: the document.
        field: the root that holds the content; by default that of its type.

    Returns:
        The HTML, which is safe to be put into a page, and the users: the class of the first is
        ``author-0``, and so on.

    Raises:
        DocumentNotFound: nothing of that name is stored.
        ImproperlyConfigured: nothing says which schema the document has.
    """
    schema, field = content_schema(name, field=field)
    (present, authorship), run = await attributed(name), run_history_job
    size, ranges = present.size, authorship.ranges
    return await convert(size, html_runs, present, field, schema, ranges, run=run)


def text_runs(present: Present, field: str, ranges: Sequence[AuthorRange]) -> list[Run]:
    """Return the runs of a text."""
    update = present.update
    marked, authors = mark(update, ranges)
    with temporary_doc(update) as doc, temporary_doc(marked) as copy:
        letters = str(doc.get(field, type=Text))
        units = str(copy.get(field, type=Text))
    runs, start, position = list[Run](), 0, 0
    for author, group in groupby(labels_of(letters, units), key=lambda label: authors.get(label)):
        position += len(list(group))
        runs.append(Run(start, position, *(author or (None, None))))
        start = position
    return runs


def labels_of(letters: str, units: str) -> Iterator[str]:
    """Yield the label of each letter; some letters are two units long."""
    position = 0
    for letter in letters:
        yield units[position] if position < len(units) else letter
        position += 2 if ord(letter) > 0xFFFF else 1


def html_runs(
    present: Present, field: str | None, schema: Any, ranges: Sequence[AuthorRange]
) -> tuple[str, list[str | None]]:
    """Return HTML with a span for each run, and the users in the order of their classes."""
    from collab.content.editors.names import find_schema
    from collab.content.formats.html_writer import write_html

    found = find_schema(schema)
    update = present.update
    marked, authors = mark(update, ranges)
    users = [*dict.fromkeys(user for user, _ in authors.values()), None]
    tree, marks = (_tree(content, field, found) for content in (update, marked))
    classes = {label: users.index(user) for label, (user, _) in authors.items()}
    _surround(tree, marks, classes, len(users) - 1)
    html = write_html(tree, found.layout.tree_schema(found))
    for number in range(len(users)):
        html = html.replace(_OPEN + chr(_FIRST + number), f'<span class="author-{number}">')
    return html.replace(_CLOSE, "</span>"), users


def _tree(update: bytes, field: str | None, schema: Schema) -> Any:
    with temporary_doc(update) as doc:
        value = schema.layout.read(doc, field or schema.field, schema)
        return schema.layout.to_tree(value, schema)


def _surround(node: Any, marked: Any, classes: Mapping[str, int], unknown: int) -> None:
    """Put signs around the runs in the texts of a tree; ``marked`` has their labels."""
    if node.get("type") == "text":
        text = node["text"].replace(_OPEN, "").replace(_CLOSE, "")
        labels = labels_of(node["text"], marked["text"])
        pairs = zip(text, (classes.get(label, unknown) for label in labels), strict=False)
        node["text"] = "".join(
            f"{_OPEN}{chr(_FIRST + number)}{''.join(letter for letter, _ in group)}{_CLOSE}"
            for number, group in groupby(pairs, key=lambda pair: pair[1])
        )
    for child, other in zip(node.get("content", ()), marked.get("content", ()), strict=False):
        _surround(child, other, classes, unknown)


def mark(update: bytes, ranges: Sequence[AuthorRange]) -> tuple[bytes, dict[str, Author]]:
    """Return an update with labels for letters, and the authors by label.

    Line ends stay, as some editors keep blocks in them.
    """
    clients = by_client(ranges)
    known = {client: [part.start for part in parts] for client, parts in clients.items()}
    keys: list[Author] = [*dict.fromkeys((part.user_id, part.until) for part in ranges)]
    if len(keys) >= _LAST - _FIRST:
        # Too many to distinguish times.
        keys = [*dict.fromkeys((part.user_id, None) for part in ranges)]
    labels = {key: chr(_FIRST + number) for number, key in enumerate(keys[: _UNKNOWN - _FIRST])}
    parts, done = [], 0
    for struct in read_structs(update):
        if struct.kind == STRING:
            of_client, starts = clients.get(struct.client, []), known.get(struct.client, [])
            text = _marked(struct, update, of_client, starts, labels)
            parts += [update[done : struct.content], varuint(len(text)), text]
            done = struct.end
    return b"".join([*parts, update[done:]]), {label: key for key, label in labels.items()}


def _marked(
    struct: Struct,
    update: bytes,
    ranges: Sequence[AuthorRange],
    starts: Sequence[int],
    labels: Mapping[Any, str],
) -> bytes:
    _, start = read_varuint(update, struct.content)
    units, clock = list[str](), struct.clock
    for letter in update[start : struct.end].decode():
        index = bisect_right(starts, clock) - 1
        label = chr(_UNKNOWN)
        if index >= 0 and clock < ranges[index].end:
            part = ranges[index]
            label = labels.get((part.user_id, part.until)) or labels.get(
                (part.user_id, None), label
            )
        width = 2 if ord(letter) > 0xFFFF else 1
        units.append(letter if letter == "\n" else label * width)
        clock += width
    return "".join(units).encode()


# The twins for synchronous code.
blame = blocking(ablame)
blame_html = blocking(ablame_html)
