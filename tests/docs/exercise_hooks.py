"""Uses the samples of docs/hooks.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, Group, User
from django.utils import timezone
from essays import meetings, tickets  # type: ignore[import-not-found]
from pycrdt import Text

from collab import documents
from collab.access import Access
from collab.documents import policy
from collab.testing import deliver_changes
from collab_storage.models import EventLease

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it gets, and answers with the next status, at last with 200."""

    statuses: ClassVar[list[int]] = []
    received: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body))
        self.send_response(self.statuses.pop(0) if self.statuses else 200)
        self.end_headers()


@contextmanager
def receiver() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_webhook_gets_each_change_until_it_answers(settings: Any) -> None:
    ann = User.objects.create(username="ann")
    assert documents.type_of("tickets/1") is tickets.TicketDocument
    Receiver.statuses.append(500)
    with receiver() as settings.TICKETS_WEBHOOK:
        with documents.edit("tickets/1", user=ann) as doc:
            doc.get("text", type=Text).insert(0, "It is broken.")
        assert deliver_changes() == 0
        assert EventLease.objects.get(name="tickets/1").attempts == 1
        EventLease.objects.update(until=timezone.now())
        assert deliver_changes() == 1
    first, again = Receiver.received
    assert first == again
    assert (first["name"], first["users"]) == ("tickets/1", [str(ann.pk)])


def test_members_of_a_meeting_are_looked_up_together() -> None:
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    ann.groups.add(Group.objects.create(name="meeting-monday"))
    authorize = async_to_sync(policy.authorize)
    assert documents.type_of("meetings/monday") is meetings.MeetingDocument
    found = [authorize("meetings/monday", user) for user in (ann, bob, AnonymousUser())]
    assert found == [Access.WRITE, Access.READ, Access.READ]
