"""Changes are delivered in the background, and a receiver that hangs holds up its document only."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest
from django.db import OperationalError, connections
from pycrdt import Text

from collab import documents
from collab.documents.changes import dispatcher as module
from collab.documents.changes.change import Change
from collab.documents.changes.deliverer import Deliverer
from collab.documents.changes.dispatcher import Dispatcher
from collab.documents.changes.recorder import start_delivering
from collab.documents.registry import Registry
from collab_storage.event_queue import Lease
from collab_storage.models import EventLease, QueuedEvent
from tests.harness.waiting import poll_until
from tests.projects.documents import Validated, calls, on_call

pytestmark = pytest.mark.django_db(transaction=True)

#: More seconds than anything here takes on a machine that is not dead.
DEADLINE = 60


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher()
    dispatcher.start()
    yield dispatcher
    dispatcher.stop(DEADLINE)
    assert not [
        thread
        for thread in threading.enumerate()
        if thread.name in ("collab-changes", "collab-receiver")
    ]


@pytest.fixture(autouse=True)
def forgotten_calls() -> Iterator[None]:
    yield
    calls.clear()
    on_call.clear()


def write(pk: int, text: str = "a") -> None:
    with documents.edit(f"recorded/{pk}") as doc:
        doc.get("text", type=Text).insert(0, text)


def changed() -> list[int]:
    return [call[1] for call in calls if call[0] == "changed"]


def test_changes_are_delivered_in_threads_of_their_own(dispatcher: Dispatcher) -> None:
    threads: list[str] = []
    on_call.append(lambda change: threads.append(threading.current_thread().name))
    for pk in range(10):
        write(pk)
    poll_until(lambda: len(changed()) == 10)
    assert sorted(changed()) == list(range(10))
    assert set(threads) == {"collab-receiver"}


def test_a_change_recorded_later_is_found_when_it_is_due(dispatcher: Dispatcher) -> None:
    write(1)
    poll_until(lambda: changed() == [1])
    write(2)
    dispatcher.look_within(0)
    poll_until(lambda: changed() == [1, 2])


def test_a_receiver_that_hangs_holds_up_its_document_only(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.projects.documents.Recorded.atomic", False)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(change: Change) -> None:
        if change.kwargs == {"pk": 1} and not go_on.is_set():
            hangs.set()
            assert go_on.wait(DEADLINE)

    on_call.append(hang)
    write(1)
    assert hangs.wait(DEADLINE)
    write(1, "meanwhile ")
    for pk in range(2, 8):
        write(pk)
    poll_until(lambda: len(changed()) == 7)
    assert changed().count(1) == 1, "one call at a time for a document"
    go_on.set()
    poll_until(lambda: changed().count(1) == 2)
    assert calls[-1] == ("changed", 1, "meanwhile a", [])


def test_a_validation_that_hangs_holds_up_its_document_only(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def validate(self: Validated, doc: object, user: object, key: str) -> None:
        if key == "hangs":
            hangs.set()
            assert go_on.wait(DEADLINE)

    monkeypatch.setattr(Validated, "validate", validate)
    # In a transaction, it would keep the database of SQLite locked.
    monkeypatch.setattr(Validated, "atomic", False)

    def type_into(key: str) -> None:
        with documents.edit(f"validated/{key}") as doc:
            doc.get("text", type=Text).insert(0, "a")
        dispatcher.look_within(0)

    type_into("hangs")
    assert hangs.wait(DEADLINE)
    for number in range(6):
        type_into(f"{number}")
    write(1)
    expected = [("changed", f"{number}", "a") for number in range(6)]
    poll_until(lambda: all(call in calls for call in expected) and 1 in changed())
    assert ("changed", "hangs", "a") not in calls
    go_on.set()
    poll_until(lambda: ("changed", "hangs", "a") in calls)


def test_receivers_of_a_type_that_all_hang_hold_up_no_other_type(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tests.projects.documents.Recorded.atomic", False)
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(module, "_SLOW_AFTER", 0.0)
    monkeypatch.setattr(module, "_REPORTED_AFTER", 0.0)
    monkeypatch.setattr(module, "_WORKERS", 2)
    monkeypatch.setattr(module, "_MAX_SLOW", 3)
    hanging, go_on = threading.Semaphore(0), threading.Event()

    def hang(change: Change) -> None:
        if "pk" in change.kwargs:
            hanging.release()
            assert go_on.wait(DEADLINE)

    on_call.append(hang)
    for pk in range(10):
        write(pk)
    dispatcher.look_within(0)
    for _ in range(3):
        assert hanging.acquire(timeout=DEADLINE)
    with documents.edit("recorded/async/a") as doc:
        doc.get("text", type=Text).insert(0, "a")
    poll_until(lambda: ("changed", "a") in [call[:2] for call in calls])
    assert len([call for call in calls if call[0] == "changed"]) < 10
    # None is slow any more, so some workers are one too many.
    monkeypatch.setattr(module, "_SLOW_AFTER", 3600.0)
    go_on.set()
    poll_until(lambda: set(changed()) == {*range(10), "a"})
    reports = [record for record in caplog.records if "has been running" in record.getMessage()]
    assert {vars(record)["room"] for record in reports} >= {"recorded/0", "recorded/1"}


def test_more_than_are_looked_up_at_once_are_delivered_without_a_pause(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    monkeypatch.setattr(module, "POLL_INTERVAL", 3600.0)
    for pk in range(7):
        write(pk)
    request.getfixturevalue("dispatcher")
    poll_until(lambda: sorted(changed()) == [*range(7)])


def test_stopping_waits_for_workers_that_close_their_connections(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    closing, go_on, close = threading.Event(), threading.Event(), connections.close_all

    def close_late() -> None:
        if threading.current_thread().name == "collab-receiver":
            closing.set()
            assert go_on.wait(DEADLINE)
        close()

    monkeypatch.setattr(connections, "close_all", close_late)
    write(1)
    dispatcher = request.getfixturevalue("dispatcher")
    assert closing.wait(DEADLINE)
    stopping = threading.Thread(target=dispatcher.stop, args=(DEADLINE,))
    stopping.start()
    stopping.join(0.1)
    assert stopping.is_alive()
    go_on.set()
    stopping.join(DEADLINE)
    assert not stopping.is_alive()


def test_a_thread_that_was_woken_does_not_miss_that_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL", 3600.0)
    dispatcher = Dispatcher()

    class Wake(threading.Event):
        is_last = False

        def clear(self) -> None:
            if self.is_last:
                stopping = threading.Thread(target=dispatcher.stop, args=(0,))
                stopping.start()
                stopping.join()
            super().clear()

    dispatcher._wake = wake = Wake()
    write(1)
    dispatcher.start()
    thread = dispatcher._thread
    assert thread is not None
    poll_until(lambda: changed() == [1])
    wake.is_last = True
    wake.set()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    dispatcher.stop(DEADLINE)


def test_changes_enqueued_when_it_was_stopped_are_delivered_after_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.projects.documents.Recorded.atomic", False)
    monkeypatch.setattr(module, "_WORKERS", 1)
    dispatcher, hangs, go_on = Dispatcher(), threading.Event(), threading.Event()

    def hang(change: Change) -> None:
        hangs.set()
        assert go_on.wait(DEADLINE)

    on_call.append(hang)
    write(1)
    write(2)
    dispatcher.start()
    assert hangs.wait(DEADLINE)
    poll_until(lambda: len(dispatcher._busy) == 2)
    dispatcher.stop(0)
    go_on.set()
    dispatcher.start()
    dispatcher.look_within(0)
    poll_until(lambda: set(changed()) == {1, 2})
    dispatcher.stop(DEADLINE)


def test_the_lease_of_a_receiver_that_takes_long_is_prolonged(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.projects.documents.Recorded.atomic", False)
    monkeypatch.setattr(Deliverer, "LEASE_TIME", 3.0)
    hangs, go_on = threading.Event(), threading.Event()
    on_call.extend([lambda change: hangs.set(), lambda change: go_on.wait(DEADLINE)])
    write(1)
    assert hangs.wait(DEADLINE)
    first = EventLease.objects.get().until
    poll_until(lambda: EventLease.objects.get().until > first)
    go_on.set()
    poll_until(lambda: not EventLease.objects.exists())


def test_a_database_that_is_away_is_asked_again(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([OperationalError("away"), OperationalError("away")])

    def due(self: Deliverer, limit: int, *, wait: bool = True) -> list[str]:
        for failure in failures:
            raise failure
        return real(self, limit, wait=wait)

    real = Deliverer.due
    monkeypatch.setattr(Deliverer, "due", due)
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.01)
    dispatcher.look_within(0)
    write(1)
    poll_until(lambda: changed() == [1])
    # Once a minute at most.
    assert [record.getMessage() for record in caplog.records] == [
        "Changed documents cannot be looked up (OperationalError: away); next attempts every"
        " 0.01 s."
    ]


def test_changes_are_delivered_after_a_time_without_threads(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.01)
    start, failed = threading.Thread.start, list[threading.Thread]()

    def fail(thread: threading.Thread) -> None:
        if thread.name == "collab-receiver" and len(failed) < 10:
            failed.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    write(1)
    poll_until(lambda: changed() == [1])
    assert len(failed) == 10
    assert caplog.messages == [
        "Changed documents cannot be looked up (RuntimeError: can't start new thread);"
        " next attempts every 0.01 s."
    ]


def test_a_worker_that_ends_is_replaced(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WORKERS", 1)
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(Deliverer, "LEASE_TIME", 0.0)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: ended.append(arguments))
    ended: list[object] = []

    def interrupt(change: Change) -> None:
        on_call.clear()
        raise KeyboardInterrupt

    on_call.append(interrupt)
    write(1)
    poll_until(lambda: ended)
    dispatcher.look_within(0)
    poll_until(lambda: changed() == [1, 1])


def test_a_name_whose_type_cannot_be_found_holds_up_no_other(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(module, "type_of", fail)
    write(1)
    write(2)
    dispatcher.look_within(0)
    poll_until(lambda: set(changed()) == {1, 2})


def test_nothing_is_delivered_once_it_is_stopped() -> None:
    dispatcher = Dispatcher()
    dispatcher.stop(0)
    dispatcher.start()
    dispatcher.start()
    dispatcher.stop(DEADLINE)
    write(1)
    dispatcher.look_within(0)
    assert QueuedEvent.objects.exists()
    assert calls == []


def test_a_process_without_receivers_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collab.documents.registry._registrations", Registry())
    start_delivering()
    assert not [thread for thread in threading.enumerate() if thread.name == "collab-changes"]


def test_a_document_that_waits_for_a_worker_is_enqueued_once(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.projects.documents.Recorded.atomic", False)
    monkeypatch.setattr(module, "_WORKERS", 1)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(change: Change) -> None:
        hangs.set()
        assert go_on.wait(DEADLINE)

    on_call.append(hang)
    write(1)
    assert hangs.wait(DEADLINE)
    write(2)
    looked = threading.Semaphore(0)
    real = Deliverer.renew

    def renew(self: Deliverer, leases: Iterable[Lease]) -> None:
        looked.release()
        real(self, leases)

    monkeypatch.setattr(Deliverer, "renew", renew)
    monkeypatch.setattr(Deliverer, "LEASE_TIME", 0.03)
    monkeypatch.setattr(module, "POLL_INTERVAL", 0.01)
    dispatcher.look_within(0)
    for _ in range(4):
        assert looked.acquire(timeout=DEADLINE)
    go_on.set()
    poll_until(lambda: set(changed()) == {1, 2})
    assert changed().count(2) == 1
