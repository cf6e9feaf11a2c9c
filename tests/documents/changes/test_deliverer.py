"""Each stored change of a document reaches its type's methods, until one call has succeeded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connections, transaction
from django.dispatch import receiver
from django.test import Client
from django.utils import timezone
from pycrdt import Text

from collab import documents, signals
from collab.documents.changes.change import Change
from collab.documents.changes.deliverer import Deliverer
from collab_storage.event_queue import EventQueue
from collab_storage.models import EventLease, QueuedEvent
from tests.projects.documents import Recorded, RecordedFiles, calls, on_call

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget_calls() -> Iterator[None]:
    yield
    calls.clear()
    on_call.clear()


def write(name: str, text: str, user: Any = None) -> None:
    with documents.edit(name, user=user) as doc:
        doc.get("text", type=Text).insert(0, text)


#: A user of an identity provider, say, with a key of another kind.
service = SimpleNamespace(pk="service-1", is_authenticated=True)


def deliver(*, wait: bool = True) -> int:
    return Deliverer().deliver_all(wait=wait)


def fail(change: Change) -> None:
    raise ZeroDivisionError("secret of a document")


def rewind(model: Any, **fields: timedelta) -> None:
    """Move stored times into the past."""
    for row in model.objects.all():
        for field, earlier in fields.items():
            setattr(row, field, getattr(row, field) - earlier)
        row.save()


def test_a_new_document_is_created_and_changed() -> None:
    write("recorded/5", "Hello")
    assert calls == []
    assert deliver() == 1
    assert calls == [("created", 5), ("changed", 5, "Hello", [])]
    assert deliver() == 0


def test_changes_in_one_pause_are_one_call_with_all_users() -> None:
    ann, bob = User.objects.create(username="ann"), User.objects.create(username="bob")
    write("recorded/5", "a", ann)
    write("recorded/5", "b", bob)
    write("recorded/5", "c", ann)
    change_users = []
    on_call.append(lambda change: change_users.extend(change.users))
    deliver()
    assert calls[-1] == ("changed", 5, "cba", [str(ann.pk), str(bob.pk)])
    assert change_users == [ann, bob]


def test_changes_that_a_clock_has_recorded_in_the_future_do_not_wait_for_it() -> None:
    write("recorded/5", "Hello")
    hour = timedelta(hours=-1)
    rewind(QueuedEvent, at=hour, quiet_at=hour, latest_at=hour)
    assert deliver() == 1


@pytest.mark.parametrize(("years", "delivered"), [(0, 0), (1, 1)])
def test_a_lease_that_ends_in_a_year_has_run_out(years: int, delivered: int) -> None:
    """The clock of its process was ahead; the process has died since."""
    write("recorded/5", "Hello")
    EventQueue().lease("recorded/5", 3600)
    rewind(EventLease, until=-years * timedelta(days=365))
    assert deliver() == delivered


def test_a_users_name_is_gone_with_the_user() -> None:
    ann = User.objects.create(username="ann")
    write("recorded/5", "a", ann)
    ann.delete()
    found: list[Any] = []
    on_call.append(lambda change: found.append(change.users))
    deliver()
    assert found == [[]]


def test_a_user_whom_the_model_of_users_cannot_have_is_known_by_the_key_alone() -> None:
    write("recorded/5", "a", service)
    found: list[Any] = []
    on_call.append(lambda change: found.append((change.user_ids, change.users)))
    deliver()
    assert found == [(["service-1"], [])]


def test_a_coroutine_function_is_called_outside_of_a_transaction() -> None:
    write("recorded/async/a", "Hello")
    deliver()
    assert calls == [("changed", "a", "Helloa")]


def test_a_change_knows_its_document_and_since_when_it_is() -> None:
    before = timezone.now()
    write("recorded/5", "Hello")
    found: list[Change] = []
    on_call.append(found.append)
    deliver()
    [change] = found
    assert (change.name, change.kwargs) == ("recorded/5", {"pk": 5})
    assert before <= change.since <= timezone.now()
    assert repr(change) == "<Change of 'recorded/5'>"


def test_a_deleted_document_has_not_changed() -> None:
    write("recorded/5", "Hello")
    documents.delete("recorded/5")
    deliver()
    assert calls == [("deleted", 5)]


def test_a_document_that_is_made_anew_is_created() -> None:
    write("recorded/5", "Hello")
    deliver()
    calls.clear()
    documents.delete("recorded/5")
    write("recorded/5", "again")
    deliver()
    assert calls == [("created", 5), ("changed", 5, "again", [])]


def test_changes_made_before_a_document_is_renamed_are_delivered_under_its_new_name() -> None:
    write("recorded/5", "Hello")
    documents.rename("recorded/5", "recorded/6")
    assert deliver() == 1
    assert calls == [
        ("renamed", 6, "recorded/5"),
        ("created", 6),
        ("changed", 6, "Hello", []),
    ]
    assert not EventLease.objects.exists()


def test_a_document_that_is_renamed_while_its_receiver_fails_is_delivered_under_its_new_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Recorded, "atomic", False)
    write("recorded/5", "Hello")

    def rename(change: Change) -> None:
        on_call.clear()
        documents.rename("recorded/5", "recorded/6")
        raise ZeroDivisionError

    on_call.append(rename)
    assert deliver() == 1
    assert calls[-1] == ("changed", 6, "Hello", [])
    assert not EventLease.objects.exists()


@pytest.mark.parametrize("error", [SystemExit, BaseException])
def test_an_error_of_any_class_is_a_failure(error: type[BaseException]) -> None:
    write("recorded/5", "Hello")

    def end(change: Change) -> None:
        on_call.clear()
        raise error

    on_call.append(end)
    assert deliver() == 0
    assert EventLease.objects.get().attempts == 1


@pytest.mark.parametrize("atomic", [True, False])
def test_a_receiver_may_close_its_database_connection(
    atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "atomic", atomic)
    write("recorded/5", "Hello")
    on_call.append(lambda change: connections["default"].close())
    # In a transaction it has lost what it wrote, so it is called again.
    assert deliver() == (0 if atomic else 1)
    assert [lease.attempts for lease in EventLease.objects.all()] == ([1] if atomic else [])


def test_a_receiver_that_misses_another_document_fails(caplog: pytest.LogCaptureFixture) -> None:
    write("recorded/5", "Hello")
    on_call.append(lambda change: documents.read("elsewhere"))
    assert deliver() == 0
    assert EventLease.objects.get().error == "DocumentNotFound"


def test_an_interrupt_ends_the_delivery() -> None:
    write("recorded/5", "Hello")

    def interrupt(change: Change) -> None:
        raise KeyboardInterrupt

    on_call.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        deliver()


def test_a_document_that_is_gone_by_now_has_not_changed(caplog: pytest.LogCaptureFixture) -> None:
    write("recorded/5", "Hello")
    # Its new name is of no interest to any receiver, so nothing follows it there.
    documents.rename("recorded/5", "elsewhere")
    assert deliver() == 1
    assert calls == [("created", 5)]
    assert not EventLease.objects.exists()
    assert caplog.records == []


def test_a_renamed_document_receives_its_old_name() -> None:
    write("recorded/5", "Hello")
    deliver()
    calls.clear()
    documents.rename("recorded/5", "recorded/6")
    deliver()
    assert calls == [("renamed", 6, "recorded/5")]


def test_changes_of_a_rolled_back_transaction_are_not_delivered() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        write("recorded/5", "Hello")
        raise ZeroDivisionError
    assert not QueuedEvent.objects.exists()


def test_documents_without_a_receiver_cost_no_row() -> None:
    write("recorded/files/a", "Hello")
    write("elsewhere", "Hello")
    assert not QueuedEvent.objects.exists()


def test_signals_reach_receivers_of_documents_without_a_type() -> None:
    got: list[Any] = []

    @receiver(signals.document_changed)
    def changed(sender: Any, name: str, change: Change, **kwargs: Any) -> None:
        got.append((sender, name, str(change.doc.get("text", type=Text))))

    @receiver(signals.document_renamed)
    def renamed(sender: Any, name: str, old: str, **kwargs: Any) -> None:
        got.append((sender, name, old))

    try:
        write("elsewhere", "Hello")
        write("recorded/5", "Hello")
        deliver(wait=False)
        documents.rename("elsewhere", "moved")
        deliver(wait=False)
    finally:
        signals.document_changed.disconnect(changed)
        signals.document_renamed.disconnect(renamed)
    assert got == [
        (None, "elsewhere", "Hello"),
        (Recorded, "recorded/5", "Hello"),
        (None, "moved", "elsewhere"),
    ]


def test_a_receiver_that_fails_is_called_again_later(caplog: pytest.LogCaptureFixture) -> None:
    write("recorded/5", "Hello")
    on_call.append(fail)
    assert deliver() == 0
    assert len(calls) == 2
    [record] = caplog.records
    assert record.getMessage() == (
        "A receiver of a changed document failed (attempt 1); next attempt in 5 s."
    )
    assert vars(record)["room"] == "recorded/5"

    on_call.clear()
    assert deliver() == 0, "before its time"
    rewind(EventLease, until=timedelta(seconds=6))
    assert deliver() == 1
    assert calls[-1] == ("changed", 5, "Hello", [])
    assert not QueuedEvent.objects.exists() and not EventLease.objects.exists()


def test_rows_that_a_receiver_wrote_before_it_failed_are_rolled_back() -> None:
    write("recorded/5", "Hello")
    on_call.extend([lambda change: User.objects.create(username="ann"), fail])
    deliver()
    assert not User.objects.exists()
    on_call.pop()
    rewind(EventLease, until=timedelta(seconds=6))
    deliver()
    assert User.objects.count() == 1


def test_a_receiver_that_goes_on_failing_is_given_up_for_people_to_see(
    caplog: pytest.LogCaptureFixture,
) -> None:
    write("recorded/5", "Hello")
    on_call.append(fail)
    attempts = 0
    while QueuedEvent.objects.exists():
        deliver()
        attempts += 1
        rewind(EventLease, until=timedelta(hours=5))
    assert attempts == 16
    assert caplog.records[-1].getMessage().endswith("(attempt 16); it is given up.")
    [lease] = EventLease.objects.all()
    assert lease.given_up_at is not None
    assert lease.error == "ZeroDivisionError", "and no word of what the document holds"

    on_call.clear()
    write("recorded/5", "Well, ")
    assert deliver() == 1
    assert calls[-1] == ("changed", 5, "Well, Hello", [])
    assert not EventLease.objects.exists()


def test_a_document_that_another_process_deals_with_is_left_alone() -> None:
    write("recorded/5", "Hello")
    ours, theirs = Deliverer(), Deliverer()
    inside: list[bool] = []
    on_call.append(lambda change: inside.append(theirs.deliver("recorded/5")))
    assert ours.deliver("recorded/5")
    assert inside == [False]
    assert len(calls) == 2


def test_a_lease_runs_out_when_its_process_has_died() -> None:
    write("recorded/5", "Hello")
    on_call.append(lambda change: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        deliver()
    on_call.clear()
    assert deliver() == 0
    rewind(EventLease, until=timedelta(seconds=Deliverer.LEASE_TIME + 1))
    assert deliver() == 1


def test_a_receiver_whose_lease_has_run_out_does_not_count(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "atomic", False)
    write("recorded/5", "Hello")
    on_call.append(lambda change: EventLease.objects.all().delete())
    assert Deliverer().deliver("recorded/5") is False
    assert "another process has its change" in caplog.text
    on_call.clear()
    assert deliver() == 1


def test_a_change_during_the_call_is_another_change() -> None:
    def again(change: Change) -> None:
        on_call.clear()
        write("recorded/5", "again, ")

    write("recorded/5", "Hello")
    on_call.append(again)
    deliver()
    assert [call[:3] for call in calls if call[0] == "changed"] == [
        ("changed", 5, "Hello"),
        ("changed", 5, "again, Hello"),
    ]


def test_a_change_is_delivered_when_the_pause_of_its_document_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Recorded, "change_delay", 100.0)
    monkeypatch.setattr(Recorded, "change_max_delay", 1000.0)
    write("recorded/5", "a")
    rewind(QueuedEvent, quiet_at=timedelta(seconds=101), latest_at=timedelta(seconds=101))
    write("recorded/5", "b")
    assert deliver() == 0, "it has just changed again"
    rewind(QueuedEvent, latest_at=timedelta(seconds=900))
    assert deliver() == 1, "but this long nobody waits"


def test_all_can_be_delivered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "change_delay", 100.0)
    write("recorded/5", "a")
    assert deliver() == 0
    assert deliver(wait=False) == 1


def test_a_database_that_is_away_leaves_the_change_to_the_next_attempt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write("recorded/5", "a")

    def away(self: EventQueue, name: str) -> list[QueuedEvent]:
        raise OperationalError("secret address of the database")

    with monkeypatch.context() as patched:
        patched.setattr(EventQueue, "events", away)
        assert deliver() == 0
    [record] = caplog.records
    assert record.getMessage() == (
        "Changes of a document cannot be delivered now (OperationalError)."
    )
    rewind(EventLease, until=timedelta(seconds=Deliverer.LEASE_TIME + 1))
    assert deliver() == 1


def test_a_lease_without_events_ends() -> None:
    assert Deliverer().deliver("recorded/5")
    assert calls == []
    assert not EventLease.objects.exists()


def test_people_see_what_was_given_up_and_try_it_again(admin_client: Client) -> None:
    write("recorded/5", "a")
    on_call.append(fail)
    deliver()
    EventLease.objects.update(attempts=15, until=timezone.now())
    deliver()
    page = admin_client.get("/admin/collab_storage/eventlease/?given_up_at__isempty=0")
    assert "recorded/5" in page.text
    assert "ZeroDivisionError" in page.text
    assert "secret of a document" not in page.text
    on_call.clear()
    calls.clear()
    [lease] = EventLease.objects.all()
    chosen = {"action": "try_again", "_selected_action": [lease.pk]}
    admin_client.post("/admin/collab_storage/eventlease/", chosen)
    assert deliver() == 1
    assert calls == [("changed", 5, "a", [])]
    assert str(lease) == "recorded/5"
    assert admin_client.get("/admin/collab_storage/eventlease/add/").status_code == 403


def test_a_user_who_may_only_view_failed_changes_tries_none_again(client: Client) -> None:
    write("recorded/5", "a")
    on_call.append(fail)
    deliver()
    [lease] = EventLease.objects.all()
    until = lease.until
    viewer = User.objects.create(username="viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_eventlease"))
    client.force_login(viewer)
    url = "/admin/collab_storage/eventlease/"
    assert "recorded/5" in client.get(url).text
    client.post(url, {"action": "try_again", "_selected_action": [lease.pk]})
    lease.refresh_from_db()
    assert lease.until == until


def test_an_event_says_what_has_happened() -> None:
    write("recorded/5", "a")
    assert [str(event) for event in QueuedEvent.objects.order_by("pk")] == [
        "created: recorded/5",
        "changed: recorded/5",
    ]


def test_the_address_of_a_document_is_that_of_its_type() -> None:
    assert Recorded().get_absolute_url(pk=5) == "/recorded/5"
    assert RecordedFiles().get_absolute_url(path="a") is None


def test_changes_are_recorded_once_although_the_apps_are_loaded_again(settings: Any) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.humanize"]
    write("recorded/5", "a")
    assert QueuedEvent.objects.count() == 2
    deliver()
    assert [call[0] for call in calls] == ["created", "changed"]
