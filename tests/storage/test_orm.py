from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import cast

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from collab_storage.base import StoredDocument
from collab_storage.exceptions import DocumentCorrupt, DocumentNotFound, StorageUnavailable
from collab_storage.models import Document, Update
from collab_storage.orm import ORMStorage
from collab_storage.testing import HistoryContract, StorageContract
from collab_storage.testing.material import START, entry, rows
from tests.harness.waiting import DEADLINE

from .database import after_statements, elsewhere, pages_written

on_sqlite = pytest.mark.django_db(transaction=True)
on_both = pytest.mark.parametrize(
    "using",
    [
        pytest.param("default", marks=on_sqlite),
        pytest.param(
            "postgres",
            marks=pytest.mark.django_db(transaction=True, databases=["default", "postgres"]),
        ),
    ],
)


class ORMContract(StorageContract, HistoryContract):
    using: str

    @pytest.fixture
    async def storage(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[ORMStorage]:
        # On a busy machine, work at the same time may wait longer for a lock than a project would.
        monkeypatch.setattr("collab_storage.orm.LOCK_TIMEOUT", int(1000 * DEADLINE))
        storage = ORMStorage(self.using)
        yield storage
        await storage.close()


@on_sqlite
class TestORMStorageOnSQLite(ORMContract):
    using = "default"


@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
class TestORMStorageOnPostgreSQL(ORMContract):
    using = "postgres"


def append(storage: ORMStorage, *data: bytes, name: str = "doc") -> None:
    async_to_sync(storage.append)([entry(name, item) for item in data])


def log(storage: ORMStorage, name: str = "doc") -> list[bytes]:
    return rows(async_to_sync(storage.load)(name))


def exists(storage: ORMStorage, name: str = "doc") -> bool:
    return async_to_sync(storage.exists)(name)


def replace(storage: ORMStorage, snapshot: bytes = b"snapshot") -> bool:
    async def load_and_replace() -> bool:
        stored = await storage.load("doc")
        assert stored is not None
        return await storage.replace("doc", stored, snapshot)

    return async_to_sync(load_and_replace)()


@on_both
class TestTransactionsOfTheCaller:
    """Below synchronous code the verbs are part of what that code does."""

    def test_a_rollback_takes_what_was_stored_in_it(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"before")
        with pytest.raises(ZeroDivisionError), transaction.atomic(using):
            append(storage, b"one")
            replace(storage)
            append(storage, b"two", name="new")
            async_to_sync(storage.rename)("doc", "moved")
            assert exists(storage, "moved") and exists(storage, "new")
            raise ZeroDivisionError
        assert log(storage) == [b"before"]
        assert not exists(storage, "new")

    def test_an_update_is_visible_elsewhere_after_the_commit_only(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        with transaction.atomic(using):
            append(storage, b"two")
            assert elsewhere(lambda: log(storage)) == [b"one"]
        assert elsewhere(lambda: log(storage)) == [b"one", b"two"]

    def test_a_savepoint_that_is_rolled_back(self, using: str) -> None:
        storage = ORMStorage(using)
        with transaction.atomic(using):
            append(storage, b"one")
            with pytest.raises(ZeroDivisionError), transaction.atomic(using):
                append(storage, b"two")
                raise ZeroDivisionError
        assert log(storage) == [b"one"]

    def test_a_refusal_leaves_the_transaction_usable(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        append(storage, b"other", name="other")
        with transaction.atomic(using):
            with pytest.raises(Exception, match="other"):
                async_to_sync(storage.rename)("doc", "other")
            assert not async_to_sync(storage.create)(entry())
            append(storage, b"two")
        assert log(storage) == [b"one", b"two"]

    def test_on_commit_waits_for_the_commit(self, using: str) -> None:
        storage = ORMStorage(using)
        called: list[bool] = []
        with transaction.atomic(using):
            append(storage, b"one")
            callback = lambda: called.append(elsewhere(lambda: exists(storage)))  # noqa: E731
            async_to_sync(storage.on_commit)(callback)
            assert called == []
        assert called == [True]

    def test_on_commit_is_not_called_after_a_rollback(self, using: str) -> None:
        storage = ORMStorage(using)
        called: list[bool] = []
        with pytest.raises(ZeroDivisionError), transaction.atomic(using):
            async_to_sync(storage.on_commit)(lambda: called.append(True))
            raise ZeroDivisionError
        assert called == []

    def test_a_callback_that_fails_does_not_stop_the_others(
        self, using: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        storage = ORMStorage(using)
        called: list[bool] = []
        with transaction.atomic(using):
            async_to_sync(storage.on_commit)(lambda: print(1 / 0))
            async_to_sync(storage.on_commit)(lambda: called.append(True))
        assert called == [True]
        assert "division by zero" in caplog.text

    def test_close_leaves_an_open_transaction_alone(self, using: str) -> None:
        storage = ORMStorage(using)
        with transaction.atomic(using):
            append(storage, b"one")
            async_to_sync(storage.close)()
        assert log(storage) == [b"one"]


@on_both
class TestWaitingFor:
    """Synchronous code waits for verbs without an event loop."""

    def test_verbs_are_part_of_the_transaction(self, using: str) -> None:
        storage = ORMStorage(using)
        called: list[bool] = []

        async def work() -> bool:
            await storage.append([entry(data=b"one")])
            await storage.on_commit(lambda: called.append(exists(storage)))
            return await storage.exists("doc")

        with transaction.atomic(using):
            assert storage.wait_for(work)
            assert not elsewhere(lambda: exists(storage))
            transaction.set_rollback(True, using)
        assert not exists(storage) and called == []
        assert storage.wait_for(work)
        assert called == [True]

    def test_errors_are_those_of_the_verbs(self, using: str) -> None:
        storage = ORMStorage(using)
        with pytest.raises(DocumentNotFound):
            storage.wait_for(lambda: storage.rename("doc", "other"))
        append(storage, b"one")
        assert exists(storage)

    def test_nothing_else_can_be_awaited(self, using: str) -> None:
        with pytest.raises(RuntimeError, match="Only verbs"):
            ORMStorage(using).wait_for(lambda: asyncio.sleep(0))


@on_both
class TestQueries:
    def test_their_number_does_not_depend_on_the_number_of_documents(self, using: str) -> None:
        storage = ORMStorage(using)
        for existing in (False, True):
            counts = []
            for number in (2, 60):
                names = [f"doc {number} {n}" for n in range(number)]
                with CaptureQueriesContext(connections[using]) as queries:
                    async_to_sync(storage.append)([entry(name) for name in names])
                counts.append(len(queries))
            assert counts[0] == counts[1] <= (4 if existing else 8)

    def test_appending_to_a_document_needs_one_statement(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        with CaptureQueriesContext(connections[using]) as queries:
            append(storage, b"two")
        assert len(queries) == 1
        assert log(storage) == [b"one", b"two"]

    def test_a_page_takes_one_query_and_no_content(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        replace(storage)
        append(storage, b"two")
        with CaptureQueriesContext(connections[using]) as queries:
            page = async_to_sync(storage.page)("d", "", 10)
        assert [info.size for info in page] == [11]
        [query] = queries
        assert query["sql"].count('"snapshot"') == query["sql"].count('."snapshot")') == 1
        # Django 6.1 has no U0, its name for the table of a subquery.
        assert len(re.findall(r'LENGTH\((?:U0|"\w+")\."data"\)', query["sql"])) == 1
        assert query["sql"].count('"data"') == 1


@on_sqlite
def test_a_commit_of_an_update_writes_two_pages_to_the_log_of_sqlite() -> None:
    storage = ORMStorage()
    append(storage, b"one")
    file = Path(connections["default"].settings_dict["NAME"])
    assert pages_written(file, lambda: append(storage, b"two")) == 2


@on_both
class TestLoadDuringChanges:
    """Whatever happens between the two statements of a load, it returns a state that was."""

    def test_a_compaction(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")

        def compact() -> None:
            replace(storage, b"one")
            append(storage, b"two")

        with after_statements(using, {1: compact}):
            stored = async_to_sync(storage.load)("doc")
        assert stored is not None and stored.snapshot == b"one"
        assert rows(stored) == [b"two"]

    def test_another_document_of_the_name(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"old")

        def make_anew() -> None:
            async_to_sync(storage.delete)("doc")
            append(storage, b"new")

        with after_statements(using, {1: make_anew}) as statements:
            assert log(storage) == [b"new"]
        assert len(statements) == 4

    def test_a_deletion(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        delete = async_to_sync(storage.delete)
        with after_statements(using, {1: lambda: delete("doc")}):
            assert async_to_sync(storage.load)("doc") is None

    def test_a_compaction_of_it_loses_nothing_in_any_order_of_changes(self, using: str) -> None:
        orders = (order for length in range(1, 4) for order in product(_Changes.ALL, repeat=length))
        for order in orders:
            changes = _Changes(using)
            changes.append()
            with after_statements(using, {1: partial(changes.make, order)}):
                stored = changes.load()
            changes.compact(stored)
            assert changes.content() == changes.saved, order


class _Changes:
    """Changes of a document and of another one, and the updates that must be stored after them."""

    def __init__(self, using: str) -> None:
        self._storage = ORMStorage(using)
        self._numbers = count()
        self.saved: dict[str, set[bytes]] = {"doc": set(), "other": set()}
        for name in self.saved:
            async_to_sync(self._storage.delete)(name)

    def append(self, name: str = "doc") -> None:
        update = b"%d" % next(self._numbers)
        append(self._storage, update, name=name)
        self.saved[name].add(update)

    def append_to_another(self) -> None:
        self.append("other")

    def load(self, name: str = "doc") -> StoredDocument | None:
        return async_to_sync(self._storage.load)(name)

    def compact(self, stored: StoredDocument | None) -> None:
        if stored is not None:
            async_to_sync(self._storage.replace)("doc", stored, b" ".join(stored.updates))

    def load_and_compact(self) -> None:
        self.compact(self.load())

    def delete(self) -> None:
        async_to_sync(self._storage.delete)("doc")
        self.saved["doc"].clear()

    def make(self, order: Iterable[Callable[[_Changes], None]]) -> None:
        for change in order:
            change(self)

    def content(self) -> dict[str, set[bytes]]:
        return {name: self._content_of(self.load(name)) for name in self.saved}

    def _content_of(self, stored: StoredDocument | None) -> set[bytes]:
        return set() if stored is None else set(b" ".join(stored.updates).split())

    ALL = (append, append_to_another, load_and_compact, delete)


@on_both
class TestFormats:
    """Rows of a later release are not taken for what they are not."""

    def test_an_unknown_format_of_a_row(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one", b"two")
        row = Update.objects.using(using).get(data=b"two")
        row.format = 2
        row.save()
        with pytest.raises(DocumentCorrupt, match=rf"'doc'.*\[{row.pk}\]"):
            log(storage)

    def test_an_unknown_format_of_the_snapshot(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        Document.objects.using(using).update(snapshot_format=3)
        with pytest.raises(DocumentCorrupt, match="snapshot: 3"):
            log(storage)


@on_both
class TestRows:
    def test_they_keep_when_and_by_whom(self, using: str) -> None:
        append(ORMStorage(using), b"one")
        row = Update.objects.using(using).get()
        assert (row.at, row.user_id, row.format) == (START, "7", 1)
        assert str(row) == f"update {row.pk} of document {row.document_id}"
        assert str(row.document) == "doc"

    def test_a_project_without_time_zones(self, using: str, settings: object) -> None:
        settings.USE_TZ = False  # type: ignore[attr-defined]
        storage = ORMStorage(using)
        append(storage, b"one")
        replace(storage)
        append(storage, b"two")
        [info] = async_to_sync(storage.page)("", "", 10)
        assert info.updated_at == START


@on_both
class TestFailures:
    def test_of_a_batch_that_fails_nothing_is_stored(self, using: str) -> None:
        storage = ORMStorage(using)
        bad = entry("bad", b"x")._replace(data=cast(bytes, None))
        with pytest.raises(Exception, match=r"(?i)null"):
            async_to_sync(storage.append)([entry(), bad])
        assert not exists(storage)

    def test_the_error_of_the_driver_is_the_cause(self, using: str) -> None:
        storage = ORMStorage(using)
        append(storage, b"one")
        limits = {"default": "PRAGMA busy_timeout = 50", "postgres": "SET lock_timeout = 50"}

        def refused() -> None:
            with connections[using].cursor() as cursor:
                cursor.execute(limits[using])
            with pytest.raises(StorageUnavailable, match=using) as raised:
                append(storage, b"two")
            assert isinstance(raised.value.__cause__, OperationalError)

        with transaction.atomic(using):
            async_to_sync(storage.delete)("doc")
            elsewhere(refused)


@on_sqlite
def test_a_database_that_returns_no_columns_of_insertions(monkeypatch: pytest.MonkeyPatch) -> None:
    # As SQLite before 3.35.
    monkeypatch.setattr(connections["default"].features, "can_return_columns_from_insert", False)
    storage = ORMStorage()
    append(storage, b"one")
    append(storage, b"two")
    id = async_to_sync(storage.append)([entry(data=b"three")])["doc"]
    async_to_sync(storage.append)([entry(data=b"four")._replace(document_id=id)])
    assert log(storage) == [b"four", b"one", b"three", b"two"]
