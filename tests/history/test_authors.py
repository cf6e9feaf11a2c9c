"""Shares of users, and the author of each letter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Text

from collab import documents, history
from collab.conf import get_storage
from collab.exceptions import DocumentNotFound
from collab.history.authorship.blame import mark
from collab.testing import use_memory_storage
from collab_storage.authorship import AuthorRange
from collab_storage.compaction import compact
from collab_storage.memory import MemoryStorage
from tests.collab.test_commands import run

from .material import letters

ANN, BOB = SimpleNamespace(pk=1), SimpleNamespace(pk=2)
NAME = "archived/a"


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


def edit(user: object, index: int, text: str, deleted: int = 0, name: str = "doc") -> None:
    """Replace letters of a text; index and number count letters."""
    with documents.edit(name, user=user) as doc:
        root = doc.get("text", type=Text)
        before = str(root)
        start = len(before[:index].encode())
        end = start + len(before[index : index + deleted].encode())
        if end > start:
            del root[start:end]
        if text:
            root.insert(start, text)


def blamed(name: str = "doc") -> list[tuple[str, str | None]]:
    text = letters(documents.read(name))
    return [(text[run.start : run.end], run.user_id) for run in history.blame(name, "text")]


def test_shares_are_of_each_user() -> None:
    edit(ANN, 0, "Hello World")
    edit(BOB, 5, ", dear", deleted=6)
    edit(None, 0, ">")
    found = history.authors("doc")
    assert {user: (share.inserted, share.deleted) for user, share in found.items()} == {
        "1": (11, 0),
        "2": (6, 6),
        None: (1, 0),
    }


def test_shares_are_of_a_time() -> None:
    edit(ANN, 0, "Hello")
    now = datetime.now(UTC)
    edit(BOB, 0, "more")
    assert history.authors("doc", since=now).keys() == {"2"}
    assert history.authors("doc", until=now).keys() == {"1"}
    assert history.authors("doc")["2"].last > now
    assert history.authors("doc", since=now + timedelta(days=1)) == {}


def test_a_version_has_the_users_since_the_one_before() -> None:
    edit(ANN, 0, "Hello")
    assert history.create("doc", "First").by == ("1",)
    edit(BOB, 0, "more")
    assert history.create("doc", "Second").by == ("2",)


def test_blame_names_the_author_of_each_letter() -> None:
    edit(ANN, 0, "Hello World")
    edit(BOB, 6, "😀 dear ")
    edit(ANN, 7, "y")
    run("collab_compact", "doc")
    edit(None, 0, "> ")
    assert blamed() == [
        ("> ", None),
        ("Hello ", "1"),
        ("😀", "2"),
        ("y", "1"),
        (" dear ", "2"),
        ("World", "1"),
    ]
    times = [run.at for run in history.blame("doc", "text")]
    assert times == sorted(times, key=lambda at: at is None) and None not in times[1:]


def test_blame_of_an_empty_root_is_empty() -> None:
    edit(ANN, 0, "Hello")
    assert history.blame("doc", "other") == []


def test_documents_that_are_not_there_have_no_authors() -> None:
    with pytest.raises(DocumentNotFound):
        history.authors("doc")
    with pytest.raises(DocumentNotFound):
        history.blame("doc", "text")


def test_rich_text_has_a_class_for_each_author() -> None:
    documents.replace(NAME, text="one\ntwo < three", user=ANN)
    documents.replace(NAME, text="one\ntwo or < three", user=BOB)
    html, users = history.blame_html(NAME)
    assert users == ["1", "2", None]
    assert '<span class="author-0">one</span>' in html
    assert '<span class="author-1">or </span>' in html
    assert "&lt;" in html


def test_a_document_without_a_schema_has_no_html() -> None:
    edit(ANN, 0, "Hello")
    with pytest.raises(ImproperlyConfigured):
        history.blame_html("doc")


def test_a_forgotten_user_is_unknown() -> None:
    edit(ANN, 0, "Hello")
    edit(BOB, 0, "more ")
    history.create("doc", "First", user=ANN)
    run("collab_compact", "doc")
    edit(ANN, 0, "And ")
    assert history.forget_user(ANN) == 1
    assert history.forget_user("1") == 0
    assert blamed() == [("And ", None), ("more ", "2"), ("Hello", None)]
    [version] = history.versions("doc")
    assert (version.made_by, version.by) == (None, ("2",))


async def test_each_function_has_an_async_twin() -> None:
    async with documents.aedit(NAME, user=ANN) as doc:
        doc.get("text", type=Text).insert(0, "Hello")
    assert (await history.aauthors(NAME))["1"].inserted == 5
    assert [run.user_id for run in await history.ablame(NAME, "text")] == ["1"]
    assert (await history.ablame_html(NAME))[1] == ["1", None]
    assert await history.aforget_user(ANN) == 1


async def test_a_compaction_in_between_counts_nothing_twice() -> None:
    class Compacting(MemoryStorage):
        """Compacts a document while it is read, once."""

        async def authorship(self, name: str):  # type: ignore[no-untyped-def]
            found = await super().authorship(name)
            await compact(self, name)
            return found

    async with documents.aedit("doc", user=ANN) as doc:
        doc.get("text", type=Text).insert(0, "Hello")
    storage = get_storage()
    assert isinstance(storage, MemoryStorage)
    storage.__class__ = Compacting
    try:
        assert (await history.aauthors("doc"))["1"].inserted == 5
    finally:
        storage.__class__ = MemoryStorage


def test_letters_of_unknown_authors_have_none() -> None:
    edit(ANN, 0, "ab")
    _, authors = mark(documents.read("doc").get_update(), [])
    assert authors == {}


def test_more_authors_than_labels_lose_their_times_only() -> None:
    with documents.edit("doc", user=ANN) as doc:
        doc.get("text", type=Text).insert(0, "ab")
        client = doc.client_id
    now = datetime.now(UTC)
    ranges = [AuthorRange(client, 0, 1, "1", now, now), AuthorRange(client, 1, 2, "2", now, now)]
    many = [AuthorRange(9, n, n + 1, "3", now, now + timedelta(seconds=n)) for n in range(7_000)]
    _, authors = mark(documents.read("doc").get_update(), [*ranges, *many])
    assert {*authors.values()} == {("1", None), ("2", None), ("3", None)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ANN, BOB, None]),
            st.integers(0, 40),
            st.text("ab😀é\n", max_size=4),
            st.integers(0, 4),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_blame_equals_a_model(
    edits: list[tuple[SimpleNamespace | None, int, str, int, bool]],
) -> None:
    name = f"model/{uuid4()}"
    model: list[tuple[str, str | None]] = []
    edit(None, 0, "\n", name=name)
    model.append(("\n", None))
    for user, index, text, deleted, compacts in edits:
        place = min(index, len(model))
        edit(user, place, text, deleted, name=name)
        key = None if user is None else str(user.pk)
        model[place : place + deleted] = [(letter, key) for letter in text]
        if compacts:
            run("collab_compact", name)
    # Line ends have no author, as some editors keep blocks in them.
    expected = [(letter, None if letter == "\n" else key) for letter, key in model]
    found = [(letter, key) for part, key in blamed(name) for letter in part]
    assert found == expected
