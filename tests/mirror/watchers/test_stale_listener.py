"""Lost changes of rows that were written anew meanwhile are reported to members that return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone
from pycrdt import Doc, Map, Text

from collab import documents
from collab.engine.hub.current import current_hub
from collab.engine.hub.loader import room_watchers
from collab.mirror.history import refresh as refreshing
from collab.mirror.history.past import Pasts, touches
from collab.mirror.history.refresh import arrive, refresh, stay
from collab.mirror.models import MirroredDocument, MirroredRefresh
from collab.mirror.watchers import room_watcher
from collab.mirror.watchers.worker import current_worker
from collab.protocol.yjs.validation import check_structure
from collab_storage.updates import state_vector
from tests.harness.waiting import until
from tests.mirror.boards import name_of
from tests.mirror.databases import on_both, served_from
from tests.mirror.history.test_refresh import age, worn_board
from tests.mirror.watchers.test_rows_listener import refusal, row, rows, stored, visit
from tests.rows.models import Board, Task

pytestmark = on_both


@pytest.fixture(autouse=True)
async def everything(using: str, transactional_db: None) -> AsyncIterator[None]:
    async with served_from(using):
        yield


@pytest.fixture
def board(everything: None) -> Board:
    return worn_board()


@pytest.fixture
def task(board: Board) -> Task:
    return Task.objects.latest("pk")


@pytest.fixture
def old(board: Board) -> Doc[Any]:
    """A client's document; after that the rows are written anew."""
    doc = documents.read(name_of(board))
    assert refresh(name_of(board))
    return doc


def of(doc: Doc[Any], task: Task) -> Any:
    return doc.get("tasks", type=Map)[str(task.pk)]


async def settled(board: Board) -> None:
    """Wait until the room has dealt with all that members have sent."""
    room = current_hub().rooms[name_of(board), True]
    for watcher in room.watchers:
        await watcher.settle()


async def test_lost_values_are_reported(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["title"] = "offline"
    of(old, task)["body"].insert(0, "my ")
    del of(old, task)["state"]
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
        assert row(ann, task)["title"] == task.title
    assert frame["response_status"] == 409
    assert frame["errors"] == ["This was changed in a version of the document that is too old."]
    assert frame["data"]["map"] == "tasks"
    assert frame["data"]["key"] == str(task.pk)
    assert frame["data"]["fields"].keys() == {"title", "body", "state"}
    assert frame["data"]["values"] == {"title": "offline", "body": "my text ünd more"}
    await task.arefresh_from_db()
    assert task.title != "offline"
    assert (await stored(board))[str(task.pk)]["title"] == task.title


async def test_lost_deletion_is_reported(board: Board, task: Task, old: Doc[Any]) -> None:
    old.get("tasks", type=Map).pop(str(task.pk))
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
        assert str(task.pk) in rows(ann)
    assert frame["data"]["fields"].keys() == {""}
    assert await Task.objects.filter(pk=task.pk).aexists()


async def test_other_members_receive_no_report(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["title"] = "offline"
    async with visit(board) as bob, visit(board, doc=old) as ann:
        await refusal(ann)
        row(bob, task)["title"] = "now"
        await ann.wait_until(lambda: row(ann, task)["title"] == "now")
        await settled(board)
        assert not bob.errors
        assert len(ann.errors) == 1
    await task.arefresh_from_db()
    assert task.title == "now"


async def test_a_stale_client_without_changes_receives_no_report(
    board: Board, old: Doc[Any]
) -> None:
    async with visit(board, doc=old) as ann:
        await settled(board)
        await ann.wait_until(lambda: len(rows(ann)) == 8)
        await settled(board)
        assert not ann.errors


async def test_a_client_that_knows_the_refresh_receives_no_report(
    board: Board, task: Task, old: Doc[Any]
) -> None:
    async with visit(board, doc=old):
        pass
    row_ = of(old, task)
    row_["title"] = "offline"
    old.get("tasks", type=Map).pop(str((await Task.objects.aearliest("pk")).pk))
    async with visit(board, doc=old) as ann:
        await settled(board)
        assert not ann.errors
    await task.arefresh_from_db()
    assert task.title == "offline"
    assert await Task.objects.acount() == 7


async def test_other_changes_arrive(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["title"] = "offline"
    text: Text = old.get("text", type=Text)
    text += ", too"
    key = "11111111-1111-4111-8111-111111111111"
    old.get("tasks", type=Map)[key] = Map({"title": "mine"})
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
        assert frame["data"]["values"] == {"title": "offline"}
        await settled(board)
    assert len(ann.errors) == 1
    assert await Task.objects.filter(title="mine").aexists()
    doc = await documents.aread(name_of(board))
    assert str(doc.get("text", type=Text)) == "beside, too"


async def test_row_that_was_left_as_it_was_may_still_be_changed(board: Board) -> None:
    key = str((await Task.objects.aearliest("pk")).pk)
    other = str((await Task.objects.alatest("pk")).pk)
    async with documents.aedit(name_of(board)) as doc:
        doc.get("tasks", type=Map)[key]["body"].insert_embed(0, {"image": "x"})
    old = await documents.aread(name_of(board))
    assert await sync_to_async(refresh)(name_of(board))
    tasks: Map[Any] = old.get("tasks", type=Map)
    with old.transaction():
        tasks[key]["title"] = tasks[other]["title"] = "offline"
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
        await settled(board)
    assert frame["data"]["key"] == other
    assert len(ann.errors) == 1
    assert (await Task.objects.aget(title="offline")).pk == int(key)


# What is not known any more, or cannot be found out.

_GENERAL = "Rows were changed in a version of the document that is too old; these changes are lost."


async def forget(board: Board) -> None:
    await MirroredRefresh.objects.aupdate(at=timezone.now() - timedelta(days=91))


async def test_a_loss_is_reported_even_if_its_content_is_not_known(
    board: Board, task: Task, old: Doc[Any]
) -> None:
    await forget(board)
    of(old, task)["title"] = "offline"
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert frame["action"] == "rows"
    assert frame["errors"] == [_GENERAL]


async def test_old_deletions_are_not_taken_for_lost_changes(board: Board, old: Doc[Any]) -> None:
    await forget(board)
    async with visit(board, doc=old) as ann:
        await settled(board)
        assert not ann.errors


async def test_error_while_losses_are_traced_is_logged_and_reported(
    board: Board, task: Task, old: Doc[Any], caplog: pytest.LogCaptureFixture
) -> None:
    await MirroredRefresh.objects.aupdate(content=b"nonsense")
    of(old, task)["title"] = "offline"
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert frame["errors"] == [_GENERAL]
    assert "Lost edits of rows could not be determined" in caplog.text


# Update after update.


def late_updates(old: Doc[Any], *changes: Callable[[], None]) -> list[bytes]:
    """Return an update for each of the changes of ``old``."""
    updates = []
    for change in changes:
        state = old.get_state()
        change()
        updates.append(old.get_update(state))
    return updates


def test_changes_that_build_on_lost_ones_are_reported_too(
    board: Board, task: Task, old: Doc[Any]
) -> None:
    body, found = of(old, task)["body"], MirroredRefresh.objects.get()
    pasts = Pasts(name_of(board), [found])
    one, two, three = late_updates(
        old,
        lambda: body.insert(0, "a"),
        lambda: body.insert(1, "b"),
        lambda: old.get("text", type=Text).insert(0, "beside"),
    )
    assert touches(found, check_structure(one))
    for update, text in ((one, "atext"), (two, "abtext")):
        changes, is_unknown = pasts.apply(check_structure(update))
        (values,) = changes.values()
        assert values["body"].startswith(text)
        assert not is_unknown
        assert pasts.apply(check_structure(update)) == ({}, False)
    assert pasts.apply(check_structure(three)) == ({}, False)
    other = Doc[Any]()
    other["text"] = Text("other")
    news = check_structure(other.get_update())
    assert Pasts(name_of(board), [found]).apply(news) == ({}, False)


async def test_much_that_is_late_is_not_kept_in_memory(
    board: Board, task: Task, old: Doc[Any]
) -> None:
    of(old, task)["title"] = "x" * 10_000
    with override_settings(COLLAB={**settings.COLLAB, "MAX_PENDING": 5_000}):
        async with visit(board, doc=old) as ann:
            frame = await refusal(ann)
    assert frame["data"]["values"] == {"title": "x" * 10_000}


async def test_large_late_changes_are_reported(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["body"].insert(0, "x" * 70_000)
    async with visit(board, doc=old) as ann:
        frame = await refusal(ann)
    assert frame["data"]["values"]["body"].startswith("xxx")


async def test_room_is_kept_until_all_are_informed(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["title"] = "offline"
    goes_on = threading.Event()
    async with visit(board), visit(board, doc=old) as ann:
        room = current_hub().rooms[name_of(board), True]
        held = asyncio.create_task(current_worker().run(goes_on.wait))
        await until(lambda: any(watcher.is_busy for watcher in room.watchers))
        settling = asyncio.create_task(settled(board))
        await asyncio.sleep(0)
        goes_on.set()
        await settling
        await held
        await refusal(ann)


async def test_tracing_ends_with_the_room(board: Board, task: Task, old: Doc[Any]) -> None:
    of(old, task)["title"] = "offline"
    goes_on = threading.Event()
    async with visit(board), visit(board, doc=old):
        (watcher,) = current_hub().rooms[name_of(board), True].watchers
        assert isinstance(watcher, room_watcher.RoomWatcher)
        held = asyncio.create_task(current_worker().run(goes_on.wait))
        await until(lambda: watcher._stale.is_busy)
        watcher._stale.close()
        await until(lambda: not watcher._stale.is_busy)
        goes_on.set()
        await held


# While it is open.


async def test_document_is_refreshed_when_it_is_opened(board: Board) -> None:
    before = await documents.aread(name_of(board))
    await sync_to_async(age)(board, hours=25)
    async with visit(board) as ann:
        await ann.wait_until(lambda: len(rows(ann)) == 8)
        assert len(ann.doc.get_update()) < len(before.get_update()) / 2
    assert await MirroredRefresh.objects.acount() == 1


async def test_open_document_is_not_refreshed(board: Board) -> None:
    async with visit(board):
        await MirroredDocument.objects.aupdate(opened_at=None)
        assert not await sync_to_async(refresh)(name_of(board))


async def wait_until_noted(board: Board) -> None:
    record = MirroredDocument.objects.filter(name=name_of(board))
    await record.aupdate(opened_at=None)
    await until(record.exclude(opened_at=None).aexists)


async def test_an_open_document_is_recorded(
    board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [OperationalError("away")]

    def fail_once(name: str) -> None:
        if failures:
            raise failures.pop()
        stay(name)

    monkeypatch.setattr(room_watcher, "stay", fail_once)
    monkeypatch.setattr(refreshing, "CLOSED_TIME", 0.1)
    async with visit(board):
        await wait_until_noted(board)
        await wait_until_noted(board)
    assert "Open document could not be recorded (OperationalError)" in caplog.text


async def test_old_maps_that_another_process_replaces_meanwhile_are_not_shown(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def arrive_elsewhere(name: str) -> None:
        with monkeypatch.context() as patch:
            # What that process stores does not come to this one.
            patch.setattr("collab.engine.hub.working_copies.live_hubs", list)
            await current_worker().run(partial(arrive, name))

    room_watchers.insert(0, arrive_elsewhere)
    try:
        async with visit(board):
            found = current_hub().rooms[name_of(board), True].doc.get_state()
            doc = await documents.aread(name_of(board))
    finally:
        room_watchers.remove(arrive_elsewhere)
    assert await MirroredRefresh.objects.acount() == 1
    assert state_vector(found) == state_vector(doc.get_state())


async def test_room_without_rows_has_nothing_to_look_for() -> None:
    assert await room_watcher.watch("nonsense") is None
