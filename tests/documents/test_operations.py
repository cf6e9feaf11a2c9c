"""The API for server code, from async and from synchronous code, with members and without."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from channels.routing import URLRouter
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.test import override_settings
from django.urls import path
from pycrdt import Doc, Text

from collab import documents
from collab.access import Access
from collab.conf import get_storage
from collab.consumers import YjsConsumer
from collab.engine.hub.current import current_hub
from collab.exceptions import DocumentExists, DocumentNotFound, InvalidName
from collab.testing import CollabClient, close_rooms, connect, use_memory_storage
from collab_storage.base import StoredDocument
from collab_storage.compaction import apply_stored
from collab_storage.models import Update
from tests.engine.fakes import HinderedStorage
from tests.harness.waiting import until
from tests.storage.yjs import PAIR, SPLIT

HINDERED = {"BACKEND": "tests.engine.fakes.HinderedStorage"}


class Consumer(YjsConsumer):
    """Gives the access that a test says."""

    allowed = Access.WRITE

    async def authorize(self) -> Access:
        return type(self).allowed


application = URLRouter([path("ws/<str:room>", Consumer.as_asgi())])


def text_of(doc: Doc[Any]) -> str:
    return str(doc.get("text", type=Text))


def write(doc: Doc[Any], text: str) -> None:
    root = doc.get("text", type=Text)
    root.insert(len(root), text)


async def type_unstored(client: CollabClient) -> HinderedStorage:
    """Type what cannot be stored yet; return the storage, which takes everything again."""
    storage = HinderedStorage.latest
    storage.failures["append"] = ConnectionError("away")
    write(client.doc, "typed")
    await until(lambda: storage.calls["append"])
    del storage.failures["append"]
    return storage


def update_with(text: str) -> bytes:
    doc: Doc[Any] = Doc()
    write(doc, text)
    return doc.get_update()


def edit_in_thread(room: str, text: str) -> None:
    with documents.edit(room) as doc:
        write(doc, text)


@pytest.fixture
def memory() -> Iterator[None]:
    with use_memory_storage():
        yield


@pytest.fixture
async def member(memory: None) -> AsyncIterator[CollabClient]:
    async with connect(application, "/ws/room") as client:
        yield client
    await close_rooms()


# Without members.


@pytest.mark.usefixtures("memory")
class TestAsync:
    async def test_an_edited_document_reads_as_edited(self) -> None:
        async with documents.aedit("room") as doc:
            write(doc, "Hello")
        assert text_of(await documents.aread("room")) == "Hello"

    async def test_the_changes_of_a_block_are_one_update(self) -> None:
        async with documents.aedit("room") as doc:
            write(doc, "one")
            write(doc, "two")
        stored = await get_storage().load("room")
        assert stored is not None and len(stored.log) == 1

    async def test_a_block_that_raises_changes_nothing(self) -> None:
        with pytest.raises(ZeroDivisionError):
            async with documents.aedit("room") as doc:
                write(doc, "never")
                raise ZeroDivisionError
        assert not await documents.aexists("room")

    async def test_a_block_that_changes_nothing_makes_no_document(self) -> None:
        async with documents.aedit("room"):
            pass
        assert not await documents.aexists("room")

    async def test_edits_at_the_same_time_are_both_kept(self) -> None:
        async with documents.aedit("room") as one, documents.aedit("room") as other:
            write(one, "a")
            write(other, "b")
        assert sorted(text_of(await documents.aread("room"))) == ["a", "b"]

    async def test_the_doc_of_an_edit_is_freed(self) -> None:
        async with documents.aedit("room") as doc:
            write(doc, "Hello")
        reference = weakref.ref(doc)
        del doc
        gc.collect()
        assert reference() is None

    async def test_an_update_is_added(self) -> None:
        await documents.asend_doc_update("room", update_with("sent"))
        assert text_of(await documents.aread("room")) == "sent"

    @pytest.mark.parametrize("garbage", [b"", b"\x01", b"\xff" * 30])
    async def test_bytes_that_are_not_an_update_are_refused(self, garbage: bytes) -> None:
        with pytest.raises(ValueError, match="Not a Yjs update"):
            await documents.asend_doc_update("room", garbage)
        assert not await documents.aexists("room")

    async def test_a_document_that_does_not_exist_is_not_found(self) -> None:
        with pytest.raises(DocumentNotFound, match="'room'"):
            await documents.aread("room")

    async def test_a_name_that_cannot_be_is_refused(self) -> None:
        with pytest.raises(InvalidName):
            await documents.asend_doc_update("x" * 256, update_with("sent"))

    async def test_documents_are_listed_by_prefix(self) -> None:
        for name in ("a/1", "a/2", "b/1"):
            await documents.asend_doc_update(name, update_with(name))
        found = {info.name async for info in documents.alist_documents("a/")}
        assert found == {"a/1", "a/2"}

    async def test_a_deleted_document_is_gone(self) -> None:
        await documents.asend_doc_update("room", update_with("sent"))
        assert await documents.adelete("room")
        assert not await documents.adelete("room")
        assert not await documents.aexists("room")

    async def test_a_document_gets_another_name(self) -> None:
        await documents.asend_doc_update("old", update_with("kept"))
        await documents.arename("old", "new")
        assert not await documents.aexists("old")
        assert text_of(await documents.aread("new")) == "kept"

    async def test_a_name_that_is_taken_is_refused(self) -> None:
        for name in ("old", "new"):
            await documents.asend_doc_update(name, update_with(name))
        with pytest.raises(DocumentExists):
            await documents.arename("old", "new")


@pytest.mark.usefixtures("memory")
class TestSync:
    def test_each_function_has_a_twin(self) -> None:
        with documents.edit("room") as doc:
            write(doc, "Hello")
        documents.send_doc_update("room", documents.read("room").get_update())
        assert text_of(documents.read("room")) == "Hello"
        documents.rename("room", "hall")
        assert documents.exists("hall")
        assert [info.name for info in documents.list_documents()] == ["hall"]
        documents.recheck_access("hall")
        assert documents.delete("hall")
        assert list(documents.list_documents()) == []

    def test_a_block_that_raises_changes_nothing(self) -> None:
        with pytest.raises(ZeroDivisionError), documents.edit("room") as doc:
            write(doc, "never")
            raise ZeroDivisionError
        assert not documents.exists("room")


# In the database's transactions.


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_a_rollback_takes_the_edit_with_it(self) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            edit_in_thread("room", "never")
            assert text_of(documents.read("room")) == "never"
            raise ZeroDivisionError
        assert not documents.exists("room")

    def test_a_rollback_to_a_savepoint_takes_only_what_came_after_it(self) -> None:
        with transaction.atomic():
            edit_in_thread("room", "kept")
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                edit_in_thread("room", "never")
                raise ZeroDivisionError
        assert text_of(documents.read("room")) == "kept"

    def test_the_log_says_who_changed_what(self) -> None:
        user = User.objects.create(username="ann")
        with documents.edit("room", user=user) as doc:
            write(doc, "by ann")
        edit_in_thread("room", "by nobody")
        assert list(Update.objects.order_by("pk").values_list("user_id", flat=True)) == [
            str(user.pk),
            None,
        ]

    async def test_members_see_an_edit_when_it_is_committed_and_not_before(self) -> None:
        edited, commit = threading.Event(), threading.Event()

        def edit_slowly() -> None:
            with transaction.atomic():
                edit_in_thread("room", "committed")
                edited.set()
                commit.wait()
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                edit_in_thread("room", "rolled back")
                raise ZeroDivisionError
            connections.close_all()

        async with connect(application, "/ws/room") as client:
            editing = asyncio.create_task(asyncio.to_thread(edit_slowly))
            await asyncio.to_thread(edited.wait)
            assert text_of(client.doc) == ""
            commit.set()
            await editing
            await client.wait_until(lambda: text_of(client.doc) == "committed")
        await close_rooms()


# With members.


async def test_members_see_an_edit_at_once(member: CollabClient) -> None:
    async with documents.aedit("room") as doc:
        write(doc, "from the server")
    await member.wait_until(lambda: text_of(member.doc) == "from the server")


async def test_members_see_an_edit_of_another_thread(member: CollabClient) -> None:
    await asyncio.to_thread(edit_in_thread, "room", "from a thread")
    await member.wait_until(lambda: text_of(member.doc) == "from a thread")


async def test_an_edit_is_stored_once_although_members_see_it(member: CollabClient) -> None:
    await asyncio.to_thread(edit_in_thread, "room", "once")
    await member.wait_until(lambda: text_of(member.doc) == "once")
    stored = await get_storage().load("room")
    assert stored is not None and len(stored.log) == 1


async def test_text_that_members_type_is_read_before_it_is_stored() -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            let = HinderedStorage.latest.hold("append")
            write(client.doc, "typing")
            await until(lambda: HinderedStorage.latest.calls["append"])
            assert await documents.aexists("room")
            assert text_of(await documents.aread("room")) == "typing"
            let.set()
        await close_rooms()


async def test_an_unsaved_edit_inside_a_surrogate_pair_is_read_as_yjs_reads_it() -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            await documents.asend_doc_update("room", PAIR)
            await client.wait_until(lambda: "😀" in text_of(client.doc))
            calls, let = HinderedStorage.latest.calls, HinderedStorage.latest.hold("append")
            before = calls["append"]
            current_hub().rooms["room", True].edit(SPLIT)
            await until(lambda: calls["append"] > before)
            assert text_of(await documents.aread("room")) == "a\ufffdX\ufffdb"
            let.set()
        await close_rooms()
        assert text_of(await documents.aread("room")) == "a\ufffdX\ufffdb"


async def test_an_edit_while_the_document_is_loaded_is_not_missed() -> None:
    with _hindered():
        storage = get_storage()
        assert isinstance(storage, HinderedStorage)
        let = storage.hold("load")
        joining = asyncio.create_task(_joined())
        await until(lambda: storage.calls["load"])
        await documents.asend_doc_update("room", update_with("meanwhile"))
        let.set()
        client = await joining
        await client.wait_until(lambda: text_of(client.doc) == "meanwhile")
        await client.disconnect()
        await close_rooms()


async def _joined() -> CollabClient:
    client = connect(application, "/ws/room")
    return await client.__aenter__()


async def test_members_of_a_deleted_document_are_sent_away(member: CollabClient) -> None:
    write(member.doc, "soon gone")
    await member.wait_saved()
    assert await documents.adelete("room")
    assert (await member.wait_closed()).code == 4404
    assert not await documents.aexists("room")


@pytest.mark.parametrize("moved_to", [None, "hall"])
async def test_a_first_update_that_is_stored_behind_a_deletion_does_not_stay(
    moved_to: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            storage = HinderedStorage.latest
            gate, writer = storage.hold("append"), current_hub().writer
            write(client.doc, "typed")
            await until(lambda: storage.calls["append"])

            async def left(old: str, new: str | None = None) -> bool:
                # Another transaction does not see the document, whose first update is stored next.
                gate.set()
                await until(lambda: not writer.has("room"))
                return False

            monkeypatch.setattr(storage, "delete" if moved_to is None else "rename", left)
            if moved_to is None:
                assert await documents.adelete("room")
            else:
                del storage.gates["append"]
                await documents.arename("room", moved_to)
            monkeypatch.undo()
            assert (await client.wait_closed()).code == 4404
        await close_rooms()
        assert not await documents.aexists("room")
        if moved_to is not None:
            assert text_of(await documents.aread(moved_to)) == "typed"


async def test_an_edit_is_stored_with_what_it_builds_upon() -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            storage = await type_unstored(client)
            async with documents.aedit("room") as doc:
                assert text_of(doc) == "typed"
                write(doc, " and edited")
            # As another process finds it, should this one die now.
            stored = await storage.load("room")
            assert stored is not None
            found: Doc[Any] = Doc()
            apply_stored(found, stored)
            assert text_of(found) == "typed and edited"
        await close_rooms()


async def test_unsaved_edits_go_along_to_the_new_name() -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            storage = HinderedStorage.latest
            let = storage.hold("append")
            write(client.doc, "first ")
            await until(lambda: storage.calls["append"])
            let.set()
            del storage.gates["append"]
            await client.wait_saved()
            await documents.arename("room", "hall")
            assert (await client.wait_closed()).code == 4404
        await close_rooms()
        assert text_of(await documents.aread("hall")) == "first "


async def test_a_document_that_is_not_stored_yet_gets_another_name() -> None:
    with _hindered():
        async with connect(application, "/ws/room") as client:
            await type_unstored(client)
            await documents.arename("room", "hall")
            await client.wait_closed()
        await close_rooms()
        assert text_of(await documents.aread("hall")) == "typed"
        assert not await documents.aexists("room")


@pytest.mark.parametrize("is_made_anew", [False, True])
async def test_an_edit_does_not_bring_back_a_document_that_is_deleted_meanwhile(
    is_made_anew: bool,
) -> None:
    with use_memory_storage():
        await _add("room", "old")
        with pytest.raises(DocumentNotFound):
            async with documents.aedit("room") as doc:
                write(doc, " and late")
                await documents.adelete("room")
                if is_made_anew:
                    await _add("room", "new")
        assert await documents.aexists("room") == is_made_anew
        if is_made_anew:
            assert text_of(await documents.aread("room")) == "new"


async def test_an_edit_follows_a_document_that_is_renamed_meanwhile() -> None:
    with use_memory_storage():
        await _add("room", "old")
        async with documents.aedit("room") as doc:
            write(doc, " and new")
            await documents.arename("room", "hall")
        assert text_of(await documents.aread("hall")) == "old and new"
        assert not await documents.aexists("room")


async def test_an_edit_of_a_document_without_an_id_is_stored_by_name() -> None:
    class WithoutIds(HinderedStorage):
        async def load(self, name: str) -> StoredDocument | None:
            stored = await super().load(name)
            return None if stored is None else replace(stored, id=None)

    storage = WithoutIds()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collab.engine.hub.working_copies.get_storage", lambda: storage)
        for text in ("one ", "two"):
            async with documents.aedit("room") as doc:
                write(doc, text)
        assert text_of(await documents.aread("room")) == "one two"


async def _add(name: str, text: str) -> None:
    async with documents.aedit(name) as doc:
        write(doc, text)


def _hindered() -> override_settings:
    return override_settings(COLLAB={"DEFAULT_ACCESS": "write", "STORAGE": HINDERED})
